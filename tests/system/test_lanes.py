"""Several sender processes at work: rate, pauses, cancellations, lost connections."""

import time

import pytest

from system.shop import launch, make_gateway, make_members

MEMBERS = 240


@pytest.fixture(scope="module")
def env(module_connect):
    return module_connect()


@pytest.fixture(scope="module")
def profiles(env):
    return make_members(env, MEMBERS)


def start(env, profiles, carrier, nursery, lanes=2, behave=None, **values):
    """:returns: a campaign that so many senders, each a process, are working on"""
    carrier.behave(reset=True, **(behave or {}))
    gateway = make_gateway(env, endpoint=carrier.url, **values)
    campaign = launch(env, profiles, gateway)
    env["member.message"]._cron_plan()
    senders = [nursery.start(lane, until_idle=True) for lane in range(lanes)]
    return campaign, senders


def wait_for(condition, timeout=200):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.02)


def look_again(env):
    env.cr.rollback()
    env.invalidate_all()


def get_states(env, campaign):
    look_again(env)
    messages = env["member.message"].search([("campaign_id", "=", campaign.id)])
    return messages.mapped("state")


@pytest.mark.parametrize(
    ("provider", "rate"), [("carrier_single", 60), ("carrier", 90)]
)
def test_no_second_sees_more_than_the_rate(
    provider, rate, env, profiles, carrier, nursery
):
    _campaign, senders = start(
        env,
        profiles,
        carrier,
        nursery,
        provider=provider,
        rate_per_second=rate,
        behave={"latency_ms": 20},
    )
    assert {sender.wait() for sender in senders} == {0}, nursery.log.read_text()
    state = carrier.state()
    assert state["accepted"] == MEMBERS
    assert not state["repeated"]
    assert state["max_per_second"] <= rate


def test_pause_and_resume_while_senders_are_at_work(env, profiles, carrier, nursery):
    campaign, senders = start(
        env,
        profiles,
        carrier,
        nursery,
        provider="carrier_single",
        rate_per_second=40,
    )
    wait_for(lambda: carrier.state()["accepted"] > 20)
    look_again(env)
    campaign.action_pause()
    env.cr.commit()
    # a claim holds two seconds' worth of the rate, and there are two senders
    wait_for(lambda: "claimed" not in get_states(env, campaign))
    accepted = carrier.state()["accepted"]
    assert accepted < MEMBERS
    time.sleep(0.5)
    assert carrier.state()["accepted"] == accepted
    look_again(env)
    campaign.action_resume()
    env.cr.commit()
    # the scheduler would start it again
    senders += [nursery.start(0, until_idle=True)]
    assert {sender.wait() for sender in senders} <= {0}
    assert get_states(env, campaign) == ["sent"] * MEMBERS
    assert carrier.state()["accepted"] == MEMBERS
    assert not carrier.state()["repeated"]


def test_cancel_while_senders_are_at_work(env, profiles, carrier, nursery):
    campaign, senders = start(
        env,
        profiles,
        carrier,
        nursery,
        provider="carrier_single",
        rate_per_second=40,
    )
    wait_for(lambda: carrier.state()["accepted"] > 20)
    look_again(env)
    campaign.action_cancel()
    env.cr.commit()
    assert {sender.wait() for sender in senders} == {0}, nursery.log.read_text()
    states = get_states(env, campaign)
    assert set(states) == {"sent", "cancelled"}
    assert states.count("sent") == carrier.state()["accepted"] < MEMBERS


def test_results_survive_when_all_connections_are_cut(env, profiles, carrier, nursery):
    """As by a restart of PostgreSQL, in the middle of a call."""
    campaign, senders = start(
        env,
        profiles,
        carrier,
        nursery,
        lanes=1,
        provider="carrier",
        rate_per_second=0,
        behave={"latency_ms": 600},
    )
    wait_for(lambda: carrier.state()["in_flight"])
    env.cr.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
    assert env.cr.rowcount
    senders[0].wait()
    accepted = carrier.state()["accepted"]
    assert accepted
    assert get_states(env, campaign).count("sent") == accepted
    carrier.behave()
    assert nursery.start(0, until_idle=True).wait() == 0, nursery.log.read_text()
    assert get_states(env, campaign) == ["sent"] * MEMBERS
    assert not carrier.state()["repeated"]
