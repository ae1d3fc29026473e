import re

from odoo.tests import tagged

from .common import MemberMessagingCommon
from .phone import PhoneCase

LANGUAGES = ("en-US", "zh-CN")
NUMBER = "+8613912345678"


@tagged("post_install", "-at_install")
class TestPhone(MemberMessagingCommon, PhoneCase):
    """What members do on their telephones, in a browser of that size."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.write(
            {
                "name": "Tea House",
                "country_id": cls.env.ref("base.cn").id,
                "member_has_join_page": True,
                "member_complaint_contact": "021 5555 1234",
            }
        )

    def get_link(self):
        """:returns: the address in the newest SMS of the join page"""
        message = self.env["member.service.message"].search(
            [("address", "=", NUMBER)], limit=1
        )
        return re.search(r"/member/join/\w+/\w+", message.body)[0]

    def receive(self, lang):
        """:returns: a message in a language that has arrived on the telephone"""
        template = self.make_template(
            "Offer: {{ link }} {{ unsubscribe_link }}", lang=lang.replace("-", "_")
        )
        return self.make_sent(self.make_members(1), templates=template)

    def find_words(self, profile):
        return profile.consent_ids.mapped(lambda c: (c.purpose, c.state, c.source))

    def test_join(self):
        for lang in LANGUAGES:
            with self.subTest(lang=lang):
                self.join(lang)
                profile = self.env["member.profile"].search(
                    [("phone", "=", NUMBER)], order="id desc", limit=1
                )
                self.assertEqual(profile.partner_id.lang, lang.replace("-", "_"))
                [consent] = profile.consent_ids
                self.assertEqual(consent.source, "double_opt_in")
                profile.partner_id.unlink()

    def join(self, lang):
        self.pick_up(lang)
        key = self.company.member_join_key
        self.visit(f"/member/join/{key}/poster")
        self.assert_language(lang)
        self.assertIn(self.company.member_join_url, self.get_text())
        self.visit(f"/member/join/{key}")
        self.assert_language(lang)
        self.type_in("#name", "Li Lei")
        self.type_in("#phone", "139 1234 5678")
        self.assertFalse(
            self.evaluate("document.querySelector('[name=agree]').checked")
        )
        wording = self.evaluate("document.querySelector('.consent').innerText").strip()
        self.tap(".consent span", opens_page=False)
        self.assertTrue(self.evaluate("document.querySelector('[name=agree]').checked"))
        self.tap("button[type=submit]")
        self.assert_language(lang)
        self.assertFalse(self.evaluate("document.querySelector('form') !== null"))
        self.visit(self.get_link())
        self.assert_language(lang)
        self.tap("button")
        self.assert_language(lang)
        profile = self.env["member.profile"].search([("phone", "=", NUMBER)])
        self.assertEqual(profile.consent_ids.wording, wording)

    def test_form_that_is_not_complete(self):
        """What was typed is kept; what is wrong is said on the page."""
        self.pick_up("en-US")
        self.visit(f"/member/join/{self.company.member_join_key}")
        self.type_in("#name", "Li Lei")
        self.type_in("#phone", "12")
        self.tap("button[type=submit]")
        self.assertIn("no valid mobile number", self.get_text())
        self.assertEqual(
            self.evaluate("document.querySelector('#name').value"), "Li Lei"
        )
        self.assertFalse(
            self.evaluate("document.querySelector('[name=agree]').checked")
        )

    def test_stop(self):
        for lang in LANGUAGES:
            with self.subTest(lang=lang):
                message = self.receive(lang)
                self.pick_up(lang)
                self.visit(f"/m/{message.token}")
                self.assertTrue(message.clicked_date)
                self.tap("a[href$='/stop']")
                self.assert_language(lang)
                self.assertFalse(message.unsubscribed_date, "not by looking")
                self.tap("button")
                self.assert_language(lang)
                self.assertEqual(
                    self.find_words(message.profile_id)[0],
                    ("promotion", "refused", "link"),
                )

    def test_preferences(self):
        """Stop offers, undo it, stop service messages; the page says so each time."""
        for lang in LANGUAGES:
            with self.subTest(lang=lang):
                message = self.receive(lang)
                self.pick_up(lang)
                self.visit(f"/m/{message.token}/preferences")
                self.assert_language(lang)
                before = self.get_text()
                self.tap(".choice:nth-of-type(1) button")
                self.assert_language(lang)
                self.assertNotEqual(self.get_text(), before)
                self.assertEqual(
                    self.find_words(message.profile_id)[0],
                    ("promotion", "refused", "link"),
                )
                self.tap(".brand + .card button")
                self.assertEqual(
                    self.find_words(message.profile_id)[0],
                    ("promotion", "granted", "link"),
                )
                self.visit(f"/m/{message.token}/preferences")
                self.tap(".choice:nth-of-type(2) button")
                self.assert_language(lang)
                self.assertEqual(
                    self.find_words(message.profile_id)[0],
                    ("service", "refused", "link"),
                )
