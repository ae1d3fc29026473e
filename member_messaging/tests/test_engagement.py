import random
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged
from odoo.tools import SQL

from ..demo.orders import Purchase, insert_sale_orders
from ..models import member_engagement, res_company
from ..tools import hours
from .common import MemberMessagingCommon

NOON = datetime(2025, 6, 15, 12)


class EngagementCommon(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.member_industry = "retail"
        cls.now = fields.Datetime.now()

    def act(self, message, event_type, date=None, **values):
        """Let a person, or with ``is_bot`` a machine, do something with a message."""
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": event_type,
                    "date": date or self.now,
                    **values,
                }
            ]
        )

    def move_sent(self, message, date):
        self.env.cr.execute(
            "UPDATE member_message SET sent_date = %s WHERE id = %s",
            (date, message.id),
        )
        message.invalidate_recordset()

    def buy(self, partner, *dates):
        """Sales orders at these moments, in UTC."""
        insert_sale_orders(
            self.env,
            [Purchase(partner.id, date, self.product.id, 1, 10) for date in dates],
        )

    def buy_daily(self, partner, hour, minute=0, days=5, now=None):
        """One sales order a day at the same time in UTC, up to yesterday."""
        day = (now or self.now).replace(hour=hour, minute=minute, second=0)
        self.buy(partner, *(day - timedelta(days=1 + index) for index in range(days)))

    def fold(self, now=None):
        """What the cron does, at a moment of the test's choice."""
        self.env["member.profile"]._fold_engagement(now)

    def assert_hour(self, profile, hour, source="own", count=5):
        self.assertRecordValues(
            profile,
            [
                {
                    "preferred_hour": hour,
                    "preferred_hour_source": source,
                    "preferred_hour_count": count,
                }
            ],
        )


@tagged("post_install", "-at_install")
class TestEngagement(EngagementCommon):
    """How much members do with what they get."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)

    def setUp(self):
        super().setUp()
        self.message = self.make_sent(self.profile)

    def assert_engagement(self, level, count):
        self.run_cron("engagement")
        self.assertRecordValues(
            self.profile, [{"engagement": level, "engagement_count": count}]
        )

    def test_levels(self):
        self.assert_engagement("low", 0)
        self.act(self.message, "opened")
        self.assert_engagement("medium", 1)
        # whoever clicks has opened: still one
        self.act(self.message, "clicked")
        self.assert_engagement("medium", 1)
        self.act(self.message, "replied")
        self.assert_engagement("high", 2)
        self.act(self.message, "redeemed")
        self.assert_engagement("high", 3)

    def test_machines_and_refusals_do_not_count(self):
        self.act(self.message, "clicked", is_bot=True)
        self.act(self.message, "opened", is_bot=True)
        self.act(self.message, "delivered")
        self.act(self.message, "replied", ref="1")
        self.act(self.message, "unsubscribed", ref="1")
        self.assert_engagement("low", 0)
        self.act(self.message, "replied", ref="2")
        self.assert_engagement("medium", 1)

    def test_thirty_days(self):
        month_ago = self.now - timedelta(days=31)
        self.act(self.message, "clicked", month_ago)
        self.assert_engagement("low", 0)
        # an old message says nothing of those who let it lie …
        self.move_sent(self.message, month_ago)
        self.assert_engagement(False, 0)
        # … but a coupon may be used late
        self.act(self.message, "redeemed")
        self.assert_engagement("medium", 1)

    def test_whom_no_message_reached(self):
        self.env.cr.execute(
            "UPDATE member_message SET state = 'failed' WHERE id = %s",
            (self.message.id,),
        )
        self.assert_engagement(False, 0)

    def test_staff_group_and_search_contacts(self):
        others = self.make_members(2, tz="Asia/Shanghai")
        self.act(self.message, "clicked")
        self.buy_daily(others[0].partner_id, 7)
        self.run_cron("engagement")
        contacts = self.env["res.partner"].with_user(self.staff)
        domain = [("member_profile_id", "in", (self.profile | others).ids)]
        self.assertEqual(
            dict(contacts._read_group(domain, ["member_engagement"], ["__count"])),
            {"medium": 1, False: 2},
        )
        self.assertEqual(
            dict(contacts._read_group(domain, ["member_preferred_hour"], ["__count"])),
            {11: 2, 15: 1},
        )
        self.assertEqual(
            contacts.search(domain + [("member_engagement", "=", "medium")]),
            self.profile.partner_id.with_user(self.staff),
        )
        self.assertEqual(
            contacts.search(domain + [("member_preferred_hour", ">", 12)]),
            others[0].partner_id.with_user(self.staff),
        )


@tagged("post_install", "-at_install")
class TestBestHour(EngagementCommon):
    """When members buy, open and click, by their own clock."""

    def test_zone_of_the_contact(self):
        profile = self.make_members(1, tz="America/New_York")
        self.buy_daily(profile.partner_id, 16, now=NOON)
        self.fold(NOON)
        self.assert_hour(profile, 12)

    def test_zone_of_half_an_hour(self):
        profile = self.make_members(1, tz="Asia/Kolkata")
        self.buy_daily(profile.partner_id, 8, 40, days=3, now=NOON)
        self.buy_daily(profile.partner_id, 9, 20, days=3, now=NOON - timedelta(days=30))
        self.fold(NOON)
        # 14:10 and 14:50
        self.assert_hour(profile, 14, count=6)

    def test_day_the_clocks_change(self):
        """Always at two in the afternoon, on both sides of 30 March and on it."""
        profile = self.make_members(1, tz="Europe/Berlin")
        self.buy(
            profile.partner_id,
            datetime(2025, 3, 28, 13, 10),
            datetime(2025, 3, 29, 13, 10),
            *(datetime(2025, 3, 30, 12, 10) + timedelta(days=n) for n in range(4)),
        )
        self.fold(NOON)
        self.assert_hour(profile, 14, count=6)

    def test_where_the_zone_comes_from(self):
        """Contact, country, telephone number, company, and at last UTC."""
        self.company.partner_id.tz = "Asia/Tokyo"
        other, _manager = self.make_other_company()
        other.partner_id.tz = False
        nowhere = {"phone": False, "country_id": False}
        america = {"country_id": self.env.ref("base.us").id}
        for values, hour in (
            ({"tz": "Europe/Berlin"}, 14),
            ({}, 20),
            ({**nowhere, "country_id": self.env.ref("base.in").id}, 17),
            ({**america, "phone": "+1 212 555 0123"}, 8),
            # a number of which nothing is known in a country of many zones
            ({**america, "phone": False, "company_id": self.company.id}, 20),
            ({**nowhere, "company_id": self.company.id}, 20),
            ({**nowhere, "company_id": other.id}, 12),
        ):
            with self.subTest(**values):
                partner = self.make_partners(1, **values)
                profile = self.env["member.profile"].create({"partner_id": partner.id})
                # the other company sells as well, to its own customer
                self.buy_daily(partner, 12, now=NOON)
                self.fold(NOON)
                # Tokyo is nine hours ahead, at nine in the evening nothing is sent
                self.assert_hour(profile, hour)

    def test_a_zone_unknown_to_the_database(self):
        profile = self.make_members(1)
        self.env.cr.execute(
            "UPDATE res_partner SET tz = 'Atlantis/Capital' WHERE id = %s",
            (profile.partner_id.id,),
        )
        self.buy_daily(profile.partner_id, 6, now=NOON)
        self.fold(NOON)
        self.assert_hour(profile, 14)

    def test_nights(self):
        owl, both = self.make_members(2, tz="UTC")
        self.buy_daily(owl.partner_id, 2, now=NOON, days=9)
        self.buy_daily(both.partner_id, 2, now=NOON, days=9)
        self.buy_daily(both.partner_id, 18, now=NOON, days=2)
        self.fold(NOON)
        self.assert_hour(owl, 11, "industry", 0)
        self.assert_hour(both, 18, count=11)

    def test_only_purchases_of_a_year(self):
        profile = self.make_members(1, tz="UTC")
        self.buy_daily(profile.partner_id, 14, now=NOON)
        old = NOON - timedelta(days=370)
        self.buy_daily(profile.partner_id, 17, now=old, days=9)
        # as if bought tomorrow
        self.buy(profile.partner_id, NOON + timedelta(days=1))
        self.fold(NOON)
        self.assert_hour(profile, 14)

    def test_openings_and_clicks(self):
        profile = self.make_members(1, tz="UTC")
        message = self.make_sent(profile)
        self.move_sent(message, self.now - timedelta(days=20))
        for index, event_type in enumerate(
            ["clicked", "opened", "redeemed", "clicked", "opened"]
        ):
            day = (self.now - timedelta(days=1 + index)).replace(hour=16)
            self.act(message, event_type, day)
            self.act(message, "delivered", day.replace(hour=9))
            self.act(message, "clicked", day.replace(hour=9), is_bot=True)
        self.fold(self.now)
        self.assert_hour(profile, 16)

    def test_all_within_an_hour_is_one_fact(self):
        profile = self.make_members(1, tz="UTC")
        message = self.make_sent(profile)
        day = (self.now - timedelta(days=1)).replace(hour=16, minute=0, second=0)
        self.buy(profile.partner_id, day.replace(minute=50), day.replace(minute=55))
        for minute, event_type in enumerate(("opened", "clicked", "redeemed")):
            self.act(message, event_type, day.replace(minute=minute))
            self.act(message, "clicked", day.replace(minute=30 + minute))
        self.fold()
        self.assert_hour(profile, 11, "industry", 0)

    def test_an_answer_at_once_weighs_half(self):
        """Three purchases say more than four clicks right after our messages."""
        for delay, hour in ((30, 17), (240, 9)):
            profile = self.make_members(1, tz="UTC")
            self.buy_daily(profile.partner_id, 17, days=3)
            for days in range(1, 5):
                message = self.make_sent(profile)
                clicked = (self.now - timedelta(days=days)).replace(hour=9, minute=30)
                self.move_sent(message, clicked - timedelta(minutes=delay))
                self.act(message, "clicked", clicked)
            self.fold()
            with self.subTest(delay=delay):
                self.assert_hour(profile, hour, count=7)

    def test_until_there_are_enough_facts(self):
        profile = self.make_members(1, tz="UTC")
        self.buy_daily(profile.partner_id, 15, days=4, now=NOON)
        self.fold(NOON)
        self.assert_hour(profile, 11, "industry", 0)
        settings = self.env["res.config.settings"].create({"member_hour_facts": 4})
        settings.execute()
        self.fold(NOON)
        self.assert_hour(profile, 15, count=4)

    def test_similar_members(self):
        """RFM segment, else life cycle, else line of business."""
        segment, sparse = self.env["member.rfm.segment"].search([], limit=2)
        buyers = self.make_members(3, tz="UTC")
        for buyer in buyers:
            self.buy_daily(buyer.partner_id, 15, days=4, now=NOON)
        similar, stranger, other = self.make_members(3, tz="UTC")
        self.buy_daily(stranger.partner_id, 19, days=2, now=NOON)
        self.set_group(buyers | similar, segment, "active")
        self.set_group(stranger, sparse, "active")
        self.set_group(other, sparse, "lost")
        with patch.object(member_engagement, "MIN_GROUP_FACTS", 13):
            self.fold(NOON)
        # 12 purchases of the segment are too few, 14 of the life cycle are not
        self.assert_hour(similar, 15, "segment", 0)
        self.assert_hour(stranger, 15, "segment", 0)
        self.assert_hour(other, 11, "industry", 0)
        with patch.object(member_engagement, "MIN_GROUP_FACTS", 2):
            self.fold(NOON)
        self.assert_hour(similar, 15, "segment", 0)
        self.assert_hour(stranger, 19, "segment", 0)
        self.assert_hour(other, 19, "segment", 0)
        self.fold(NOON)
        self.assert_hour(similar, 11, "industry", 0)

    def set_group(self, profiles, segment, lifecycle):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE member_profile SET rfm_segment_id = %s, lifecycle = %s"
            " WHERE id IN %s",
            (segment.id, lifecycle, tuple(profiles.ids)),
        )
        profiles.invalidate_recordset()

    def test_line_of_business_of_the_members_company(self):
        company, _manager = self.make_other_company()
        company.member_industry = "office"
        self.env["res.config.settings"].create(
            {"member_industry": "ecommerce"}
        ).execute()
        ours, shared, theirs = self.env["member.profile"].create(
            [
                {"partner_id": self.make_partners(1, company_id=owner).id}
                for owner in (self.company.id, False, company.id)
            ]
        )
        self.run_cron("engagement")
        main_company = self.env["res.company"]._get_main_company()
        self.assert_hour(ours, 21, "industry", 0)
        self.assert_hour(theirs, 12, "industry", 0)
        self.assertEqual(
            shared.preferred_hour,
            hours.INDUSTRIES[main_company.member_industry].hour,
        )

    def test_every_line_of_business_has_a_preset(self):
        self.assertEqual(set(dict(res_company.INDUSTRIES)), set(hours.INDUSTRIES))

    def test_agrees_with_the_rule_in_python(self):
        chance = random.Random(11)
        histograms = {}
        for profile in self.make_members(25, tz="UTC"):
            histogram = [chance.choice((0, 0, 0, 1, 2)) for _hour in range(24)]
            histograms[profile] = histogram
            self.buy(
                profile.partner_id,
                *(
                    NOON.replace(hour=hour) - timedelta(days=1 + index)
                    for hour, count in enumerate(histogram)
                    for index in range(count)
                ),
            )
        self.fold(NOON)
        for profile, histogram in histograms.items():
            hour = hours.pick(histogram, hours.INDUSTRIES["retail"].hours)
            self.assert_hour(profile, hour, count=sum(histogram))


@tagged("post_install", "-at_install")
class TestBestChannel(EngagementCommon):
    """Where members answer."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)
        channels = [("sms", "SMS"), ("email", "Email")]
        cls.startClassPatcher(patch.object(member_engagement, "CHANNELS", channels))

    def send_on(self, channel, amount, answers, days=3):
        """Messages of which the first ``answers`` were clicked."""
        for index in range(amount):
            message = self.make_sent(self.profile)
            self.env.cr.execute(
                "UPDATE member_message SET channel = %s, sent_date = %s WHERE id = %s",
                (channel, self.now - timedelta(days=days), message.id),
            )
            message.invalidate_recordset()
            if index < answers:
                self.act(message, "clicked", self.now - timedelta(days=days - 1))
                # the same message again is the same answer
                self.act(message, "clicked", self.now - timedelta(days=days - 2))

    def agree(self, channel, state="granted"):
        self.env.cr.execute(
            "INSERT INTO member_consent (profile_id, channel, purpose, state, source,"
            " is_current) VALUES (%s, %s, 'promotion', %s, 'staff', TRUE)",
            (self.profile.id, channel, state),
        )

    def assert_channel(self, channel, count):
        self.fold()
        self.assertEqual(
            self.env.execute_query(
                SQL(
                    "SELECT preferred_channel, preferred_channel_count"
                    "  FROM member_profile WHERE id = %s",
                    self.profile.id,
                )
            ),
            [(channel, count)],
        )

    def test_the_only_channel(self):
        self.assert_channel("sms", 0)
        partner = self.profile.partner_id
        partner.email = "member@example.com"
        self.assert_channel(None, 0)
        partner.phone = False
        self.assert_channel("email", 0)
        self.agree("email", "refused")
        self.assert_channel(None, 0)

    def test_largest_share_of_answers(self):
        self.profile.partner_id.email = "member@example.com"
        self.agree("email")
        self.send_on("sms", 5, answers=4)
        self.assert_channel("sms", 4)
        # a single lucky message proves little
        self.send_on("email", 1, answers=1)
        self.assert_channel("sms", 4)
        self.send_on("email", 3, answers=3)
        self.assert_channel("email", 4)

    def test_needs_consent(self):
        self.profile.partner_id.email = "member@example.com"
        self.send_on("sms", 3, answers=1)
        self.send_on("email", 1, answers=1)
        self.assert_channel("sms", 1)
        self.agree("email")
        self.assert_channel("email", 1)
        self.env.cr.execute(
            "UPDATE member_consent SET expiry_date = %s WHERE channel = 'email'",
            (self.now.date() - timedelta(days=1),),
        )
        self.assert_channel("sms", 1)

    def test_half_a_year(self):
        self.send_on("sms", 1, answers=1, days=200)
        self.assert_channel("sms", 0)


@tagged("post_install", "-at_install")
class TestNightlyRun(EngagementCommon):
    """Cheap at any number of members."""

    def get_progress(self):
        return self.env["ir.cron.progress"].search(
            [
                (
                    "cron_id",
                    "=",
                    self.env.ref(
                        "member_messaging.ir_cron_member_messaging_engagement"
                    ).id,
                )
            ],
            order="id desc",
            limit=1,
        )

    def test_nothing_changed_nothing_written(self):
        profiles = self.make_members(3)
        self.buy_daily(profiles[0].partner_id, 4)
        self.run_cron("engagement")
        versions = self.get_row_versions(profiles)
        contacts = self.get_row_versions(profiles.partner_id)
        self.run_cron("engagement")
        self.assertEqual(self.get_row_versions(profiles), versions)
        self.buy_daily(profiles[1].partner_id, 4)
        self.run_cron("engagement")
        changed = self.get_row_versions(profiles)
        self.assertEqual(
            [changed[p.id] == versions[p.id] for p in profiles], [True, False, True]
        )
        self.assertEqual(self.get_row_versions(profiles.partner_id), contacts)

    def test_in_several_transactions(self):
        self.run_cron("engagement")
        profiles = self.make_members(5)
        with patch.object(member_engagement, "CHUNK", 2):
            self.run_cron("engagement")
        self.assertEqual(profiles.mapped("preferred_hour_source"), ["industry"] * 5)
        progress = self.get_progress()
        self.assertRecordValues(progress, [{"done": 5, "remaining": 0}])
        self.run_cron("engagement")
        self.assertRecordValues(self.get_progress(), [{"done": 0, "remaining": 0}])

    def test_queries_do_not_grow_with_members(self):
        self.fold()
        counts = []
        for amount in (1, 1, 30):
            profiles = self.make_members(amount, tz="UTC")
            self.make_sent(profiles)
            for profile in profiles:
                self.buy_daily(profile.partner_id, 15)
            counts.append(self.count_queries(self.fold))
            self.assertEqual(set(profiles.mapped("preferred_hour")), {15})
        _warm_up, few, many = counts
        self.assertEqual(few, many)

    def test_as_if_nobody_had_run_it_before(self):
        """The figures are those of the facts, whatever the profile said."""
        profile = self.make_members(1, tz="UTC")
        self.buy_daily(profile.partner_id, 15)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE member_profile SET engagement = 'high', preferred_hour = 3,"
            " preferred_channel_count = 7 WHERE id = %s",
            (profile.id,),
        )
        self.run_cron("engagement")
        self.assert_hour(profile, 15)
        self.assertRecordValues(
            profile, [{"engagement": False, "preferred_channel_count": 0}]
        )
