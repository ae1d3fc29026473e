"""Take in signed callbacks, one report a call, while a campaign sends.

One server with several processes for requests and two for scheduled actions: one sends
a campaign through Twilio's simulator, the other applies what has come in. Who calls
does so from a process of its own, at the same pace whatever happens; what a call takes
is measured from the moment it was due.
"""

import multiprocessing
import pathlib
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import patch

from benchlib import DATABASE, Bench, fresh_database, running_server
from send import allow_launch, launch, make_members, make_program

sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests"))

from simulators.flood import flood, percentile, write_posts
from simulators.twilio import TwilioSimulator

#: Calls, and seconds in which they come.
SMALL = (1_000, 6)
FULL = (10_000, 60)
#: Of a hundred calls so many are replies, and so many repeat an earlier one.
REPLIES = 5
REPEATED = 5
#: Messages a second of the campaign that is sent meanwhile.
RATE = 200
#: Calls before those that are measured.
WARM_UP = 200
#: What README recommends for a machine of two processors.
SERVER = ("--workers=4", "--max-cron-threads=2")
VARIABLES = {"ODOO_HTTP_SOCKET_TIMEOUT": "30"}
ADDRESS = "https://shop.example.com"
#: Seconds the server gets to apply everything afterwards.
PATIENCE = 120


def add_twilio_gateway(env, simulator):
    """:returns: an account at Twilio's simulator"""
    account = simulator.account
    return env["member.gateway"].create(
        {
            "name": "Twilio",
            "provider": "twilio",
            "api_key": account["api_key"],
            "api_secret": account["api_secret"],
            "twilio_messaging_service": account["options"]["messaging_service"],
            "endpoint": simulator.url,
            "rate_per_second": 0,
            "connection_count": 32,
        }
    )


def send_earlier(env, gateway, program, domain):
    """Send a campaign that the calls report about, at once and not to the simulator.

    :returns: the campaign, and pairs of number and reference of its messages
    """
    from odoo.addons.member_messaging.gateways import ADAPTERS, twilio, types

    class InstantTwilio(twilio.TwilioGateway):
        def _send(self, batch):
            for message in batch:
                reference = f"SM{int(message.key):032x}"
                yield types.SendResult(message.key, types.Outcome.OK, reference)

    campaign = launch(env, gateway, program, domain)
    with patch.dict(ADAPTERS, {"twilio": InstantTwilio}):
        env["member.message"]._cron_plan()
        env["member.message"]._cron_send()
    sent = env["member.message"].search_fetch(
        [("campaign_id", "=", campaign.id), ("state", "=", "sent")],
        ["address", "provider_ref"],
    )
    gateway.rate_per_second = RATE
    env.cr.commit()
    return campaign, [(message.address, message.provider_ref) for message in sent]


def rest_crons(env):
    """As if each scheduled action had just run: those of a new database all want to."""
    env.cr.execute(
        "UPDATE ir_cron SET nextcall = (now() AT TIME ZONE 'UTC')"
        " + (interval_number || ' ' || interval_type)::interval"
    )
    env.cr.execute("DELETE FROM ir_cron_trigger")
    env.cr.commit()


def count(env, model, *domain):
    """:returns: number of records, as others have committed them"""
    env.cr.rollback()
    return env[model].search_count(list(domain))


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.2)


def measure(bench, simulator, server, posts, seconds):
    """:returns: the answers, and how many messages left in a second meanwhile"""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as caller:
        # The caller has started, and the server has run for a while.
        caller.submit(flood, server, [posts[0]] * WARM_UP, WARM_UP / 50).result()
        wait_for(lambda: simulator.messages)
        before = len(simulator.messages)
        with bench.measure("signed callbacks over HTTP", len(posts)) as calls:
            answers = caller.submit(flood, server, posts, seconds).result()
        return answers, (len(simulator.messages) - before) / calls.seconds


def check_applied(env, earlier, posts, answers):
    """Wait until all is applied; what was acknowledged has to be.

    :returns: how many calls left nothing behind
    """
    new = ("state", "=", "new")
    wait_for(lambda: not count(env, "member.callback", new))
    delivered = ("campaign_id", "=", earlier.id), ("state", "=", "delivered")
    stored = count(env, "member.callback", ("state", "=", "done")) - WARM_UP
    acknowledged = sum(200 <= answer.status < 300 for answer in answers)
    assert stored >= acknowledged, f"{acknowledged} acknowledged, {stored} stored"
    if acknowledged == len(posts):
        assert count(env, "member.message", *delivered) == earlier.planned_count
        assert count(env, "member.inbound") == len(posts) * REPLIES // 100
    return len(posts) - min(stored, acknowledged)


def main():
    bench = Bench("webhooks", __doc__)
    calls, seconds = FULL if bench.full else SMALL
    reports = calls * (100 - REPLIES - REPEATED) // 100
    with (
        bench.environment(fresh_database(DATABASE, "webhooks")) as env,
        TwilioSimulator() as simulator,
    ):
        env["ir.config_parameter"].set_param("web.base.url", ADDRESS)
        allow_launch(env)
        gateway, program = add_twilio_gateway(env, simulator), make_program(env)
        earlier, sent = send_earlier(
            env, gateway, program, make_members(env, reports, "earlier")
        )
        posts = write_posts(
            simulator,
            gateway.report_url,
            sent,
            repeated=calls * REPEATED // 100,
            replies=calls * REPLIES // 100,
        )
        # twice as many: numbers of members begin with that of their count
        domain = make_members(env, 2 * reports, "now")
        rest_crons(env)
        with running_server(env.cr.dbname, *SERVER, **VARIABLES) as server:
            launch(env, gateway, program, domain)
            answers, rate = measure(bench, simulator, server, posts, seconds)
            bench.say(f"answers by status: {Counter(a.status for a in answers)}")
            lost = check_applied(env, earlier, posts, answers)
    bench.report(
        size=calls,
        calls=len(answers),
        lost=lost,
        p50_ms=1000 * percentile(answers, 50),
        p99_ms=1000 * percentile(answers, 99),
        slowest_ms=1000 * percentile(answers, 100),
        sends_per_second=rate,
    )


if __name__ == "__main__":
    main()
