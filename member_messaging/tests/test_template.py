from psycopg2.errors import UniqueViolation

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import BODY, MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestTemplate(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)

    def make_own_template(self, body, **values):
        """A template as staff write it."""
        return (
            self.env["member.template"]
            .with_user(self.staff)
            .create({"name": "Spring", "lang": "en_US", "body": body, **values})
        )

    def preview(self, body, **values):
        template = self.make_own_template(body, **values)
        template.preview_profile_id = self.profile
        return template.preview_body

    # --------------------------------------------------------------------- text

    def test_unknown_variable_is_named(self):
        with self.assertRaises(ValidationError) as caught:
            self.make_own_template("Hi {{ member_nmae }}, {{ link }}")
        message = caught.exception.args[0]
        self.assertIn("The text of Spring cannot be used", message)
        self.assertIn("There is no variable “member_nmae”.", message)
        self.assertIn("Known variables: brand, coupon_code,", message)

    def test_broken_braces_are_named(self):
        template = self.make_own_template("Hi")
        for body, fragment in (
            ("Hi {{ member_name }", "{{"),
            ("Hi {{ member_name.phone }}", "{{ member_name.phone }}"),
            ("Hi ${object.name}", "${"),
        ):
            with self.subTest(body=body), self.assertRaises(ValidationError) as caught:
                template.body = body
            self.assertIn(f"no variable: “{fragment}”", caught.exception.args[0])

    def test_preview_shows_values_or_fallbacks(self):
        self.assertEqual(
            self.preview("Hi {{ member_name ||| friend }}"),
            f"Hi {self.profile.partner_id.name}",
        )
        self.assertEqual(
            self.preview("Your {{ last_product ||| tea }}, {{ tier }}!"), "Your tea, !"
        )
        self.sell(self.profile.partner_id)
        self.assertEqual(self.preview("Your {{ last_product ||| tea }}"), "Your Tea")

    def test_preview_while_somebody_types(self):
        with Form(self.env["member.template"].with_user(self.staff)) as form:
            form.name = "Typing"
            form.body = "Hi {{ mem"
            self.assertEqual(form.preview_body, "Hi {{ mem")
            form.preview_profile_id = self.profile
            form.body = "Hi {{ member_name }}"
            self.assertEqual(form.preview_body, f"Hi {self.profile.partner_id.name}")

    def test_new_template_beside_an_opt_out_text(self):
        self.gateway.optout_text = "拒收请回复R"
        form = Form(self.env["member.template"].with_user(self.staff))
        self.assertFalse(form.body)
        form.name = "Autumn"
        form.body = "Hello"
        self.assertTrue(form.preview_body.endswith("Hello 拒收请回复R"))

    def test_language_of_the_text(self):
        tier = self.env["member.tier"].create({"name": "Gold"})
        tier.with_context(lang="zh_CN").name = "金卡"
        self.profile.tier_id = tier
        body = "{{ tier }} {{ coupon_expiry }}"
        self.assertRegex(self.preview(body), r"^Gold \d\d/\d\d/\d{4}$")
        self.assertRegex(self.preview(body, lang="zh_CN"), r"^金卡 \d{4}/\d\d/\d\d$")

    def test_length(self):
        template = self.make_own_template("x" * 70)
        template.preview_profile_id = self.profile
        self.assertEqual(template.preview_size, "70 characters, 1 SMS")
        template.body = "x" * 71
        self.assertEqual(template.preview_size, "71 characters, 2 SMS")
        # outside China plain letters take less room
        self.profile.partner_id.country_id = self.env.ref("base.us")
        template.body = "x" * 160
        self.assertEqual(template.preview_size, "160 characters, 1 SMS")

    def test_uses_coupon(self):
        self.assertTrue(self.make_own_template(BODY).uses_coupon)
        self.assertFalse(self.make_own_template("Hi {{ member_name }}").uses_coupon)

    # ------------------------------------------------------------ gateway's part

    def test_signature_and_opt_out_words(self):
        self.gateway.write({"signature": "Tea House", "optout_text": "Stop: reply TD"})
        self.gateway.with_context(lang="zh_CN").optout_text = "拒收请回复R"
        gateway = self.gateway.with_user(self.staff)
        for body, values, text in (
            ("Sale", {}, "【Tea House】Sale Stop: reply TD"),
            ("减价", {"lang": "zh_CN"}, "【Tea House】减价 拒收请回复R"),
            ("Sale. Stop: reply TD", {}, "【Tea House】Sale. Stop: reply TD"),
            (
                "Sale {{ unsubscribe_link }}",
                {},
                "【Tea House】Sale {{ unsubscribe_link }}",
            ),
            ("Closed", {"category": "notice"}, "【Tea House】Closed"),
        ):
            with self.subTest(body=body):
                template = self.make_own_template(body, **values)
                self.assertEqual(template._get_text(gateway), text)

    def test_registered_parameters(self):
        def register(parameters):
            template = self.make_own_template(
                "Hi {{ member_name ||| you }}: {{ coupon_code }}",
                registration_ids=[
                    Command.create(
                        {
                            "gateway_id": self.gateway.id,
                            "code": "SMS_1",
                            "parameters": parameters,
                        }
                    )
                ],
            )
            return template.registration_ids._get_parameter_map()

        self.assertEqual(
            register(False),
            {"member_name": "member_name", "coupon_code": "coupon_code"},
        )
        self.assertEqual(
            register("name=member_name, code = coupon_code,"),
            {"name": "member_name", "code": "coupon_code"},
        )
        for wrong in ("name=member_nmae", "name", "=member_name"):
            with (
                self.subTest(parameters=wrong),
                self.assertRaisesRegex(ValidationError, "maps to no known variable"),
            ):
                register(wrong)

    def test_registered_once_per_gateway(self):
        vals = {"gateway_id": self.gateway.id, "code": "SMS_1"}
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(UniqueViolation),
            self.cr.savepoint(),
        ):
            self.make_own_template("Hi", registration_ids=[Command.create(vals)] * 2)
