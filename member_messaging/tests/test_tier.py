from contextlib import nullcontext

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_order_profile import OrderProfileCommon


@tagged("post_install", "-at_install")
class TestTier(OrderProfileCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.silver | cls.gold).write({"validity_days": 100, "grace_days": 20})
        cls.vip = cls.env["member.tier"].create(
            {
                "name": "VIP",
                "sequence": 4,
                "min_revenue": 2000,
                "min_orders": 3,
                "validity_days": 100,
                "grace_days": 20,
            }
        )
        cls.today = fields.Date.today()
        cls.env["member.profile"]._refresh()

    def refresh_in(self, days):
        """Let the nightly refresh run so many days from now."""
        now = fields.Datetime.add(fields.Datetime.now(), days=days)
        self.env["member.profile"].with_user(self.staff)._refresh(now=now)

    def get_history(self, profile=None):
        """:returns: kind, tier before and tier of each change, oldest first"""
        return [
            (change.kind, change.previous_tier_id, change.tier_id)
            for change in (profile or self.profile)
            .with_user(self.staff)
            .tier_change_ids.sorted("id")
        ]

    # ------------------------------------------------------------------ up and down

    def test_up_at_once(self):
        self.assertEqual(self.profile.tier_id, self.ordinary)
        self.sell(self.partner, 600)
        self.assertRecordValues(
            self.profile,
            [
                {
                    "tier_id": self.silver.id,
                    "tier_date": self.today,
                    "tier_review_date": fields.Date.add(self.today, days=100),
                }
            ],
        )
        self.assertEqual(self.get_history(), [("upgrade", self.ordinary, self.silver)])
        self.refresh()
        self.assertEqual(len(self.get_history()), 1)

    def test_down_after_review_and_grace_only(self):
        # in the window of a year today, outside of it tomorrow
        self.sell(self.partner, 600, days=364)
        self.sell(self.partner, 10)
        self.profile.action_unlock_tier()
        self.assertEqual(self.profile.tier_id, self.silver)
        for days in (1, 100, 120):
            self.refresh_in(days)
            self.assertEqual(self.profile.tier_id, self.silver, days)
        self.refresh_in(121)
        self.assertEqual(self.profile.tier_id, self.ordinary)
        self.assertEqual(
            self.get_history()[-1], ("downgrade", self.silver, self.ordinary)
        )
        self.assertEqual(self.profile.tier_date, fields.Date.add(self.today, days=121))

    def test_who_still_qualifies_at_the_review_keeps_the_tier_anew(self):
        self.sell(self.partner, 600)
        self.refresh_in(101)
        self.assertRecordValues(
            self.profile,
            [
                {
                    "tier_id": self.silver.id,
                    "tier_date": self.today,
                    "tier_review_date": fields.Date.add(self.today, days=201),
                }
            ],
        )
        self.assertEqual(len(self.get_history()), 1)

    def test_grace_is_for_catching_up(self):
        self.sell(self.partner, 600, days=364)
        self.profile.action_unlock_tier()
        self.refresh_in(110)
        self.sell(self.partner, 700)
        self.refresh_in(130)
        self.assertEqual(self.profile.tier_id, self.silver)
        self.assertGreater(
            self.profile.tier_review_date, fields.Date.add(self.today, days=130)
        )

    def test_what_was_given_back_earns_no_tier(self):
        self.sell(self.partner, 600)
        large = self.sell(self.partner, 3000)
        self.sell(self.partner, 1)
        self.assertEqual(self.profile.tier_id, self.vip)
        large._action_cancel()
        # the tier before comes back with the day it was reached
        self.assertEqual(self.profile.tier_id, self.silver)
        self.assertEqual(
            self.profile.tier_review_date, fields.Date.add(self.today, days=100)
        )
        self.assertEqual(self.get_history()[-1][0], "refund")

    def test_tier_before_comes_back_though_its_orders_are_old(self):
        """A refund takes back what it had earned, and nothing else."""
        self.sell(self.partner, 600, days=364)
        self.profile.action_unlock_tier()
        self.assertEqual(self.profile.tier_id, self.silver)
        now = fields.Datetime.add(fields.Datetime.now(), days=5)
        large = self.sell(self.partner, 2500)
        self.sell(self.partner, 1)
        self.env["member.profile"]._refresh(self.partner.ids, now)
        self.assertEqual(self.profile.tier_id, self.vip)
        large.with_context(disable_cancel_warning=True)._action_cancel()
        self.env["member.profile"]._refresh(self.partner.ids, now)
        self.assertEqual(self.profile.tier_id, self.silver)
        self.assertEqual(self.profile.tier_date, self.today)
        self.refresh_in(122)
        self.assertEqual(self.profile.tier_id, self.ordinary)

    def test_one_of_two_conditions_is_enough(self):
        self.vip.write({"condition": "any", "min_orders": 4})
        for _number in range(4):
            self.sell(self.partner, 1)
        self.assertEqual(self.profile.tier_id, self.vip)

    # ---------------------------------------------------------------------- by hand

    def lock(self, tier, **vals):
        action = self.profile.with_user(self.staff).action_set_tier()
        wizard = (
            self.env["member.tier.lock"]
            .with_user(self.staff)
            .with_context(**action["context"])
            .create({"tier_id": tier.id, "reason": "Guest of the opening", **vals})
        )
        wizard.action_lock()

    def test_tier_by_hand_until_a_day(self):
        self.lock(self.gold, end_date=fields.Date.add(self.today, days=10))
        self.assertEqual(self.profile.tier_id, self.gold)
        [change] = self.profile.tier_change_ids
        self.assertRecordValues(
            change,
            [
                {
                    "kind": "manual",
                    "reason": "Guest of the opening",
                    "user_id": self.staff.id,
                }
            ],
        )
        self.sell(self.partner, 600)
        self.refresh_in(10)
        self.assertEqual(self.profile.tier_id, self.gold)
        self.refresh_in(11)
        self.assertRecordValues(
            self.profile, [{"tier_id": self.silver.id, "tier_locked": False}]
        )
        self.assertEqual(self.get_history()[-1][0], "downgrade")

    def test_unlocked_tier_follows_orders_at_once(self):
        self.lock(self.vip)
        self.refresh_in(1000)
        self.assertEqual(self.profile.tier_id, self.vip)
        self.profile.with_user(self.staff).action_unlock_tier()
        self.assertRecordValues(
            self.profile,
            [
                {
                    "tier_id": self.ordinary.id,
                    "tier_locked": False,
                    "tier_lock_reason": False,
                }
            ],
        )

    def test_tier_by_hand_needs_a_reason_and_a_future(self):
        with self.assertRaises(UserError):
            self.lock(self.gold, end_date=fields.Date.subtract(self.today, days=1))
        with self.assertRaises(ValidationError):
            self.profile.with_user(self.staff).write(
                {"tier_id": self.gold.id, "tier_locked": True}
            )
        self.assertEqual(self.profile.tier_id, self.ordinary)

    def test_history_is_written_by_nobody(self):
        self.lock(self.gold)
        change = self.profile.tier_change_ids
        for user in (self.staff, self.manager):
            with self.assertRaises(AccessError):
                change.with_user(user).write({"kind": "upgrade"})
            with self.assertRaises(AccessError):
                change.with_user(user).unlink()

    # ----------------------------------------------------------------- configuration

    def test_tier_that_nobody_would_have(self):
        tiers = self.env["member.tier"].with_user(self.manager)
        for vals in (
            {"min_revenue": 500},
            {"min_revenue": 100},
            {"min_revenue": 500, "min_orders": 3},
            {"min_revenue": 1999, "min_orders": 4},
        ):
            with self.subTest(**vals), self.assertRaises(ValidationError):
                tiers.create({"name": "Between", "sequence": 5, **vals})
        tiers.create(
            {"name": "Top", "sequence": 5, "min_revenue": 9000, "min_orders": 3}
        )
        with self.assertRaises(ValidationError):
            self.vip.with_user(self.manager).min_revenue = 10_000
        with self.assertRaises(UserError):
            self.vip.with_user(self.staff).min_revenue = 3000

    def test_tiers_with_other_windows_and_conditions(self):
        """A tier is refused if everybody who reaches the one before has reached it."""
        tiers = self.env["member.tier"].with_user(self.manager)
        tiers.search([("sequence", ">", 1)]).active = False
        for lower, higher, is_possible in (
            # more time for the same, or for less
            ({"window_days": 30}, {"window_days": 365}, False),
            ({"window_days": 30}, {"window_days": 0, "min_revenue": 9000}, False),
            ({"window_days": 365}, {"window_days": 30}, True),
            ({"window_days": 30}, {"window_days": 90, "min_revenue": 20_000}, True),
            # one of two is enough
            ({}, {"condition": "any", "min_revenue": 9000}, False),
            ({}, {"condition": "any", "min_revenue": 20_000, "min_orders": 9}, True),
            ({"min_orders": 9}, {"condition": "any", "min_orders": 5}, False),
            ({"min_orders": 9, "condition": "any"}, {"min_orders": 5}, True),
            ({"condition": "any"}, {"min_revenue": 9000}, False),
        ):
            with self.subTest(lower=lower, higher=higher):
                common = {"min_revenue": 10_000}
                lowest = tiers.create(
                    {"name": "Lower", "sequence": 5, **common, **lower}
                )
                refused = (
                    nullcontext() if is_possible else self.assertRaises(ValidationError)
                )
                with refused:
                    tiers.create({"name": "Higher", "sequence": 6, **common, **higher})
                tiers.search([("sequence", "=", 6)]).unlink()
                lowest.unlink()

    def test_company_may_have_a_tier_in_between(self):
        company, _stranger = self.make_other_company()
        tiers = self.env["member.tier"]
        theirs = {"name": "Theirs", "sequence": 3, "company_id": company.id}
        tiers.create({**theirs, "min_revenue": 900, "min_orders": 3})
        shared = {**theirs, "name": "Everybody's", "company_id": False}
        with self.assertRaises(ValidationError):
            tiers.create({**shared, "min_revenue": 800, "min_orders": 3})
        tiers.create({**shared, "min_revenue": 950, "min_orders": 3})

    # -------------------------------------------------------------- what is missing

    def test_way_to_the_next_tier(self):
        self.assertEqual(self.profile.next_tier_id, self.silver)
        self.sell(self.partner, 125)
        self.sell(self.partner, 5000, days=400)
        profile = self.profile.with_user(self.staff)
        profile.invalidate_recordset()
        self.refresh()
        self.assertEqual(profile.next_tier_progress, 25)
        self.assertIn("375", profile.next_tier_hint)
        self.sell(self.partner, 375)
        self.assertEqual(profile.tier_id, self.silver)
        profile.invalidate_recordset()
        self.assertEqual(profile.next_tier_id, self.gold)
        self.assertAlmostEqual(profile.next_tier_progress, 200 / 3)
        self.assertEqual(profile.next_tier_hint, "1 more orders")
        self.lock(self.vip)
        profile.invalidate_recordset()
        self.assertFalse(profile.next_tier_id)
        self.assertEqual(profile.next_tier_progress, 100)

    def test_way_of_many_costs_no_more(self):
        profiles = self.make_members(6).with_user(self.staff)
        one, many = profiles[:1], profiles[1:]

        def read(chosen):
            self.env.invalidate_all()
            chosen.mapped("next_tier_progress")

        read(one)
        few = self.count_queries(lambda: read(one))
        self.assertEqual(self.count_queries(lambda: read(many)), few)


@tagged("post_install", "-at_install")
class TestRfm(OrderProfileCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.scale = cls.env.ref("member_messaging.member_rfm_scale_default")

    def fix_scale(self, scale=None, **vals):
        (scale or self.scale).with_user(self.manager).write(
            {
                "method": "fixed",
                **{
                    f"recency_{s}": days
                    for s, days in zip((5, 4, 3, 2), (7, 30, 90, 365), strict=True)
                },
                **{f"frequency_{s}": s - 2 for s in (2, 3, 4, 5)},
                **{f"monetary_{s}": 100 * s for s in (2, 3, 4, 5)},
                **vals,
            }
        )

    def test_fixed_limits(self):
        self.fix_scale()
        self.sell(self.partner, 350, days=20)
        self.sell(self.partner, 100, days=40)
        self.refresh()
        self.assertRecordValues(
            self.profile, [{"r_score": 4, "f_score": 3, "m_score": 4}]
        )
        self.refresh()
        self.assertEqual(self.scale.recency_5, 7, "typed limits stay")
        self.assertRecordValues(
            self.profile,
            [
                {
                    "rfm_segment_id": self.env.ref(
                        "member_messaging.member_rfm_segment_loyal"
                    ).id
                }
            ],
        )

    def test_whom_a_scale_is_for(self):
        scale = self.scale.with_user(self.manager)
        self.assertEqual(scale.display_name, "All Members")
        own = self.env["member.rfm.scale"].create({"company_id": self.company.id})
        scale.invalidate_recordset()
        self.assertEqual(scale.display_name, "All other members")
        self.assertEqual(own.display_name, self.company.name)

    def test_limits_the_wrong_way_round(self):
        for vals in ({"recency_5": 40}, {"frequency_3": 5}, {"monetary_5": 1}):
            with self.subTest(**vals), self.assertRaises(ValidationError):
                self.fix_scale(**vals)

    def test_company_with_a_scale_of_its_own(self):
        company, _stranger = self.make_other_company()
        other = self.make_members(1)
        for partner in (self.partner, other.partner_id):
            self.sell(partner, 350, days=20)
        other.partner_id.company_id = company
        self.fix_scale()
        self.env["member.rfm.scale"].create(
            {"company_id": company.id, "method": "fixed", "recency_2": 10}
        )
        self.refresh()
        self.assertEqual(self.profile.r_score, 4)
        self.assertEqual(other.r_score, 1)
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.env["member.rfm.scale"].create({"company_id": company.id})

    def test_fifths_of_a_company_are_its_own(self):
        company, _stranger = self.make_other_company()
        ours, theirs = self.make_members(5), self.make_members(5)
        for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            self.sell(our.partner_id, 1000 * (index + 1))
            self.sell(their.partner_id, 10 * (index + 1))
            their.partner_id.company_id = company
        scale = self.env["member.rfm.scale"].create({"company_id": company.id})
        self.refresh()
        self.assertEqual(theirs.mapped("m_score"), [1, 2, 3, 4, 5])
        self.assertEqual(scale.buyer_count, 5)
        self.assertEqual(ours[-1].m_score, 5)

    def test_score_explained(self):
        members = self.make_members(4)
        for index, member in enumerate(members):
            for _number in range(index + 1):
                self.sell(member.partner_id, 100, days=18 + 30 * (3 - index))
        self.refresh()
        best = members[-1].with_user(self.staff)
        recency, frequency, monetary = best.rfm_explanation.splitlines()
        self.assertIn(f"R{best.r_score}", recency)
        self.assertIn("18 days ago", recency)
        self.assertIn("75 %", recency)
        self.assertIn("4 orders", frequency)
        self.assertIn("400", monetary)
        worst = members[0].with_user(self.staff)
        self.assertIn(" 0 %", worst.rfm_explanation)
        self.assertFalse(self.profile.rfm_explanation)

    def test_segments_are_named_by_the_shop(self):
        segment = (
            self.env["member.rfm.segment"]
            .with_user(self.manager)
            .create({"name": "Big Spender", "sequence": 1, "m_min": 5})
        )
        self.fix_scale(monetary_5=500)
        self.sell(self.partner, 600)
        self.assertEqual(self.profile.rfm_segment_id, segment)
        segment.active = False
        self.refresh()
        self.assertEqual(
            self.profile.rfm_segment_id,
            self.env.ref("member_messaging.member_rfm_segment_promising"),
        )

    def test_every_score_has_a_name(self):
        """The starter segments leave no member without one."""
        segments = self.env["member.rfm.segment"]._get_all()
        for r in range(1, 6):
            for f in range(1, 6):
                self.assertTrue(
                    segments.filtered(
                        lambda s, r=r, f=f: (
                            s.r_min <= r <= s.r_max
                            and s.f_min <= f <= s.f_max
                            and (s.m_min, s.m_max) == (1, 5)
                        )
                    ),
                    (r, f),
                )

    def test_score_range_the_wrong_way_round(self):
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.env["member.rfm.segment"].create({"name": "X", "r_min": 4, "r_max": 2})
