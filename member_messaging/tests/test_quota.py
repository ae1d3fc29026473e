from datetime import date, datetime, timedelta

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import freeze_time, tagged

from ..gateways.types import Outcome, SendResult
from .common import MemberMessagingCommon

#: In the middle of a month, by day in China, where the company of these tests is.
NOON = datetime(2031, 5, 14, 4)
LONG = "x" * 200 + "{{ unsubscribe_link }}"


class QuotaCase(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        clock = freeze_time(NOON)
        clock.start()
        cls.addClassCleanup(clock.stop)
        super().setUpClass()
        cls.company.partner_id.tz = "Asia/Shanghai"
        cls.profiles = cls.make_members(10)
        cls.load = cls.gateway.load_ids
        cls.texts = {
            category: cls.make_template("Hi {{ unsubscribe_link }}", category=category)
            for category in ("promotion", "content", "notice", "care")
        }
        cls.long = cls.make_template(LONG)

    def write_to(self, profiles=None, category="promotion", **values):
        """:returns: a campaign that has been planned"""
        values = {
            "templates": self.texts[category],
            "category": category,
            "program_id": False,
            **values,
        }
        campaign = self.make_campaign(profiles or self.profiles, **values)
        self.launch(campaign)
        return campaign.with_user(self.manager)

    def count(self, campaign, state):
        return len(self.get_messages(campaign, state=state))

    def get_used(self):
        return self.load.month_count, self.load.month_advertising_count


@tagged("post_install", "-at_install")
class TestMonth(QuotaCase):
    """The SMS of a month, and what of them is kept for care (C4)."""

    def test_c_4_promotions_leave_a_part_for_care(self):
        self.policy.with_user(self.manager).month_quota = 10
        promotion = self.write_to()
        self.assertEqual(len(self.send()), 7)
        self.assertEqual(self.count(promotion, "queued"), 3)
        self.assertFalse(self.send())
        content = self.write_to(category="content")
        self.assertFalse(self.send(), "content is no care")
        self.write_to(self.profiles[:2], "care")
        self.assertEqual(len(self.send()), 2)
        notice = self.write_to(category="notice")
        self.assertEqual(len(self.send()), 1, "all of it may be used")
        self.assertEqual(self.get_used(), (10, 7))
        self.assertEqual(self.count(notice, "queued"), 9)
        self.assertEqual(self.count(content, "queued"), 10)

    def test_c_4_reserve_that_care_has_used(self):
        self.policy.month_quota = 10
        self.write_to(self.profiles[:8], "care")
        self.write_to()
        self.assertEqual(len(self.send()), 10)
        self.assertEqual(self.get_used(), (10, 2))

    def test_other_reserve(self):
        self.policy.write({"month_quota": 10, "care_reserve_rate": 50})
        self.write_to()
        self.assertEqual(len(self.send()), 5)

    def test_of_a_gateway(self):
        self.gateway.with_user(self.manager).month_quota = 5
        self.write_to()
        self.assertEqual(len(self.send()), 3)

    def test_of_all_gateways_of_the_company(self):
        other = self.gateway.copy({"name": "Other"})
        self.policy.month_quota = 10
        self.write_to(gateway_id=other.id)
        self.write_to()
        self.assertEqual(len(self.send()), 7)
        self.assertEqual(
            sum((self.load | other.load_ids).mapped("month_advertising_count")), 7
        )

    def test_other_companies_have_their_own(self):
        company, _stranger = self.make_other_company()
        gateway = self.gateway.copy({"company_id": company.id})
        gateway.load_ids.write({"month": NOON.date().replace(day=1), "month_count": 99})
        self.policy.month_quota = 10
        self.write_to()
        self.assertEqual(len(self.send()), 7)

    def test_counted_in_parts(self):
        self.policy.month_quota = 20
        campaign = self.write_to(templates=self.long)
        self.assertEqual(len(self.send()), 3)
        parts = self.get_messages(campaign, state="sent").mapped("parts")
        self.assertEqual(parts, [4, 4, 4])
        self.assertEqual(self.get_used(), (12, 12))

    def test_too_long_for_what_is_left(self):
        """It waits, and is not claimed again and again in the same run."""
        self.policy.month_quota = 2
        campaign = self.write_to(templates=self.long)
        self.assertFalse(self.send())
        messages = self.get_messages(campaign)
        self.assertEqual(set(messages.mapped("state")), {"queued"})
        self.assertEqual(set(messages.mapped("attempt_count")), {0})
        self.assertFalse(any(messages.mapped("claimed_date")))
        self.assertEqual(self.get_used(), (0, 0))
        self.assertIn("SMS are used up", campaign.wait_reason)
        self.policy.month_quota = 100
        self.assertEqual(len(self.send()), 10)

    def test_raised_quota(self):
        self.policy.month_quota = 5
        campaign = self.write_to()
        self.assertEqual(len(self.send()), 3)
        with self.enter_registry_test_mode():
            self.policy.with_user(self.manager).month_quota = 0
        self.assertEqual(len(self.send()), 7)
        self.assertEqual(campaign.state, "done")

    def test_next_month_begins_where_the_company_is(self):
        self.gateway.month_quota = 5
        self.write_to()
        self.assertEqual(len(self.send()), 3)
        with freeze_time(datetime(2031, 5, 31, 15, 59)):
            self.assertFalse(self.send())
        with freeze_time(datetime(2031, 5, 31, 16, 1)):  # 1 June in China
            self.assertEqual(len(self.send()), 3)
        self.assertEqual(self.load.month, date(2031, 6, 1))
        self.assertEqual(self.get_used(), (3, 3))

    def test_never_after_the_end_of_the_offer(self):
        self.gateway.month_quota = 5
        campaign = self.write_to(not_after_date=NOON + timedelta(days=2))
        self.assertEqual(len(self.send()), 3)
        with freeze_time(NOON + timedelta(days=1)):
            self.assertFalse(self.send())
        self.assertEqual(self.count(campaign, "queued"), 7)
        with freeze_time(NOON + timedelta(days=3)):
            self.assertFalse(self.send())
        self.assertEqual(
            self.get_messages(campaign, state="skipped").mapped("reason"),
            ["expired"] * 7,
        )
        self.assertEqual(campaign.state, "done")

    def test_what_has_not_left_is_given_back(self):
        def decide(message):
            return [Outcome.BADNUM, Outcome.RETRY, Outcome.AMBIGUOUS, Outcome.OK][
                int(message.key) % 4
            ]

        self.gateway.month_quota = 1000
        campaign = self.write_to()
        sent = self.send(decide)
        self.assertEqual(len(sent), 10)
        left = self.count(campaign, "sent") + self.count(campaign, "uncertain")
        self.assertLess(left, 10)
        self.assertEqual(self.get_used(), (left, left))

    def test_provider_that_counts_other_parts(self):
        self.write_to()
        self.send(lambda m: SendResult(m.key, Outcome.OK, m.key, parts=3))
        self.assertEqual(self.get_used(), (30, 30))

    def test_closed_account_gives_back(self):
        self.write_to()
        self.send(lambda _m: Outcome.PAUSE)
        self.assertEqual(self.get_used(), (0, 0))

    def test_service_messages_count_and_wait(self):
        self.gateway.month_quota = 3
        services = self.env["member.service.message"]
        numbers = self.profiles.mapped("phone")
        services._enqueue(
            self.gateway,
            "odoo",
            [{"address": number, "body": "Hi"} for number in numbers[:5]],
        )
        self.assertEqual(len(self.send()), 3)
        self.assertEqual(self.get_used(), (3, 0))
        waiting = services.search([("state", "=", "queued")])
        self.assertEqual(waiting.mapped("attempt_count"), [0, 0])
        self.assertIn("SMS are used up", waiting[0].with_user(self.manager).outcome)
        self.gateway.month_quota = 9
        self.assertEqual(len(self.send()), 2)

    def test_failed_service_messages_are_given_back(self):
        self.env["member.service.message"]._enqueue(
            self.gateway,
            "odoo",
            [{"address": self.profiles[0].phone, "body": "Hi"}],
        )
        self.send(lambda _m: Outcome.BADNUM)
        self.assertEqual(self.get_used(), (0, 0))

    def test_what_waited_long_has_a_valid_coupon(self):
        self.gateway.month_quota = 100
        campaign = self.write_to(
            templates=self.template, program_id=self.program.id, coupon_days=10
        )
        self.send(lambda _m: Outcome.PAUSE)
        messages = self.get_messages(campaign)
        cards = messages.card_id
        self.assertEqual(len(cards), 10)
        with freeze_time(NOON + timedelta(days=20)):
            self.gateway.with_user(self.manager).action_activate()
            self.assertEqual(len(self.send()), 10)
            today = fields.Date.context_today(campaign)
        self.assertEqual(messages.card_id, cards)
        self.assertEqual(set(cards.mapped("expiration_date")), {today + timedelta(10)})

    # ------------------------------------------------------------- what people see

    def test_forecast(self):
        self.policy.month_quota = 10
        campaign = self.make_campaign(
            self.profiles, self.texts["promotion"], program_id=False
        )
        self.assertIn(
            "Needs about 10 SMS, only 7 are left for promotions and content in May",
            campaign.forecast,
        )
        self.assertIn("waits for the next month", campaign.forecast_warning)
        self.policy.month_quota = 1000
        campaign.invalidate_recordset()
        self.assertIn("10 of the 700 SMS", campaign.forecast)
        self.assertFalse(campaign.forecast_warning)
        self.policy.month_quota = 0
        campaign.invalidate_recordset()
        self.assertNotIn("Needs about", campaign.forecast)

    def test_forecast_of_care_and_of_another_month(self):
        self.policy.month_quota = 10
        self.write_to(self.profiles[:5])
        self.send()
        campaign = self.make_campaign(
            self.profiles, self.texts["care"], program_id=False, category="care"
        )
        self.assertIn("10 SMS, only 5 are left in May 2031", campaign.forecast)
        campaign.write({"schedule_type": "date", "scheduled_date": "2031-06-01 04:00"})
        self.assertIn("10 of the 10 SMS left in June 2031", campaign.forecast)

    def test_why_it_waits(self):
        self.policy.month_quota = 10
        campaign = self.write_to()
        self.assertFalse(campaign.wait_reason)
        self.send()
        campaign.invalidate_recordset()
        self.assertIn("Promotions have used their share", campaign.wait_reason)
        self.assertIn("06/01/2031", campaign.wait_reason)
        self.assertEqual(
            campaign.action_view_quota()["res_model"], "member.send.policy"
        )
        self.gateway.month_quota = 1
        self.assertEqual(campaign.action_view_quota()["res_model"], "member.gateway")
        with freeze_time(NOON + timedelta(hours=1)):
            queue = self.env["member.queue"].with_user(self.staff)
            [row] = queue.search([("gateway_id", "=", self.gateway.id)])
            self.assertEqual(row.status, "waiting")
            self.assertIn("This month's SMS are used up", row.hint)

    def test_usage(self):
        self.write_to(self.profiles[:4])
        self.write_to(self.profiles[:2], "care")
        self.send()
        gateway = self.gateway.with_user(self.manager)
        policy = self.policy.with_user(self.manager)
        both = "6 SMS, 4 of them promotions and content."
        self.assertEqual(gateway.month_usage, both)
        self.assertEqual(policy.month_usage, both)
        policy.month_quota = 10
        self.assertEqual(
            policy.month_usage,
            f"{both} Left: 4, of which promotions and content may use 3.",
        )
        self.assertEqual(gateway.month_usage, both)

    def test_counted_anew(self):
        """As after an update from a version that did not count."""
        campaign = self.write_to(self.profiles[:4])
        self.write_to(self.profiles[:2], "care")
        self.send()
        self.load.write({"month_count": 0, "month": False})
        campaign.load_ids.sudo().cost = 0
        self.env["member.gateway.load"]._recount()
        self.assertEqual(self.get_used(), (6, 4))
        self.assertEqual(self.load.month, NOON.date().replace(day=1))
        self.assertAlmostEqual(campaign.spent, 0.2)

    def test_staff_set_no_quota(self):
        for record in (self.gateway, self.policy):
            with self.assertRaises(UserError):
                record.with_user(self.staff).month_quota = 5


@tagged("post_install", "-at_install")
class TestShortage(QuotaCase):
    """Who is responsible hears that messages wait for the next month (C4)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gateway.user_id = cls.manager

    def get_activities(self):
        return self.env["mail.activity"].search(
            [("res_model", "=", "member.gateway")], order="id"
        )

    def test_c_4_share_of_promotions_is_used_up(self):
        self.policy.month_quota = 10
        campaign = self.write_to()
        self.assertFalse(self.get_activities())
        self.send()
        [activity] = self.get_activities()
        self.assertEqual(activity.user_id, self.manager)
        self.assertEqual(activity.res_id, self.gateway.id)
        self.assertIn("Promotions have used", activity.summary)
        for part in (f"{campaign.name}: 3 messages", "06/01/2031", "SMS per Month"):
            self.assertIn(part, activity.note)
        self.send()
        self.write_to(category="content")
        self.send()
        self.assertEqual(self.get_activities(), activity, "told once")
        activity.with_user(self.manager).action_feedback()
        with freeze_time(NOON + timedelta(days=1)):
            self.send()
        self.assertFalse(self.get_activities(), "nor again after it was read")

    def test_nobody_is_told_while_nothing_waits(self):
        self.policy.month_quota = 10
        self.write_to(self.profiles[:7])
        self.assertEqual(len(self.send()), 7)
        self.send()
        self.assertFalse(self.get_activities())

    def test_then_all_is_used_up(self):
        self.policy.month_quota = 10
        promotion = self.write_to(name="Sale")
        self.send()
        self.write_to(category="care", name="Birthday")
        self.assertEqual(len(self.send()), 3)
        self.send()
        _share, everything = self.get_activities()
        self.assertIn("SMS are used up", everything.summary)
        self.assertIn("Birthday: 7 messages", everything.note)
        self.assertIn("Sale: 3 messages", everything.note)
        self.assertEqual(promotion.state, "sending")

    def test_all_is_used_up_at_once(self):
        """The share has nothing new to tell then."""
        self.gateway.month_quota = 10
        self.write_to(category="care")
        self.send()
        self.write_to()
        self.send()
        self.write_to(self.profiles[:2], category="notice")
        self.send()
        [activity] = self.get_activities()
        self.assertIn("SMS are used up", activity.summary)

    def test_told_again_in_the_next_month(self):
        self.gateway.month_quota = 5
        self.write_to()
        self.send()
        with freeze_time(datetime(2031, 6, 2, 4)):
            self.assertEqual(len(self.send()), 3)
            self.send()
        self.assertEqual(len(self.get_activities()), 2)
        self.assertIn("07/01/2031", self.get_activities()[-1].note)

    def test_told_again_when_a_raised_limit_is_used_up(self):
        self.gateway.month_quota = 5
        self.write_to()
        self.send()
        self.gateway.with_user(self.manager).month_quota = 8
        self.assertEqual(len(self.send()), 2)
        self.send()
        self.assertEqual(len(self.get_activities()), 2)

    def test_too_long_for_what_is_left(self):
        self.gateway.month_quota = 8
        self.write_to(templates=self.long)
        self.assertEqual(len(self.send()), 1)
        [activity] = self.get_activities()
        self.assertIn("9 messages", activity.note)

    def test_gateways_of_a_company_tell_once(self):
        other = self.gateway.copy({"name": "Other"})
        self.policy.month_quota = 10
        self.write_to(gateway_id=other.id)
        self.write_to()
        self.send()
        self.assertEqual(len(self.get_activities()), 1)

    def test_own_limits_tell_one_by_one(self):
        other = self.gateway.copy({"name": "Other"})
        for gateway in (self.gateway, other):
            gateway.month_quota = 5
            self.write_to(gateway_id=gateway.id)
        self.send()
        self.assertEqual(
            set(self.get_activities().mapped("res_id")), {self.gateway.id, other.id}
        )

    def test_sms_of_other_applications(self):
        self.gateway.month_quota = 3
        self.env["member.service.message"]._enqueue(
            self.gateway,
            "odoo",
            [
                {"address": number, "body": "Hi"}
                for number in self.profiles.mapped("phone")
            ],
        )
        self.send()
        [activity] = self.get_activities()
        self.assertIn("SMS of other applications: 7", activity.note)

    def test_what_the_end_of_the_offer_drops(self):
        self.gateway.month_quota = 5
        self.write_to(not_after_date=NOON + timedelta(days=2))
        self.send()
        self.assertRegex(self.get_activities().note, "dropped if not sent by .*5/16/31")

    def test_what_waits_for_something_else_is_not_told(self):
        self.policy.month_quota = 10
        self.write_to()
        self.gateway._stop_promotions("Complaints")
        self.load.write(
            {
                "month": NOON.date().replace(day=1),
                "month_count": 7,
                "month_advertising_count": 7,
            }
        )
        self.send()
        self.assertFalse(self.get_activities())


@tagged("post_install", "-at_install")
class TestEndOfOffer(QuotaCase):
    """Whatever a message waits for, it does not wait beyond the end of the offer."""

    def setUp(self):
        super().setUp()
        self.campaign = self.write_to(
            templates=self.template,
            program_id=self.program.id,
            not_after_date=NOON + timedelta(hours=2),
        )

    def assert_expired(self, count=10):
        """They wait until the end, and not until the next day."""
        with freeze_time(NOON + timedelta(hours=1)):
            self.assertFalse(self.send())
        self.assertEqual(self.count(self.campaign, "queued"), count)
        with freeze_time(NOON + timedelta(hours=3)):
            self.assertFalse(self.send())
        expired = self.get_messages(self.campaign, state="skipped")
        self.assertEqual(expired.mapped("reason"), ["expired"] * count)
        self.assertEqual(self.campaign.state, "done")
        return expired

    def test_messages_of_the_day_are_used_up(self):
        self.gateway.daily_limit = 4
        self.assertEqual(len(self.send()), 4)
        self.assert_expired(6)

    def test_account_is_closed(self):
        """The coupons of what was tried are nobody's."""
        self.send(lambda _message: Outcome.PAUSE)
        expired = self.assert_expired()
        self.assertEqual(len(expired.card_id), 10)
        self.assertEqual(set(expired.card_id.mapped("active")), {False})

    def test_provider_does_not_answer(self):
        self.load.write(
            {"failure_count": 99, "rest_until_date": NOON + timedelta(days=1)}
        )
        self.assert_expired()

    def test_promotions_are_stopped(self):
        self.gateway._stop_promotions("Complaints")
        self.assert_expired()

    def test_all_sending_is_stopped(self):
        self.policy.action_stop_all()
        self.assert_expired()

    def test_paused_campaign_keeps_what_it_has(self):
        """Somebody may give it more time before it goes on."""
        self.campaign.action_pause()
        with freeze_time(NOON + timedelta(hours=3)):
            self.send()
        self.assertEqual(self.count(self.campaign, "queued"), 10)


@tagged("post_install", "-at_install")
class TestBudget(QuotaCase):
    """What a campaign may cost; a message costs 0.05 here."""

    def test_not_launched_above_its_budget(self):
        campaign = self.make_campaign(
            self.profiles, self.texts["promotion"], program_id=False, budget=0.49
        )
        with self.assertRaisesRegex(UserError, "about.*0.50.*raise the"):
            campaign.with_user(self.staff).action_request_review()
        campaign.budget = 0.5
        campaign.with_user(self.staff).action_request_review()
        campaign.with_user(self.manager).action_launch()
        self.assertEqual(campaign.state, "scheduled")

    def test_who_is_left_out_costs_nothing(self):
        self.make_members(1, is_granted=False)
        everybody = self.profiles | self.make_members(5, is_granted=False)
        campaign = self.write_to(everybody, budget=0.5)
        self.assertEqual(len(self.send()), 10)
        self.assertEqual(campaign.state, "done")

    def test_pauses_before_its_budget_is_passed(self):
        campaign = self.write_to(budget=0.5, user_id=self.staff.id)
        self.gateway.price = 0.15
        self.assertEqual(len(self.send()), 3)
        self.assertEqual(campaign.state, "paused")
        self.assertIn("0.45", campaign.pause_reason)
        self.assertAlmostEqual(campaign.spent, 0.45)
        self.assertEqual(self.count(campaign, "queued"), 7)
        [activity] = campaign.activity_ids
        self.assertEqual(activity.user_id, self.staff)
        self.assertIn("Raise the budget", activity.note)
        self.assertFalse(self.send())
        self.assertEqual(self.get_used(), (3, 3), "what waits is not counted")

    def test_raised_budget(self):
        campaign = self.write_to(budget=0.5)
        self.gateway.price = 0.15
        self.send()
        with self.assertRaisesRegex(UserError, "used up"):
            campaign.action_resume()
        with self.assertRaisesRegex(UserError, "Only a messaging manager"):
            campaign.with_user(self.staff).budget = 5
        campaign.budget = 5
        campaign.action_resume()
        self.assertEqual(len(self.send()), 7)
        self.assertEqual(campaign.state, "done")
        self.assertAlmostEqual(campaign.spent, 1.5)

    def test_what_has_not_left_costs_nothing(self):
        campaign = self.write_to(budget=0.5)
        self.send(lambda _m: Outcome.BADNUM)
        self.assertAlmostEqual(campaign.spent, 0)
        self.assertEqual(campaign.state, "done")

    def test_other_campaigns_go_on(self):
        poor = self.write_to(budget=0.5)
        self.gateway.price = 0.15
        rich = self.write_to()
        self.assertEqual(len(self.send()), 13)
        self.assertEqual(poor.state, "paused")
        self.assertEqual(rich.state, "done")

    def test_0_is_no_limit(self):
        campaign = self.write_to(budget=0)
        self.gateway.price = 100
        self.assertEqual(len(self.send()), 10)
        self.assertAlmostEqual(campaign.spent, 1000)
        self.assertFalse(campaign.copy().spent)
