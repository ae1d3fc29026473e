"""A real server, its scheduled actions, and the carrier pushing reports to it."""

import time
from urllib.parse import urlsplit

from system.shop import launch, make_gateway, make_members


def wait_for(env, campaign, state, timeout=200):
    """:returns: messages of the campaign, which have come to this state"""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        env.cr.rollback()
        env.invalidate_all()
        messages = env["member.message"].search([("campaign_id", "=", campaign.id)])
        if set(messages.mapped("state")) == {state}:
            return messages
        time.sleep(0.2)
    raise AssertionError(f"{messages.mapped('state')} instead of {state}")


def test_reports_before_the_answer(connect, start_odoo, carrier):
    env = connect()
    gateway = make_gateway(env, provider="carrier", endpoint=carrier.url)
    profiles = make_members(env, 20)
    server = start_odoo("--max-cron-threads=1", program="simulators.carrier_gateway")
    path = urlsplit(gateway.report_url).path
    carrier.behave(reset=True)
    carrier.report_to(f"{server.url}{path}", before_answer=True, duplicates=True)
    campaign = launch(env, profiles, gateway)
    messages = wait_for(env, campaign, "delivered")
    refs = {entry["key"]: entry["ref"] for entry in carrier.ledger()}
    assert {str(m.id): m.provider_ref for m in messages} == refs
    assert len(messages) == 20
    assert carrier.state()["reports"] == {"waiting": 0, "pushed": 40, "lost": 0}
