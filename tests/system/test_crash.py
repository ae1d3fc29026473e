"""Senders that are killed while the carrier misbehaves: never twice, never lost.

Each seed is another mix of the step at which a sender dies, of what the carrier does,
of lanes, batches and sizes. Afterwards senders that meet no trouble finish.
"""

import random
import signal

import pytest

from system.sender import STEPS
from system.shop import launch, make_gateway, make_members

SEEDS = range(50)
MEMBERS = 80
FAULTS = (
    {"kind": "hang"},
    {"kind": "hang", "seconds": 0.1},
    {"kind": "close_before"},
    {"kind": "close_after"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "retry_after": 0},
    {"kind": "half"},
    {"kind": "bad_json"},
)
#: Seconds until a sender gives up connecting, and waiting for an answer.
TIMEOUT = (1.0, 0.2)
LATENCY_MS = 15
#: Share of calls that go wrong, by provider: the single one makes more of them.
RATES = {"carrier": 0.2, "carrier_single": 0.05}
STALE = {"STALE_CLAIM": -1}  # every claim is
SENT = {"sent", "delivered"}
VISIBLE = SENT | {"failed", "uncertain"}


@pytest.fixture(scope="module")
def env(module_connect):
    return module_connect()


@pytest.fixture(scope="module")
def profiles(env):
    return make_members(env, MEMBERS)


def mix(seed):
    """:returns: chance, step and fault; 48 seeds have all pairs of them"""
    fault = FAULTS[seed // len(STEPS) % len(FAULTS)]
    return random.Random(seed), STEPS[seed % len(STEPS)], fault


@pytest.mark.parametrize("seed", SEEDS)
def test_never_twice_never_lost(seed, env, profiles, carrier, nursery):
    chance, step, fault = mix(seed)
    lanes = chance.choice((1, 2))
    size = chance.randrange(60, MEMBERS + 1)
    provider = chance.choice(list(RATES))
    gateway = make_gateway(env, provider=provider, endpoint=carrier.url)
    campaign = launch(env, profiles[:size], gateway)
    env["member.message"]._cron_plan()
    fault = fault | {"rate": RATES[provider]}
    carrier.behave(reset=True, latency_ms=LATENCY_MS, seed=seed, faults=[fault])
    options = {
        "constants": {"CLAIM_SIZE": chance.choice((5, 10, 15)), "RETRY_DELAY": 0},
        "attributes": {"timeout": TIMEOUT, "batch_size": chance.choice((4, 10))},
    }
    kills = [{"step": step, "count": chance.choice((1, 2))}]
    # Two processes of one lane take turns: the one that survives may do it all.
    other = {"step": step, "count": 3}
    kills.append(chance.choice((None, other)) if lanes > 1 else other)
    senders = [
        nursery.start(index % lanes, until_idle=True, kill=kill, **options)
        for index, kill in enumerate(kills)
    ]
    codes = {sender.wait() for sender in senders}
    assert -signal.SIGKILL in codes <= {0, -signal.SIGKILL}, nursery.log.read_text()

    carrier.behave()
    options["constants"] |= STALE
    for lane in range(lanes):
        sender = nursery.start(lane, until_idle=True, **options)
        assert sender.wait() == 0, nursery.log.read_text()
    check(env, campaign, size, carrier)


def check(env, campaign, size, carrier):
    env.cr.rollback()
    env.invalidate_all()
    messages = env["member.message"].search([("campaign_id", "=", campaign.id)])
    state = {str(message.id): message.state for message in messages}
    refs = {str(message.id): message.provider_ref for message in messages}
    ledger = {entry["key"]: entry["ref"] for entry in carrier.ledger()}
    assert carrier.state()["repeated"] == {}
    assert len(messages) == size
    assert set(state.values()) <= VISIBLE
    assert campaign.state == "done"
    assert {state[key] for key in ledger} <= SENT | {"uncertain"}
    sent = [key for key in state if state[key] in SENT]
    assert {key: refs[key] for key in sent} == {key: ledger.get(key) for key in sent}
    # what was drawn has left, or perhaps has
    used = campaign.gateway_id.load_ids.month_count
    lost = [key for key in state if state[key] == "uncertain"]
    assert len(sent) <= used <= len(sent) + len(lost)
