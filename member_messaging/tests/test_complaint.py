from datetime import timedelta

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged

from ..gateways.types import InboundMessage, Outcome
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestComplaint(MemberMessagingCommon):
    """Complaints suppress a number, and too many of them stop promotions."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gateway.user_id = cls.manager
        cls.members = cls.make_members(6)
        cls.care = cls.make_template("Happy birthday", category="care")

    def complain(self, profiles, **values):
        """Staff enter the complaints of members, each saved on its own."""
        complaints = self.env["member.complaint"].with_user(self.staff)
        for profile in profiles:
            with Form(complaints.browse()) as form:
                form.address = profile.partner_id.phone
            complaints |= form.record
        if values:
            complaints.sudo().write(values)
        return complaints

    def get_current(self, profile):
        return profile.consent_ids.filtered("is_current")

    # --------------------------------------------------------------- one of them

    def test_cn_11_complaint_finds_what_it_is_about(self):
        [message] = self.make_sent(self.members[0])
        [complaint] = self.complain(self.members[0])
        self.assertRecordValues(
            complaint,
            [
                {
                    "address": message.address,
                    "message_id": message.id,
                    "campaign_id": message.campaign_id.id,
                    "gateway_id": self.gateway.id,
                    "profile_id": self.members[0].id,
                    "consent_source": "staff",
                }
            ],
        )

    def test_cn_11_complaint_suppresses_the_number(self):
        brother = self.make_members(1, phone=self.members[0].partner_id.phone)
        queued = self.launch(self.make_campaign(self.members[0]))
        self.complain(self.members[0])
        for profile in self.members[0] | brother:
            self.assertRecordValues(
                self.get_current(profile),
                [{"state": "refused", "source": "complaint"}],
            )
        self.assertFalse(self.send())
        self.assertRecordValues(queued, [{"state": "skipped", "reason": "suppressed"}])

    def test_number_as_staff_write_it(self):
        self.members[0].partner_id.phone = "138 0013 8000"
        complaint = (
            self.env["member.complaint"]
            .with_user(self.staff)
            .create({"address": "13800138000", "company_id": self.make_cn().id})
        )
        self.assertEqual(complaint.address, "+8613800138000")
        with self.assertRaisesRegex(ValidationError, "nothing was recorded"):
            self.env["member.complaint"].create({"address": "Mr Wang"})

    def make_cn(self):
        self.company.country_id = self.env.ref("base.cn")
        return self.company

    def test_complaint_of_a_stranger_is_kept(self):
        complaint = self.env["member.complaint"].create({"address": "+8613912345678"})
        self.assertFalse(complaint.profile_id or complaint.gateway_id)

    def test_complaint_told_twice(self):
        self.make_sent(self.members[0])
        report = {
            "address": self.members[0].partner_id.phone_sanitized,
            "reference": "c1",
        }
        complaints = self.env["member.complaint"]
        first = complaints._report(self.gateway, [report, report])
        self.assertRecordValues(first, [{"source": "carrier"}])
        self.assertFalse(complaints._report(self.gateway, [report]))

    def test_complaint_in_a_reply(self):
        [message] = self.make_sent(self.members[0])
        self.env["member.inbound"]._receive(
            self.gateway,
            [
                InboundMessage(
                    address=message.address, text="垃圾短信，我要投诉", event_ref="1"
                )
            ],
        )
        reply = self.env["member.inbound"].search([("message_id", "=", message.id)])
        reply = reply.with_user(self.staff)
        self.assertTrue(reply.is_complaint)
        reply.action_record_complaint()
        reply.action_record_complaint()
        self.assertRecordValues(
            reply.complaint_ids,
            [{"source": "reply", "message_id": message.id, "note": reply.text}],
        )
        self.assertTrue(reply.is_handled)

    # ------------------------------------------------------------- many of them

    def test_g_5_too_many_complaints_stop_promotions_within_one_batch(self):
        sent = self.make_sent(self.members)
        others = self.make_members(2)
        promotion = self.launch(self.make_campaign(others[0]))
        care = self.launch(
            self.make_campaign(others[1], self.care, category="care", program_id=False)
        )
        self.complain(self.members[:2])
        self.assertFalse(self.gateway.promotion_stop_date, "two are too few")
        self.complain(self.members[2])
        self.assertTrue(self.gateway.promotion_stop_date)
        self.assertEqual(self.gateway.state, "active")
        leaving = self.send()
        self.assertEqual(
            [message.address for message in leaving], care.mapped("address")
        )
        self.assertEqual(promotion.state, "queued")
        [activity] = self.gateway.activity_ids
        self.assertEqual(activity.user_id, self.manager)
        for word in ("Sources", "Block list", "Template", promotion.campaign_id.name):
            self.assertIn(word, activity.note)
        self.complain(self.members[3])
        self.assertEqual(len(self.gateway.activity_ids), 1, "told once")
        self.assertTrue(sent)

    def test_g_5_nobody_stands_in_for_stopped_promotions(self):
        self.make_sent(self.members)
        self.gateway.copy({"name": "Spare", "is_stand_in": True, "priority": 20})
        promotion = self.launch(self.make_campaign(self.make_members(1)))
        self.complain(self.members[:3])
        self.assertFalse(self.send())
        self.assertEqual(promotion.state, "queued")

    def test_g_5_manager_allows_promotions_again(self):
        self.make_sent(self.members)
        draft = self.make_campaign(self.make_members(1))
        self.complain(self.members[:3])
        with self.assertRaisesRegex(UserError, "stopped"):
            draft.with_user(self.staff).action_request_review()
        self.gateway.with_user(self.manager).action_allow_promotions()
        self.launch(draft)
        self.assertEqual(len(self.send()), 1)
        self.complain(self.members[3:5])
        self.assertFalse(self.gateway.promotion_stop_date, "counted anew")

    def test_g_5_campaign_under_way_is_paused(self):
        self.make_sent(self.members)
        more = self.make_members(2)
        campaign = self.make_campaign(more)
        first, later = self.launch(campaign)
        self.env.cr.execute(
            "UPDATE member_message SET due_date = due_date + interval '1 day'"
            " WHERE id = %s",
            (later.id,),
        )
        self.send()
        self.assertEqual(campaign.state, "sending")
        self.policy.complaint_minimum = 1
        self.env["member.complaint"].create({"address": first.address})
        self.assertEqual(campaign.state, "paused")
        self.assertIn("complaints", campaign.pause_reason)

    def test_g_5_old_complaints_do_not_count(self):
        self.make_sent(self.members)
        self.complain(self.members[:2], date=fields.Datetime.now() - timedelta(days=8))
        self.complain(self.members[2])
        self.assertFalse(self.gateway.promotion_stop_date)

    def test_g_5_zero_is_off(self):
        self.policy.complaint_limit = 0
        self.make_sent(self.members)
        self.complain(self.members)
        self.assertFalse(self.gateway.promotion_stop_date)

    def test_g_5_bad_source_of_consent_shows(self):
        """Complaints of a few imported members drown among thousands, not in the rate
        of the import."""
        self.policy.complaint_limit = 60
        imported = self.make_members(3, is_granted=False)
        self.env["member.consent"].create(
            [
                {
                    "profile_id": profile.id,
                    "state": "granted",
                    "source": "import",
                    "evidence": "list.xlsx",
                }
                for profile in imported
            ]
        )
        self.make_sent(self.members | imported)
        self.complain(imported)
        self.assertTrue(self.gateway.promotion_stop_date)
        self.assertIn("Import", self.gateway.promotion_stop_reason)

    def test_g_5_complaints_about_care_are_compared_with_care(self):
        self.policy.complaint_limit = 60
        self.make_sent(
            self.members, templates=self.care, category="care", program_id=False
        )
        self.complain(self.members[:3])
        self.assertFalse(self.gateway.promotion_stop_date, "half of them")
        self.complain(self.members[3])
        self.assertTrue(self.gateway.promotion_stop_date)
        self.assertIn(
            "4 complaints about 6 messages", self.gateway.promotion_stop_reason
        )

    def serve(self, numbers):
        """Other applications send an SMS to each number."""
        self.env["member.service.message"]._enqueue(
            self.gateway, "odoo", [{"address": n, "body": "Hi"} for n in numbers]
        )
        self.assertEqual(len(self.send()), len(numbers))

    def report(self, numbers):
        self.env["member.complaint"]._report(
            self.gateway, [{"address": n, "reference": n} for n in numbers]
        )

    def test_g_5_sms_of_other_applications_count(self):
        self.policy.complaint_limit = 80
        numbers = [f"+861391234000{index}" for index in range(4)]
        self.serve(numbers)
        self.report(numbers[:3])
        self.assertFalse(self.gateway.promotion_stop_date, "three of four")
        self.report(numbers[3:])
        self.assertIn(
            "4 complaints about 4 messages", self.gateway.promotion_stop_reason
        )

    def test_g_5_sms_of_other_applications_count_for_a_source(self):
        self.policy.complaint_limit = 80
        self.serve(self.members[:4].mapped("phone"))
        self.report(self.members[:3].mapped("phone"))
        self.assertFalse(self.gateway.promotion_stop_date)
        self.report(self.members[3:4].mapped("phone"))
        self.assertTrue(self.gateway.promotion_stop_date)

    def test_g_5_only_what_left_counts(self):
        self.policy.complaint_limit = 80
        numbers = [f"+861391234000{index}" for index in range(4)]
        self.env["member.service.message"]._enqueue(
            self.gateway, "odoo", [{"address": n, "body": "Hi"} for n in numbers]
        )
        self.send(lambda _message: Outcome.BADNUM)
        self.report(numbers[:3])
        self.assertTrue(self.gateway.promotion_stop_date, "nothing has arrived")

    # ----------------------------------------------------------------- refusals

    def refuse(self, profiles):
        self.env["member.inbound"]._receive(
            self.gateway,
            [
                InboundMessage(
                    address=profile.partner_id.phone_sanitized,
                    text="TD",
                    event_ref=f"{next(self.numbers)}",
                )
                for profile in profiles
            ],
        )

    def test_p4_unusual_refusals_lower_the_limit_once(self):
        # the history: nobody refused
        before = self.make_sent(self.members)
        self.env.cr.execute(
            "UPDATE member_message SET claimed_date = claimed_date - interval '9 days'"
            " WHERE id IN %s",
            (tuple(before.ids),),
        )
        self.env.invalidate_all()
        campaign = self.make_sent(self.members).campaign_id
        self.refuse(self.members[:4])
        self.run_cron("watch")
        self.assertFalse(self.policy.lowered_until_date, "four are too few")
        self.refuse(self.members[4])
        self.run_cron("watch")
        today = fields.Date.today()
        self.assertEqual(
            self.policy.lowered_until_date,
            today + timedelta(days=self.policy.promotion_days),
        )
        self.assertEqual(len(campaign.activity_ids), 1)
        self.policy.lowered_until_date = False
        self.run_cron("watch")
        self.assertFalse(self.policy.lowered_until_date)
        self.assertEqual(len(campaign.activity_ids), 1, "told once")

    def test_p4_first_campaign_has_nothing_to_compare_with(self):
        campaign = self.make_sent(self.members).campaign_id
        self.refuse(self.members)
        self.run_cron("watch")
        self.assertFalse(self.policy.lowered_until_date)
        self.assertFalse(campaign.activity_ids)
