from contextlib import contextmanager
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import AccessError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged

from odoo.addons.sms.tools.sms_api import SmsApi

from ..gateways import ADAPTERS
from ..gateways.types import DeliveryReport, Outcome, SendResult
from .common import MemberMessagingCommon

NUMBER = "+8613800138000"


@tagged("post_install", "-at_install")
class TestNativeSms(MemberMessagingCommon):
    """SMS of other applications leave through a gateway; chatter shows their fate."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.country_id = cls.env.ref("base.cn")
        cls.company.member_sms_gateway_id = cls.gateway
        cls.clerk = cls.make_user("clerk", "base.group_user,base.group_partner_manager")
        cls.customer = cls.make_partners(1, phone=NUMBER)

    @contextmanager
    def no_other_way(self):
        """Odoo's own service must not be called."""
        with patch.object(SmsApi, "_contact_iap", side_effect=AssertionError):
            yield

    def post(self, body="Your order is on its way.", customer=None):
        """A clerk sends an SMS from the chatter.

        :returns: the notification in the chatter
        """
        customer = customer or self.customer
        composer = (
            self.env["sms.composer"]
            .with_user(self.clerk)
            .with_context(
                default_res_model="res.partner",
                default_res_id=customer.id,
                default_composition_mode="comment",
            )
            .create({"body": body})
        )
        with self.no_other_way():
            composer.action_send_sms()
            self.run_queue()
        return self.env["mail.notification"].search(
            [
                ("res_partner_id", "=", customer.id),
                ("notification_type", "=", "sms"),
            ],
            limit=1,
            order="id desc",
        )

    def run_queue(self):
        with self.enter_registry_test_mode():
            self.env.ref("sms.ir_cron_sms_scheduler_action").method_direct_trigger()
        self.env.invalidate_all()

    def get_outbox(self):
        return self.env["member.service.message"].search([("kind", "=", "odoo")])

    def report(self, status, **values):
        """The provider tells what became of the newest SMS."""
        message = self.get_outbox()[:1]
        unknown = self.env["member.callback"]._apply_found(
            [
                (
                    message.gateway_id,
                    DeliveryReport(
                        message.provider_ref,
                        message.address,
                        status,
                        f"{message.provider_ref}:{status}",
                        **values,
                    ),
                )
            ]
        )
        self.env.invalidate_all()
        return unknown

    def test_way_of_an_sms(self):
        notification = self.post()
        self.assertEqual(notification.notification_status, "process")
        [outbound] = self.send()
        self.assertEqual(
            (outbound.address, outbound.body), (NUMBER, "Your order is on its way.")
        )
        self.assertEqual(notification.notification_status, "pending")
        self.assertRecordValues(
            self.get_outbox(), [{"state": "sent", "parts": 1, "cost": 0.05}]
        )
        self.assertEqual(self.report("delivered"), [])
        self.assertEqual(notification.notification_status, "sent")
        self.assertEqual(self.report("failed"), [], "a late report lowers nothing")
        self.assertEqual(notification.notification_status, "sent")
        self.assertFalse(self.send())

    def test_refused_number(self):
        notification = self.post()
        self.send(lambda m: SendResult(m.key, Outcome.BADNUM, None, "MK:0001", "none"))
        self.assertRecordValues(
            notification,
            [
                {
                    "notification_status": "bounce",
                    "failure_type": "sms_invalid_destination",
                    "failure_reason": "There is no such mobile number: correct the "
                    "contact. (MK:0001 none)",
                }
            ],
        )

    def get_refusals(self):
        return self.customer.member_profile_id.consent_ids.filtered(
            lambda consent: consent.state == "refused"
        )

    def test_number_that_refuses(self):
        """What a provider tells about an order's SMS holds for promotions."""
        self.enrol(self.customer)
        notification = self.post()
        self.send(lambda m: SendResult(m.key, Outcome.OPTOUT, None, "21610", "STOP"))
        self.assertEqual(notification.failure_type, "sms_not_allowed")
        self.assertRecordValues(
            self.get_refusals(),
            [
                {
                    "purpose": "promotion",
                    "source": "reply",
                    "evidence": "Test Account: 21610",
                }
            ],
        )
        self.assertFalse(self.env["member.complaint"].search([]))

    def test_number_that_refuses_by_its_report(self):
        self.enrol(self.customer)
        self.post()
        self.send()
        for _told in range(2):
            self.report("failed", outcome=Outcome.OPTOUT, provider_code="MBBLACK")
        self.assertEqual(self.get_refusals().evidence, "Test Account: MBBLACK")

    def test_stranger_that_refuses(self):
        self.post()
        self.send(lambda m: SendResult(m.key, Outcome.OPTOUT, None, "21610"))
        self.assertEqual(self.get_outbox().reason, "refused")

    def test_message_of_the_same_number_is_another_one(self):
        """Messages of campaigns and others count each for themselves: a provider that
        is told our number must not take one for the other."""
        profile = self.enrol(self.customer)
        promotion = self.make_sent(profile)
        self.post()
        self.env.cr.execute(
            "UPDATE member_service_message SET id = %s WHERE id = %s",
            (promotion.id, self.get_outbox().id),
        )
        self.env.invalidate_all()
        # the provider answers with a reference made of ours
        [outbound] = self.send()
        self.assertEqual(outbound.address, promotion.address)
        self.assertEqual(int(outbound.key), -promotion.id, "and still a number")
        self.report("delivered")
        self.assertEqual(self.get_outbox().state, "delivered")
        self.assertEqual(promotion.state, "sent")

    def test_not_delivered(self):
        notification = self.post()
        self.send()
        self.report("failed", provider_code="EXPIRED")
        self.assertRecordValues(
            notification,
            [
                {
                    "notification_status": "exception",
                    "failure_type": "sms_not_delivered",
                    "failure_reason": "The phone was off or out of reach for too long. "
                    "(EXPIRED)",
                }
            ],
        )

    def test_provider_that_does_not_answer(self):
        notification = self.post()
        self.send(lambda message: Outcome.RETRY)
        message = self.get_outbox()
        self.assertRecordValues(message, [{"state": "queued", "attempt_count": 1}])
        self.assertFalse(self.send(), "not at once")
        for _attempt in range(5):
            message.due_date = self.before()
            self.gateway.load_ids.write({"failure_count": 0, "rest_until_date": False})
            self.send(lambda message: Outcome.RETRY)
        self.assertRecordValues(message, [{"state": "failed", "attempt_count": 6}])
        self.assertEqual(notification.notification_status, "exception")

    @staticmethod
    def before():
        return fields.Datetime.subtract(fields.Datetime.now(), seconds=1)

    def test_closed_account_keeps_what_waits(self):
        notification = self.post()
        self.send(lambda message: Outcome.PAUSE)
        self.assertEqual(self.gateway.state, "paused")
        self.assertEqual(self.get_outbox().state, "queued")
        self.assertEqual(notification.notification_status, "process")
        self.gateway.with_user(self.manager).action_activate()
        self.get_outbox().due_date = self.before()
        self.assertEqual(len(self.send()), 1)

    def test_resending_sends_once_more(self):
        self.post()
        self.send(lambda message: Outcome.BADNUM)
        outbox = self.env["member.service.message"]
        values = {
            "address": NUMBER,
            "body": "x",
            "sms_uuid": self.get_outbox().sms_uuid,
        }
        outbox._enqueue(self.gateway, "odoo", [values])
        self.assertEqual(len(self.send()), 1)
        outbox._enqueue(self.gateway, "odoo", [values])
        self.assertFalse(self.send(), "it has left")
        self.assertEqual(len(self.get_outbox()), 1)

    def test_bad_numbers_do_not_reach_the_provider(self):
        sms = self.env["sms.sms"].create(
            [{"number": "hello", "body": "Hi"}, {"number": False, "body": "Hi"}]
        )
        with self.no_other_way():
            sms.send(unlink_sent=False)
        self.assertEqual(
            sms.mapped("failure_type"), ["sms_number_format", "sms_number_missing"]
        )
        self.assertFalse(self.get_outbox())

    def test_service_messages_leave_before_campaigns(self):
        self.launch(self.make_campaign(self.make_members(2)))
        self.post()
        self.assertEqual(self.send()[0].body, "Your order is on its way.")

    def test_counted_in_the_limit_of_the_day(self):
        self.gateway.daily_limit = 1
        self.post()
        self.post("Second")
        self.assertEqual(len(self.send()), 1)
        self.assertEqual(self.gateway.load_ids.day_count, 1)

    def test_every_company_goes_its_own_way(self):
        company, _stranger = self.make_other_company()
        own, other = self.env["sms.sms"].create(
            [{"number": NUMBER, "body": name} for name in ("ours", "theirs")]
        )
        other.member_company_id = company
        called = []

        def contact(api, endpoint, params, timeout=15):
            numbers = [n for m in params["messages"] for n in m["numbers"]]
            called.extend(params["messages"])
            return [{"uuid": n["uuid"], "state": "success"} for n in numbers]

        with patch.object(SmsApi, "_contact_iap", contact):
            self.run_queue()
        self.assertEqual([message["content"] for message in called], ["theirs"])
        self.assertEqual(self.get_outbox().mapped("body"), ["ours"])
        self.assertEqual((own.state, other.state), ("process", "pending"))

    def test_rolled_back_with_its_document(self):
        with self.env.cr.savepoint() as savepoint:
            self.env["sms.sms"].create({"number": NUMBER, "body": "x"}).send()
            self.assertTrue(self.get_outbox())
            savepoint.rollback()
        self.env.invalidate_all()
        self.assertFalse(self.send())

    def test_sandbox_reports(self):
        self.gateway.write(
            {
                "sandbox_badnum_rate": 0,
                "sandbox_delivered_rate": 1,
                "sandbox_delay_seconds": 0,
            }
        )
        notification = self.post()
        self.run_cron("send")
        self.run_cron("apply")
        self.assertEqual(self.get_outbox().state, "delivered")
        self.assertEqual(notification.notification_status, "sent")

    # ------------------------------------------------------------ registered texts

    def test_registered_text_is_recognised(self):
        gateway = self.make_aliyun_gateway()
        gateway.registration_ids = [
            Command.create(
                {
                    "code": "SMS_9",
                    "sample": "Order ${order} arrives on ${day}.",
                    "state": "approved",
                }
            )
        ]
        self.company.member_sms_gateway_id = gateway
        self.post("Order S00042 arrives on Monday.")
        notification = self.post("Hello there.")
        self.assertEqual(notification.notification_status, "exception")
        self.assertIn("none reads like this one", notification.failure_reason)
        [outbound] = self.send(provider="aliyun")
        self.assertEqual(outbound.template_code, "SMS_9")
        self.assertEqual(outbound.params, {"order": "S00042", "day": "Monday"})

    # ---------------------------------------------------------------------- safety

    def test_neutralised_database_sends_nothing(self):
        gateway = self.make_aliyun_gateway()
        self.company.member_sms_gateway_id = gateway
        services = self.env["member.service.message"]
        services._enqueue(gateway, "odoo", [{"address": NUMBER, "body": "x"}])
        self.env.flush_all()
        for query in get_neutralization_queries(["member_messaging"]):
            self.env.cr.execute(query)
        self.env["ir.config_parameter"].set_param("database.is_neutralized", True)
        self.env.invalidate_all()
        self.assertEqual(services.search([]).mapped("state"), ["cancelled"])
        gateway.write({"api_key": "k", "api_secret": "s", "state": "active"})
        notification = self.post("Order")
        self.assertIn("neutralised copy", notification.failure_reason)
        self.assertFalse(self.send(provider="aliyun"))

    def test_setting(self):
        self.company.member_sms_gateway_id = False
        self.assertIs(self.company._get_sms_api_class(), SmsApi)
        administrator = self.make_user("administrator", "base.group_system")
        self.env["res.config.settings"].with_user(administrator).create(
            {"member_sms_gateway_id": self.gateway.id}
        ).execute()
        self.assertEqual(self.company.member_sms_gateway_id, self.gateway)
        self.assertIsNot(self.company._get_sms_api_class(), SmsApi)
        self.assertIn(self.gateway.provider, ADAPTERS)

    def test_ledger_is_for_managers(self):
        self.post()
        outbox = self.get_outbox()
        self.assertEqual(outbox.with_user(self.manager).address, NUMBER)
        for user in (self.staff, self.clerk):
            with self.assertRaises(AccessError):
                outbox.with_user(user).read(["address"])
        with self.assertRaises(AccessError):
            outbox.with_user(self.manager).write({"state": "sent"})
        _company, stranger = self.make_other_company()
        self.assertFalse(outbox.with_user(stranger).search([]))
