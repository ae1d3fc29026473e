from datetime import timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.tests import freeze_time, tagged

from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestSendCap(MemberMessagingCommon):
    """How often a member is written to (C3)."""

    def setUp(self):
        super().setUp()
        self.profile = self.make_members(1)

    def limit(self, **values):
        self.policy.cap_ids = [Command.create(values)]

    def write_to(self, profiles=None, category="promotion", days=0, **values):
        """Launch and send, so many days from now.

        :returns: what became of the messages
        """
        template = self.make_template("Hi. {{ unsubscribe_link }}", category=category)
        with freeze_time(fields.Datetime.now() + timedelta(days=days)):
            messages = self.launch(
                self.make_campaign(
                    profiles or self.profile,
                    template,
                    category=category,
                    program_id=False,
                    **values,
                )
            )
            self.send()
        return [message.reason or message.state for message in messages]

    def test_0_is_off(self):
        self.limit(message_limit=0)
        for _turn in range(3):
            self.assertEqual(self.write_to(), ["sent"])

    def test_category_of_its_own(self):
        self.limit(message_limit=1, category="content", days=7)
        self.assertEqual(self.write_to(category="content"), ["sent"])
        self.assertEqual(self.write_to(category="content"), ["frequency_cap"])
        self.assertEqual(self.write_to(), ["sent"], "promotions are another matter")
        self.assertEqual(self.write_to(category="notice"), ["sent"])
        self.assertEqual(self.write_to(category="content", days=8), ["sent"])

    def test_both_categories_together(self):
        self.limit(message_limit=2, days=7)
        self.assertEqual(self.write_to(category="content"), ["sent"])
        self.assertEqual(self.write_to(), ["sent"])
        self.assertEqual(self.write_to(category="content"), ["frequency_cap"])
        self.assertEqual(self.write_to(), ["frequency_cap"])

    def test_engagement(self):
        """Those who hardly react are written to less often."""
        keen, cool, unknown = self.make_members(3)
        keen.engagement, cool.engagement = "high", "low"
        self.limit(message_limit=1, engagement="low", days=14)
        self.limit(message_limit=2, engagement="high", days=7)
        everybody = keen | cool | unknown
        self.assertEqual(self.write_to(everybody), ["sent"] * 3)
        self.assertEqual(self.write_to(everybody), ["sent", "frequency_cap", "sent"])
        self.assertEqual(
            self.write_to(everybody), ["frequency_cap", "frequency_cap", "sent"]
        )

    def test_lowered_limit(self):
        """After too many refusals members get one promotion less, for a while."""
        self.policy.promotion_limit = 2
        self.policy.lowered_until_date = fields.Date.today()
        self.assertEqual(self.write_to(), ["sent"])
        self.assertEqual(self.write_to(), ["frequency_cap"])
        self.policy.promotion_limit = 1
        self.assertEqual(self.write_to(days=31), ["sent"], "one is left")
        self.policy.promotion_limit = 2
        self.policy.lowered_until_date = fields.Date.today() - timedelta(days=1)
        self.assertEqual(self.write_to(days=31), ["sent"])

    def test_gap(self):
        self.policy.gap_hours = 24
        self.assertEqual(self.write_to(), ["sent"])
        self.assertEqual(self.write_to(category="content"), ["frequency_cap"])
        self.assertEqual(self.write_to(days=2), ["sent"])

    def test_asked_again_at_the_claim(self):
        self.limit(message_limit=1, engagement="low", days=14)
        self.assertEqual(self.write_to(), ["sent"])
        [message] = self.launch(self.make_campaign(self.profile))
        self.profile.engagement = "low"
        self.assertFalse(self.send())
        self.assertEqual(message.reason, "frequency_cap")

    def test_trying_again_until_the_offer_ends(self):
        self.policy.write({"gap_hours": 36, "capped_action": "postpone"})
        self.assertEqual(self.write_to(), ["sent"])
        now = fields.Datetime.now()
        self.assertEqual(
            self.write_to(), ["frequency_cap"], "without an end nothing waits"
        )
        campaigns = self.env["member.campaign"]
        campaign = campaigns.browse()
        with freeze_time(now):
            campaign = self.make_campaign(
                self.profile, not_after_date=now + timedelta(days=5)
            )
            [message] = self.launch(campaign)
            self.assertFalse(self.send())
        self.assertEqual(message.state, "queued")
        self.assertEqual(message.due_date, now + timedelta(days=1))
        with freeze_time(now + timedelta(days=1)):
            self.assertFalse(self.send(), "24 hours are not 36")
        with freeze_time(now + timedelta(days=2)):
            self.assertEqual(len(self.send()), 1)

    def test_trying_again_ends_with_the_offer(self):
        self.policy.write({"gap_hours": 100, "capped_action": "postpone"})
        self.assertEqual(self.write_to(), ["sent"])
        now = fields.Datetime.now()
        [message] = self.launch(
            self.make_campaign(self.profile, not_after_date=now + timedelta(hours=5))
        )
        self.assertFalse(self.send())
        self.assertEqual((message.state, message.reason), ("skipped", "expired"))

    def launch_until(self, days, profiles=None):
        """A campaign that tries members again until it ends; not sent yet."""
        return self.launch(
            self.make_campaign(
                profiles or self.profile,
                not_after_date=fields.Datetime.now() + timedelta(days=days),
            )
        )

    def test_two_campaigns_in_one_batch(self):
        """What leaves together counts, too."""
        self.policy.write({"gap_hours": 24, "capped_action": "postpone"})
        other = self.make_members(1)
        messages = self.launch_until(5, self.profile | other)
        messages |= self.launch_until(5)
        messages |= self.launch_until(5)
        self.assertEqual(len(self.send()), 2)
        self.assertEqual(
            messages.sorted("id").mapped("state"),
            ["sent", "sent", "queued", "queued"],
        )
        for day in (2, 4):
            with freeze_time(fields.Datetime.now() + timedelta(days=day)):
                self.assertEqual(len(self.send()), 1, day)

    def test_what_is_just_leaving_counts_from_now_on(self):
        """However long it has waited: another sender has it in its hands."""
        self.policy.write({"gap_hours": 24, "capped_action": "postpone"})
        waiting = self.launch_until(9)
        with freeze_time(fields.Datetime.now() + timedelta(days=3)):
            late = self.launch_until(5)
            self.env.cr.execute(
                "UPDATE member_message SET state = 'claimed', lane = 9,"
                " claimed_date = %s WHERE id = %s",
                (fields.Datetime.now(), waiting.id),
            )
            self.env.invalidate_all()
            self.assertFalse(self.send())
            self.assertEqual(late.state, "queued")

    def test_two_senders_at_the_same_moment(self):
        """Neither saw the other's claim; the later one gives way and asks again."""
        self.policy.write({"gap_hours": 24, "capped_action": "postpone"})
        self.env["member.lane"]._set_count(2)
        mine, theirs = self.launch_until(5), self.launch_until(5)
        claim = type(mine)._claim

        def claim_both(messages, *args):
            taken = claim(messages, *args)
            if taken[0]:
                self.env.cr.execute(
                    "UPDATE member_message SET state = 'claimed', lane = 9,"
                    " claimed_date = %s WHERE id = %s",
                    (fields.Datetime.now(), theirs.id),
                )
            return taken

        with patch.object(type(mine), "_claim", claim_both):
            self.assertFalse(self.send())
        self.assertRecordValues(mine, [{"state": "queued", "attempt_count": 0}])
        self.assertGreater(mine.due_date, fields.Datetime.now())
        self.move_due(mine)
        self.assertFalse(self.send())
        self.assertGreater(
            mine.due_date, fields.Datetime.now() + timedelta(hours=20), "asked again"
        )

    def test_a_shop_that_has_set_nothing_is_careful(self):
        company, _stranger = self.make_other_company()
        policy = self.env["member.send.policy"]._get_for(company)
        limits = {
            (cap.limit, cap.period.days, cap.engagement)
            for cap in policy._get_caps("content")
        }
        self.assertEqual(
            limits,
            {
                (3, 30, None),
                (1, 1, None),
                (2, 7, None),
                (1, 7, "medium"),
                (1, 14, "low"),
            },
        )
        self.assertFalse(policy._get_caps("care"))
