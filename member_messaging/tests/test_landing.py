from odoo import fields
from odoo.tests import HttpCase, tagged

from .common import MemberMessagingCommon

#: Somebody who reads the message in WeChat.
PERSON = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) "
    "AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.49"
}
#: Google Messages draws a preview of the link.
MACHINE = {"User-Agent": "Mozilla/5.0 (compatible; Google-PageRenderer Google)"}


@tagged("post_install", "-at_install")
class TestLanding(MemberMessagingCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.write({"name": "Tea House", "phone": "+86 21 1234 5678"})
        cls.profile = cls.make_members(1, name="Wang Xiaoming")

    def setUp(self):
        super().setUp()
        self.message = self.make_sent(self.profile)
        self.card = self.message.card_id
        self.path = f"/m/{self.message.token}"

    def visit(self, path="", headers=None, **values):
        """Follow the link, by default as a person."""
        response = self.url_open(
            f"{self.path}{path}", headers=headers or PERSON, **values
        )
        self.env.invalidate_all()
        return response

    def see_offer(self):
        response = self.visit("/offer")
        self.assertEqual(response.status_code, 200)
        return response.text

    def get_clicks(self):
        return self.message.event_ids.filtered(lambda event: event.type == "clicked")

    # -------------------------------------------------------------------- visits

    def test_link_leads_to_the_offer(self):
        response = self.visit(allow_redirects=False)
        self.assertEqual(response.status_code, 302)
        self.assertTrue(response.headers["Location"].endswith(f"{self.path}/offer"))
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertEqual(response.headers["Referrer-Policy"], "no-referrer")
        self.assertRecordValues(self.get_clicks(), [{"is_bot": False}])
        self.assertEqual(self.message.clicked_date, self.get_clicks().date)
        self.assertEqual(self.message.state, "delivered")
        followed = self.visit()
        self.assertIn(self.card.code, followed.text)
        self.assertEqual(len(self.get_clicks()), 2)

    def test_first_click_is_the_date(self):
        self.visit()
        before = fields.Datetime.subtract(self.message.clicked_date, hours=1)
        self.env.cr.execute(
            "UPDATE member_message SET clicked_date = %s WHERE id = %s",
            (before, self.message.id),
        )
        self.visit()
        self.assertEqual(self.message.clicked_date, before)

    def test_machines_are_stored_and_not_counted(self):
        for headers, method in (
            (MACHINE, "GET"),
            ({"User-Agent": ""}, "GET"),
            ({**PERSON, "Sec-Purpose": "prefetch"}, "GET"),
            (PERSON, "HEAD"),
        ):
            with self.subTest(headers=headers, method=method):
                response = self.visit(
                    headers=headers, method=method, allow_redirects=False
                )
                self.assertEqual(response.status_code, 302)
        self.assertEqual(self.get_clicks().mapped("is_bot"), [True] * 4)
        self.assertRecordValues(
            self.message, [{"clicked_date": False, "state": "sent"}]
        )
        self.run_cron("engagement")
        self.assertEqual(self.profile.engagement, "low")
        self.visit()
        self.run_cron("engagement")
        self.assertEqual(self.profile.engagement, "medium")
        self.visit()
        self.run_cron("engagement")
        self.assertEqual(self.profile.engagement, "high")

    def test_unknown_link(self):
        self.path = "/m/nothing1234"
        for path, method in (
            ("", "GET"),
            ("", "HEAD"),
            ("/offer", "GET"),
            ("/stop", "GET"),
            ("/stop", "POST"),
        ):
            with self.subTest(path=path, method=method):
                self.assertEqual(self.visit(path, method=method).status_code, 404)
        self.path = f"/m/{self.message.token.swapcase()}"
        self.assertEqual(self.visit().status_code, 404)
        for lang, text in (
            ("en-US", "This link leads nowhere"),
            ("zh-CN", "链接无效"),
        ):
            page = self.visit(headers={**PERSON, "Accept-Language": lang}).text
            self.assertIn(text, page)
            self.assertNotIn(self.company.name, page)
        self.assertFalse(self.message.event_ids)

    # --------------------------------------------------------------------- offer

    def test_offer(self):
        self.program.rule_ids.minimum_amount = 150
        self.program.reward_ids.discount_max_amount = 30
        response = self.visit("/offer")
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        page = response.text
        self.assertTrue(page.startswith("<!DOCTYPE html>"))
        for text in (
            '<html lang="en-US">',
            "10% on your order",
            self.card.code,
            'src="data:image/svg+xml;base64,',
            "Valid until",
            self.card.expiration_date.strftime("%m/%d/%Y"),
            "Conditions",
            "150.00",
            "30.00",
            "Tea House",
            "+86 21 1234 5678",
            "noindex",
            f"{self.path}/stop",
        ):
            with self.subTest(text=text):
                self.assertIn(text, page)
        for secret in (
            "Wang",
            "Xiaoming",
            self.profile.phone,
            self.profile.phone[3:],
            self.profile.number,
        ):
            with self.subTest(secret=secret):
                self.assertNotIn(secret, page)
        self.assertFalse(self.message.event_ids, "looking at the page is no click")

    def test_days_left(self):
        today = fields.Date.context_today(self.card)
        for days, text in (
            (0, "today is the last day"),
            (1, "1 day left"),
            (5, "5 days left"),
        ):
            with self.subTest(days=days):
                self.card.expiration_date = fields.Date.add(today, days=days)
                self.assertIn(text, " ".join(self.see_offer().split()))

    def test_coupon_that_is_no_longer_good(self):
        yesterday = fields.Date.subtract(fields.Date.today(), days=2)
        for values, text in (
            ({"points": 0}, "Already used"),
            ({"expiration_date": yesterday}, "Expired on"),
            ({"active": False}, "Withdrawn"),
        ):
            with self.subTest(text=text), self.cr.savepoint() as savepoint:
                self.card.write(values)
                page = self.see_offer()
                self.assertIn(text, page)
                self.assertNotIn(self.card.code, page)
                self.assertNotIn("data:image", page)
                savepoint.rollback()
                self.card.invalidate_recordset()
        self.assertIn(self.card.code, self.see_offer())

    def test_coupon_of_an_order_that_was_cancelled(self):
        """The page says what the shop would say."""
        order = self.make_sale(self.profile.partner_id)
        status = order._try_apply_code(self.card.code)
        order._apply_program_reward(status[self.card], self.card)
        order.action_confirm()
        self.assertIn("Already used", self.see_offer())
        order._action_cancel()
        self.assertIn(self.card.code, self.see_offer())

    def test_message_without_coupon(self):
        template = self.make_template("New tea! {{ link }} {{ unsubscribe_link }}")
        [message] = self.make_sent(self.profile, templates=template, program_id=False)
        self.path = f"/m/{message.token}"
        page = self.see_offer()
        self.assertIn("New tea!", page)
        self.assertNotIn("Conditions", page)

    def test_language_of_the_template(self):
        page = self.env.ref("member_messaging.landing_offer")
        page.update_field_translations(
            "arch_db", {"zh_CN": {"Conditions": "这里是使用条件"}}
        )
        self.template.lang = "zh_CN"
        text = self.see_offer()
        self.assertIn('<html lang="zh-CN">', text)
        self.assertIn("这里是使用条件", text)
        self.assertIn(self.card.expiration_date.strftime("%Y/%m/%d"), text)
        self.template.lang = "en_US"
        self.assertNotIn("这里是使用条件", self.see_offer())

    # ---------------------------------------------------------------------- stop

    def test_looking_stops_nothing(self):
        response = self.visit("/stop")
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertIn('method="post"', response.text)
        self.assertNotIn("Xiaoming", response.text)
        self.assertEqual(self.visit("/stop", method="HEAD").status_code, 200)
        self.assertEqual(self.profile.consent_ids.mapped("state"), ["granted"])
        self.assertFalse(self.message.unsubscribed_date)

    def test_the_button_stops(self):
        queued = self.launch(self.make_campaign(self.profile))
        for _press in range(2):
            response = self.visit("/stop", method="POST")
            self.assertEqual(response.status_code, 200)
            self.assertIn("no more promotions", response.text)
        self.assertRecordValues(
            self.profile.consent_ids,
            [
                {
                    "state": "refused",
                    "source": "link",
                    "evidence": f"{self.path}/stop",
                    "is_current": True,
                },
                {
                    "state": "granted",
                    "source": "staff",
                    "evidence": "Paper form",
                    "is_current": False,
                },
            ],
        )
        self.assertRecordValues(
            self.message.event_ids, [{"type": "unsubscribed", "is_bot": False}]
        )
        self.assertTrue(self.message.unsubscribed_date)
        self.assertFalse(self.send())
        self.assertRecordValues(queued, [{"state": "skipped", "reason": "refused"}])

    def test_the_button_counts_for_everybody_with_the_number(self):
        """The page says: no more offers. Not to this phone, whoever it belongs to."""
        brother = self.make_members(1, phone=self.profile.phone)
        self.visit("/stop", method="POST")
        self.assertEqual(brother.consent_ids[0].state, "refused")
