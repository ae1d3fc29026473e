"""Several senders draw on the same SMS of a month, budget and trial batch."""

import pytest

from odoo.addons.member_messaging.gateways.sandbox import SandboxGateway

from system.shop import launch, make_gateway, make_members

SMALL_CLAIM = (
    "odoo.addons.member_messaging.models.member_message_send.CLAIM_SIZE",
    10,
)


def plan(env, size, **values):
    """:returns: a planned notice to ``size`` members"""
    gateway = make_gateway(env, provider="sandbox", price=1, sandbox_badnum_rate=0)
    campaign = launch(env, make_members(env, size), gateway)
    campaign.write(values)
    env["member.message"]._cron_plan()
    env.cr.commit()
    return campaign


def look_again(env):
    env.cr.rollback()
    env.invalidate_all()


def count(env, campaign, *states):
    look_again(env)
    return env["member.message"].search_count(
        [("campaign_id", "=", campaign.id), ("state", "in", states)]
    )


@pytest.fixture
def two_senders(connect, monkeypatch):
    """Two connections; while the first sender calls, the second one runs."""
    first, second = connect(), connect()
    send = SandboxGateway._send
    handed_over = []

    def send_and_note(self, batch):
        if not handed_over:
            handed_over.append(None)
            second["member.message"]._cron_send(2)
        handed_over.extend(message.key for message in batch)
        return send(self, batch)

    monkeypatch.setattr(*SMALL_CLAIM)
    monkeypatch.setattr(SandboxGateway, "_send", send_and_note)
    return first, second, handed_over


def test_two_senders_share_the_quota(two_senders):
    first, _second, handed_over = two_senders
    campaign = plan(first, 60)
    campaign.gateway_id.month_quota = 25
    first.cr.commit()
    first["member.message"]._cron_send(1)
    assert len(handed_over) - 1 == 25
    assert count(first, campaign, "queued") == 35
    assert campaign.gateway_id.load_ids.month_count == 25
    assert len(campaign.gateway_id.activity_ids) == 1, "told by one of them"


def test_two_senders_share_the_budget(two_senders):
    first, _second, handed_over = two_senders
    campaign = plan(first, 60, budget=25)
    first["member.message"]._cron_send(1)
    assert len(handed_over) - 1 == 25
    assert count(first, campaign, "queued") == 35
    assert campaign.load_ids.cost == 25
    assert campaign.state == "paused"
    assert len(campaign.activity_ids) == 1


def test_two_senders_share_the_trial(two_senders):
    first, _second, handed_over = two_senders
    plan(first, 60, trial_size=15)
    first["member.message"]._cron_send(1)
    assert len(handed_over) - 1 == 15


def claim(env, campaign, lane):
    """:returns: a sender's model, the gateway and ten claimed messages, committed"""
    messages = env["member.message"]
    gateway = campaign.gateway_id.with_env(env)
    claimed, _count = messages._claim(gateway, lane, 10)
    env.cr.commit()
    assert len(claimed) == 10
    return messages, gateway, claimed


@pytest.mark.parametrize("gateways", [1, 2])
def test_at_the_same_moment(gateways, connect):
    """Both have claimed before either draws: the later one gets what is left of the
    account's quota, or of that of the company."""
    first, second = connect(), connect()
    campaigns = [plan(first, 20 // gateways) for _index in range(gateways)]
    campaigns[0].gateway_id.month_quota = 13 if gateways == 1 else 0
    policies = first["member.send.policy"]
    policy = policies.browse(policies.action_open()["res_id"])
    policy.month_quota = 13 if gateways == 2 else 0
    first["member.message"]._move_campaigns_on()
    first.cr.commit()
    claims = [claim(first, campaigns[0], 1), claim(second, campaigns[-1], 2)]
    # the snapshot of the second one is older than what the first one writes
    second.cr.execute("SELECT 1 FROM member_gateway_load")
    assert [len(reserve(*own)) for own in claims] == [10, 3]
    look_again(first)
    assert sum(c.gateway_id.load_ids.month_count for c in set(campaigns)) == 13
    assert sum(count(first, c, "queued") for c in set(campaigns)) == 7


def reserve(messages, gateway, claimed):
    from odoo.addons.member_messaging.transaction import commit_short

    return commit_short(messages.env, messages._reserve, gateway, claimed)


def test_sender_that_dies_before_it_draws(connect):
    """Nothing has left and nothing is used; twice is not drawn either."""
    env = connect()
    campaign = plan(env, 5)
    gateway = campaign.gateway_id
    env["member.message"]._move_campaigns_on()
    env["member.message"]._claim(gateway, 1)
    env.cr.commit()
    env["member.message"]._cron_send(1)
    assert count(env, campaign, "uncertain") == 5
    assert gateway.load_ids.month_count == 0
