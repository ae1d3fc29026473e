import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from unittest.mock import patch

from odoo import fields
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..controllers.callback import MAX_BODY
from ..gateways.aliyun import AliyunGateway
from ..gateways.sandbox import SandboxGateway
from ..gateways.types import DeliveryReport, Outcome, SendResult, WebhookRequest
from .common import MemberMessagingCommon

ADAPTER_LOG = "odoo.addons.member_messaging.gateways.reading"


@tagged("post_install", "-at_install")
class TestCallback(MemberMessagingCommon, HttpCase):
    """An Aliyun account whose reports and replies are posted to its address."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gateway = cls.make_aliyun_gateway()
        cls.profile = cls.make_members(1)

    def send_campaign(self, decide=None):
        message = self.launch(self.make_campaign(self.profile))
        self.send(decide, provider="aliyun")
        return message

    def make_report(self, message, is_delivered=True, **values):
        """A report as the vendor documents it; times are those of Shanghai."""
        return {
            "phone_number": message.address.removeprefix("+86"),
            "send_time": "2026-05-01 10:00:00",
            "report_time": "2026-05-01 10:00:09",
            "success": is_delivered,
            "err_code": "DELIVERED" if is_delivered else "MK:0001",
            "err_msg": "用户接收成功" if is_delivered else "空号",
            "sms_size": "1",
            "biz_id": message.provider_ref,
            "out_id": "123",
            **values,
        }

    def make_reply(self, text, phone=None, sequence="1"):
        return {
            "phone_number": phone or self.profile.phone.removeprefix("+86"),
            "content": text,
            "send_time": "2026-05-01 11:00:00",
            "dest_code": "10690000123",
            "sequence_id": sequence,
        }

    def post(self, entries, gateway=None, secret=None, **values):
        """Post what a provider would; text as it is, anything else as JSON."""
        gateway = gateway or self.gateway
        body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
        return self.url_open(
            f"/member_messaging/callback/{gateway.id}/"
            f"{secret or gateway.callback_secret}",
            data=body,
            headers={"Content-Type": "application/json;charset=utf-8"},
            method="POST",
            **values,
        )

    def store(self, entries):
        """Keep what a provider would post, without HTTP."""
        self.env["member.callback"]._store(
            self.gateway, WebhookRequest(body=json.dumps(entries).encode())
        )

    def get_callbacks(self):
        return self.env["member.callback"].search([])

    def grow_older(self, callbacks, **age):
        """Let callbacks have come, and be due, so much earlier."""
        self.env.cr.execute(
            "UPDATE member_callback SET date = date - %(age)s,"
            " next_date = next_date - %(age)s WHERE id IN %(ids)s",
            {"age": timedelta(**age), "ids": tuple(callbacks.ids)},
        )
        callbacks.invalidate_recordset()

    def set_state(self, records, state):
        self.env.cr.execute(
            f"UPDATE {records._table} SET state = %s WHERE id IN %s",
            (state, tuple(records.ids)),
        )
        records.invalidate_recordset()

    def apply(self, *entries):
        """Post entries in one request and let the cron apply them.

        :returns: the callback
        """
        self.assertEqual(self.post(list(entries)).status_code, 200)
        self.run_cron("apply")
        return self.get_callbacks()[-1:]

    # ------------------------------------------------------------------- address

    def test_address_of_the_callback(self):
        self.assertTrue(
            self.gateway.report_url.endswith(
                f"/member_messaging/callback/{self.gateway.id}/"
                f"{self.gateway.callback_secret}"
            )
        )

    def test_stored_as_it_came_and_acknowledged(self):
        message = self.send_campaign()
        report = self.make_report(message)
        response = self.post([report])
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json(), {"code": 0, "msg": "成功"})
        self.assertIn("application/json", response.headers["Content-Type"])
        callback = self.get_callbacks()
        self.assertRecordValues(
            callback,
            [
                {
                    "gateway_id": self.gateway.id,
                    "company_id": self.company.id,
                    "state": "new",
                    "body": json.dumps([report]),
                }
            ],
        )
        self.assertEqual(message.state, "sent", "the request only stores")
        self.run_cron("apply")
        self.assertEqual(callback.state, "done")
        self.assertRecordValues(
            message,
            [{"state": "delivered", "delivered_date": datetime(2026, 5, 1, 2, 0, 9)}],
        )
        self.assertRecordValues(
            message.event_ids,
            [
                {
                    "type": "delivered",
                    "date": datetime(2026, 5, 1, 2, 0, 9),
                    "payload": False,
                }
            ],
        )

    def test_nobody_else_is_heard(self):
        report = [self.make_report(self.send_campaign())]
        other = self.gateway.copy()
        gone = self.gateway.copy()
        gone.unlink()
        for case, response in {
            "wrong secret": self.post(report, secret="wrong"),
            "secret of another account": self.post(
                report, secret=other.callback_secret
            ),
            "unknown account": self.post(report, gateway=gone, secret="wrong"),
            "wrong secret of a probe": self.url_open(
                f"/member_messaging/callback/{self.gateway.id}/wrong"
            ),
        }.items():
            with self.subTest(case=case):
                self.assertEqual(response.status_code, 403)
                self.assertFalse(response.text)
        self.assertFalse(self.get_callbacks())

    def test_probe(self):
        response = self.url_open(
            f"/member_messaging/callback/{self.gateway.id}/"
            f"{self.gateway.callback_secret}"
        )
        self.assertEqual(response.json(), {"code": 0, "msg": "成功"})
        self.assertFalse(self.get_callbacks())

    def test_enormous_body(self):
        """It is refused, and somebody can see that something is missing."""
        body = b" " * (MAX_BODY + 1)
        self.assertEqual(self.post(body, secret="wrong").status_code, 403)
        self.assertFalse(self.get_callbacks())
        self.assertEqual(self.post(body).status_code, 413)
        self.assertRecordValues(
            self.get_callbacks(),
            [
                {
                    "state": "unreadable",
                    "body": False,
                    "error": "1048577 > 1048576 bytes",
                    "company_id": self.company.id,
                }
            ],
        )
        self.assertEqual(self.post(b" " * MAX_BODY).status_code, 200)

    def test_enormous_body_in_chunks(self):
        """It does not say how long it is."""
        address = f"/member_messaging/callback/{self.gateway.id}/"
        for secret, status in (("wrong", 403), (self.gateway.callback_secret, 413)):
            response = self.url_open(
                address + secret, data=iter([b" " * MAX_BODY, b" "]), method="POST"
            )
            self.assertEqual(response.status_code, status)
        self.assertRecordValues(
            self.get_callbacks(), [{"state": "unreadable", "body": False}]
        )

    def test_form(self):
        """Odoo reads forms before anybody asks for the body."""
        response = self.url_open(
            f"/member_messaging/callback/{self.gateway.id}/"
            f"{self.gateway.callback_secret}?from=carrier",
            data={"To": "+8613800000000", "Status": "已送达"},
        )
        self.assertEqual(response.status_code, 200)
        self.assertRecordValues(
            self.get_callbacks(),
            [
                {
                    "body": "To=%2B8613800000000&Status=%E5%B7%B2%E9%80%81%E8%BE%BE",
                    "query": {"from": "carrier"},
                }
            ],
        )

    def test_thousand_callbacks_leave_one_trigger(self):
        cron = self.env.ref("member_messaging.ir_cron_member_messaging_apply")
        triggers = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
        triggers.unlink()
        for _index in range(3):
            self.post([])
        self.assertEqual(triggers.search_count([("cron_id", "=", cron.id)]), 1)
        self.run_cron("apply")
        self.post([])
        self.assertEqual(triggers.search_count([("cron_id", "=", cron.id)]), 1)

    # ---------------------------------------------------------------- unreadable

    def test_unreadable_bodies_are_kept_and_hold_nobody_up(self):
        message = self.send_campaign()
        bodies = (
            b'[{"biz_id": ',
            b'{"biz_id": "1"}',
            b"\xff\xfe\x00nonsense",
            b"[" * 100_000,
            b'[{"biz_id": "1"}]',
        )
        for body in bodies:
            response = self.post(body)
            self.assertEqual(response.json(), {"code": 0, "msg": "成功"})
        self.post([self.make_report(message)])
        self.assertEqual(set(self.get_callbacks().mapped("state")), {"new"})
        with mute_logger(ADAPTER_LOG):
            self.run_cron("apply")
        *broken, good = self.get_callbacks()
        for callback, body in zip(broken, bodies, strict=True):
            with self.subTest(body=body[:20]):
                self.assertEqual(callback.state, "unreadable")
                self.assertTrue(callback.error)
                self.assertEqual(
                    callback.body, body.decode(errors="replace").replace("\0", "")
                )
        self.assertEqual(good.state, "done")
        self.assertEqual(message.state, "delivered")
        self.run_cron("apply")
        self.assertEqual(broken[0].state, "unreadable")

    def test_one_unreadable_entry_does_not_spoil_the_others(self):
        message = self.send_campaign()
        with mute_logger(ADAPTER_LOG):
            callback = self.apply(
                {"biz_id": "1"},
                {"something": "new"},
                42,
                self.make_report(message, report_time="0001-01-01 00:00:00"),
            )
        self.assertEqual(callback.state, "done")
        self.assertEqual(message.state, "delivered")

    def test_letters_no_database_can_store(self):
        """Half an emoji, cut off by a carrier, and a NUL."""
        callback = self.apply(
            self.make_reply("nice \ud83d\0!", sequence=""),
            self.make_reply("TD", sequence="2"),
        )
        self.assertEqual(callback.state, "done")
        self.assertEqual(
            self.env["member.inbound"].search([], order="id").mapped("text"),
            ["nice ?!", "TD"],
        )

    # ----------------------------------------------------------- reports in life

    def test_told_twice(self):
        message = self.send_campaign()
        report = self.make_report(message)
        self.apply(report)
        versions = self.get_row_versions(message.event_ids)
        self.apply(report, {**report, "report_time": "2026-05-02 10:00:00"})
        self.assertEqual(self.get_callbacks().mapped("state"), ["done", "done"])
        self.assertEqual(self.get_row_versions(message.event_ids), versions)
        self.assertEqual(message.delivered_date, datetime(2026, 5, 1, 2, 0, 9))

    def test_report_before_the_sender_has_written_its_result(self):
        message = self.launch(self.make_campaign(self.profile))
        waiting = []

        def decide(outbound):
            """While the provider is called, its report is there already."""
            message.invalidate_recordset()
            self.store([self.make_report(message, biz_id="quick")])
            self.env["member.callback"]._lock_due()._apply()
            self.env.invalidate_all()
            waiting.append((message.state, self.get_callbacks().state))
            return SendResult(outbound.key, Outcome.OK, "quick")

        self.env["ir.cron.trigger"].search([]).unlink()
        self.send(decide, provider="aliyun")
        self.assertEqual(waiting, [("claimed", "new")])
        self.assertEqual(message.state, "sent")
        callback = self.get_callbacks()
        self.assertGreater(callback.next_date, fields.Datetime.now())
        cron = self.env.ref("member_messaging.ir_cron_member_messaging_apply")
        self.assertIn(
            cron,
            self.env["ir.cron.trigger"].search([]).cron_id,
            "who sends wakes who applies",
        )
        self.run_cron("apply")
        self.assertRecordValues(
            callback, [{"state": "done", "error": False, "waiting": False}]
        )
        self.assertEqual(message.state, "delivered")

    def test_claimed_again_after_a_refusal(self):
        """The reference is known, and yet the row is the sender's."""
        message = self.send_campaign()
        self.set_state(message, "claimed")
        self.apply(self.make_report(message))
        self.assertEqual(
            (message.state, self.get_callbacks().state), ("claimed", "new")
        )
        self.run_cron("apply")
        self.assertEqual(
            (message.state, self.get_callbacks().state), ("claimed", "new")
        )
        self.set_state(message, "uncertain")
        self.run_cron("apply")
        self.assertEqual(
            (message.state, self.get_callbacks().state), ("delivered", "done")
        )

    def test_report_about_nobody_is_given_up_after_a_day(self):
        message = self.send_campaign()
        callback = self.apply(
            self.make_report(message), self.make_report(message, biz_id="unknown")
        )
        self.assertEqual((callback.state, message.state), ("new", "delivered"))
        self.grow_older(callback, days=2)
        self.run_cron("apply")
        self.assertRecordValues(callback, [{"state": "unmatched", "error": "unknown"}])

    def test_waiting_is_read_again_at_growing_intervals(self):
        callback = self.apply(self.make_report(self.send_campaign(), biz_id="unknown"))
        pauses = []
        while callback.state == "new" and len(pauses) < 50:
            pauses.append(callback.next_date - fields.Datetime.now())
            # the time of the next try has come
            self.grow_older(callback, seconds=pauses[-1].total_seconds() + 1)
            self.run_cron("apply")
        self.assertEqual(callback.state, "unmatched")
        self.assertLessEqual(len(pauses), 20)
        self.assertLess(pauses[0], timedelta(seconds=11))
        self.assertGreater(pauses[-2], timedelta(hours=2))

    def test_waiting_is_not_read_in_vain(self):
        self.apply(self.make_report(self.send_campaign(), biz_id="unknown"))
        with patch.object(AliyunGateway, "parse") as parse:
            self.run_cron("apply")
        parse.assert_not_called()

    def test_failure_that_is_not_the_callbacks_fault_passes(self):
        """It holds up no other callback, and the one is tried again."""
        message = self.send_campaign()
        self.post([self.make_report(message, biz_id="bad")])
        self.post([self.make_report(message)])
        bad, good = self.get_callbacks()
        apply_reports = type(bad)._apply_reports

        def fail(callbacks, reports):
            if any(report.provider_ref == "bad" for _g, report in reports.values()):
                raise ZeroDivisionError("no luck")
            return apply_reports(callbacks, reports)

        with (
            patch.object(type(bad), "_apply_reports", fail),
            mute_logger("odoo.addons.member_messaging.models.member_callback"),
        ):
            self.run_cron("apply")
        self.assertEqual((good.state, message.state), ("done", "delivered"))
        self.assertRecordValues(bad, [{"state": "new", "error": "no luck"}])
        self.grow_older(bad, days=2)
        with (
            patch.object(type(bad), "_apply_reports", fail),
            mute_logger("odoo.addons.member_messaging.models.member_callback"),
        ):
            self.run_cron("apply")
        self.assertRecordValues(bad, [{"state": "unreadable", "error": "no luck"}])

    def test_adapter_that_breaks_holds_up_nobody(self):
        message = self.send_campaign()
        self.post([{"break": True}])
        self.post([self.make_report(message)])
        parse_entry = AliyunGateway._parse_entry

        def fail(adapter, entry):
            return parse_entry(adapter, entry) if "biz_id" in entry else 1 / 0

        with (
            patch.object(AliyunGateway, "_parse_entry", fail),
            mute_logger("odoo.addons.member_messaging.models.member_callback"),
        ):
            self.run_cron("apply")
        self.assertEqual(self.get_callbacks().mapped("state"), ["unreadable", "done"])
        self.assertEqual(message.state, "delivered")

    def test_any_order_of_repeated_reports_ends_alike(self):
        message = self.send_campaign()
        delivered = self.make_report(message)
        unknown = self.make_report(message, biz_id="unknown")
        reply = self.make_reply("Thanks")
        for entries in permutations([[delivered], [delivered, unknown], [reply]]):
            for posted in entries:
                self.post(posted)
        self.run_cron("apply")
        self.assertEqual(
            sorted(message.event_ids.mapped("type")), ["delivered", "replied"]
        )
        self.assertEqual(
            Counter(self.get_callbacks().mapped("state")), {"done": 12, "new": 6}
        )

    def test_two_verdicts_in_one_callback(self):
        """The first one counts, as if they had come one after the other."""
        for is_first in (True, False):
            profile = self.make_members(1)
            message = self.launch(self.make_campaign(profile))
            self.send(provider="aliyun")
            self.apply(
                self.make_report(message, is_first),
                self.make_report(message, not is_first),
            )
            self.assertEqual(message.state, "delivered" if is_first else "failed")
            self.assertEqual(message.card_id.active, is_first)

    def test_taken_over_by_the_carrier(self):
        """A report that proves no more than that the message has left."""
        message = self.send_campaign(
            lambda outbound: SendResult(outbound.key, Outcome.AMBIGUOUS, "out:77")
        )
        self.assertEqual(message.state, "uncertain")
        report = DeliveryReport(
            "x", message.address, "sent", "x", alternative_ref="out:77"
        )
        callbacks = self.env["member.callback"]
        self.assertFalse(callbacks._apply_found([(self.gateway, report)]))
        self.assertRecordValues(message, [{"state": "sent", "reason": False}])
        late = replace(report, event_ref="y")
        self.apply(self.make_report(message, biz_id="never seen", out_id="77"))
        callbacks._apply_found([(self.gateway, late)])
        self.assertEqual(message.state, "delivered")

    def test_number_of_statements_does_not_grow(self):
        """Neither with callbacks nor with reports, failures, refusals or replies."""
        counts = []
        for size in (1, 2, 20):
            profiles = self.make_members(2 * size)
            messages = self.launch(self.make_campaign(profiles))
            self.send(provider="aliyun")
            messages.invalidate_recordset()
            for index in range(size):
                delivered, refused = messages[2 * index : 2 * index + 2]
                number = delivered.address.removeprefix("+86")
                self.store(
                    [
                        self.make_report(delivered),
                        self.make_report(refused, False, err_code="MBBLACK"),
                        self.make_report(refused, biz_id=f"unknown {index}"),
                        self.make_reply("TD", number, f"{size}.{index}"),
                    ]
                )
            batch = self.env["member.callback"]._lock_due()
            self.assertEqual(len(batch), size)
            counts.append(self.count_queries(batch._apply))
            self.assertEqual(
                Counter(messages.mapped("state")), {"delivered": size, "failed": size}
            )
            self.assertEqual(
                {profile.consent_ids[0].state for profile in profiles}, {"refused"}
            )
            # out of the way of the next round
            self.grow_older(self.get_callbacks(), days=2)
            self.run_cron("apply")
        # the first round fills caches
        self.assertEqual(counts[1], counts[2])
        self.assertLessEqual(counts[2], 50)

    def test_batches_are_bounded(self):
        for size in (3, 300, 3):
            self.store([{"filler": "x" * size}])
        callbacks = self.env["member.callback"]
        module = "odoo.addons.member_messaging.models.member_callback"
        with patch(f"{module}.BATCH_SIZE", 2):
            self.assertEqual(len(callbacks._lock_due()), 2)
        with patch(f"{module}.BATCH_BYTES", 100):
            self.assertEqual(len(callbacks._lock_due()), 2, "the large one ends it")
        with patch(f"{module}.BATCH_SIZE", 1):
            self.run_cron("apply")
        self.assertEqual(self.get_callbacks().mapped("state"), ["done"] * 3)

    def test_old_callbacks_are_purged(self):
        message = self.send_campaign()
        for entries in ([self.make_report(message)], [], b"?", []):
            self.post(entries)
        self.run_cron("apply")
        done, young, unreadable, new = self.get_callbacks()
        self.set_state(new, "new")
        self.grow_older(done | unreadable | new, days=31)
        self.env["member.callback"]._gc_callbacks()
        self.assertEqual(self.get_callbacks(), young | unreadable | new)
        self.grow_older(unreadable | new, days=150)
        self.assertEqual(self.env["member.callback"]._gc_callbacks(), (1, 0))
        self.assertEqual(self.get_callbacks(), young | new)
        self.assertEqual(message.state, "delivered")

    def test_time_is_up_while_asking(self):
        profiles = self.make_members(5)
        messages = self.launch(self.make_campaign(profiles))
        self.send(
            lambda outbound: SendResult(outbound.key, Outcome.AMBIGUOUS),
            provider="aliyun",
        )
        asked = []
        crons = type(self.env["ir.cron"])
        commit = crons._commit_progress

        def commit_until_enough(cron, *args, **values):
            return commit(cron, *args, **values) and len(asked) < 4

        with (
            patch.object(AliyunGateway, "query_size", 2),
            patch.object(
                AliyunGateway,
                "query",
                lambda adapter, pending, now: asked.extend(pending) or [],
            ),
            patch.object(crons, "_commit_progress", commit_until_enough),
        ):
            self.run_cron("apply")
        self.assertEqual(len(asked), 4, "it ends at the first moment without time")
        self.assertLess({int(message.key) for message in asked}, set(messages.ids))

    def test_adapter_that_breaks_while_asking(self):
        """The other accounts are asked all the same, and their answers applied."""
        message = self.send_campaign(
            lambda outbound: SendResult(outbound.key, Outcome.AMBIGUOUS, "out:77")
        )
        answer = DeliveryReport(
            "out:77", message.address, "delivered", "e1", key=str(message.id)
        )
        with (
            patch.object(SandboxGateway, "query", side_effect=ZeroDivisionError),
            patch.object(AliyunGateway, "query", return_value=[answer]),
            mute_logger("odoo.addons.member_messaging.models.member_callback_query"),
        ):
            broken = self.env["member.gateway"].create(
                {"name": "Broken", "provider": "sandbox", "priority": -1}
            )
            self.env["member.service.message"].create(
                {
                    "gateway_id": broken.id,
                    "kind": "odoo",
                    "address": message.address,
                    "state": "sent",
                    "sent_date": fields.Datetime.now(),
                }
            )
            self.run_cron("apply")
        self.assertEqual(message.state, "delivered")

    def test_account_speaks_of_its_own_messages_only(self):
        message = self.send_campaign()
        other = self.gateway.copy()
        self.post([self.make_report(message, is_delivered=False)], gateway=other)
        self.run_cron("apply")
        self.assertEqual(message.state, "sent")

    def test_lost_answer_is_settled_by_its_report(self):
        message = self.send_campaign(
            lambda outbound: SendResult(outbound.key, Outcome.AMBIGUOUS, "out:77")
        )
        self.assertEqual(message.state, "uncertain")
        self.apply(self.make_report(message, biz_id="never seen", out_id="77"))
        self.assertRecordValues(message, [{"state": "delivered", "reason": False}])

    def test_states_only_rise(self):
        message = self.send_campaign()
        delivered, failed = (
            self.make_report(message, is_delivered) for is_delivered in (True, False)
        )
        self.apply(delivered)
        self.apply(failed)
        self.assertRecordValues(message, [{"state": "delivered", "reason": False}])
        self.assertEqual(set(message.event_ids.mapped("type")), {"delivered", "failed"})
        self.assertTrue(message.card_id.active)

    def test_click_before_the_report(self):
        message = self.send_campaign()
        self.env["member.message"]._find_by_token(message.token)._record_visit(False)
        message.invalidate_recordset()
        self.assertEqual(message.state, "delivered")
        clicked = message.clicked_date
        self.apply(self.make_report(message))
        self.assertRecordValues(
            message,
            [
                {
                    "state": "delivered",
                    "clicked_date": clicked,
                    "delivered_date": datetime(2026, 5, 1, 2, 0, 9),
                }
            ],
        )

    def test_failed_delivery(self):
        message = self.send_campaign()
        self.apply(self.make_report(message, is_delivered=False))
        self.assertRecordValues(
            message,
            [
                {
                    "state": "failed",
                    "reason": "not_delivered",
                    "provider_code": "MK:0001",
                    "provider_message": "空号",
                    "delivered_date": False,
                }
            ],
        )
        self.assertEqual(
            message.event_ids.filtered(lambda e: e.type == "failed").payload,
            {"code": "MK:0001", "message": "空号"},
        )
        self.assertFalse(message.card_id.active, "nobody holds the coupon")
        self.assertFalse(
            self.profile.consent_ids.filtered(lambda c: c.state == "refused")
        )

    def test_block_list_of_the_carrier(self):
        message = self.send_campaign()
        self.apply(self.make_report(message, is_delivered=False, err_code="MBBLACK"))
        self.assertRecordValues(
            self.profile.consent_ids[0],
            [{"state": "refused", "source": "reply", "evidence": "Aliyun: MBBLACK"}],
        )

    def test_block_list_is_no_complaint(self):
        """Not even the list of those who have complained: of what, it does not say."""
        message = self.send_campaign()
        self.apply(self.make_report(message, is_delivered=False, err_code="TSBLACK"))
        self.assertEqual(self.profile.consent_ids[0].evidence, "Aliyun: TSBLACK")
        self.assertFalse(self.env["member.complaint"].search([]))

    def test_half_a_report_changes_nothing(self):
        message = self.send_campaign()
        report = self.make_report(message)
        with mute_logger(ADAPTER_LOG):
            callback = self.apply({**report, "success": None})
        self.assertEqual((callback.state, message.state), ("unreadable", "sent"))

    # ------------------------------------------------------------------- replies

    def test_refusal_by_reply(self):
        for number, text in enumerate(("TD", "退订", "stop", " ｔｄ。", "别再发了")):
            with self.subTest(text=text):
                profile = self.make_members(1)
                message = self.launch(self.make_campaign(profile))
                self.send(provider="aliyun")
                queued = self.launch(self.make_campaign(profile))
                self.apply(self.make_reply(text, profile.phone[3:], f"r{number}"))
                self.assertRecordValues(
                    profile.consent_ids[0],
                    [{"state": "refused", "source": "reply", "evidence": text}],
                )
                self.assertEqual(
                    set(message.event_ids.mapped("type")), {"replied", "unsubscribed"}
                )
                self.assertTrue(message.replied_date and message.unsubscribed_date)
                self.assertEqual(message.state, "sent", "proves no delivery")
                self.assertRecordValues(
                    self.env["member.inbound"].search(
                        [("profile_id", "=", profile.id)]
                    ),
                    [
                        {
                            "text": text,
                            "intent": "refuse",
                            "is_handled": True,
                            "message_id": message.id,
                            "date": datetime(2026, 5, 1, 3),
                        }
                    ],
                )
                self.assertFalse(self.send(provider="aliyun"))
                self.assertRecordValues(
                    queued, [{"state": "skipped", "reason": "refused"}]
                )

    def test_refusal_told_twice(self):
        self.send_campaign()
        reply = self.make_reply("TD")
        self.apply(reply)
        self.apply(reply, self.make_reply("TD", sequence="2"))
        self.assertEqual(
            self.profile.consent_ids.mapped("state"), ["refused", "granted"]
        )
        self.assertEqual(self.env["member.inbound"].search_count([]), 2)

    def test_refusal_counts_for_everybody_with_the_number(self):
        brother = self.make_members(1, phone=self.profile.phone)
        self.send_campaign()
        self.apply(self.make_reply("TD"))
        self.assertEqual(brother.consent_ids[0].state, "refused")
        self.assertEqual(self.profile.consent_ids[0].state, "refused")

    def test_other_replies_wait_in_the_inbox(self):
        message = self.send_campaign()
        self.apply(
            self.make_reply("Do you open on Sunday?", sequence="1"),
            self.make_reply("", sequence="2"),
        )
        question = self.env["member.inbound"].search([("text", "!=", "")])
        self.assertRecordValues(
            question,
            [
                {
                    "profile_id": self.profile.id,
                    "message_id": message.id,
                    "intent": False,
                    "is_handled": False,
                }
            ],
        )
        self.assertEqual(self.profile.consent_ids.mapped("state"), ["granted"])
        question.with_user(self.staff).action_handled()
        self.assertTrue(question.is_handled)

    def test_reply_of_a_stranger(self):
        self.send_campaign()
        callback = self.apply(self.make_reply("TD", "13912345678"))
        self.assertEqual(callback.state, "done")
        self.assertRecordValues(
            self.env["member.inbound"].search([]),
            [
                {
                    "address": "+8613912345678",
                    "text": "TD",
                    "profile_id": False,
                    "message_id": False,
                }
            ],
        )
