"""The engine around a message: steps, lanes, rates, rests, routes, stops."""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

from psycopg2.errors import CheckViolation

from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import format_datetime, mute_logger

from ..gateways import ADAPTERS
from ..gateways.dispatch import Dispatched
from ..gateways.types import Outcome, SendResult
from ..models import member_message_plan, member_message_send
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestSteps(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(5)
        cls.segment = cls.env["member.segment"].create(
            {"name": "Named", "domain": "[('name', 'like', 'Member')]"}
        )

    def make_open_campaign(self, **values):
        return self.make_campaign(
            self.profiles, segment_ids=[Command.set(self.segment.ids)], **values
        )

    def test_progress_knows_of_messages_that_wait_for_the_morning(self):
        campaign = self.make_open_campaign()
        messages = self.launch(campaign).filtered(lambda m: m.state == "queued")
        now = fields.Datetime.now()
        for hours, message in enumerate(messages[:2], start=10):
            message.due_date = now + timedelta(hours=hours)
        self.send()
        rest = messages.filtered(lambda m: m.state == "queued")
        self.assertEqual(rest, messages[:2])
        campaign.invalidate_recordset()
        self.assertEqual(campaign.state, "sending")
        first, last = (
            campaign._format_time(now + timedelta(hours=hours)) for hours in (10, 11)
        )
        self.assertIn(f"the next at {first}", campaign.progress_hint)
        self.assertIn(f"the last at about {last}", campaign.progress_hint)

    def test_audience_is_that_of_the_launch(self):
        """The planner is stopped after its first step; somebody joins; it goes on."""
        campaign = self.make_open_campaign()
        campaign.with_user(self.manager).action_launch()
        messages = self.env["member.message"]
        with patch.object(member_message_plan, "PLAN_SIZE", 2):
            self.assertFalse(messages._plan(campaign, lambda _step: 0))
        audience = campaign.frozen_count
        self.assertEqual(campaign.written_count, 2)
        self.assertFalse(campaign.planned_date)
        self.assertIn(f"2 of {audience}", campaign.progress_hint)
        late = self.make_members(1)
        self.run_cron("plan")
        self.assertTrue(campaign.planned_date)
        planned = self.get_messages(campaign)
        self.assertEqual(len(planned), audience)
        self.assertLessEqual(self.profiles, planned.profile_id)
        self.assertNotIn(late, planned.profile_id)
        self.assertFalse(self.env["member.campaign.audience"].search([]))
        self.run_cron("plan")
        self.assertEqual(self.get_messages(campaign), planned)

    def test_late_joiners_if_the_campaign_says_so(self):
        tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
        campaign = self.make_open_campaign(
            has_late_joiners=True, not_after_date=tomorrow
        )
        first = self.launch(campaign)
        self.send()
        self.assertEqual(campaign.state, "sending", "waits for those to come")
        late = self.make_members(2)
        late[1].partner_id.phone = self.profiles[0].phone
        self.run_cron("plan")
        added = self.get_messages(campaign) - first
        self.assertEqual(added.profile_id, late)
        self.assertEqual(added.mapped("reason"), [False, "duplicate_address"])
        self.assertEqual(len(self.send()), 1)
        now = fields.Datetime.now()
        campaign.write(
            {
                "scheduled_date": fields.Datetime.subtract(now, hours=1),
                "not_after_date": fields.Datetime.subtract(now, minutes=1),
            }
        )
        self.run_cron("send")
        self.assertEqual(campaign.state, "done")

    def test_planner_dies_while_it_adds_late_joiners(self):
        tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
        campaign = self.make_open_campaign(
            has_late_joiners=True, not_after_date=tomorrow
        )
        first = self.launch(campaign)
        late = self.make_members(3)
        messages = self.env["member.message"]
        with patch.object(member_message_plan, "PLAN_SIZE", 2):
            self.assertFalse(messages._plan(campaign, lambda _step: 0))
        self.assertEqual(len(self.get_messages(campaign)), len(first) + 2)
        self.run_cron("plan")
        self.assertEqual((self.get_messages(campaign) - first).profile_id, late)
        self.assertEqual(campaign.written_count, len(first) + 3)
        self.assertEqual(campaign.frozen_count, campaign.written_count)

    def test_late_joiners_need_an_end(self):
        with self.assertRaisesRegex(ValidationError, "Say until when"):
            self.make_open_campaign(has_late_joiners=True)

    def test_member_deleted_while_planning(self):
        campaign = self.make_campaign(self.profiles)
        campaign.with_user(self.manager).action_launch()
        self.env["member.message"]._freeze_audience(campaign)
        self.profiles[2].partner_id.unlink()
        self.run_cron("plan")
        left = self.profiles.exists()
        self.assertEqual(self.get_messages(campaign).profile_id, left)
        self.assertEqual(len(left), 4)

    def test_pause_and_cancel_while_planning(self):
        campaign = self.make_campaign(self.profiles)
        campaign.with_user(self.manager).action_launch()
        messages = self.env["member.message"]

        def pause(_step):
            campaign.with_user(self.staff).action_pause()
            return 1

        with patch.object(member_message_plan, "PLAN_SIZE", 2):
            messages._plan(campaign, pause)
        self.assertEqual((campaign.state, campaign.written_count), ("paused", 2))
        self.assertFalse(self.send())
        campaign.with_user(self.manager).action_resume()
        self.run_cron("plan")
        self.assertEqual(len(self.get_messages(campaign)), 5)
        campaign.with_user(self.manager).action_cancel()
        self.assertFalse(self.send())
        self.assertEqual(
            set(self.get_messages(campaign).mapped("state")), {"cancelled"}
        )

    def test_statements_do_not_grow_with_the_audience(self):
        def count(amount):
            campaign = self.make_campaign(self.make_members(amount))
            campaign.with_user(self.manager).action_launch()
            return self.count_queries(self.env["member.message"]._plan, campaign)

        count(2)
        self.assertEqual(count(40), count(4))


@tagged("post_install", "-at_install")
class TestLanes(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(4)
        cls.lanes = cls.env["member.lane"]
        cls.administrator = cls.make_user("administrator", "base.group_system")

    def set_lanes(self, count):
        settings = self.env["res.config.settings"].with_user(self.administrator)
        settings.create({"member_lane_count": count}).execute()

    def get_senders(self):
        crons = self.env["ir.cron"].with_context(active_test=False)
        return crons.search([("code", "like", "model._cron_send(")])

    def test_number_of_senders_is_a_setting(self):
        self.set_lanes(3)
        senders = self.get_senders()
        self.assertEqual(len(senders), 3)
        self.assertEqual(len(set(senders.mapped("code"))), 3)
        self.assertTrue(all(senders.mapped("active")))
        before = self.env["ir.cron.trigger"].search([])
        self.make_campaign(self.profiles).with_user(self.manager).action_launch()
        woken = self.env["ir.cron.trigger"].search([]) - before
        self.assertLessEqual(senders, woken.cron_id)
        self.set_lanes(1)
        self.assertEqual(senders.mapped("active").count(True), 1)
        self.set_lanes(2)
        self.assertEqual(self.get_senders(), senders, "kept, not made anew")
        self.set_lanes(99)
        self.assertEqual(self.lanes.search_count([]), 16)

    def test_a_lane_settles_what_its_dead_run_had_claimed(self):
        messages = self.launch(self.make_campaign(self.profiles))
        mine, others, *_rest = messages
        now = fields.Datetime.now()
        for message, lane in ((mine, 1), (others, 2)):
            self.env.cr.execute(
                "UPDATE member_message SET state = 'claimed', lane = %s,"
                " claimed_date = %s WHERE id = %s",
                (lane, now, message.id),
            )
        self.env.invalidate_all()
        self.assertEqual(len(self.send()), 2)
        self.assertEqual((mine.state, mine.reason), ("uncertain", "answer_lost"))
        self.assertEqual(others.state, "claimed", "another lane may be at work on it")

    def test_recording_again_leaves_what_another_lane_has_claimed_since(self):
        """The connection was lost in the commit: nobody knows whether it took place."""
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        campaign.with_user(self.manager).state = "sending"
        messages = self.env["member.message"]
        with self.enter_registry_test_mode():
            claimed, _count = messages._claim(self.gateway, 1)
            # of four, one was tried and is to wait; the commit has taken place …
            first, *_untried = claimed
            result = SendResult(str(first["id"]), Outcome.RETRY)
            done = Dispatched(results=[result])
            messages._record(self.gateway, done.results)
            messages._release([row["id"] for row in claimed[1:]])
            self.move_due(messages.browse([row["id"] for row in claimed]))
            # … and another lane is calling the provider with them
            again, _count = messages._claim(self.gateway, 2)
            self.assertEqual(len(again), 4)
            messages._record_elsewhere(self.gateway, claimed, done, 1, 0.1)
        self.env.invalidate_all()
        taken = messages.browse([row["id"] for row in claimed])
        self.assertEqual(set(taken.mapped("state")), {"claimed"})
        self.assertEqual(set(taken.mapped("lane")), {2})

    def test_lane_shows_its_work(self):
        self.launch(self.make_campaign(self.profiles))
        self.send()
        lane = self.lanes.with_user(self.manager).search([("number", "=", 1)])
        self.assertTrue(lane.is_working)
        self.assertEqual((lane.message_count, lane.gateway_id), (4, self.gateway))

    def test_urgent_first_and_campaigns_in_turn(self):
        notice = self.make_template("{{ member_name }}", category="notice")
        first, second = (self.make_campaign(self.profiles) for _turn in range(2))
        urgent = self.make_campaign(self.profiles, notice, category="notice")
        for campaign in (first, second, urgent):
            self.launch(campaign)
        names = {
            str(message.id): campaign
            for campaign in (first, second, urgent)
            for message in self.get_messages(campaign)
        }
        with patch.object(member_message_send, "CLAIM_SIZE", 4):
            sent = [names[message.key] for message in self.send()]
        self.assertEqual(set(sent[:4]), {urgent})
        self.assertEqual(Counter(sent[4:8]), {first: 2, second: 2})


@tagged("post_install", "-at_install")
class TestRates(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(3)
        cls.load = cls.gateway.load_ids

    def test_day_is_used_up(self):
        self.gateway.daily_limit = 2
        campaign = self.make_campaign(self.profiles)
        messages = self.launch(campaign)
        self.assertEqual(len(self.send()), 2)
        self.assertFalse(self.send())
        self.assertEqual(Counter(messages.mapped("state")), {"sent": 2, "queued": 1})
        self.assertEqual(messages.filtered(lambda m: m.state == "queued").parts, 0)
        self.load.day = fields.Date.subtract(self.load.day, days=1)
        self.assertEqual(len(self.send()), 1)
        self.assertEqual(campaign.state, "done")

    def test_calls_follow_one_another_at_the_rate(self):
        self.gateway.rate_per_second = 10
        loads = self.env["member.gateway.load"]
        waits = [loads._book_call(self.gateway, 1, 0.11) for _turn in range(3)]
        self.assertEqual(waits[0], 0)
        self.assertAlmostEqual(waits[2] - waits[0], 0.22, delta=0.1)

    def test_provider_that_asks_for_patience(self):
        self.launch(self.make_campaign(self.profiles))
        self.send(lambda m: SendResult(m.key, Outcome.RETRY, retry_after=30))
        self.assertGreater(
            self.load.next_call_date,
            fields.Datetime.add(fields.Datetime.now(), seconds=20),
        )

    def test_limits_are_checked(self):
        for name in ("rate_per_second", "daily_limit"):
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(CheckViolation),
                self.env.cr.savepoint(),
            ):
                self.gateway[name] = -1
                self.env.flush_all()


@tagged("post_install", "-at_install")
class TestRest(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(8)
        cls.load = cls.gateway.load_ids
        cls.gateway.connection_count = 1

    def fail(self):
        """:returns: messages handed over until the gateway rests"""
        return self.send(lambda _message: Outcome.AMBIGUOUS, batch_size=1)

    def get_hint(self):
        queue = self.env["member.queue"].with_user(self.staff)
        [row] = queue.search([("gateway_id", "=", self.gateway.id)])
        return row.status, row.hint

    def test_gateway_that_does_not_answer_rests(self):
        messages = self.launch(self.make_campaign(self.profiles))
        self.assertEqual(len(self.fail()), 5)
        self.assertEqual(
            Counter(messages.mapped("state")), {"uncertain": 5, "queued": 3}
        )
        self.assertEqual(
            set(
                messages.filtered(lambda m: m.state == "queued").mapped("attempt_count")
            ),
            {0},
        )
        self.assertFalse(self.send(), "it rests")
        status, hint = self.get_hint()
        self.assertEqual(status, "resting")
        self.assertIn("nothing is lost", hint)

    def test_one_call_tries_whether_it_is_back(self):
        messages = self.launch(self.make_campaign(self.profiles))
        self.fail()
        self.load.rest_until_date = fields.Datetime.now()
        self.assertEqual(len(self.fail()), 1)
        rest = self.load.rest_until_date - fields.Datetime.now()
        self.assertGreater(rest, timedelta(seconds=50), "longer than before")
        self.load.rest_until_date = fields.Datetime.now()
        self.assertEqual(len(self.send(batch_size=1)), 2)
        self.assertEqual((self.load.failure_count, self.get_hint()[0]), (0, "working"))
        self.assertEqual(Counter(messages.mapped("state")), {"uncertain": 6, "sent": 2})

    def test_token_is_renewed_once(self):
        self.launch(self.make_campaign(self.profiles[:1]))
        outcomes = [Outcome.OK, Outcome.TOKEN]
        sent = self.send(
            lambda _message: outcomes.pop(), renew_token=lambda _adapter: True
        )
        self.assertEqual(len(sent), 2)
        self.assertEqual(self.gateway.state, "active")

    def test_token_that_does_not_help_pauses(self):
        self.launch(self.make_campaign(self.profiles[:1]))
        sent = self.send(
            lambda _message: Outcome.TOKEN, renew_token=lambda _adapter: True
        )
        self.assertEqual(len(sent), 2)
        self.assertEqual(self.gateway.state, "paused")
        self.assertIn("cannot send", self.gateway.activity_ids.mapped("summary")[0])
        self.assertEqual(self.get_hint()[0], "paused")


@tagged("post_install", "-at_install")
class TestRoutes(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(2)
        cls.profiles[1].partner_id.phone = "+49 30 901820"
        cls.other = cls.gateway.copy({"name": "Other"})

    def get_routes(self, campaign):
        return self.get_messages(campaign).mapped("gateway_id.name")

    def test_numbers_of_other_countries(self):
        self.gateway.prefixes = "+86, +852"
        self.other.prefixes = "+49"
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        self.assertEqual(self.get_routes(campaign), ["Test Account", "Other"])
        self.assertEqual(len(self.send()), 2)

    def test_prefix_is_checked(self):
        for wrong in ("86", "+8a", "+"):
            with self.assertRaisesRegex(ValidationError, "no beginning"):
                self.gateway.prefixes = wrong

    def test_stand_in_takes_over_from_a_paused_gateway(self):
        campaign = self.make_campaign(self.profiles)
        messages = self.launch(campaign)
        self.gateway.with_user(self.manager).action_pause()
        self.assertFalse(self.send(), "nobody asked the other one to")
        self.other.is_stand_in = True
        self.assertEqual(len(self.send()), 2)
        self.assertEqual(messages.gateway_id, self.other)

    def test_stand_in_takes_over_only_what_has_not_left(self):
        self.other.is_stand_in = True
        messages = self.launch(self.make_campaign(self.profiles))
        first, second = messages
        outcomes = {first.address: Outcome.AMBIGUOUS, second.address: Outcome.PAUSE}
        self.gateway.connection_count = 1
        self.send(lambda m: outcomes[m.address], batch_size=1)
        self.assertEqual(self.gateway.state, "paused")
        self.move_due(second)
        [sent] = self.send()
        self.assertEqual(sent.address, second.address)
        self.assertEqual((first.state, first.gateway_id), ("uncertain", self.gateway))

    def test_sandbox_never_stands_in(self):
        self.other.write({"is_stand_in": True})
        account = self.make_aliyun_gateway()
        campaign = self.make_campaign(self.profiles, gateway_id=account.id)
        self.assertEqual(campaign._get_gateways(), account)

    def test_stand_in_must_know_the_text(self):
        account = self.make_aliyun_gateway(is_stand_in=True)
        first = self.make_aliyun_gateway()
        campaign = self.make_campaign(self.profiles, gateway_id=first.id)
        self.assertEqual(campaign._get_gateways(), first | account)
        account.registration_ids.unlink()
        self.assertEqual(campaign._get_gateways(), first)


@tagged("post_install", "-at_install")
class TestControl(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(3)
        policies = cls.env["member.send.policy"]
        cls.policy = policies.search(
            [("company_id", "=", cls.company.id)]
        ) or policies.create({"company_id": cls.company.id})

    def test_stop_everything(self):
        self.launch(self.make_campaign(self.profiles))
        policy = self.policy.with_user(self.manager)
        policy.action_stop_all()
        self.assertFalse(self.send())
        queue = self.env["member.queue"].search([("company_id", "=", self.company.id)])
        self.assertEqual(set(queue.mapped("status")), {"stopped"})
        policy.action_allow_all()
        self.assertEqual(len(self.send()), 3)

    def test_limit_of_promotions_is_asked_again_at_the_claim(self):
        self.policy.promotion_limit = 1
        first, second = (self.make_campaign(self.profiles[:1]) for _turn in range(2))
        self.policy.promotion_limit = 0
        self.launch(first)
        message = self.launch(second)
        self.policy.promotion_limit = 1
        with patch.object(member_message_send, "CLAIM_SIZE", 1):
            self.assertEqual(len(self.send()), 1)
        states = (self.get_messages(first) | message).mapped("state")
        self.assertEqual(Counter(states), {"sent": 1, "skipped": 1})
        self.assertIn(
            "frequency_cap", (self.get_messages(first) | message).mapped("reason")
        )

    def test_number_is_given_up(self):
        self.policy.write({"bad_number_limit": 2, "promotion_limit": 0})
        profile = self.profiles[0]
        for _turn in range(2):
            self.launch(self.make_campaign(profile))
            self.send(lambda _message: Outcome.BADNUM)
        self.assertEqual(self.launch(self.make_campaign(profile)).reason, "bad_number")
        self.policy.bad_number_limit = 0
        self.assertFalse(self.launch(self.make_campaign(profile)).reason)

    def test_retry_sends_what_certainly_did_not_leave(self):
        campaign = self.make_campaign(self.profiles)
        messages = self.launch(campaign)
        outcomes = dict(
            zip(
                self.profiles.mapped("phone"),
                (Outcome.BUG, Outcome.AMBIGUOUS, Outcome.BADNUM),
                strict=True,
            )
        )
        self.send(lambda message: outcomes[message.address])
        code = messages[0].card_id.code
        self.assertEqual(campaign.state, "done")
        self.assertTrue(campaign.has_retriable)
        with self.assertRaisesRegex(UserError, "Only a messaging manager"):
            campaign.with_user(self.staff).action_retry_failed()
        campaign.with_user(self.manager).action_retry_failed()
        [sent] = self.send()
        self.assertEqual(sent.key, str(messages[0].id))
        self.assertIn(code, sent.body)
        self.assertTrue(messages[0].card_id.active)
        self.assertEqual(messages.mapped("state"), ["sent", "uncertain", "failed"])
        self.assertEqual(campaign.state, "done")
        self.assertFalse(campaign.has_retriable)

    def test_uncertain_for_good(self):
        [message] = self.launch(self.make_campaign(self.profiles[:1]))
        self.send(lambda _message: Outcome.AMBIGUOUS)
        self.env["member.message"]._close_uncertain()
        self.assertEqual(message.reason, "answer_lost")
        self.env.cr.execute(
            "UPDATE member_message SET sent_date = sent_date - interval '4 days'"
        )
        self.env["member.message"]._close_uncertain()
        message.invalidate_recordset()
        self.assertRecordValues(
            message, [{"state": "uncertain", "reason": "never_settled"}]
        )
        self.assertFalse(self.send())

    def test_refused_text_raises_an_activity(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        self.send(lambda _message: Outcome.TEMPLATE)
        self.assertEqual(campaign.activity_ids.user_id, self.staff)

    def test_queue_shows_figures_and_opens_what_is_behind(self):
        messages = self.launch(self.make_campaign(self.profiles))
        waiting, uncertain, failed = messages
        self.env.cr.execute(
            "UPDATE member_message SET due_date = due_date + interval '1 hour'"
            " WHERE id = %s",
            (waiting.id,),
        )
        self.env.invalidate_all()
        outcomes = {uncertain.address: Outcome.AMBIGUOUS, failed.address: Outcome.BUG}
        self.send(lambda message: outcomes[message.address])
        queue = self.env["member.queue"].with_user(self.staff)
        [row] = queue.search([("gateway_id", "=", self.gateway.id)])
        self.assertRecordValues(
            row,
            [
                {
                    "due_count": 0,
                    "later_count": 1,
                    "claimed_count": 0,
                    "uncertain_count": 1,
                    "failed_count": 1,
                }
            ],
        )
        for action, expected in (
            (row.action_view_open(), waiting),
            (row.action_view_uncertain(), uncertain),
            (row.action_view_failed(), failed),
        ):
            self.assertEqual(
                self.env["member.message"].search(action["domain"]), expected
            )

    def test_queue_says_when_what_waits_leaves(self):
        queue = self.env["member.queue"].with_user(self.staff)
        [row] = queue.search([("gateway_id", "=", self.gateway.id)])
        self.assertFalse(row.hint)
        messages = self.launch(self.make_campaign(self.profiles))
        due = fields.Datetime.now() + timedelta(hours=3)
        messages.write({"due_date": due + timedelta(hours=1)})
        messages[1].due_date = due
        self.env.flush_all()
        row.invalidate_recordset()
        self.assertEqual((row.status, row.later_count), ("idle", 3))
        time = format_datetime(row.env, due, dt_format="short")
        self.assertIn(f"The next message leaves at {time}", row.hint)
        self.gateway.write({"state": "paused", "pause_reason": False})
        self.env.flush_all()
        row.invalidate_recordset()
        self.assertIn("Not in use yet", row.hint)

    def test_what_was_launched_cannot_be_deleted(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        for record in (campaign, campaign.variant_ids, self.gateway):
            with self.assertRaisesRegex(UserError, "proof"):
                record.unlink()

    def test_progress_is_for_those_who_may_read_the_campaign(self):
        campaign = self.make_campaign(self.profiles)
        clerk = self.make_user("clerk", "base.group_user")
        wanted = [f"member.campaign_{campaign.id}", "member.campaign_x", "other"]
        for user, expected in ((self.staff, [campaign]), (clerk, [])):
            request = SimpleNamespace(session=SimpleNamespace(uid=user.id))
            with patch("odoo.addons.bus.models.ir_websocket.wsrequest", request):
                channels = (
                    self.env["ir.websocket"]
                    .with_user(user)
                    ._build_bus_channel_list(list(wanted))
                )
            self.assertIn("other", channels)
            self.assertFalse(
                set(wanted[:2]) & {c for c in channels if isinstance(c, str)}
            )
            self.assertEqual(
                [c for c in channels if getattr(c, "_name", "") == campaign._name],
                expected,
            )

    def test_form_is_told_about_progress(self):
        campaign = self.make_campaign(self.profiles)
        self.launch(campaign)
        self.env["bus.bus"].search([]).unlink()
        self.send()
        sent = self.env["bus.bus"].search([]).mapped("message")
        self.assertTrue(any("member_messaging.progress" in text for text in sent))

    def test_every_provider_has_a_rate(self):
        for code in ADAPTERS:
            gateway = self.env["member.gateway"].create(
                {"name": code, "provider": code}
            )
            self.assertGreaterEqual(gateway.rate_per_second, 0)
