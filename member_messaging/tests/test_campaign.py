from collections import Counter
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged

from ..gateways.types import Outcome
from ..models import member_message_send
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestCampaign(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(3)

    def assertProblem(self, campaign, text):
        """Staff are told one problem, and nothing has changed."""
        with self.assertRaises(UserError) as caught:
            campaign.with_user(self.staff).action_request_review()
        title, *problems = caught.exception.args[0].split("\n")
        self.assertEqual(title, "“Campaign” cannot be launched yet:")
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(text, problems[0])
        with self.assertRaises(UserError):
            campaign.with_user(self.manager).action_launch()
        self.assertEqual(campaign.state, "draft")
        self.assertFalse(self.get_messages(campaign))

    # --------------------------------------------------------------------- form

    def test_draft_on_the_form(self):
        segment = self.make_segment(self.profiles)
        with Form(self.env["member.campaign"].with_user(self.staff)) as form:
            form.name = "Spring"
            form.segment_ids.add(segment)
            self.assertEqual(form.audience_count, 3)
            form.template_id = self.template
            form.program_id = self.program
            self.assertIn(self.profiles[0].partner_id.name[:6], form.preview_body)
            self.assertEqual(form.gateway_id, self.gateway)
        campaign = form.record
        self.assertEqual(campaign.variant_ids.template_id, self.template)
        self.assertEqual(campaign.user_id, self.staff)
        second = self.make_template("Second {{ unsubscribe_link }}")
        with Form(campaign) as form:
            form.template_id = second
        self.assertEqual(campaign.variant_ids.template_id, second)
        self.assertEqual(len(campaign.variant_ids), 1)
        audience = campaign.action_view_audience()
        self.assertEqual(
            self.env[audience["res_model"]].search_count(audience["domain"]), 3
        )

    def test_forecast_agrees_with_the_plan(self):
        self.profiles[0].partner_id.phone = False
        campaign = self.make_campaign(self.profiles)
        self.assertEqual(
            campaign.forecast.split("\n")[0], "2 of 3 members will get it."
        )
        self.assertIn("1 · No phone number", campaign.forecast)
        messages = self.launch(campaign)
        self.assertEqual(Counter(messages.mapped("state")), {"queued": 2, "skipped": 1})

    # ----------------------------------------------------------------- problems

    def test_no_segment(self):
        campaign = self.make_campaign(self.profiles, segment_ids=[Command.clear()])
        self.assertProblem(campaign, "Choose at least one segment")

    def test_empty_segment(self):
        campaign = self.make_campaign(self.profiles.browse())
        self.assertEqual(campaign.audience_count, 0)
        self.assertProblem(campaign, "The segments have no members")

    def test_no_message(self):
        campaign = self.make_campaign(self.profiles)
        campaign.template_id = False
        self.assertProblem(campaign, "Choose a template.")

    def test_no_gateway(self):
        self.gateway.active = False
        campaign = self.make_campaign(self.profiles, gateway_id=False)
        self.assertProblem(campaign, "There is no gateway for this channel")

    def test_gateway_that_is_being_set_up_is_not_proposed(self):
        """New ones come first in the list, as their price is not known yet."""
        self.env["member.gateway"].with_context(member_gateway_state="paused").create(
            {"name": "Being Set Up", "provider": "twilio", "priority": 1}
        )
        self.make_aliyun_gateway(api_key=False, priority=2)
        campaigns = self.env["member.campaign"].with_user(self.staff)
        self.assertEqual(campaigns.create({"name": "New"}).gateway_id, self.gateway)
        self.gateway.active = False
        proposed = campaigns.create({"name": "New"}).gateway_id
        self.assertEqual(proposed.name, "Being Set Up", "its problems are told")

    def test_paused_gateway(self):
        self.gateway.with_user(self.manager).action_pause()
        self.assertProblem(
            self.make_campaign(self.profiles),
            "Gateway Test Account is paused: Paused by hand.",
        )

    def test_gateway_without_credentials(self):
        gateway = self.make_aliyun_gateway(api_key=False, api_secret=False)
        campaign = self.make_campaign(self.profiles, gateway_id=gateway.id)
        self.assertProblem(campaign, "Gateway Aliyun is not completely set up.")
        with self.assertRaisesRegex(UserError, "fill in: AccessKey ID, AccessKey"):
            gateway.with_user(self.manager).action_activate()

    def test_text_not_registered_at_the_gateway(self):
        gateway = self.make_aliyun_gateway()
        self.template.registration_ids.unlink()
        campaign = self.make_campaign(self.profiles, gateway_id=gateway.id)
        self.assertProblem(campaign, "“Text” is not registered at Aliyun")

    def test_coupon_without_programme(self):
        campaign = self.make_campaign(self.profiles, program_id=False)
        self.assertProblem(campaign, "“Text” contains a coupon code")

    def test_promotion_without_a_way_out(self):
        template = self.make_template("Sale!")
        campaign = self.make_campaign(self.profiles, template)
        self.assertProblem(campaign, "does not tell how to refuse more promotions")
        self.gateway.optout_text = "Stop: TD"
        campaign.with_user(self.staff).action_request_review()
        self.assertEqual(campaign.state, "review")

    def test_text_of_another_category(self):
        campaign = self.make_campaign(self.profiles, category="notice")
        self.assertProblem(campaign, "written for another category")

    def test_programme_that_has_ended(self):
        self.program.date_to = fields.Date.subtract(fields.Date.today(), days=2)
        self.assertProblem(
            self.make_campaign(self.profiles), "programme “Ten percent” has ended"
        )

    def test_programme_without_codes(self):
        self.program.trigger = "auto"
        self.assertProblem(
            self.make_campaign(self.profiles),
            "programme “Ten percent” gives its reward to everybody",
        )

    def test_times_that_have_passed(self):
        now = fields.Datetime.now()
        past = fields.Datetime.subtract(now, hours=1)
        self.assertProblem(
            self.make_campaign(self.profiles, not_after_date=past),
            "“Not after” has passed already",
        )
        self.assertProblem(
            self.make_campaign(
                self.profiles, schedule_type="date", scheduled_date=past
            ),
            "The time of sending has passed",
        )
        self.assertProblem(
            self.make_campaign(self.profiles, schedule_type="date"),
            "Choose when to send.",
        )
        with self.assertRaisesRegex(ValidationError, "must be later"):
            self.make_campaign(
                self.profiles,
                scheduled_date=now,
                not_after_date=past,
            )

    def test_every_problem_at_once(self):
        campaign = self.make_campaign(
            self.profiles, segment_ids=[Command.clear()], program_id=False
        )
        with self.assertRaises(UserError) as caught:
            campaign.action_request_review()
        self.assertEqual(len(caught.exception.args[0].split("\n")), 3)

    def test_shares_that_do_not_add_up(self):
        with self.assertRaisesRegex(ValidationError, "add up to 150 %, not to 100 %"):
            self.make_campaign(
                self.profiles,
                variant_ids=[
                    Command.create(
                        {"template_id": self.template.id, "share_rate": share}
                    )
                    for share in (100, 50)
                ],
            )

    # ------------------------------------------------------------------- launch

    def test_staff_prepare_and_a_manager_launches(self):
        campaign = self.make_campaign(self.profiles)
        campaign.with_user(self.staff).action_request_review()
        for action in ("action_launch", "action_resume"):
            with self.assertRaisesRegex(UserError, "Only a messaging manager"):
                getattr(campaign.with_user(self.staff), action)()
        campaign.with_user(self.staff).action_back_to_draft()
        campaign.with_user(self.staff).action_request_review()
        self.assertFalse(self.get_messages(campaign))
        before = self.env["ir.cron.trigger"].search_count([])
        campaign.with_user(self.manager).action_launch()
        self.assertEqual(campaign.state, "scheduled")
        self.assertEqual(campaign.utm_campaign_id.title, "Campaign")
        self.assertGreater(self.env["ir.cron.trigger"].search_count([]), before)
        self.assertFalse(self.get_messages(campaign), "not in the user's request")
        with self.assertRaisesRegex(UserError, "is Scheduled by now"):
            campaign.with_user(self.manager).action_launch()

    def test_from_draft_to_done(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        self.assertTrue(campaign.planned_date)
        self.assertEqual(len(self.send()), 3)
        self.assertEqual(campaign.state, "done")
        self.assertTrue(campaign.done_date)
        self.assertEqual(campaign.sent_count, 3)
        self.assertEqual(campaign.progress_rate, 100)

    def test_nothing_leaves_before_the_set_time(self):
        soon = fields.Datetime.add(fields.Datetime.now(), hours=1)
        campaign = self.make_campaign(
            self.profiles, schedule_type="date", scheduled_date=soon
        )
        messages = self.launch(campaign)
        self.assertEqual(set(messages.mapped("due_date")), {soon})
        self.assertFalse(self.send())
        self.assertEqual(campaign.state, "scheduled")
        campaign.scheduled_date = fields.Datetime.now()
        self.move_due(messages)
        self.assertEqual(len(self.send()), 3)

    def test_launched_campaign_stays(self):
        draft, launched = (self.make_campaign(self.profiles) for _index in range(2))
        self.launch(launched)
        draft.with_user(self.staff).unlink()
        with self.assertRaisesRegex(UserError, "Archive it instead"):
            launched.with_user(self.manager).unlink()
        launched.with_user(self.manager).action_archive()

    # ---------------------------------------------------------- stopping half-way

    def send_until(self, press):
        """Send one by one; the first is at the provider when somebody presses a button.

        :returns: what left
        """
        pressed = []

        def decide(message):
            if not pressed:
                pressed.append(message)
                press()
                self.env.flush_all()
            return Outcome.OK

        with patch.object(member_message_send, "CLAIM_SIZE", 1):
            return self.send(decide)

    def test_pause_and_resume(self):
        campaign = self.make_campaign(self.profiles)
        messages = self.launch(campaign)
        sent = self.send_until(campaign.with_user(self.staff).action_pause)
        self.assertEqual(len(sent), 1)
        self.assertRecordValues(
            campaign, [{"state": "paused", "pause_reason": "Paused by hand."}]
        )
        self.assertEqual(Counter(messages.mapped("state")), {"sent": 1, "queued": 2})
        self.assertFalse(self.send())
        campaign.with_user(self.manager).action_resume()
        sent += self.send()
        self.assertEqual(
            sorted(message.address for message in sent),
            sorted(self.profiles.mapped("phone")),
        )
        self.assertRecordValues(campaign, [{"state": "done", "pause_reason": False}])

    def test_resume_looks_again(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        campaign.with_user(self.staff).action_pause()
        self.gateway.with_user(self.manager).action_pause()
        with self.assertRaisesRegex(UserError, "Gateway Test Account is paused"):
            campaign.with_user(self.manager).action_resume()
        self.gateway.with_user(self.manager).action_activate()
        campaign.with_user(self.manager).action_resume()
        self.assertEqual(len(self.send()), 3)

    def test_pausing_the_gateway(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        sent = self.send_until(self.gateway.with_user(self.manager).action_pause)
        self.assertEqual(len(sent), 1)
        self.assertEqual(campaign.state, "sending")
        self.gateway.with_user(self.manager).action_activate()
        self.assertFalse(self.gateway.pause_reason)
        self.assertEqual(len(self.send()), 2)

    def test_cancel(self):
        campaign = self.make_campaign(self.profiles)
        messages = self.launch(campaign)
        sent = self.send_until(campaign.with_user(self.staff).action_cancel)
        self.assertEqual(len(sent), 1)
        self.assertEqual(Counter(messages.mapped("state")), {"sent": 1, "cancelled": 2})
        self.assertFalse(self.send())
        self.assertEqual(campaign.state, "cancelled")
        with self.assertRaisesRegex(UserError, "is Cancelled by now"):
            campaign.with_user(self.manager).action_resume()

    # --------------------------------------------------------- split of members

    def test_variants_and_control_group(self):
        profiles = self.make_members(200)
        other = self.make_template("Other {{ unsubscribe_link }}")
        campaign = self.make_campaign(
            profiles,
            holdout_rate=25,
            variant_ids=[
                Command.create(
                    {"name": name, "template_id": template.id, "share_rate": share}
                )
                for name, template, share in (
                    ("A", self.template, 70),
                    ("B", other, 30),
                )
            ],
        )
        forecast = campaign.forecast
        messages = self.launch(campaign)
        held_out = messages.filtered(lambda message: message.reason == "holdout")
        variants = Counter(message.variant_id.name for message in messages)
        # more than four standard deviations off would be no chance
        self.assertAlmostEqual(len(held_out), 50, delta=27)
        self.assertAlmostEqual(variants["A"], 140, delta=28)
        self.assertEqual(variants.total(), 200)
        # who is held out is no matter of the variant
        self.assertEqual(set(held_out.mapped("variant_id.name")), {"A", "B"})
        self.assertIn(f"{len(held_out)} · In the control group", forecast)
        self.assertIn(f"{200 - len(held_out)} of 200 members", forecast)

        # the same members fall on the same side whoever else is in the audience
        decisions = {m.profile_id: (m.variant_id, m.reason) for m in messages}
        self.env.cr.execute("DELETE FROM member_message")
        self.env.invalidate_all()
        campaign.segment_ids.domain = str(
            [("member_profile_id", "in", profiles[100:].ids)]
        )
        campaign.write({"planned_date": False, "frozen_date": False})
        self.run_cron("plan")
        self.assertEqual(
            {
                m.profile_id: (m.variant_id, m.reason)
                for m in self.get_messages(campaign)
            },
            {profile: decisions[profile] for profile in profiles[100:]},
        )

    def test_copy_starts_anew(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        copy = campaign.with_user(self.staff).copy()
        self.assertRecordValues(
            copy,
            [
                {
                    "state": "draft",
                    "planned_date": False,
                    "scheduled_date": False,
                    "utm_campaign_id": False,
                    "segment_ids": campaign.segment_ids.ids,
                }
            ],
        )
        self.assertEqual(copy.variant_ids.template_id, self.template)
