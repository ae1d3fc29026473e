from datetime import datetime, timedelta

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import freeze_time, tagged

from ..gateways.types import InboundMessage, Outcome
from .common import MemberMessagingCommon

NOON = datetime(2031, 5, 14, 4)


@tagged("post_install", "-at_install")
class TestTrial(MemberMessagingCommon):
    """A few messages go first, the others when these went well."""

    @classmethod
    def setUpClass(cls):
        cls.clock = freeze_time(NOON)
        cls.clock.start()
        cls.addClassCleanup(cls.clock.stop)
        super().setUpClass()
        cls.profiles = cls.make_members(12)
        cls.text = cls.make_template("Hi {{ unsubscribe_link }}")

    def begin(self, decide=None, **values):
        """:returns: a campaign whose trial batch has left"""
        values = {
            "templates": self.text,
            "program_id": False,
            "trial_size": 4,
            "user_id": self.staff.id,
            **values,
        }
        campaign = self.make_campaign(self.profiles, **values)
        self.launch(campaign)
        self.sent = self.send(decide)
        return campaign.with_user(self.manager)

    def report(self, campaign, delivered, failed=0):
        """Let reports of so many messages of the trial batch come."""
        messages = self.get_messages(campaign, state="sent")[: delivered + failed]
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "delivered" if index < delivered else "failed",
                    "date": fields.Datetime.now(),
                    "ref": "report",
                }
                for index, message in enumerate(messages)
            ]
        )

    def get_state(self, campaign):
        campaign.invalidate_recordset()
        return campaign.state, campaign.load_ids.trial_state

    def test_rest_waits_for_the_reports(self):
        campaign = self.begin()
        self.assertEqual(len(self.sent), 4)
        self.assertEqual(self.get_state(campaign), ("sending", "waiting"))
        self.assertIn("The other 8 wait for its reports", campaign.progress_hint)
        self.assertFalse(self.send())
        self.report(campaign, 3)
        self.assertFalse(self.send())
        self.report(campaign, 1)
        self.assertEqual(len(self.send()), 8)
        self.assertEqual(self.get_state(campaign), ("done", "passed"))
        [note] = campaign.message_ids.filtered(lambda m: "went well" in (m.body or ""))
        self.assertIn("Trial batch of 4: 4 delivered, 0 failed", note.body)

    def test_rest_goes_when_the_time_is_up(self):
        campaign = self.begin(trial_minutes=45)
        self.report(campaign, 1)
        with freeze_time(NOON + timedelta(minutes=44)):
            self.assertFalse(self.send())
        with freeze_time(NOON + timedelta(minutes=45)):
            self.assertEqual(len(self.send()), 8)
        self.assertEqual(self.get_state(campaign), ("done", "passed"))

    def test_provider_that_reports_nothing(self):
        self.begin()
        with freeze_time(NOON + timedelta(minutes=30)):
            self.assertEqual(len(self.send()), 8)

    def test_too_few_delivered(self):
        campaign = self.begin()
        self.report(campaign, 3, 1)
        self.assertFalse(self.send())
        self.assertEqual(self.get_state(campaign), ("paused", "stopped"))
        for words in ("3 delivered, 1 failed", "look at the failed messages"):
            self.assertIn(words, campaign.pause_reason)
        [activity] = campaign.activity_ids
        self.assertEqual(activity.user_id, self.staff)
        self.assertEqual(activity.summary, "Stopped after the trial batch")
        with freeze_time(NOON + timedelta(days=1)):
            self.assertFalse(self.send())

    def test_limit_of_the_policy(self):
        self.policy.trial_delivery_rate = 75
        campaign = self.begin()
        self.report(campaign, 3, 1)
        self.assertEqual(len(self.send()), 8)

    def test_resumed_without_another_trial(self):
        campaign = self.begin()
        self.report(campaign, 0, 4)
        self.send()
        with self.assertRaisesRegex(UserError, "Only a messaging manager"):
            campaign.with_user(self.staff).action_resume()
        campaign.action_resume()
        self.assertEqual(len(self.send()), 8)
        self.assertEqual(self.get_state(campaign), ("done", "passed"))

    def test_all_refused_by_the_provider(self):
        """Failures are the trial's result: it takes no others in their place."""
        campaign = self.begin(lambda _m: Outcome.BADNUM)
        self.assertEqual(len(self.sent), 4)
        self.assertFalse(self.send())
        self.assertEqual(self.get_state(campaign), ("paused", "stopped"))

    def test_what_waits_again_is_not_of_the_trial(self):
        outcomes = iter([Outcome.RETRY] * 2)
        campaign = self.begin(lambda _m: next(outcomes, Outcome.OK))
        self.assertEqual(len(self.sent), 6, "two others take their places")
        self.assertEqual(self.get_state(campaign), ("sending", "waiting"))
        self.assertEqual(len(self.get_messages(campaign, state="sent")), 4)

    def test_too_many_refuse(self):
        self.policy.trial_refusal_rate = 50
        campaign = self.begin(trial_size=10)
        for index, message in enumerate(self.get_messages(campaign, state="sent")[:6]):
            self.env["member.inbound"]._receive(
                self.gateway,
                [InboundMessage(message.address, "TD", f"reply-{index}")],
            )
        self.send()  # the answers to the replies
        self.assertEqual(len(self.get_messages(campaign, state="queued")), 2)
        self.assertEqual(self.get_state(campaign), ("paused", "stopped"))
        self.assertIn("6 refusals", campaign.pause_reason)
        self.assertIn("Too many refused", campaign.pause_reason)

    def test_too_many_complain(self):
        """A notice, too, may make people angry."""
        notice = self.make_template("News {{ unsubscribe_link }}", category="notice")
        campaign = self.begin(templates=notice, category="notice")
        # or the safety catch is faster
        self.policy.complaint_limit = 0
        for message in self.get_messages(campaign, state="sent")[:2]:
            self.env["member.complaint"].with_user(self.staff).create(
                {"address": message.address}
            )
        self.policy.write({"complaint_limit": 0.1, "complaint_minimum": 2})
        self.assertFalse(self.send())
        self.assertEqual(self.get_state(campaign), ("paused", "stopped"))
        self.assertIn("2 complaints", campaign.pause_reason)

    def test_share_of_the_messages(self):
        self.begin(trial_size=30, trial_unit="rate")
        self.assertEqual(len(self.sent), 4, "30 % of 12, rounded up")

    def test_no_trial(self):
        campaign = self.begin(trial_size=0)
        self.assertEqual(len(self.sent), 12)
        self.assertFalse(campaign.load_ids.trial_state)

    def test_trial_of_all(self):
        campaign = self.begin(trial_size=100)
        self.assertEqual(len(self.sent), 12)
        self.assertEqual(campaign.state, "done")

    def test_policy_proposes_it(self):
        self.policy.with_user(self.manager).write(
            {"trial_size": 5, "trial_unit": "rate", "trial_minutes": 60}
        )
        campaign = self.make_campaign(self.profiles, self.text)
        self.assertRecordValues(
            campaign,
            [{"trial_size": 5, "trial_unit": "rate", "trial_minutes": 60}],
        )
        self.assertFalse(campaign.copy().load_ids.trial_state)

    def test_paused_and_resumed_while_it_waits(self):
        campaign = self.begin()
        campaign.action_pause()
        self.report(campaign, 4)
        self.assertFalse(self.send())
        campaign.action_resume()
        self.assertEqual(len(self.send()), 8)

    def test_offer_that_ends_while_it_waits(self):
        campaign = self.begin(
            trial_minutes=600, not_after_date=NOON + timedelta(hours=1)
        )
        with freeze_time(NOON + timedelta(hours=2)):
            self.assertFalse(self.send())
        self.assertEqual(campaign.state, "done")
        self.assertEqual(
            self.get_messages(campaign, state="skipped").mapped("reason"),
            ["expired"] * 8,
        )

    def test_other_campaigns_do_not_wait(self):
        self.begin()
        self.launch(self.make_campaign(self.make_members(2), self.text))
        self.assertEqual(len(self.send()), 2)
