"""Plan and send a campaign, against stock SMS Marketing.

Both systems write to the same members the same personal text with a short link and a
way to opt out; ours adds a coupon to each message. Both providers answer at once. Then
two senders against one, and a provider over HTTP that answers after 50 ms, to two
senders: one message per call, and a hundred.
"""

import os
import pathlib
import sys

from benchlib import DATABASE, Bench, fresh_database

from odoo import Command

sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests"))

WARM_UP = 200
SMALL = (2_000, 10_000)
FULL = (2_000, 10_000, 50_000)
#: Far more than the longest queue stock can plan: does memory grow?
HUGE = 500_000
#: Messages for the comparison of one and two senders, and per provider over HTTP.
LANES = 10_000
SLOW = {"carrier_single": 4_000, "carrier": 20_000}
LATENCY_MS = 50
#: Stock reads the ids of all recipients as one literal, which Odoo limits to 100 KiB.
LIMIT = "ODOO_LIMIT_LITEVAL_BUFFER"
#: What stock calls a message its provider has accepted.
DONE = ("pending", "sent")

# Numbers from n to 2n - 1 for n members: nobody is in two groups.
MEMBERS = """
    WITH partner AS (
        INSERT INTO res_partner (
               name, complete_name, ref, phone, phone_sanitized, email, country_id,
               lang, tz, type, active, color, is_company, partner_share, customer_rank,
               supplier_rank, autopost_bills, message_bounce, create_uid, write_uid,
               create_date, write_date)
        SELECT 'Member ' || i, 'Member ' || i, %(ref)s, phone, phone,
               'm' || i || '@example.com', %(country)s, 'en_US', 'Asia/Shanghai',
               'contact', TRUE, 0, FALSE, TRUE, 1, 0, 'ask', 0, 1, 1, now(), now()
          FROM generate_series(%(count)s, %(count)s * 2 - 1) i,
               LATERAL (SELECT '+86138' || to_char(i, 'FM00000000') AS phone) p
     RETURNING id
    ), profile AS (
        INSERT INTO member_profile (
               partner_id, number, joined_date, source, lifecycle, create_uid,
               write_uid, create_date, write_date)
        SELECT id, 'bench-' || id, now(), 'import', 'prospect', 1, 1, now(), now()
          FROM partner
     RETURNING id
    )
    INSERT INTO member_consent (
           profile_id, channel, purpose, state, source, is_current, create_uid,
           write_uid, create_date, write_date)
    SELECT id, 'sms', 'promotion', 'granted', 'import', TRUE, 1, 1, now(), now()
      FROM profile
"""
LINK_PROFILES = """
    UPDATE res_partner pa SET commercial_partner_id = pa.id, member_profile_id = p.id
      FROM member_profile p WHERE p.partner_id = pa.id AND pa.ref = %(ref)s
"""


def make_members(env, count, ref=None):
    """:returns: domain of so many new members, the same for both systems"""
    params = {
        "ref": ref or f"bench-{count}",
        "count": count,
        "country": env.ref("base.cn").id,
    }
    env.cr.execute(MEMBERS, params)
    env.cr.execute(LINK_PROFILES, params)
    for table in ("res_partner", "member_profile", "member_consent"):
        env.cr.execute(f"ANALYZE {table}")
    env.cr.commit()
    return [("ref", "=", params["ref"])]


# ---------------------------------------------------------------------------- ours


def allow_launch(env):
    """Promotions may leave at any time, which is asked all the same, and one person
    launches everything here."""
    always = {
        f"{day}_{end}": hour
        for day in ("week", "saturday", "sunday")
        for end, hour in (("from", 0), ("to", 24))
    }
    env["member.sending.hours"].search([]).write(always)
    policies = env["member.send.policy"]
    policies.browse(policies.action_open()["res_id"]).approval_count = 0


def add_instant_gateway(env):
    """:returns: an account at a provider that accepts everything at once"""
    allow_launch(env)
    from odoo.addons.member_messaging.gateways import ADAPTERS, base, types

    class Instant(base.Gateway):
        code = name = "instant"
        batch_size = 1000

        def _send(self, batch):
            for message in batch:
                yield types.SendResult(message.key, types.Outcome.OK, message.key)

    ADAPTERS["instant"] = Instant
    return env["member.gateway"].create(
        {"name": "Instant", "provider": "instant", "rate_per_second": 0}
    )


def make_program(env):
    reward = {"discount": 10, "discount_mode": "percent", "required_points": 1}
    return env["loyalty.program"].create(
        {
            "name": "Ten percent",
            "program_type": "coupons",
            "trigger": "with_code",
            "rule_ids": [Command.clear(), Command.create({})],
            "reward_ids": [Command.clear(), Command.create(reward)],
            "communication_plan_ids": [Command.clear()],
        }
    )


def launch(env, gateway, program, domain):
    """:returns: a campaign that the crons find"""
    template = env["member.template"].create(
        {
            "name": "Bench",
            "lang": "en_US",
            "body": "Hi {{ member_name }}, your coupon {{ coupon_code }} is waiting "
            "{{ link }} Stop: {{ unsubscribe_link }}",
        }
    )
    segment = env["member.segment"].create({"name": "Bench", "domain": repr(domain)})
    campaign = env["member.campaign"].create(
        {
            "name": "Bench",
            "segment_ids": segment.ids,
            "variant_ids": [Command.create({"template_id": template.id})],
            "program_id": program.id,
            "gateway_id": gateway.id,
        }
    )
    campaign.action_launch()
    env.cr.commit()
    return campaign


def measure_ours(bench, env, campaign, count):
    """:returns: the measures of planning and of sending, by the crons' own methods"""
    with bench.measure("ours: plan", count) as plan:
        env["member.message"]._cron_plan()
    with bench.measure("ours: text, coupon, link, send, record", count) as send:
        env["member.message"]._cron_send()
    check_sent(env, campaign, count)
    return plan, send


def measure_lanes(bench, env, label, count, lanes):
    """:returns: the measure of so many senders, each a process of its own, as they take
    what is due
    """
    env["member.message"]._cron_plan()

    def send(child_env, lane):
        child_env["member.message"]._cron_send(lane)

    with bench.measure(label, count) as measure:
        bench.fork(env, send, range(1, lanes + 1))
    return measure


def check_sent(env, campaign, count):
    env.invalidate_all()
    sent = [("campaign_id", "=", campaign.id), ("state", "in", ("sent", "delivered"))]
    found = env["member.message"].search_count(sent)
    assert found == count, f"ours sent {found} of {count}"


def measure_two_lanes(bench, env, gateway, program):
    """:returns: how many times as fast two senders are as one"""
    seconds = {}
    for lanes in (1, 2):
        # several campaigns have members of their own: nobody gets two
        domain = make_members(env, LANES, f"lanes-{lanes}")
        campaign = launch(env, gateway, program, domain)
        label = f"ours: send, {lanes} sender{'s' * (lanes > 1)}"
        seconds[lanes] = measure_lanes(bench, env, label, LANES, lanes).seconds
        check_sent(env, campaign, LANES)
    return seconds[1] / seconds[2]


def measure_slow(bench, env, program):
    """:returns: provider → messages per second, when its answers take 50 ms"""
    from simulators.carrier import CarrierSimulator
    from simulators.carrier_gateway import register

    register()
    rates = {}
    with CarrierSimulator() as carrier:
        carrier.behave(latency_ms=LATENCY_MS)
        for provider, count in SLOW.items():
            gateway = env["member.gateway"].create(
                {
                    "name": provider,
                    "provider": provider,
                    "endpoint": carrier.url,
                    "rate_per_second": 0,
                    "connection_count": 64,
                }
            )
            campaign = launch(env, gateway, program, make_members(env, count, provider))
            label = f"ours: {provider}, answers after {LATENCY_MS} ms"
            rates[provider] = measure_lanes(bench, env, label, count, 2).rate
            check_sent(env, campaign, count)
        assert not carrier.state()["repeated"]
    return rates


# --------------------------------------------------------------------------- stock


def answer_at_once():
    """Let stock's own provider accept everything, and fetch no page for a link."""
    from odoo.addons.mail.tools import link_preview
    from odoo.addons.sms.tools.sms_api import SmsApi

    def send_batch(self, messages, delivery_reports_url=False):
        return [
            {"uuid": number["uuid"], "state": "success", "credit": 1}
            for message in messages
            for number in message["numbers"]
        ]

    SmsApi._send_sms_batch = send_batch
    link_preview.get_link_preview_from_url = lambda *args, **kwargs: False


def queue_mailing(env, domain):
    """:returns: an SMS mailing that the crons find"""
    mailing = env["mailing.mailing"].create(
        {
            "name": "Bench",
            "subject": f"Bench {domain}",
            "mailing_type": "sms",
            "mailing_model_id": env["ir.model"]._get("res.partner").id,
            "mailing_domain": repr(domain),
            "body_plaintext": "Hi {{ object.name }}, your coupon is waiting "
            "https://shop.example.com/x",
            "sms_allow_unsubscribe": True,
            # as its form does
            "keep_archives": True,
            "user_id": env.ref("base.user_admin").id,
        }
    )
    mailing.action_put_in_queue()
    env.cr.commit()
    return mailing


def measure_stock(bench, env, mailing, count):
    """:returns: the measures of queueing and of sending, by the crons' own methods"""
    with bench.measure("stock: queue", count) as queue:
        env["mailing.mailing"]._process_mass_mailing_queue()
        env.cr.commit()
    waiting = [("mailing_id", "=", mailing.id), ("state", "=", "outgoing")]
    with bench.measure("stock: send", count) as send:
        while env["sms.sms"].search_count(waiting, limit=1):
            env["sms.sms"]._process_queue()
    traces = [("mass_mailing_id", "=", mailing.id), ("trace_status", "in", DONE)]
    sent = env["mailing.trace"].search_count(traces)
    assert sent == count, f"stock sent {sent} of {count}"
    return queue, send


def measure_stock_lifted(bench, env, mailing, count):
    """As :func:`measure_stock`; where stock gives up, without the limit it hits."""
    try:
        return measure_stock(bench, env, mailing, count)
    except ValueError as error:
        env.cr.rollback()
        bench.say(f"stock: {count:,} recipients fail: {error}. Again with {LIMIT} set.")
        os.environ[LIMIT] = str(1 << 30)
        return measure_stock(bench, env, mailing, count)


def main():
    bench = Bench("send", __doc__)
    sizes = FULL if bench.full else SMALL
    with bench.environment(fresh_database(DATABASE, "send")) as env:
        answer_at_once()
        gateway, program = add_instant_gateway(env), make_program(env)
        domains = {count: make_members(env, count) for count in (WARM_UP, *sizes)}

        # a server that has run for a while
        launch(env, gateway, program, domains[WARM_UP])
        env["member.message"]._cron_plan()
        env["member.message"]._cron_send()
        queue_mailing(env, domains[WARM_UP])
        env["mailing.mailing"]._process_mass_mailing_queue()
        env["sms.sms"]._process_queue()

        # ours first: what stock leaves in memory would count as ours
        ours, stock = {}, {}
        for count in sizes:
            campaign = launch(env, gateway, program, domains[count])
            ours[count] = measure_ours(bench, env, campaign, count)
        two_lanes = measure_two_lanes(bench, env, gateway, program)
        slow = measure_slow(bench, env, program)
        if bench.full:
            domain = make_members(env, HUGE, "huge")
            ours[HUGE] = measure_ours(
                bench, env, launch(env, gateway, program, domain), HUGE
            )
        for count in sizes:
            mailing = queue_mailing(env, domains[count])
            stock[count] = measure_stock_lifted(bench, env, mailing, count)

    size = sizes[-1]
    plan, send = ours[size]
    queue, stock_send = stock[size]
    peaks = {
        count: max(m.peak_mb for m in measures) for count, measures in ours.items()
    }
    bench.report(
        size=size,
        plan_over_stock=plan.rate / queue.rate,
        total_over_stock=(queue.seconds + stock_send.seconds)
        / (plan.seconds + send.seconds),
        memory_growth=max(peaks.values()) / peaks[sizes[0]],
        sql_per_1000=(plan.sql + send.sql) * 1000 / size,
        two_lanes_over_one=two_lanes,
        single_call_rate_50ms=slow["carrier_single"],
        batch_call_rate_50ms=slow["carrier"],
    )


if __name__ == "__main__":
    main()
