"""Signed callbacks while a campaign is being sent, to a server of several processes."""

import time

import pytest

from simulators.flood import flood, write_posts
from simulators.twilio import SERVICE, TwilioSimulator
from system.shop import launch, make_gateway, make_members

#: Messages that are reported about, and others that leave meanwhile.
SIZE = 120
REPEATED = 20
REPLIES = 10
#: In which the calls come.
SECONDS = 2
#: Processes of the server that answer requests.
WORKERS = 2
ADDRESS = "https://shop.example.com"


@pytest.fixture
def twilio():
    with TwilioSimulator() as simulator:
        yield simulator


def wait_for(env, condition, timeout=200):
    # What is stored while a run of the cron ends waits for that of the next minute.
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.1)
        env.cr.rollback()
        env.invalidate_all()


def test_nothing_is_lost_while_a_campaign_sends(connect, twilio, start_odoo):
    env = connect()
    env["ir.config_parameter"].set_param("web.base.url", ADDRESS)
    gateway = make_gateway(
        env,
        provider="twilio",
        api_key=twilio.account["api_key"],
        api_secret=twilio.account["api_secret"],
        twilio_messaging_service=SERVICE,
        endpoint=twilio.url,
        rate_per_second=SIZE // SECONDS,
    )
    profiles = make_members(env, 2 * SIZE)
    earlier = launch(env, profiles[:SIZE], gateway)
    env["member.message"]._cron_plan()
    env["member.message"]._cron_send()
    messages = env["member.message"].search([("campaign_id", "=", earlier.id)])
    posts = write_posts(
        twilio,
        gateway.report_url,
        [(message.address, message.provider_ref) for message in messages],
        repeated=REPEATED,
        replies=REPLIES,
    )

    server = start_odoo(f"--workers={WORKERS}", "--max-cron-threads=2")
    campaign = launch(env, profiles[SIZE:], gateway)
    answers = flood(server.url, posts, SECONDS, connections=8 * WORKERS)

    assert {answer.status for answer in answers} == {200}
    callbacks = env["member.callback"]
    env.cr.rollback()
    assert callbacks.search_count([]) == len(posts)
    wait_for(env, lambda: not callbacks.search_count([("state", "=", "new")]))
    assert set(callbacks.search([]).mapped("state")) == {"done"}
    assert set(messages.mapped("state")) == {"delivered"}
    delivered = messages.event_ids.filtered(lambda event: event.type == "delivered")
    assert delivered.message_id == messages and len(delivered) == SIZE
    assert env["member.inbound"].search_count([]) == REPLIES
    wait_for(env, lambda: campaign.state == "done")
    assert set(twilio.accepted.values()) == {1}
    assert len(twilio.accepted) == 2 * SIZE
