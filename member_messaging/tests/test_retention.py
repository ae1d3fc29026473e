from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from ..gateways.types import InboundMessage, Outcome, SendResult
from ..models import member_message_purge
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestRetention(MemberMessagingCommon):
    """P5: records are kept for at least six months, and not for ever."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy.retention_months = 6

    def age(self, messages, days):
        """Let messages and their campaigns be so many days older."""
        self.env.flush_all()
        for table, columns, ids in (
            (
                "member_message",
                ("due_date", "claimed_date", "sent_date", "delivered_date"),
                messages.ids,
            ),
            (
                "member_campaign",
                ("scheduled_date", "done_date"),
                messages.campaign_id.ids,
            ),
        ):
            moves = ", ".join(f"{c} = {c} - interval '{days} days'" for c in columns)
            self.env.cr.execute(
                f"UPDATE {table} SET {moves} WHERE id = ANY(%s)", (ids,)
            )
        self.env.invalidate_all()

    def purge(self):
        """Two nights: on a slow server the first may end before all is done."""
        for _night in range(2):
            self.run_cron("purge")

    def get_totals(self):
        """:returns: the figures of the recap"""
        return self.env["member.message.report"].formatted_read_group(
            [("campaign_id.name", "=", "Campaign")],
            ["campaign_id", "state", "gateway_id"],
            ["planned_count:sum", "sent_count:sum", "delivered_count:sum", "cost:sum"],
        )

    def test_cn_8_six_months_are_the_floor(self):
        policy = self.policy.with_user(self.manager)
        for months in (5, 0, -1):
            with self.assertRaisesRegex(ValidationError, "MIIT Order 31"):
                policy.retention_months = months
        policy.retention_months = 60

    def test_texts_and_numbers_go_and_figures_stay(self):
        no_consent = self.make_members(1, is_granted=False)
        messages = self.make_sent(self.make_members(3) | no_consent)
        messages |= self.get_messages(messages.campaign_id, state="skipped")
        self.env["member.event"]._record(
            [
                {
                    "message_id": messages[0].id,
                    "type": "delivered",
                    "date": fields.Datetime.now(),
                    "ref": "r1",
                    "text": "to 138",
                }
            ]
        )
        self.assertEqual(messages[0].event_ids.payload["message"], "to 138")
        totals = self.get_totals()
        self.age(messages, 200)
        # the last batch of a campaign is older than others
        self.purge()
        self.assertEqual(len(messages), 4)
        for message in messages:
            self.assertRecordValues(
                message,
                [{"address": False, "body": False, "provider_ref": False}],
            )
            self.assertTrue(message.cleared_date)
            self.assertTrue(message.profile_id, "it stays the member's")
        self.assertTrue(messages[0].token, "its link still stops messages")
        self.assertRecordValues(
            messages[0].event_ids,
            [{"type": "delivered", "payload": False, "provider_event_ref": False}],
        )
        self.assertEqual(self.get_totals(), totals)
        self.assertTrue(messages.campaign_id.purged_date)

    def test_young_messages_stay(self):
        messages = self.make_sent(self.make_members(2))
        self.age(messages, 150)
        self.purge()
        self.assertTrue(all(messages.mapped("body")))
        self.assertFalse(any(messages.mapped("cleared_date")))
        self.assertFalse(messages.campaign_id.purged_date)

    def test_the_setting_of_the_company(self):
        messages = self.make_sent(self.make_members(1))
        self.policy.retention_months = 12
        self.age(messages, 200)
        self.purge()
        self.assertTrue(messages.body)
        self.age(messages, 200)
        self.purge()
        self.assertFalse(messages.body)

    def test_what_waits_is_not_touched(self):
        messages = self.launch(self.make_campaign(self.make_members(1)))
        messages.campaign_id.action_pause()
        self.age(messages, 400)
        self.purge()
        self.assertTrue(messages.address)
        self.assertFalse(messages.campaign_id.purged_date)

    def test_deleted_members(self):
        profile = self.make_members(1)
        messages = self.make_sent(profile)
        profile.with_user(self.manager).unlink()
        self.age(messages, 200)
        self.purge()
        self.assertFalse(messages.address)

    def test_a_run_that_dies_is_taken_up(self):
        messages = self.make_sent(self.make_members(5))
        self.age(messages, 200)
        with patch.object(member_message_purge, "PURGE_SIZE", 2):
            steps = self.env["member.message"]._purge()
            self.assertEqual(next(step for step in steps if step), 2)
            steps.close()
            self.assertEqual(len(messages.filtered("cleared_date")), 2)
            self.assertFalse(messages.campaign_id.purged_date)
            self.purge()
        self.assertFalse(any(messages.mapped("address")))
        self.assertTrue(messages.campaign_id.purged_date)

    def test_statements_grow_with_steps_only(self):
        few = self.make_sent(self.make_members(2))
        self.age(few, 200)
        many = self.make_sent(self.make_members(40))
        self.age(many, 200)

        def purge(messages):
            for _count in self.env["member.message"]._purge_campaign(
                messages.campaign_id, fields.Datetime.now()
            ):
                pass

        self.assertEqual(
            self.count_queries(purge, few), self.count_queries(purge, many)
        )

    def test_the_link_still_stops_messages(self):
        """For the member, and not for all who have no number either."""
        profile, other = self.make_members(2)
        other.partner_id.phone = False
        [message] = self.make_sent(profile)
        self.age(message, 200)
        self.purge()
        self.env["member.message"]._find_by_token(message.token)._unsubscribe()
        self.assertEqual(profile.consent_ids[0].state, "refused")
        self.assertEqual(other.consent_ids.mapped("state"), ["granted"])

    def test_a_link_of_nobody_leads_nowhere(self):
        profile = self.make_members(1)
        [message] = self.make_sent(profile)
        self.age(message, 200)
        self.purge()
        profile.unlink()
        self.assertFalse(self.env["member.message"]._find_by_token(message.token))

    def test_a_failed_message_without_number_is_not_retried(self):
        campaign = self.make_campaign(self.make_members(1))
        self.launch(campaign)
        self.send(lambda m: SendResult(m.key, Outcome.BUG, provider_code="X"))
        message = self.get_messages(campaign)
        self.assertEqual(message.state, "failed")
        self.age(message, 200)
        self.purge()
        campaign.with_user(self.manager).action_retry_failed()
        self.assertEqual(message.state, "failed")
        self.assertFalse(self.send())

    def test_replies_and_service_messages(self):
        [message] = self.make_sent(self.make_members(1))
        inbound = self.env["member.inbound"]
        inbound._receive(
            self.gateway,
            [
                InboundMessage(
                    address=message.address,
                    text=text,
                    event_ref=text,
                    date=fields.Datetime.now() - timedelta(days=days),
                )
                for text, days in (("old", 200), ("new", 100))
            ],
        )
        services = self.env["member.service.message"]
        old, new = services.create(
            [
                {
                    "gateway_id": self.gateway.id,
                    "kind": "test",
                    "address": message.address,
                    "state": "delivered",
                    "due_date": fields.Datetime.now() - timedelta(days=days),
                }
                for days in (200, 100)
            ]
        )
        self.purge()
        self.assertFalse(old.exists())
        self.assertTrue(new.exists())
        self.assertEqual(
            inbound.search([("address", "=", message.address)]).mapped("text"), ["new"]
        )
        self.assertTrue(message.replied_date, "that there was a reply stays")

    def test_other_companies(self):
        company, _stranger = self.make_other_company()
        self.env["member.send.policy"].create(
            {"company_id": company.id, "retention_months": 60}
        )
        messages = self.make_sent(self.make_members(1))
        self.env.cr.execute(
            "UPDATE member_campaign SET company_id = %s WHERE id = %s",
            (company.id, messages.campaign_id.id),
        )
        self.age(messages, 400)
        self.purge()
        self.assertTrue(messages.body)
