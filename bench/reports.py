"""Take in delivery reports, against stock Odoo's own SMS status reports.

The same number of reports goes to both. In process: hundreds a call, ours stored and
applied by the cron's method, stock's as its controller does. Over HTTP: one report a
call by the same client, to one running server.
"""

import http.client
import json
import os
import statistics

from benchlib import DATABASE, Bench, fresh_database, running_server
from send import (
    LIMIT,
    allow_launch,
    answer_at_once,
    launch,
    make_members,
    make_program,
    queue_mailing,
)

from odoo import api

WARM_UP = 200
SMALL = 10_000
FULL = 50_000
#: Reports in one call.
BATCH = 100
#: Reports that come one a call, in process.
SINGLE = 2_000
#: Calls over HTTP, in turns of so many.
CALLS = 600
TURN = 100


# ---------------------------------------------------------------------------- ours


def add_aliyun_gateway(env):
    """:returns: an account at Alibaba Cloud, which accepts everything at once"""
    from odoo.addons.member_messaging.gateways import ADAPTERS, aliyun, types

    class InstantAliyun(aliyun.AliyunGateway):
        batch_size = 1000
        requires_registered_template = False

        def _send(self, batch):
            # as the provider does: one reference for a hundred numbers
            for position, message in enumerate(batch):
                reference = f"biz-{int(batch[0].key) + position // 100}"
                yield types.SendResult(message.key, types.Outcome.OK, reference)

    ADAPTERS["aliyun"] = InstantAliyun
    return env["member.gateway"].create(
        {
            "name": "Aliyun",
            "provider": "aliyun",
            "api_key": "key",
            "api_secret": "secret",
            "signature": "Tea House",
        }
    )


def send_ours(env, gateway, program, domain):
    """:returns: a report of each message, as the provider documents it, one of fifty
    being a failure
    """
    campaign = launch(env, gateway, program, domain)
    env["member.message"]._cron_plan()
    env["member.message"]._cron_send()
    env.cr.execute(
        "SELECT provider_ref, address FROM member_message"
        " WHERE campaign_id = %s AND state = 'sent' ORDER BY md5(id::text)",
        [campaign.id],
    )
    return [
        {
            "phone_number": address.removeprefix("+86"),
            "send_time": "2026-05-01 10:00:00",
            "report_time": "2026-05-01 10:00:09",
            "success": index % 50 > 0,
            "err_code": "DELIVERED" if index % 50 else "UNDELIV",
            "err_msg": "用户接收成功" if index % 50 else "未送达",
            "sms_size": "1",
            "biz_id": reference,
            "out_id": f"{index}",
        }
        for index, (reference, address) in enumerate(env.cr.fetchall())
    ]


def write_bodies(reports, size):
    """:returns: what the provider posts, so many reports a call"""
    return [
        json.dumps(reports[start : start + size]).encode()
        for start in range(0, len(reports), size)
    ]


def store(env, gateway, bodies):
    """As so many requests would."""
    from odoo.addons.member_messaging.gateways.types import WebhookRequest

    for body in bodies:
        env["member.callback"]._store(gateway, WebhookRequest(body=body))
        env.cr.commit()


def measure_ours(bench, env, gateway, reports, size):
    """:returns: the measures of storing and of applying"""
    label = f"ours, {size} a call:"
    bodies = write_bodies(reports, size)
    with bench.measure(f"{label} store", len(reports)) as stored:
        store(env, gateway, bodies)
    with bench.measure(f"{label} apply", len(reports)) as applied:
        env["member.callback"]._cron_apply()
    assert not env["member.callback"].search_count([("state", "!=", "done")])
    return stored, applied


# --------------------------------------------------------------------------- stock


def send_stock(env, domain):
    """:returns: what identifies the messages in a report"""
    mailing = queue_mailing(env, domain)
    os.environ[LIMIT] = str(1 << 30)
    env["mailing.mailing"]._process_mass_mailing_queue()
    env.cr.commit()
    waiting = [("mailing_id", "=", mailing.id), ("state", "=", "outgoing")]
    while env["sms.sms"].search_count(waiting, limit=1):
        env["sms.sms"]._process_queue()
    env.cr.execute(
        "SELECT k.sms_uuid FROM sms_tracker k JOIN mailing_trace t"
        " ON t.id = k.mailing_trace_id WHERE t.mass_mailing_id = %s"
        " AND t.trace_status = 'pending' ORDER BY md5(k.sms_uuid)",
        [mailing.id],
    )
    return [row[0] for row in env.cr.fetchall()]


def apply_stock(env, uuids):
    """The body of stock's controller, in a transaction and environment of its own."""
    public = env.ref("base.public_user").id
    with env.registry.cursor() as cr:
        request_env = api.Environment(cr, public, {})
        trackers = request_env["sms.tracker"].sudo()
        state = request_env["sms.sms"].IAP_TO_SMS_STATE_SUCCESS["delivered"]
        trackers.search([("sms_uuid", "in", uuids)])._action_update_from_sms_state(
            state
        )
        request_env["sms.sms"].sudo().search(
            [("uuid", "in", uuids), ("to_delete", "=", False)]
        ).to_delete = True


def measure_stock(bench, env, uuids):
    with bench.measure(f"stock, {BATCH} a call: apply", len(uuids)) as applied:
        for start in range(0, len(uuids), BATCH):
            apply_stock(env, uuids[start : start + BATCH])
    env.cr.commit()  # to see what the others have done
    env.cr.execute(
        "SELECT COUNT(*) FROM sms_tracker k JOIN mailing_trace t"
        " ON t.id = k.mailing_trace_id"
        " WHERE k.sms_uuid = ANY(%s) AND t.trace_status = 'sent'",
        [uuids],
    )
    assert env.cr.fetchone() == (len(uuids),)
    env.cr.commit()
    return applied


# ---------------------------------------------------------------------------- HTTP


def call(server, path, body=None):
    """A client that costs next to nothing: servers are compared, not clients."""
    connection = http.client.HTTPConnection(server, timeout=60)
    if body is None:
        connection.request("GET", path)
    else:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    return json.loads(answer.read())


def post_ours(server, path, report):
    assert call(server, path, [report])["code"] == 0


def post_stock(server, uuid):
    status = {"sms_status": "delivered", "uuids": [uuid]}
    params = {"message_statuses": [status]}
    body = {"jsonrpc": "2.0", "method": "call", "params": params}
    assert call(server, "/sms/status", body)["result"] == "OK"


def measure_http(bench, env, gateway, reports, uuids):
    """Post in turns, so that what else the machine does hits both alike.

    :returns: how many times as fast as stock's our turns are, the middle one
    """
    ratios = []
    with running_server(env.cr.dbname, "--workers=0", "--max-cron-threads=0") as url:
        server = url.removeprefix("http://")
        path = f"/member_messaging/callback/{gateway.id}/{gateway.callback_secret}"
        env.cr.commit()
        for index in range(0, len(reports), TURN):
            # the first turn is the server's warming up
            label = "one a call over HTTP" if index else "HTTP, warming up"
            with bench.measure(f"ours, {label}", TURN) as ours_turn:
                for report in reports[index : index + TURN]:
                    post_ours(server, path, report)
            with bench.measure(f"stock, {label}", TURN) as stock_turn:
                for uuid in uuids[index : index + TURN]:
                    post_stock(server, uuid)
            with bench.measure("Odoo, a page that does nothing", TURN):
                for _call in range(TURN):
                    call(server, "/web/health")
            ratios.append(stock_turn.seconds / ours_turn.seconds)
    return statistics.median(ratios[1:])


def main():
    bench = Bench("reports", __doc__)
    size = FULL if bench.full else SMALL
    with bench.environment(fresh_database(DATABASE, "reports")) as env:
        answer_at_once()
        allow_launch(env)
        gateway, program = add_aliyun_gateway(env), make_program(env)
        reports, uuids = {}, {}
        for count in (WARM_UP, CALLS, SINGLE, size):
            domain = make_members(env, count)
            reports[count] = send_ours(env, gateway, program, domain)
            uuids[count] = send_stock(env, domain)
            assert len(reports[count]) == len(uuids[count]) == count
        for table in ("member_message", "mailing_trace", "sms_tracker", "sms_sms"):
            env.cr.execute(f"ANALYZE {table}")
        env.cr.commit()

        # a server that has run for a while
        store(env, gateway, write_bodies(reports[WARM_UP], BATCH))
        env["member.callback"]._cron_apply()
        apply_stock(env, uuids[WARM_UP])

        stock = measure_stock(bench, env, uuids[size])
        stored, applied = measure_ours(bench, env, gateway, reports[size], BATCH)
        measure_ours(bench, env, gateway, reports[SINGLE], 1)
        http = measure_http(bench, env, gateway, reports[CALLS], uuids[CALLS])
    bench.report(
        size=size,
        rate=applied.rate,
        over_stock=stock.seconds / (stored.seconds + applied.seconds),
        http_single_over_stock=http,
    )


if __name__ == "__main__":
    main()
