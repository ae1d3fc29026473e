from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestSegment(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(4, city="Hangzhou")

    def make_own_segment(self, domain, **values):
        """A segment as staff create it."""
        return (
            self.env["member.segment"]
            .with_user(self.staff)
            .create({"name": "Ours", "domain": str(domain), **values})
        )

    def get_members(self, segment):
        action = segment.action_view_members()
        return (
            self.env[action["res_model"]].with_user(self.staff).search(action["domain"])
        )

    def test_only_members_are_counted_and_listed(self):
        self.make_partners(1, city="Hangzhou")
        segment = self.make_own_segment([("city", "=", "Hangzhou")])
        self.assertEqual(segment.member_count, 4)
        self.assertEqual(self.get_members(segment), self.profiles.sorted("id", True))
        self.profiles[0].partner_id.active = False
        segment.invalidate_recordset()
        self.assertEqual(segment.member_count, 3)

    def test_dates_move_with_the_calendar(self):
        for profile, days in zip(self.profiles, (10, 89, 91, 300), strict=True):
            self.sell(profile.partner_id, days=days)
        self.env["member.profile"].with_user(self.staff).action_refresh()
        segment = self.make_own_segment(
            [
                ("city", "=", "Hangzhou"),
                ("member_last_order_date", "<", "today -90d"),
            ]
        )
        self.assertEqual(segment.member_count, 2)

    def test_excluded_members(self):
        one, two = (self.make_segment(profile) for profile in self.profiles[:2])
        inner = self.make_segment(self.profiles[:3], exclude_ids=two.ids)
        self.assertEqual(self.get_members(inner), self.profiles[2] | self.profiles[0])
        outer = self.make_segment(
            self.profiles, exclude_ids=[Command.set((inner | one).ids)]
        )
        self.assertEqual(self.get_members(outer), self.profiles[3] | self.profiles[1])
        self.assertEqual(outer.member_count, 2)

    def test_segments_cannot_exclude_one_another(self):
        one = self.make_segment(self.profiles)
        two = self.make_segment(self.profiles, exclude_ids=one.ids)
        for excluded in (one, two):
            with (
                self.subTest(excluded=excluded),
                self.assertRaisesRegex(ValidationError, "cannot exclude itself"),
            ):
                one.exclude_ids = [Command.link(excluded.id)]

    def test_unreadable_conditions_are_refused_by_name(self):
        for domain in (
            "[('city', '=', ",
            "city is Hangzhou",
            "[('no_such_field', '=', 1)]",
            "[('city', 'resembles', 'Hangzhou')]",
            "[('city', '=')]",
            "__import__('os').getcwd()",
            "42",
        ):
            with (
                self.subTest(domain=domain),
                self.assertRaisesRegex(ValidationError, "segment Ours cannot be read"),
            ):
                self.make_own_segment(domain)

    def test_field_that_has_gone_since(self):
        """The lists stay usable, and the campaign says what is wrong."""
        segment = self.make_segment(self.profiles, name="Outdated")
        campaign = self.make_campaign(
            self.profiles, segment_ids=[Command.set(segment.ids)]
        )
        self.env.cr.execute(
            "UPDATE member_segment SET domain = %s WHERE id = %s",
            ("[('x_gone', '=', 1)]", segment.id),
        )
        self.env.invalidate_all()
        self.assertEqual(segment.with_user(self.staff).member_count, 0)
        self.assertEqual(campaign.audience_count, 0)
        with self.assertRaisesRegex(UserError, "segment Outdated cannot be read"):
            campaign.action_request_review()

    def test_other_company(self):
        company, stranger = self.make_other_company()
        segment = self.make_own_segment([("city", "=", "Hangzhou")])
        self.assertEqual(segment.company_id, self.company)
        self.profiles[0].partner_id.company_id = company
        self.profiles[1].partner_id.company_id = self.company
        # as the cron that plans sees it: everything
        self.assertEqual(
            self.env["member.segment"].browse(segment.id).sudo().member_count, 3
        )
        with self.assertRaises(AccessError):
            segment.with_user(stranger).read(["name"])
        theirs = (
            self.env["member.segment"]
            .with_user(stranger)
            .create({"name": "Theirs", "domain": "[('city', '=', 'Hangzhou')]"})
        )
        self.assertEqual(theirs.company_id, company)
        self.assertEqual(theirs.member_count, 3)
        self.assertNotIn(
            self.profiles[1],
            self.env["member.profile"]
            .with_user(stranger)
            .search(theirs.action_view_members()["domain"]),
        )

    def test_joined_since(self):
        today = fields.Date.context_today(self.profiles)
        self.profiles[0].joined_date = fields.Date.subtract(today, days=40)
        segment = self.make_own_segment(
            [("city", "=", "Hangzhou"), ("member_joined_date", ">=", "today -30d")]
        )
        self.assertEqual(segment.member_count, 3)
