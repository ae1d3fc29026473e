import json
from datetime import datetime

from odoo import fields
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..controllers.callback import MAX_BODY
from ..gateways.types import Outcome, SendResult
from .common import MemberMessagingCommon

ADAPTER_LOG = "odoo.addons.member_messaging.gateways.aliyun"


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

    def get_callbacks(self):
        return self.env["member.callback"].search([])

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
            [{"type": "delivered", "date": datetime(2026, 5, 1, 2, 0, 9)}],
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
            "no secret": self.url_open(
                f"/member_messaging/callback/{self.gateway.id}/", data=b"[]"
            ),
            "wrong secret of a probe": self.url_open(
                f"/member_messaging/callback/{self.gateway.id}/wrong"
            ),
        }.items():
            with self.subTest(case=case):
                self.assertEqual(response.status_code, 404)
                self.assertNotIn("成功", response.text)
        self.assertFalse(self.get_callbacks())

    def test_probe(self):
        response = self.url_open(
            f"/member_messaging/callback/{self.gateway.id}/"
            f"{self.gateway.callback_secret}"
        )
        self.assertEqual(response.json(), {"code": 0, "msg": "成功"})
        self.assertFalse(self.get_callbacks())

    def test_enormous_body(self):
        self.assertEqual(self.post(b" " * (MAX_BODY + 1)).status_code, 413)
        self.assertFalse(self.get_callbacks())

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
            report = self.make_report(message, biz_id="quick")
            self.env["member.callback"].create(
                {"gateway_id": self.gateway.id, "body": json.dumps([report])}
            )._apply()
            self.env.flush_all()
            waiting.append((message.state, self.get_callbacks().state))
            return SendResult(outbound.key, Outcome.OK, "quick")

        self.send(decide, provider="aliyun")
        self.assertEqual(waiting, [("claimed", "new")])
        self.assertEqual(message.state, "sent")
        self.run_cron("apply")
        self.assertEqual(self.get_callbacks().state, "done")
        self.assertEqual(message.state, "delivered")

    def test_report_about_nobody_is_given_up_after_a_day(self):
        message = self.send_campaign()
        callback = self.apply(
            self.make_report(message), self.make_report(message, biz_id="unknown")
        )
        self.assertEqual((callback.state, message.state), ("new", "delivered"))
        callback.date = fields.Datetime.subtract(callback.date, days=2)
        self.run_cron("apply")
        self.assertRecordValues(callback, [{"state": "unmatched", "error": "unknown"}])

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
