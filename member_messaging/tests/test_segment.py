from datetime import timedelta

from psycopg2.errors import CheckViolation

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import freeze_time, tagged
from odoo.tools import mute_logger

from ..models import member_campaign_create
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
        segment.domain = str(
            [("city", "=", "Hangzhou"), ("active", "in", [True, False])]
        )
        self.assertEqual(segment.member_count, 3, "nobody writes to archived contacts")
        self.assertEqual(
            self.get_members(segment), self.profiles[1:].sorted("id", True)
        )

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

    def test_included_segments(self):
        first, second, third, last = self.profiles
        ab = self.make_segment(first | second)
        bc = self.make_segment(second | third)
        # without conditions: everybody of any of them
        union = self.make_own_segment([], include_ids=(ab | bc).ids)
        self.assertEqual(self.get_members(union), third | second | first)
        self.assertEqual(union.member_count, 3)
        # with conditions: both must hold
        narrow = self.make_segment(second | last, include_ids=(ab | bc).ids)
        self.assertEqual(self.get_members(narrow), second)
        # what is excluded wins
        mixed = self.make_own_segment([], include_ids=(ab | bc).ids, exclude_ids=ab.ids)
        self.assertEqual(self.get_members(mixed), third)

    def test_used_segments_keep_their_effect(self):
        """Archiving or deleting one never lets more people in."""
        inner = self.make_segment(self.profiles[0])
        including = self.make_segment(self.profiles, include_ids=inner.ids)
        excluding = self.make_segment(self.profiles, exclude_ids=inner.ids)
        inner.with_user(self.staff).action_archive()
        self.env.invalidate_all()
        self.assertEqual(including.member_count, 1)
        self.assertEqual(excluding.member_count, 3)
        with self.assertRaisesRegex(UserError, "select other members.*Chosen, Chosen"):
            inner.with_user(self.staff).unlink()
        (including | excluding | inner).with_user(self.staff).unlink()

    def test_a_segment_is_no_part_of_itself(self):
        one, two, three = (
            self.make_segment(self.profiles, name=name)
            for name in ("One", "Two", "Three")
        )
        two.include_ids = one.ids
        three.exclude_ids = two.ids
        for field in ("include_ids", "exclude_ids"):
            for part, circle in (
                (one, "One → One"),
                (two, "Two → One → Two"),
                (three, "Three → Two → One → Three"),
            ):
                with (
                    self.subTest(part=part.name, field=field),
                    self.assertRaisesRegex(
                        ValidationError, "cannot be a part of itself: "
                    ) as caught,
                    self.env.cr.savepoint(),
                ):
                    one[field] = [Command.link(part.id)]
                names = str(caught.exception).split(": ")[1].split(" → ")
                self.assertEqual(names[0], names[-1])
                self.assertEqual(len(names), len(circle.split(" → ")))
                self.assertEqual(set(names), set(circle.split(" → ")))
                self.env.invalidate_all()

    def test_halves_of_a_circle_saved_at_the_same_time(self):
        one, two = self.make_segment(self.profiles), self.make_segment(self.profiles)
        two.include_ids = one.ids
        self.env.flush_all()
        self.env.cr.execute(
            "INSERT INTO member_segment_exclude_rel VALUES (%s, %s)", (one.id, two.id)
        )
        self.env.invalidate_all()
        self.assertIn("cannot be a part of itself", one.error)
        self.assertEqual(one.member_count, 0)

    def test_too_many_levels(self):
        segment = self.make_segment(self.profiles)
        for _level in range(4):
            segment = self.make_segment(self.profiles, include_ids=segment.ids)
        self.assertEqual(segment.member_count, 4)
        with self.assertRaisesRegex(ValidationError, "at most 5 levels"):
            self.make_segment(self.profiles, exclude_ids=segment.ids)

    def test_too_many_parts(self):
        parts = self.make_segment(self.profiles)
        for _index in range(24):
            parts |= parts[0].copy()
        half = self.make_segment(self.profiles, include_ids=parts.ids)
        self.assertEqual(half.member_count, 4)
        with self.assertRaisesRegex(ValidationError, "and 50 segments"):
            self.make_segment(
                self.profiles, include_ids=half.ids, exclude_ids=parts.ids
            )
        # the limit also holds for those that use a segment
        whole = self.make_segment(self.profiles, include_ids=half.ids)
        self.assertEqual(whole.member_count, 4)
        with self.assertRaisesRegex(ValidationError, "and 50 segments"):
            half.exclude_ids = parts.ids

    def test_unreadable_conditions_are_refused_by_name(self):
        for domain in (
            "[('city', '=', ",
            "city is Hangzhou",
            "[('no_such_field', '=', 1)]",
            "[('city', 'resembles', 'Hangzhou')]",
            "[('city', '=')]",
            "__import__('os').getcwd()",
            "42",
            "[('member_order_count', '>', 'many')]",
            "[('member_last_order_date', '<', 'long ago')]",
            "[('member_birthday_month', '=', 'Maytember')]",
            "[('member_profile_id.member_reach', '=', 'segment/1/sms/promotion/lost')]",
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
        self.assertIn("segment Outdated cannot be read", segment.error)
        self.assertIn("x_gone", segment.error)
        self.assertEqual(campaign.audience_count, 0)
        user = self.make_own_segment([], include_ids=segment.ids)
        self.assertIn("segment Outdated cannot be read", user.error)
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

    # -------------------------------------------------------------- member fields

    def make_born(self, *birthdays):
        for profile, birthday in zip(self.profiles, birthdays, strict=True):
            profile.birthday = birthday

    def find(self, *conditions):
        """:returns: positions of the members who meet the conditions"""
        found = self.env["res.partner"].search([("city", "=", "Hangzhou"), *conditions])
        return [
            index
            for index, profile in enumerate(self.profiles)
            if profile.partner_id in found
        ]

    def test_days_since_the_last_order(self):
        for profile, days in zip(self.profiles[:3], (3, 4, 60), strict=True):
            self.sell(profile.partner_id, days=days)
        self.env["member.profile"].with_user(self.staff).action_refresh()
        field = "member_days_since_order"
        self.assertEqual(
            self.profiles.partner_id.mapped(field),
            [3, 4, 60, 0],
        )
        for operator, value, expected in (
            (">=", 4, [1, 2]),
            (">", 4, [2]),
            ("<", 4, [0]),
            ("<=", 4, [0, 1]),
            ("=", 4, [1]),
            ("!=", 4, [0, 2, 3]),
            ("in", [3, 60], [0, 2]),
            ("=", 0, []),
            ("=", False, [3]),
            ("!=", False, [0, 1, 2]),
        ):
            with self.subTest(operator=operator, value=value):
                self.assertEqual(self.find((field, operator, value)), expected)
        with freeze_time(fields.Datetime.now() + timedelta(days=1)):
            self.assertEqual(self.find((field, ">=", 4)), [0, 1, 2])

    @freeze_time("2027-12-30 12:00:00")
    def test_month_of_the_birthday(self):
        self.make_born("1990-12-01", "1985-01-31", "2000-02-29", False)
        field = "member_birthday_month"
        self.assertEqual(
            self.profiles.partner_id.mapped(field), ["12", "1", "2", False]
        )
        for operator, value, expected in (
            ("=", "this", [0]),
            ("=", "next", [1]),
            ("in", ["this", "2"], [0, 2]),
            ("!=", "this", [1, 2, 3]),
            ("=", False, [3]),
            ("!=", False, [0, 1, 2]),
        ):
            with self.subTest(operator=operator, value=value):
                self.assertEqual(self.find((field, operator, value)), expected)
        segment = self.make_own_segment(
            [("city", "=", "Hangzhou"), (field, "=", "this")]
        )
        self.assertEqual(self.get_members(segment), self.profiles[0])
        with freeze_time("2028-01-15 12:00:00"):
            self.assertEqual(self.get_members(segment), self.profiles[1])

    def test_today_is_the_shop_s(self):
        self.make_born("1990-12-01", "1990-11-30", "1990-01-01", False)
        self.company.partner_id.tz = "Asia/Shanghai"
        with freeze_time("2026-11-30 16:30:00"):
            self.assertEqual(self.find(("member_birthday_month", "=", "this")), [0])
            self.assertEqual(self.find(("member_next_birthday_days", "=", 0)), [0])

    @freeze_time("2027-02-25 04:00:00")
    def test_days_until_the_birthday(self):
        self.make_born("1990-02-25", "2000-02-29", "1999-02-24", False)
        field = "member_next_birthday_days"
        self.assertEqual(self.profiles.partner_id.mapped(field), [0, 3, 364, 0])
        for operator, value, expected in (
            ("<=", 3, [0, 1]),
            ("<", 3, [0]),
            (">", 3, [2]),
            ("=", 0, [0]),
            ("!=", 0, [1, 2, 3]),
            ("in", [3, 364], [1, 2]),
            ("=", False, [3]),
        ):
            with self.subTest(operator=operator, value=value):
                self.assertEqual(self.find((field, operator, value)), expected)

    # ----------------------------------------------------------------- ready-made

    def test_ready_made_segments_can_be_used(self):
        starters = (
            self.env["ir.model.data"]
            .search(
                [("module", "=", "member_messaging"), ("model", "=", "member.segment")]
            )
            .mapped("res_id")
        )
        segments = self.env["member.segment"].browse(starters).exists()
        self.assertGreaterEqual(len(segments), 13)
        self.assertEqual(segments.filtered("error").mapped("name"), [])
        names = segments.filtered("member_count").mapped("name")
        self.assertIn("All Members", names)
        self.assertIn("Prospects", names)

    def test_suggested_segments(self):
        tea, coffee = self.env["product.category"].create(
            [{"name": "Green Tea"}, {"name": "Arabica"}]
        )
        profiles = self.profiles | self.make_members(1)
        profiles.favourite_category_id = tea
        profiles[:4].partner_id.state_id = self.env.ref("base.state_cn_ZJ")
        self.make_members(4).favourite_category_id = coffee
        action = self.env["member.segment"].with_user(self.staff).action_suggest()
        self.assertIn("Interest: Green Tea", action["params"]["message"])
        segment = self.env["member.segment"].search(
            [("name", "=", "Interest: Green Tea")]
        )
        self.assertEqual(self.get_members(segment), profiles.sorted("id", True))
        self.assertFalse(
            self.env["member.segment"].search([("name", "like", "Arabica")]),
            "four members are too few",
        )
        action = self.env["member.segment"].with_user(self.staff).action_suggest()
        self.assertIn("has its segment", action["params"]["message"])

    # -------------------------------------------------------------- control group

    def test_campaign_takes_the_largest_control_group(self):
        ten, five, none = (
            self.make_segment(self.profiles, holdout_rate=rate) for rate in (10, 5, 0)
        )
        campaign = self.make_campaign(
            self.profiles, segment_ids=[Command.set((five | ten).ids)]
        )
        self.assertEqual(campaign.holdout_rate, 10)
        campaign.holdout_rate = 2
        self.assertEqual(campaign.holdout_rate, 2)
        ten.holdout_rate = 50
        self.assertEqual(campaign.holdout_rate, 2, "a segment changes no campaign")
        campaign.segment_ids = none
        self.assertEqual(campaign.holdout_rate, 2)
        own = self.make_campaign(
            self.profiles, segment_ids=[Command.set(ten.ids)], holdout_rate=1
        )
        self.assertEqual(own.holdout_rate, 1)
        for rate in (-1, 100):
            with (
                self.assertRaises(CheckViolation),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                none.holdout_rate = rate
                none.flush_recordset()

    # ------------------------------------------------------------- send to these

    def get_campaign(self, action):
        action = action.get("params", {}).get("next", action)
        self.assertEqual(action["res_model"], "member.campaign")
        return self.env["member.campaign"].browse(action["res_id"])

    def run_action(self, name, records, **context):
        """As from the action menu of the list."""
        return (
            self.env.ref(f"member_messaging.{name}")
            .with_user(self.staff)
            .with_context(
                active_model=records._name,
                active_ids=records.ids,
                active_id=records[:1].id,
                **context,
            )
            .run()
        )

    def test_campaign_to_chosen_members(self):
        action = self.run_action("member_profile_action_campaign", self.profiles[:2])
        campaign = self.get_campaign(action)
        self.assertRecordValues(
            campaign,
            [{"state": "draft", "audience_count": 2, "create_uid": self.staff.id}],
        )
        segment = campaign.segment_ids
        self.assertEqual(segment.fixed_count, 2)
        self.make_members(1, city="Hangzhou")
        self.assertEqual(
            self.get_members(segment), self.profiles[:2].sorted("id", True)
        )

    def test_campaign_to_chosen_contacts(self):
        """Who is no member is left out, not enrolled."""
        company, _stranger = self.make_other_company()
        self.staff.company_ids += company
        partners = self.profiles[:2].partner_id | self.make_partners(2)
        self.profiles[1].partner_id.company_id = company
        action = self.run_action("res_partner_action_campaign", partners)
        self.assertIn("3 of 4 are left out", action["params"]["message"])
        self.assertEqual(self.get_campaign(action).audience_count, 1)
        self.assertFalse(partners[2:].member_profile_id)
        with self.assertRaisesRegex(UserError, "None of them is a member"):
            self.run_action("res_partner_action_campaign", partners[2:])

    def test_campaign_to_a_big_filter(self):
        """The browser hands over the first of them, and the filter."""
        self.patch(member_campaign_create, "MAX_CHOSEN", 2)
        for name, records in (
            ("member_profile_action_campaign", self.profiles),
            ("res_partner_action_campaign", self.profiles.partner_id),
        ):
            city = "city" if records._name == "res.partner" else "partner_id.city"
            with self.subTest(name):
                action = self.run_action(
                    name, records[:3], active_domain=[[city, "=", "Hangzhou"]]
                )
                campaign = self.get_campaign(action)
                self.assertEqual(campaign.audience_count, 4)
                self.assertEqual(campaign.segment_ids.fixed_count, 0)
                with self.assertRaisesRegex(UserError, "at most 2"):
                    self.run_action(name, records[:3])
                # a picture of reach is no condition of a segment
                if name.startswith("member"):
                    with self.assertRaisesRegex(UserError, "cannot be read"):
                        self.run_action(
                            name,
                            records[:3],
                            active_domain=[
                                [
                                    "member_reach",
                                    "=",
                                    f"campaign/{campaign.id}/reachable",
                                ]
                            ],
                        )
