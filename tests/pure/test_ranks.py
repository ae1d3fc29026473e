"""States of a message."""

import itertools

import pytest

from tools import ranks
from tools.ranks import next_state


@pytest.mark.parametrize(
    ("current", "event", "expected"),
    [
        ("claimed", "sent", "sent"),
        ("sent", "delivered", "delivered"),
        ("sent", "failed", "failed"),
        ("delivered", "sent", "delivered"),
        ("delivered", "failed", "delivered"),
        ("failed", "delivered", "failed"),
        ("uncertain", "sent", "sent"),
        ("uncertain", "delivered", "delivered"),
        ("uncertain", "failed", "failed"),
        ("queued", "delivered", "delivered"),
        ("queued", "failed", "queued"),
        ("sent", "clicked", "delivered"),
        ("uncertain", "redeemed", "delivered"),
        ("sent", "replied", "sent"),
        ("sent", "unsubscribed", "sent"),
        ("cancelled", "delivered", "cancelled"),
        ("skipped", "sent", "skipped"),
    ],
)
def test_table(current, event, expected):
    assert next_state(current, event) == expected


def test_final_states_stay():
    for state, event in itertools.product(ranks.FINAL_STATES, ranks.EVENTS):
        assert next_state(state, event) == state


def test_twice_is_once():
    for state, event in itertools.product(ranks.STATES, ranks.EVENTS):
        once = next_state(state, event)
        assert next_state(once, event) == once


def test_never_back():
    """No sequence of events leads from a later state to an earlier one."""
    rank = {"queued": 0, "claimed": 1, "uncertain": 2, "sent": 3}
    for state, event in itertools.product(ranks.STATES, ranks.EVENTS):
        after = next_state(state, event)
        assert rank.get(after, 9) >= rank.get(state, 9)


def test_late_sent_changes_nothing():
    for events in itertools.permutations(["sent", "delivered", "clicked"]):
        state = "claimed"
        for event in events:
            state = next_state(state, event)
        assert state == "delivered"


def test_lists_agree():
    assert set(ranks.EVENT_STATE) <= set(ranks.EVENTS)
    assert set(ranks.EVENT_STATE.values()) == set(ranks.RAISES)
    for proven, states in ranks.RAISES.items():
        assert proven in ranks.STATES and states <= set(ranks.STATES)
        assert not states & ranks.FINAL_STATES


def test_unknown_words():
    with pytest.raises(ValueError):
        next_state("nowhere", "sent")
    with pytest.raises(ValueError):
        next_state("sent", "smelled")
