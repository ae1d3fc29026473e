from contextlib import contextmanager
from unittest.mock import patch

from psycopg2.errors import CheckViolation

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger
from odoo.tools.safe_eval import safe_eval

from ..gateways import ADAPTERS
from ..gateways.errors import UnsupportedFeature
from ..gateways.types import Outcome, SendResult
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestGatewaySetup(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager.phone = "138 0013 8000"
        cls.company.country_id = cls.env.ref("base.cn")
        cls.administrator = cls.make_user(
            "administrator",
            "base.group_system,member_messaging.group_member_messaging_manager",
        )

    @contextmanager
    def answering(self, answer, provider="sandbox"):
        """The provider gives this answer to the question about the account."""

        def probe(adapter):
            if isinstance(answer, Exception):
                raise answer
            return answer

        scripted = type("Probed", (ADAPTERS[provider],), {"probe": probe})
        with patch.dict(ADAPTERS, {provider: scripted}):
            yield

    def make_test(self, gateway=None, **values):
        return (
            self.env["member.gateway.test"]
            .with_user(self.manager)
            .create({"gateway_id": (gateway or self.gateway).id, **values})
        )

    # ------------------------------------------------------------------------ form

    def test_form_speaks_the_language_of_the_console(self):
        gateway = self.make_aliyun_gateway()
        self.assertRecordValues(
            gateway,
            [
                {
                    "api_key_label": "AccessKey ID",
                    "api_secret_label": "AccessKey Secret",
                    "endpoint_label": False,
                    "signature_label": "Signature",
                    "has_callback": True,
                    "has_registration": True,
                }
            ],
        )
        self.assertIn("RAM > Users", gateway.api_key_hint)
        self.assertIn("SmsUp", gateway.callback_hint)

    def test_each_provider_has_the_fields_it_reads(self):
        gateways = self.env["member.gateway"].with_user(self.administrator)
        for provider, labels in (
            ("tencent", ("SecretId", "SecretKey", False)),
            ("twilio", ("Account SID", "Auth Token", False)),
            ("infobip", ("API Key", False, "Base URL")),
            # its address is a part of the call
            ("generic", ("API Key", "API Secret", False)),
        ):
            form = Form(gateways)
            form.provider = provider
            for name, label in zip(
                ("api_key", "api_secret", "endpoint"), labels, strict=True
            ):
                with self.subTest(provider=provider, field=name):
                    self.assertEqual(getattr(form, f"{name}_label"), label)
                    if label:
                        self.assertFalse(
                            getattr(form, name), "there is a field to fill in"
                        )

    def test_whoever_can_fill_it_in_is_told_so(self):
        gateway = self.make_aliyun_gateway(api_key=False)
        for user, words in (
            (self.administrator, "Fill in first: AccessKey ID"),
            (self.manager, "Ask an administrator to fill in: AccessKey ID"),
        ):
            with self.assertRaisesRegex(UserError, words):
                gateway.with_user(user).action_activate()

    def test_callback_address_nobody_reaches_is_told(self):
        gateway = self.make_aliyun_gateway()
        parameters = self.env["ir.config_parameter"]
        for url, is_public in (
            ("http://127.0.0.1:8069", False),
            ("https://shop.example.com", True),
        ):
            parameters.set_param("web.base.url", url)
            gateway.invalidate_recordset()
            self.assertEqual(gateway.is_callback_public, is_public)

    def test_sandbox_needs_no_keys(self):
        self.assertRecordValues(
            self.gateway,
            [
                {
                    "api_key_label": False,
                    "api_secret_label": False,
                    "endpoint_label": False,
                    "has_callback": False,
                    "has_registration": False,
                }
            ],
        )

    def test_provider_nobody_has_written_a_guide_for(self):
        unknown = type("Unknown", (ADAPTERS["aliyun"],), {"code": "unknown"})
        with patch.dict(ADAPTERS, {"unknown": unknown}):
            gateway = self.env["member.gateway"].new({"provider": "unknown"})
            self.assertEqual(gateway.api_key_label, "Access Key")
            self.assertEqual(gateway.endpoint_label, "Address of the Service")
            self.assertFalse(gateway.callback_hint)

    def test_new_gateway_waits_to_be_activated(self):
        action = self.env.ref("member_messaging.member_gateway_action")
        form = Form(
            self.env["member.gateway"]
            .with_user(self.administrator)
            .with_context(**safe_eval(action.context))
        )
        form.name = "New"
        form.provider = "aliyun"
        gateway = form.save()
        self.assertRecordValues(gateway, [{"state": "paused", "light": "yellow"}])
        self.assertIn("Not in use yet", gateway.light_hint)

    def test_new_gateway_with_registrations(self):
        """They have states of their own."""
        action = self.env.ref("member_messaging.member_gateway_action")
        form = Form(
            self.env["member.gateway"]
            .with_user(self.administrator)
            .with_context(**safe_eval(action.context))
        )
        form.name = "New"
        form.provider = "aliyun"
        form.signature = "Tea House"
        with form.registration_ids.new() as registration:
            registration.template_id = self.template
            registration.code = "SMS_1"
        gateway = form.save()
        self.assertEqual(gateway.state, "paused")
        self.assertRecordValues(
            gateway.signature_ids, [{"name": "Tea House", "state": "draft"}]
        )
        self.assertEqual(gateway.registration_ids.state, "draft")

    def test_steps_are_ticked_by_what_happens(self):
        gateway = self.make_aliyun_gateway(api_key=False, state="paused")
        gateway.signature_ids.state = "submitted"
        steps = ["is_keys_done", "is_test_done", "is_callback_done", "is_template_done"]

        def assertTicks(*ticks):
            gateway.invalidate_recordset()
            seen = gateway.with_user(self.staff)
            self.assertEqual(tuple(seen[step] for step in steps), ticks)
            self.assertEqual(seen.is_setup_done, all(ticks))

        assertTicks(False, False, False, False)
        gateway.api_key = "key"
        assertTicks(True, False, False, False)
        with self.answering(SendResult("", Outcome.OK), "aliyun"):
            gateway.with_user(self.manager).action_probe()
        assertTicks(True, True, False, False)
        self.env["member.callback"].create({"gateway_id": gateway.id})
        assertTicks(True, True, True, False)
        gateway.with_user(self.manager).signature_ids.state = "approved"
        assertTicks(True, True, True, True)

    def test_light(self):
        gateway = self.make_aliyun_gateway()
        self.assertEqual(gateway.light, "yellow", "nothing proves that it works")
        gateway.load_ids.day_count = 1
        gateway.invalidate_recordset()
        self.assertEqual(gateway.light, "green")
        gateway.load_ids.write({"failure_count": 2, "last_error": "timeout"})
        gateway.invalidate_recordset()
        self.assertEqual(gateway.light, "yellow")
        self.assertIn("timeout", gateway.light_hint)
        gateway.with_user(self.manager).action_pause()
        self.assertRecordValues(
            gateway, [{"light": "red", "light_hint": "Paused by hand."}]
        )

    # ----------------------------------------------------------------------- probe

    def test_connection_accepted(self):
        with self.answering(SendResult("", Outcome.OK)):
            action = self.gateway.with_user(self.manager).action_probe()
        self.assertEqual(action["params"]["type"], "success")
        self.assertEqual(self.gateway.probe_state, "ok")
        self.assertTrue(self.gateway.probe_date)

    def test_connection_refused(self):
        gateway = self.make_aliyun_gateway()
        refusal = SendResult(
            "",
            Outcome.PAUSE,
            provider_code="InvalidAccessKeyId.NotFound",
            provider_message="no such key",
        )
        with self.answering(refusal, "aliyun"):
            action = gateway.with_user(self.manager).action_probe()
        self.assertEqual(action["params"]["type"], "danger")
        self.assertEqual(
            gateway.probe_text,
            "The provider does not know these keys: copy them from its console again. "
            "(InvalidAccessKeyId.NotFound no such key)",
        )
        self.assertEqual(gateway.light, "yellow")

    def test_provider_without_the_question(self):
        with self.answering(UnsupportedFeature("no")):
            self.gateway.with_user(self.manager).action_probe()
        self.assertEqual(self.gateway.probe_state, "unsupported")
        self.assertIn("send a test SMS to yourself", self.gateway.probe_text)

    def test_connection_needs_a_complete_account(self):
        gateway = self.make_aliyun_gateway(api_secret=False)
        with self.assertRaisesRegex(UserError, "fill in: AccessKey Secret"):
            gateway.with_user(self.manager).action_probe()

    def test_staff_cannot_test(self):
        with self.assertRaises(AccessError):
            self.gateway.with_user(self.staff).action_probe()
        with self.assertRaises(AccessError):
            self.env["member.gateway.test"].with_user(self.staff).create(
                {"gateway_id": self.gateway.id, "number": "+8613800138000"}
            )

    # -------------------------------------------------------------------- test SMS

    def test_one_sms_however_often_the_button_is_pressed(self):
        test = self.make_test()
        self.assertEqual(test.number, "138 0013 8000")
        test.action_send()
        test.action_send()
        self.assertEqual(test.state, "queued")
        [outbound] = self.send()
        self.assertEqual(outbound.address, "+8613800138000")
        self.assertIn("test", outbound.body)
        test.action_send()
        self.assertFalse(self.send())
        test.invalidate_recordset()
        self.assertEqual(test.state, "sent")
        self.assertIn("Test Account has accepted it", test.outcome)
        self.assertRecordValues(
            test.message_id, [{"kind": "test", "parts": 1, "cost": 0.05}]
        )

    def test_sms_through_a_gateway_that_is_not_in_use(self):
        gateway = self.make_aliyun_gateway(state="paused")
        registration = gateway.registration_ids
        test = self.make_test(gateway, registration_id=registration.id)
        self.assertIn("coupon_code", test.value_ids.mapped("name"))
        line = test.value_ids.filtered(lambda line: line.name == "member_name")
        line.value = "Ann"
        test.action_send()
        [outbound] = self.send(provider="aliyun")
        self.assertEqual(outbound.template_code, "SMS_1")
        self.assertEqual(outbound.params["member_name"], "Ann")
        self.assertIn("Dear Ann", test.message_id.body)
        self.assertEqual((test.state, gateway.state), ("sent", "paused"))

    def test_registered_text_on_the_form(self):
        gateway = self.make_aliyun_gateway()
        form = Form(
            self.env["member.gateway.test"]
            .with_user(self.manager)
            .with_context(default_gateway_id=gateway.id)
        )
        form.registration_id = gateway.registration_ids
        with form.value_ids.edit(0) as line:
            self.assertEqual(line.name, "member_name")
            line.value = "Ann"
        form.save().action_send()
        [outbound] = self.send(provider="aliyun")
        self.assertEqual(outbound.params["member_name"], "Ann")

    def test_refused_sms_says_why_and_is_not_tried_again(self):
        for outcome in (Outcome.RETRY, Outcome.TEMPLATE, Outcome.BADNUM, Outcome.PAUSE):
            with self.subTest(outcome=outcome):
                self.gateway.state = "active"
                test = self.make_test()
                test.action_send()
                self.send(
                    lambda message, outcome=outcome: SendResult(
                        message.key, outcome, None, "MK:0001", "words"
                    )
                )
                test.invalidate_recordset()
                self.assertEqual(test.state, "failed")
                self.assertIn("no such mobile number", test.outcome)
                self.assertIn("(MK:0001 words)", test.outcome)
                self.assertFalse(test.message_id.cost)
        self.assertEqual(self.gateway.state, "paused", "the account is closed")

    def test_lost_answer(self):
        test = self.make_test()
        test.action_send()
        self.send(lambda message: Outcome.AMBIGUOUS)
        test.invalidate_recordset()
        self.assertEqual(test.state, "uncertain")
        self.assertIn("may have arrived", test.outcome)
        self.assertFalse(self.send())

    def test_sender_that_died(self):
        test = self.make_test()
        test.action_send()
        claimed = self.env["member.service.message"]._claim(self.gateway, 1, 10)
        self.assertEqual(len(claimed), 1)
        self.assertFalse(self.send())
        test.invalidate_recordset()
        self.assertEqual(test.state, "uncertain")

    def test_stop_holds_for_tests(self):
        self.policy.is_stopped = True
        test = self.make_test()
        test.action_send()
        self.assertFalse(self.send())
        self.policy.is_stopped = False
        self.assertEqual(len(self.send()), 1)

    def test_no_number(self):
        test = self.make_test(number="hello")
        with self.assertRaisesRegex(UserError, "“hello” is no phone number"):
            test.action_send()

    def test_copy_of_a_database_tests_the_sandbox_only(self):
        self.env["ir.config_parameter"].set_param("database.is_neutralized", True)
        gateway = self.make_aliyun_gateway()
        test = self.make_test(gateway, registration_id=gateway.registration_ids.id)
        with self.assertRaisesRegex(UserError, "neutralised copy"):
            test.action_send()
        self.make_test().action_send()
        self.assertEqual(len(self.send()), 1)

    # ------------------------------------------------------------- provider's codes

    def test_codes_are_explained(self):
        gateway = self.make_aliyun_gateway()
        for code, outcome, words in (
            ("isv.OUT_OF_SERVICE", None, "balance is used up"),
            ("isv.SMS_SIGNATURE_ILLEGAL", None, "signature is not approved"),
            ("MK:0001", None, "no such mobile number"),
            ("new.code", Outcome.PAUSE, "refuses the account"),
        ):
            self.assertIn(words, gateway._explain(code, None, outcome))
        self.assertEqual(gateway._explain("new.code", "words"), "new.code words")
        self.assertFalse(gateway._explain(None))

    def test_codes_are_overruled_on_a_screen(self):
        gateway = self.make_aliyun_gateway()
        codes = self.env["member.gateway.code"].with_user(self.manager)
        codes.create(
            [
                {
                    "gateway_id": gateway.id,
                    "code": "isv.OUT_OF_SERVICE",
                    "outcome": "retry",
                    "advice": "Call Ann.",
                },
                {
                    "gateway_id": gateway.id,
                    "kind": "report",
                    "code": "MA:1",
                    "outcome": "badnum",
                },
            ]
        )
        self.assertEqual(
            gateway._explain("isv.OUT_OF_SERVICE"), "Call Ann. (isv.OUT_OF_SERVICE)"
        )
        adapter = gateway.with_user(self.staff)._get_adapter()
        self.assertIs(adapter._outcome(400, "isv.OUT_OF_SERVICE"), Outcome.RETRY)
        self.assertIs(adapter._receipt_outcome("MA:1"), Outcome.BADNUM)
        with self.assertRaises(AccessError):
            codes.with_user(self.staff).create({"gateway_id": gateway.id, "code": "x"})

    def test_codes_overrule_the_settings_of_a_described_provider(self):
        gateway = self.env["member.gateway"].create(
            {
                "name": "Described",
                "provider": "generic",
                "generic_url": "https://sms.example.com",
                "generic_error_outcomes": "1 = retry\n2 = retry",
            }
        )
        self.env["member.gateway.code"].create(
            {"gateway_id": gateway.id, "code": "1", "outcome": "optout"}
        )
        adapter = gateway._get_adapter()
        self.assertFalse(adapter._problems, "it can still send")
        self.assertIs(adapter._outcome(400, "1"), Outcome.OPTOUT)
        self.assertIs(adapter._outcome(400, "2"), Outcome.RETRY)

    def test_message_explains_itself(self):
        [message] = self.launch(self.make_campaign(self.make_members(1)))
        self.send(
            lambda m: SendResult(m.key, Outcome.CONTENT, None, "KEYWORD", "filtered")
        )
        message.invalidate_recordset()
        self.assertEqual(
            message.with_user(self.staff).explanation,
            "The provider refuses words of the text: write it differently. "
            "(KEYWORD filtered)",
        )

    def test_paused_gateway_speaks_the_language_of_who_is_responsible(self):
        self.manager.lang = "zh_CN"
        self.gateway.user_id = self.manager
        [speaker] = self.gateway._speaking()
        self.assertEqual(speaker.env.lang, "zh_CN")

    # --------------------------------------------------------------------- sandbox

    def test_sandbox_behaves_as_its_form_says(self):
        self.gateway.with_user(self.manager).write(
            {"sandbox_badnum_rate": 1, "sandbox_delay_seconds": 0}
        )
        [message] = self.launch(self.make_campaign(self.make_members(1)))
        self.run_cron("send")
        self.assertRecordValues(
            message, [{"state": "failed", "reason": "rejected_number"}]
        )
        with (
            self.assertRaises(CheckViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.gateway.sandbox_delivered_rate = 1.5
            self.env.flush_all()

    def test_fast_forward(self):
        self.gateway.write(
            {
                "sandbox_badnum_rate": 0,
                "sandbox_delivered_rate": 1,
                "sandbox_refuse_rate": 1,
                "sandbox_yes_rate": 0,
                "sandbox_delay_seconds": 36000,
            }
        )
        [message] = self.launch(self.make_campaign(self.make_members(1)))
        self.run_cron("send")
        self.run_cron("apply")
        self.assertEqual(message.state, "sent")
        self.gateway.with_user(self.manager).action_fast_forward()
        self.run_cron("apply")
        self.assertEqual(message.state, "delivered")
        self.assertTrue(message.unsubscribed_date, "the reply came, too")
        self.assertLessEqual(message.delivered_date, self.gateway.sandbox_forward_date)
        self.assertEqual(self.env["member.inbound"].search_count([]), 1)
        self.run_cron("apply")
        self.assertEqual(self.env["member.inbound"].search_count([]), 1)

    # --------------------------------------------------------------- registrations

    def assertProblem(self, campaign, words):
        with self.assertRaisesRegex(UserError, words):
            campaign.with_user(self.staff).action_request_review()

    def test_campaign_needs_an_approved_text(self):
        gateway = self.make_aliyun_gateway(optout_text="Stop: R")
        campaign = self.make_campaign(self.make_members(1), gateway_id=gateway.id)
        registration = gateway.registration_ids
        registration.write({"state": "rejected", "rejection": "Too loud"})
        self.assertProblem(
            campaign,
            r"“Text” is not approved at Aliyun \(Rejected\): see Configuration > "
            "Templates > Text > Provider Templates. Too loud",
        )
        registration.write({"state": "approved", "category": "notice"})
        self.assertProblem(campaign, "declared at Aliyun as Notice, .* is Promotion")
        registration.category = "promotion"
        campaign.with_user(self.staff).action_request_review()
        self.assertEqual(campaign.state, "review")

    def test_campaign_needs_an_approved_signature(self):
        gateway = self.make_aliyun_gateway()
        self.assertEqual(gateway.signature_ids.mapped("name"), ["Tea House"])
        gateway.signature = "Tea Palace"
        self.assertRecordValues(
            gateway.signature_ids.sorted("name"),
            [
                {"name": "Tea House", "state": "approved"},
                {"name": "Tea Palace", "state": "draft"},
            ],
        )
        campaign = self.make_campaign(self.make_members(1), gateway_id=gateway.id)
        self.assertProblem(
            campaign,
            r"Signature “Tea Palace” is not approved at Aliyun \(Not Handed In\)",
        )
        gateway.signature = "Tea House"
        campaign.with_user(self.staff).action_request_review()
        self.assertEqual(campaign.state, "review")

    def test_text_rejected_after_the_launch_is_not_used(self):
        gateway = self.make_aliyun_gateway()
        campaign = self.make_campaign(self.make_members(1), gateway_id=gateway.id)
        self.launch(campaign)
        gateway.registration_ids.state = "rejected"
        self.run_cron("send")
        self.assertEqual(campaign.state, "paused")
        self.assertIn("has not approved it", campaign.pause_reason)

    def test_registration_without_template_needs_its_text(self):
        gateway = self.make_aliyun_gateway()
        values = {"gateway_id": gateway.id, "code": "SMS_9"}
        registrations = self.env["member.template.registration"]
        with self.assertRaisesRegex(ValidationError, "SMS_9 needs a template"):
            registrations.create(values)
        registration = registrations.create({**values, "sample": "Order ${order}"})
        self.assertRecordValues(
            registration, [{"state": "draft", "category": "notice"}]
        )
        self.assertEqual(registration._get_sample_params(), {"order": "order"})
