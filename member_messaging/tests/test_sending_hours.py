from datetime import datetime

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import freeze_time, tagged

from .common import MemberMessagingCommon

#: Shanghai is 8 hours ahead: three in the afternoon, eleven at night, eight the next
#: morning.
AFTERNOON = datetime(2026, 11, 25, 7)
NIGHT = datetime(2026, 11, 25, 15)
MORNING = datetime(2026, 11, 26, 0)


@tagged("post_install", "-at_install")
class TestSendingHours(MemberMessagingCommon):
    """Nobody is advertised to at night (C2)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # the hours the addon comes with
        hours = cls.env["member.sending.hours"].with_context(active_test=False)
        hours.search([]).active = True
        cls.company.partner_id.tz = "Asia/Shanghai"

    def make_people(self, amount, country="base.cn", tz=False, **values):
        return self.make_members(
            amount, country_id=self.env.ref(country).id, tz=tz, **values
        )

    def launch_at(self, moment, profiles, **values):
        """Launch and plan at a moment.

        :returns: the messages
        """
        with freeze_time(moment):
            return self.launch(self.make_campaign(profiles, **values))

    def send_at(self, moment):
        with freeze_time(moment):
            sent = self.send()
        self.env.invalidate_all()
        return sent

    # ------------------------------------------------------------------- planning

    def test_at_day_everybody_is_written_to(self):
        messages = self.launch_at(AFTERNOON, self.make_people(3))
        self.assertEqual(set(messages.mapped("due_date")), {AFTERNOON})
        self.assertEqual(len(self.send_at(AFTERNOON)), 3)

    def test_cn_23_at_night_messages_wait_for_the_morning(self):
        messages = self.launch_at(NIGHT, self.make_people(3))
        self.assertEqual(set(messages.mapped("due_date")), {MORNING})
        self.assertEqual(set(messages.mapped("state")), {"queued"})
        self.assertFalse(self.send_at(NIGHT))
        self.assertEqual(len(self.send_at(MORNING)), 3)

    def test_us_2_the_clock_of_the_recipient_counts(self):
        """When it is afternoon in Shanghai it is night in New York."""
        there = self.make_people(1, "base.us", "America/New_York")
        here = self.make_people(1)
        messages = self.launch_at(AFTERNOON, there | here)
        dues = {m.profile_id: m.due_date for m in messages}
        self.assertEqual(dues[here], AFTERNOON)
        # no state known: of the hours of all states the latest morning, Texas' 9:00
        self.assertEqual(dues[there], datetime(2026, 11, 25, 14))

    def test_us_3_a_state_may_be_stricter(self):
        """A Sunday morning, 9:00 in New York and 8:00 in Dallas."""
        sunday = datetime(2026, 11, 29, 14)
        states = self.env["res.country.state"]
        [texas, york] = [
            states.search([("code", "=", code), ("country_id.code", "=", "US")])
            for code in ("TX", "NY")
        ]
        dallas = self.make_people(1, "base.us", "America/Chicago", state_id=texas.id)
        brooklyn = self.make_people(1, "base.us", "America/New_York", state_id=york.id)
        messages = self.launch_at(sunday, dallas | brooklyn)
        dues = {m.profile_id: m.due_date for m in messages}
        self.assertEqual(dues[brooklyn], sunday)
        self.assertEqual(dues[dallas], datetime(2026, 11, 29, 18))

    def test_number_tells_where_a_contact_without_country_is(self):
        profile = self.make_members(1, tz=False, phone="+1 212 555 0100")
        profile.partner_id.country_id = False
        [message] = self.launch_at(AFTERNOON, profile)
        self.assertEqual(message.due_date, datetime(2026, 11, 25, 14))

    def test_eu_11_no_sunday_and_no_public_holiday_in_france(self):
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "company_id": self.company.id,
                "calendar_id": self.company.resource_calendar_id.id,
                "date_from": "2026-11-29 16:00:00",
                "date_to": "2026-11-30 15:59:59",
            }
        )
        profile = self.make_people(1, "base.fr", "Europe/Paris")
        # Saturday 22:30 in Paris; Sunday is closed, Monday a holiday
        [message] = self.launch_at(datetime(2026, 11, 28, 21, 30), profile)
        self.assertEqual(message.due_date, datetime(2026, 12, 1, 7))

    def test_services_are_exempt(self):
        messages = self.launch_at(
            NIGHT,
            self.make_people(2),
            templates=self.make_template("Your parcel is here", category="notice"),
            category="notice",
            program_id=False,
        )
        self.assertEqual(set(messages.mapped("due_date")), {NIGHT})
        self.assertEqual(len(self.send_at(NIGHT)), 2)

    def test_no_hour_at_all(self):
        self.env.ref("member_messaging.member_sending_hours_cn").write(
            {
                f"{day}_{end}": 0
                for day in ("week", "saturday", "sunday")
                for end in ("from", "to")
            }
        )
        [message] = self.launch_at(AFTERNOON, self.make_people(1))
        self.assertEqual((message.state, message.reason), ("skipped", "quiet_hours"))
        self.assertFalse(message.gateway_id)

    def test_without_hours_nothing_waits(self):
        self.env["member.sending.hours"].search([]).active = False
        [message] = self.launch_at(NIGHT, self.make_people(1))
        self.assertEqual(message.due_date, NIGHT)

    def test_hours_of_another_company_do_not_matter(self):
        other, _stranger = self.make_other_company()
        hours = self.env["member.sending.hours"].search([])
        hours.company_id = other
        [message] = self.launch_at(NIGHT, self.make_people(1))
        self.assertEqual(message.due_date, NIGHT)

    # ------------------------------------------------------------------- claiming

    def test_what_is_late_in_the_evening_waits(self):
        """Planned for the day, but the sender comes after nine."""
        [message] = self.launch_at(AFTERNOON, self.make_people(1))
        self.assertFalse(self.send_at(NIGHT))
        self.assertEqual((message.state, message.due_date), ("queued", MORNING))
        self.assertEqual(len(self.send_at(MORNING)), 1)

    def test_us_2_held_never_beyond_the_end_of_the_offer(self):
        [message] = self.launch_at(
            AFTERNOON,
            self.make_people(1),
            not_after_date=datetime(2026, 11, 25, 22),
        )
        self.assertFalse(self.send_at(NIGHT))
        self.assertEqual((message.state, message.reason), ("skipped", "expired"))
        self.assertFalse(self.send_at(MORNING))

    def test_member_who_moved_keeps_the_new_hours(self):
        [message] = self.launch_at(AFTERNOON, self.make_people(1, tz="Asia/Shanghai"))
        message.partner_id.tz = "America/New_York"
        self.assertFalse(self.send_at(AFTERNOON))
        self.assertEqual(message.due_date, datetime(2026, 11, 25, 13))

    def test_waiting_and_ready_in_one_batch(self):
        here, there = self.make_people(2), self.make_people(2)
        messages = self.launch_at(AFTERNOON, here | there)
        there.partner_id.tz = "America/New_York"
        self.assertEqual(len(self.send_at(AFTERNOON)), 2)
        self.assertEqual(messages.mapped("state"), ["sent"] * 2 + ["queued"] * 2)

    # -------------------------------------------------------------------- records

    def test_impossible_hours_are_refused(self):
        hours = self.env.ref("member_messaging.member_sending_hours_cn")
        hours = hours.with_user(self.manager)
        for values in ({"week_from": 22}, {"sunday_to": 25}, {"saturday_from": -1}):
            with self.subTest(values), self.assertRaisesRegex(ValidationError, "0:00"):
                hours.write(values)
        state = self.env.ref("base.state_us_44")
        with self.assertRaisesRegex(ValidationError, "another country"):
            hours.state_ids = [Command.set(state.ids)]

    def test_staff_cannot_change_them(self):
        hours = self.env.ref("member_messaging.member_sending_hours_cn")
        self.assertEqual(hours.with_user(self.staff).week_to, 21)
        with self.assertRaises(AccessError):
            hours.with_user(self.staff).week_to = 23
