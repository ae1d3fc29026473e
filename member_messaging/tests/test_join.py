import re
from datetime import date, timedelta
from html import unescape

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import HttpCase, tagged

from .common import MemberMessagingCommon
from .test_landing import PERSON

NUMBER = "+8613912345678"


class JoinCommon(MemberMessagingCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.write(
            {
                "name": "Tea House",
                "country_id": cls.env.ref("base.cn").id,
                "member_has_join_page": True,
            }
        )
        cls.path = f"/member/join/{cls.company.member_join_key}"

    def open(self, path=None, headers=None, **values):
        response = self.url_open(
            path or self.path,
            headers={"Accept-Language": "en-US", **PERSON, **(headers or {})},
            **values,
        )
        self.env.invalidate_all()
        return response

    def read_form(self, page=None):
        """:returns: name → value of the hidden fields"""
        page = page or self.open().text
        return dict(re.findall(r'type="hidden"\s+name="(\w+)"\s+value="([^"]*)"', page))

    def join(self, headers=None, **values):
        """Fill in the form and send it."""
        return self.open(
            data={
                **self.read_form(),
                "name": "Li Lei",
                "phone": "139 1234 5678",
                "birthday": "",
                **values,
            },
            headers=headers,
        )

    def get_sent(self, number=NUMBER):
        return self.env["member.service.message"].search(
            [("address", "=", number), ("kind", "=", "join")]
        )

    def get_link(self, number=NUMBER):
        """:returns: path of the link in the newest SMS to a number"""
        return re.search(r"/member/join/\w+/\w+", self.get_sent(number)[:1].body)[0]

    def confirm(self, number=NUMBER):
        return self.open(self.get_link(number), method="POST")

    def find_members(self, number=NUMBER):
        return self.env["member.profile"].search(
            [("partner_id.phone_sanitized", "=", number)]
        )


@tagged("post_install", "-at_install")
class TestJoin(JoinCommon):
    def test_eu_6_the_box_is_not_ticked(self):
        page = self.open().text
        self.assertIn('type="checkbox" name="agree"', page)
        self.assertNotIn("checked", page)
        self.assertIn("noindex", page)

    def test_cn_4_us_1_us_11_the_default_wording(self):
        """Who, what, how often, until when, how to stop, no condition, costs."""
        self.policy.write({"promotion_limit": 4, "promotion_days": 31})
        page = self.open().text
        for text in (
            "offers from Tea House by SMS",
            "at most 4 within 31 days",
            "until I stop them",
            "free of charge",
            "TD or STOP",
            "not a condition of any purchase",
            "data rates may apply",
            "HELP",
        ):
            with self.subTest(text=text):
                self.assertIn(text, page)
        self.policy.promotion_limit = 0
        self.assertIn("several a month", self.open().text)

    def test_joining_with_consent(self):
        response = self.join(agree="1", birthday="1990-05-06")
        self.assertIn("Look at your phone", response.text)
        self.assertFalse(self.find_members(), "nobody has confirmed")
        body = self.get_sent().body
        self.assertTrue(body.startswith("Tea House: please confirm"))
        asked = self.open(self.get_link())
        self.assertIn("Become a member?", asked.text)
        self.assertNotIn("Li Lei", asked.text)
        self.assertFalse(self.find_members(), "GET confirms nothing")
        for _press in range(2):
            self.assertIn("Welcome!", self.confirm().text)
        profile = self.find_members()
        self.assertRecordValues(
            profile,
            [{"source": "web", "birthday": date(1990, 5, 6), "number": profile.number}],
        )
        self.assertRecordValues(
            profile.partner_id,
            [{"name": "Li Lei", "lang": "en_US", "company_id": self.company.id}],
        )
        self.assertRecordValues(
            profile.consent_ids,
            [
                {
                    "state": "granted",
                    "source": "double_opt_in",
                    "purpose": "promotion",
                    "wording": self.company._get_consent_wording(),
                }
            ],
        )
        self.assertFalse(self.launch(self.make_campaign(profile)).reason)

    def test_eu_3_the_evidence(self):
        self.join(agree="1")
        self.confirm()
        evidence = self.find_members().consent_ids.evidence
        self.assertIn("from 127.0.0.0/24", evidence)
        self.assertEqual(
            len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", evidence)), 2
        )

    def test_joining_without_consent(self):
        self.join()
        self.confirm()
        profile = self.find_members()
        self.assertTrue(profile)
        self.assertFalse(profile.consent_ids)
        self.assertEqual(self.launch(self.make_campaign(profile)).reason, "no_consent")

    def test_the_wording_shown_is_the_wording_stored(self):
        form = self.read_form()
        shown = self.company._get_consent_wording()
        self.company.member_join_wording = "Something else"
        self.open(
            data={**form, "name": "Li Lei", "phone": NUMBER, "agree": "1"},
        )
        self.confirm()
        self.assertEqual(self.find_members().consent_ids.wording, shown)
        self.assertIn("Something else", self.open().text)

    def test_wording_per_language(self):
        self.company.update_field_translations(
            "member_join_wording",
            {"en_US": "I agree.", "zh_CN": "我同意接收优惠短信。"},
        )
        chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
        page = self.open(headers=chinese).text
        self.assertIn("我同意接收优惠短信。", page)
        self.assertIn('<html lang="zh-CN">', page)
        form = self.read_form(page)
        self.open(
            data={**form, "name": "李雷", "phone": NUMBER, "agree": "1"},
            headers=chinese,
        )
        self.confirm()
        profile = self.find_members()
        self.assertEqual(profile.consent_ids.wording, "我同意接收优惠短信。")
        self.assertEqual(profile.partner_id.lang, "zh_CN")

    def test_no_enumeration_of_members(self):
        """The page answers a member as it answers everybody."""
        self.make_members(1, name="Wang Fang", phone="+8613900000001")
        pages = [
            self.join(phone=phone).text for phone in ("+8613900000001", "13900000002")
        ]
        self.assertEqual(*pages)
        self.assertEqual(len(self.get_sent("+8613900000001")), 1)
        self.assertEqual(len(self.get_sent("+8613900000002")), 1)

    def test_a_member_joins_again(self):
        profile = self.make_members(1, is_granted=False, name="Wang Fang", phone=NUMBER)
        self.env["member.consent"]._refuse(profile, "sms", "reply", "TD")
        self.join(agree="1", name="Somebody")
        self.confirm()
        self.assertEqual(self.find_members(), profile)
        self.assertEqual(profile.partner_id.name, "Wang Fang")
        self.assertEqual(
            profile.consent_ids.mapped("source"), ["double_opt_in", "reply"]
        )

    def test_cn_21_no_offers_under_14(self):
        today = fields.Date.today()
        young = today.replace(year=today.year - 14, day=1) + timedelta(days=40)
        page = self.join(agree="1", birthday=str(young)).text
        self.assertIn("14 years and older", page)
        self.assertFalse(self.get_sent())
        self.join(birthday=str(young))
        self.confirm()
        self.assertFalse(self.find_members().consent_ids)
        # known to be a child: a form without a birthday changes nothing
        self.join(agree="1")
        self.confirm()
        self.assertFalse(self.find_members().consent_ids)

    def test_mistakes_are_explained_and_the_form_keeps_what_was_typed(self):
        for values, text in (
            ({"name": " "}, "enter your name"),
            ({"phone": "12"}, "no valid mobile number"),
            ({"birthday": "2999-01-01"}, "cannot be a birthday"),
            ({"birthday": "soon"}, "cannot be a birthday"),
            ({"form": "forged"}, "open for too long"),
            ({"form": ""}, "open for too long"),
        ):
            with self.subTest(**values):
                page = self.join(agree="1", **{"name": "Li <Lei>", **values}).text
                self.assertIn(text, page)
                self.assertNotIn("checked", page)
                if "name" not in values:
                    self.assertIn("Li <Lei>", unescape(page))
                    self.assertNotIn("Li <Lei>", page)
        self.assertFalse(self.env["member.join"].search([]))

    def test_form_of_another_company(self):
        other, _user = self.make_other_company()
        self.gateway.copy({"company_id": other.id}).state = "active"
        other.member_has_join_page = True
        form = self.read_form(self.open(f"/member/join/{other.member_join_key}").text)
        self.assertIn("open for too long", self.join(**form).text)

    def test_robots_fill_in_everything(self):
        page = self.join(website="https://spam.example").text
        self.assertIn("Look at your phone", page)
        self.assertFalse(self.env["member.join"].search([]))
        self.assertFalse(self.get_sent())

    def test_a_number_is_not_flooded(self):
        for _request in range(5):
            self.assertIn("Look at your phone", self.join().text)
        self.assertEqual(len(self.get_sent()), 3)
        self.join(phone="+8613900000009")
        self.assertEqual(len(self.get_sent("+8613900000009")), 1)

    def test_a_source_does_not_flood_others(self):
        quotas = self.env["member.quota"]
        joins = self.env["member.join"]
        values = {"name": "A", "is_agreed": False, "wording": "", "lang": "en_US"}
        for number in range(40):
            joins._request(
                self.company,
                "203.0.113.7",
                {**values, "phone": f"+86139000001{number:02d}"},
            )
        self.assertEqual(joins.search_count([]), 30)
        self.assertEqual(set(joins.search([]).mapped("network")), {"203.0.113.0/24"})
        joins._request(
            self.company, "203.0.113.8", {**values, "phone": "+8613900000200"}
        )
        self.assertEqual(joins.search_count([]), 31)
        for quota in quotas.search([]):
            self.assertRegex(quota.key_hash, "^[0-9a-f]{64}$")

    def test_quota_windows(self):
        quotas, hour = self.env["member.quota"], timedelta(hours=1)
        taken = [quotas._take("x", 2, hour) for _use in range(3)]
        self.assertEqual(taken, [True, True, False])
        self.assertTrue(quotas._take("y", 2, hour))
        self.env.cr.execute(
            "UPDATE member_quota SET window_date = window_date - interval '1 hour'"
        )
        self.assertTrue(quotas._take("x", 2, hour))
        self.env.cr.execute(
            "UPDATE member_quota SET window_date = window_date - interval '3 days'"
        )
        quotas._gc_quotas()
        self.assertFalse(quotas.search([]))

    def test_cn_3_silence_is_no_consent(self):
        self.join(agree="1")
        link = self.get_link()
        self.env.cr.execute(
            "UPDATE member_join SET create_date = create_date - interval '49 hours'"
        )
        self.assertEqual(self.open(link).status_code, 404)
        self.assertEqual(self.open(link, method="POST").status_code, 404)
        self.assertIn("It has expired", self.open(link).text)
        self.env["member.join"]._gc_requests()
        self.assertFalse(self.env["member.join"].search([]))
        self.assertFalse(self.find_members())

    def test_poster_of_the_settings(self):
        settings = self.env["res.config.settings"].create({})
        action = settings.action_print_join_poster()
        self.assertTrue(action["url"].endswith(f"{self.path}/poster"))
        page = self.open(f"{self.path}/poster").text
        self.assertIn("data:image/svg+xml", page)
        self.assertIn(self.company.member_join_url, page)

    def test_confirmation_leaves_through_the_gateway(self):
        self.join()
        [sent] = self.send()
        self.assertEqual((sent.address, sent.body), (NUMBER, self.get_sent().body))

    def test_page_needs_a_gateway(self):
        self.company.member_has_join_page = False
        self.gateway.state = "paused"
        with self.assertRaisesRegex(UserError, "The page stays off"):
            self.company.member_has_join_page = True

    def test_page_needs_a_registered_text(self):
        self.company.member_has_join_page = False
        self.gateway.state = "paused"
        gateway = self.make_aliyun_gateway()
        with self.assertRaisesRegex(UserError, "registered texts only"):
            self.company.member_has_join_page = True
        self.assertEqual(self.company._get_join_gateway(), gateway)

    def test_page_that_is_switched_off(self):
        self.company.member_has_join_page = False
        self.assertFalse(self.company.member_join_url)
        for path in (self.path, f"{self.path}/poster", "/member/join/False"):
            with self.subTest(path=path):
                self.assertEqual(self.open(path).status_code, 404)
        self.company.member_has_join_page = True
        self.assertFalse(self.path.endswith(self.company.member_join_key))

    def test_cn_11_complaint_contact(self):
        self.company.member_complaint_contact = "Ms Zhao, 021 5555"
        self.assertIn("Ms Zhao, 021 5555", self.open().text)
