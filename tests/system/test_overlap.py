"""Two senders write to the same members at the same moment, and members get one
promotion a day: both senders get on with their work, and nobody gets two messages."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from system.shop import agree, launch, make_gateway, make_members

MEMBERS = 40
SEND = "odoo.addons.member_messaging.models.member_message_send"


@pytest.fixture
def shop(connect):
    """Two promotions to the same members, each through an account of its own.

    :returns: two connections, and the campaigns
    """
    env, other = connect(), connect()
    # at any hour
    env["member.sending.hours"].search([]).active = False
    env["member.lane"]._set_count(2)
    policies = env["member.send.policy"]
    policies.browse(policies.action_open()["res_id"]).write(
        {
            "promotion_limit": 0,
            "gap_hours": 24,
            "cap_ids": False,
            "capped_action": "postpone",
        }
    )
    profiles = make_members(env, MEMBERS)
    agree(env, profiles)
    campaigns = [
        launch(
            env,
            profiles,
            make_gateway(env, provider="sandbox", sandbox_badnum_rate=0),
            "promotion",
            not_after_date=env.cr.now() + timedelta(days=9),
        )
        for _index in range(2)
    ]
    env["member.message"]._cron_plan()
    env["member.message"]._move_campaigns_on()
    env.cr.commit()
    return env, other, campaigns


def claim(env, campaign, lane):
    """:returns: what a sender has claimed and committed, and how it goes on"""
    messages = env["member.message"]
    claimed, _count = messages._claim(campaign.gateway_id.with_env(env), lane)
    env.cr.commit()
    assert len(claimed) == MEMBERS
    return lambda: len(messages._settle_overlap(claimed, lane))


def take_snapshot(env):
    """From here on a connection does not see what others commit."""
    env.cr.commit()
    env.cr.execute("SELECT 1 FROM member_message LIMIT 1")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_of_two_goes_on(shop, order):
    """Neither has seen the other's claim, then both do at the same moment."""
    env, other, campaigns = shop
    take_snapshot(other)
    senders = [claim(env, campaigns[0], 1), claim(other, campaigns[1], 2)]
    take_snapshot(env)
    take_snapshot(other)
    assert [senders[index]() for index in order] == [0, MEMBERS]


def test_who_has_gone_on_is_seen(shop):
    """The second one commits its claim when the first one is at its call."""
    env, other, campaigns = shop
    take_snapshot(other)
    assert claim(env, campaigns[0], 1)() == MEMBERS
    assert claim(other, campaigns[1], 2)() == 0


def test_both_run(shop, monkeypatch):
    """Who gives way comes back at once: that must come to an end, too."""
    env, other, campaigns = shop
    monkeypatch.setattr(f"{SEND}.GIVE_WAY", timedelta(0))
    monkeypatch.setattr(f"{SEND}.CLAIM_SIZE", 7)
    senders = [
        threading.Thread(
            target=connection["member.message"]._cron_send, args=(lane,), daemon=True
        )
        for lane, connection in enumerate((env, other), start=1)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(timeout=120)
        assert not sender.is_alive(), "they step back for each other for ever"
    env.cr.rollback()
    env.invalidate_all()
    messages = env["member.message"].search(
        [("campaign_id", "in", [campaign.id for campaign in campaigns])]
    )
    got = Counter(
        message.profile_id for message in messages if message.state != "queued"
    )
    assert set(messages.mapped("state")) <= {"sent", "delivered", "queued"}
    assert set(got.values()) == {1}, "nobody gets two"
    assert len(got) == MEMBERS, "everybody gets one"
