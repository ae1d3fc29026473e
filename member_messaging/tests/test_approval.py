from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestApproval(MemberMessagingCommon):
    """What is launched was looked at, and stays what it was (C1)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.colleague = cls.make_user(
            "colleague", "member_messaging.group_member_messaging_manager"
        )
        cls.profiles = cls.make_members(3)

    def submit(self, user=None, **values):
        campaign = self.make_campaign(self.profiles, **values)
        campaign.with_user(user or self.staff).action_request_review()
        return campaign.with_user(self.manager)

    # --------------------------------------------------------------- who launches

    def test_small_campaigns_need_one_manager(self):
        campaign = self.submit(self.manager)
        campaign.action_launch()
        self.assertEqual(campaign.state, "scheduled")
        self.assertEqual(campaign.submitter_id, self.manager)
        self.assertEqual(campaign.approver_id, self.manager)
        self.assertTrue(campaign.approved_date)

    def test_big_campaigns_need_another_manager(self):
        self.policy.approval_count = 2
        campaign = self.submit(self.manager)
        with self.assertRaisesRegex(UserError, "another manager.*3 members"):
            campaign.action_launch()
        self.assertEqual(campaign.state, "review")
        campaign.with_user(self.colleague).action_launch()
        self.assertEqual(campaign.state, "scheduled")
        self.assertEqual(campaign.approver_id, self.colleague)

    def test_the_form_says_who_cannot_launch_it(self):
        campaign = self.submit(self.manager)
        self.assertFalse(campaign.approval_hint or campaign.is_left_to_others)
        self.policy.approval_count = 2
        campaign.invalidate_recordset()
        self.assertTrue(campaign.is_left_to_others)
        self.assertIn("You submitted", campaign.approval_hint)
        self.assertIn("it goes to 3 members, more than 2", campaign.approval_hint)
        campaign = campaign.with_user(self.colleague)
        self.assertFalse(campaign.is_left_to_others)
        self.assertIn("another manager", campaign.approval_hint)

    def test_big_campaigns_are_submitted_first(self):
        self.policy.approval_count = 2
        campaign = self.make_campaign(self.profiles).with_user(self.manager)
        with self.assertRaisesRegex(UserError, "second person"):
            campaign.action_launch()

    def test_expensive_campaigns_need_another_manager(self):
        self.gateway.price = 2
        self.policy.approval_cost = 5
        campaign = self.submit(self.manager)
        with self.assertRaisesRegex(UserError, "it costs about"):
            campaign.action_launch()
        self.policy.approval_cost = 0
        campaign.action_launch()
        self.assertEqual(campaign.state, "scheduled")

    def test_who_when_and_what_is_kept(self):
        campaign = self.submit()
        campaign.action_launch()
        notes = " ".join(campaign.message_ids.mapped("body"))
        self.assertIn("Approved for 3 selected members", notes)
        self.assertIn("gives you", notes, "the text that was approved")
        copy = campaign.copy()
        self.assertFalse(copy.approver_id or copy.submitter_id or copy.fingerprints)

    # ------------------------------------------------------------ before the launch

    def change_text(self):
        self.template.with_user(self.staff).body = "Other {{ unsubscribe_link }}"

    def change_audience(self):
        segment = self.env["member.segment"].search([], order="id desc", limit=1)
        segment.with_user(self.staff).domain = "[('name', 'like', 'Member')]"

    def change_offer(self):
        self.program.reward_ids.discount += 5

    def test_a_change_sends_it_back(self):
        for change in (self.change_text, self.change_audience, self.change_offer):
            with self.subTest(change.__name__):
                campaign = self.submit()
                change()
                action = campaign.action_launch()
                self.assertEqual(action["tag"], "display_notification")
                self.assertEqual(campaign.state, "draft")
                name = change.__name__.removeprefix("change_")
                self.assertIn(
                    f"Changed since it was submitted: {name}",
                    campaign.message_ids[:1].body,
                )

    # ------------------------------------------------------------- after the launch

    def test_a_change_after_the_launch_stops_what_has_not_left(self):
        for change in (self.change_text, self.change_audience):
            with self.subTest(change.__name__):
                campaign = self.submit()
                campaign.action_launch()
                change()
                self.assertEqual(campaign.state, "paused")
                self.assertIn("Changed since", campaign.pause_reason)
                self.assertTrue(campaign.activity_ids)

    def test_a_change_of_the_offer_is_found_by_the_sender(self):
        campaign = self.submit()
        campaign.action_launch()
        self.run_cron("plan")
        self.change_offer()
        self.assertFalse(self.send())
        self.assertEqual(campaign.state, "paused")

    def test_resuming_approves_the_change(self):
        campaign = self.submit()
        messages = self.launch_submitted(campaign)
        self.change_text()
        self.assertEqual(campaign.state, "paused")
        campaign.action_resume()
        self.assertEqual(len(self.send()), 3)
        self.assertIn("Other", messages[0].body)

    def test_resuming_a_big_one_needs_another_manager(self):
        self.policy.approval_count = 2
        campaign = self.submit()
        campaign.action_launch()
        self.change_text()
        with self.assertRaisesRegex(UserError, "another manager"):
            campaign.action_resume()
        campaign.with_user(self.colleague).action_resume()
        self.assertEqual(campaign.approver_id, self.colleague)
        self.assertEqual(campaign.state, "scheduled")

    def test_what_was_decided_may_change(self):
        """The audience is frozen: another one is for the next campaign."""
        campaign = self.submit()
        self.launch_submitted(campaign)
        self.change_audience()
        self.assertEqual(campaign.state, "scheduled")
        self.assertEqual(len(self.send()), 3)

    def test_undoing_the_change(self):
        body = self.template.body
        campaign = self.submit()
        campaign.action_launch()
        self.change_text()
        self.template.body = body
        campaign.action_resume()
        self.assertEqual(campaign.state, "scheduled")

    def launch_submitted(self, campaign):
        campaign.action_launch()
        self.run_cron("plan")
        return self.get_messages(campaign)
