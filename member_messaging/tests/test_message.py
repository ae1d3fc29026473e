from collections import Counter
from contextlib import suppress
from unittest.mock import patch

from odoo import Command, fields
from odoo.tests import freeze_time, tagged, test_cursor
from odoo.tools import mute_logger

from ..gateways.types import Outcome, SendResult
from ..models import member_message_send
from ..tools import codes
from .common import MemberMessagingCommon

PLAIN = "Dear {{ member_name }}, sale! Stop: {{ unsubscribe_link }}"


@tagged("post_install", "-at_install")
class TestPlan(MemberMessagingCommon):
    def test_reasons_add_up_to_the_audience(self):
        profiles = self.make_members(8)
        reached, nobody, mistyped, blocked, refusing, first, second, foreign = profiles
        silent = self.make_members(1, is_granted=False)
        nobody.partner_id.phone = False
        mistyped.partner_id.phone = "12345"
        foreign.partner_id.phone = "+49 30 901820"
        self.env["phone.blacklist"].add(blocked.phone)
        self.env["member.consent"]._refuse(refusing, "sms", "staff", "Told us")
        second.partner_id.phone = first.phone[3:]
        campaign = self.make_campaign(profiles | silent)
        messages = self.launch(campaign)
        self.assertEqual(
            {message.profile_id: message.reason for message in messages},
            {
                reached: False,
                nobody: "no_address",
                mistyped: "invalid_address",
                blocked: "blocked",
                refusing: "refused",
                first: False,
                second: "duplicate_address",
                foreign: False,
                silent: "no_consent",
            },
        )
        self.assertEqual(len(messages), campaign.audience_count)
        for message in messages:
            self.assertEqual(message.state, "skipped" if message.reason else "queued")
        self.assertRecordValues(
            messages[0],
            [
                {
                    "partner_id": reached.partner_id.id,
                    "variant_id": campaign.variant_ids.id,
                    "company_id": self.company.id,
                    "channel": "sms",
                    "gateway_id": self.gateway.id,
                    "address": reached.phone,
                    "due_date": campaign.scheduled_date,
                    "attempt_count": 0,
                    "body": False,
                    "card_id": False,
                }
            ],
        )
        self.assertEqual(
            {message.address for message in self.send()},
            {reached.phone, first.phone, "+4930901820"},
        )

    def test_blocked_numbers_are_reached_once_unblocked(self):
        profile = self.make_members(1)
        self.env["phone.blacklist"].add(profile.phone)
        self.assertEqual(self.launch(self.make_campaign(profile)).reason, "blocked")
        self.env["phone.blacklist"].remove(profile.phone)
        self.assertFalse(self.launch(self.make_campaign(profile)).reason)

    def test_member_of_two_segments_gets_it_once(self):
        profiles = self.make_members(3)
        segments = self.make_segment(profiles[:2]) | self.make_segment(profiles[1:])
        campaign = self.make_campaign(profiles, segment_ids=[Command.set(segments.ids)])
        self.assertEqual(self.launch(campaign).profile_id, profiles)

    def test_planning_again_adds_nothing(self):
        profiles = self.make_members(3)
        profiles[0].partner_id.phone = profiles[1].phone
        campaign = self.make_campaign(profiles)
        messages = self.launch(campaign)
        versions = self.get_row_versions(messages)
        # as after a crash between writing the rows and saying so
        campaign.write({"planned_date": False, "frozen_date": False})
        self.run_cron("plan")
        self.assertTrue(campaign.planned_date)
        self.assertEqual(self.get_messages(campaign), messages)
        self.assertEqual(self.get_row_versions(messages), versions)

    def test_segment_broken_since_approval_stops_its_campaign_only(self):
        broken, sound = (
            self.make_campaign(self.make_members(1)) for _index in range(2)
        )
        for campaign in broken | sound:
            campaign.with_user(self.manager).action_launch()
        self.env.cr.execute(
            "UPDATE member_segment SET domain = '[(' WHERE id = %s",
            (broken.segment_ids.id,),
        )
        self.env.invalidate_all()
        self.run_cron("plan")
        self.assertEqual(broken.state, "paused")
        self.assertIn("cannot be read", broken.pause_reason)
        self.assertFalse(self.get_messages(broken))
        self.assertEqual(self.get_messages(sound).state, "queued")


@tagged("post_install", "-at_install")
class TestClaim(MemberMessagingCommon):
    def test_what_changed_since_planning_counts(self):
        profiles = self.make_members(5)
        blocked, refusing, expired, withdrawn, reached = profiles
        campaign = self.make_campaign(profiles)
        messages = self.launch(campaign)
        self.env["phone.blacklist"].add(blocked.phone)
        self.env["member.consent"]._refuse(refusing, "sms", "link", "/m/x/stop")
        self.env["member.consent"].create(
            {
                "profile_id": expired.id,
                "state": "granted",
                "source": "import",
                "expiry_date": "2020-01-01",
            }
        )
        withdrawn.with_user(self.manager).unlink()
        sent = self.send()
        self.assertEqual([message.address for message in sent], [reached.phone])
        self.assertEqual(
            messages.mapped("reason"),
            ["blocked", "refused", "no_consent", "archived", False],
        )
        skipped = messages.filtered("reason")
        self.assertEqual(set(skipped.mapped("state")), {"skipped"})
        self.assertFalse(skipped.card_id, "no coupon for a message that never leaves")
        self.assertEqual(campaign.state, "done")

    def test_a_batch_of_refusals_does_not_hide_the_rest(self):
        profiles = self.make_members(4)
        self.launch(self.make_campaign(profiles))
        self.env["member.consent"]._refuse(profiles[:3], "sms", "reply", "TD")
        with patch.object(member_message_send, "CLAIM_SIZE", 2):
            sent = self.send()
        self.assertEqual([message.address for message in sent], [profiles[3].phone])

    def test_not_after(self):
        campaign = self.make_campaign(self.make_members(2))
        messages = self.launch(campaign)
        now = fields.Datetime.now()
        campaign.write(
            {
                "scheduled_date": fields.Datetime.subtract(now, hours=2),
                "not_after_date": fields.Datetime.subtract(now, hours=1),
            }
        )
        self.assertFalse(self.send())
        self.assertEqual(
            {(message.state, message.reason) for message in messages},
            {("skipped", "expired")},
        )
        self.assertEqual(campaign.state, "done")

    def test_claim_of_a_dead_sender(self):
        profiles = self.make_members(2)
        campaign = self.make_campaign(profiles)
        stale, fresh = self.launch(campaign)
        now = fields.Datetime.now()
        for message, minutes in ((stale, 20), (fresh, 1)):
            self.env.cr.execute(
                "UPDATE member_message SET state = 'claimed', claimed_date = %s"
                " WHERE id = %s",
                (fields.Datetime.subtract(now, minutes=minutes), message.id),
            )
        self.env.invalidate_all()
        self.assertFalse(self.send())
        self.assertRecordValues(
            stale,
            [
                {
                    "state": "uncertain",
                    "reason": "answer_lost",
                    "sent_date": stale.claimed_date,
                }
            ],
        )
        self.assertEqual(fresh.state, "claimed")
        self.assertEqual(campaign.state, "sending")

    def test_killed_while_the_provider_is_called(self):
        """What was claimed stays claimed: the commit comes before the call."""
        message = self.launch(self.make_campaign(self.make_members(1)))

        class Killed(BaseException):
            pass

        def decide(_outbound):
            # of a dead process, what it has committed is left
            test_cursor.TestCursor._cursors_stack[-1].rollback()
            raise Killed

        with suppress(Killed):
            self.send(decide)
        self.env.invalidate_all()
        self.assertRecordValues(message, [{"state": "claimed", "attempt_count": 1}])
        self.assertIn(message.card_id.code, message.body)
        self.assertFalse(self.send())


@tagged("post_install", "-at_install")
class TestOutcome(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(3)

    def send_one(self, outcome, **values):
        """Send a campaign to one member with this outcome.

        :returns: the message
        """
        message = self.launch(self.make_campaign(self.profiles[0]))
        self.send(
            lambda outbound: SendResult(
                outbound.key,
                outcome,
                provider_code="code",
                provider_message="words",
                **values,
            )
        )
        return message

    def assertDelay(self, message, seconds):
        delay = message.due_date - fields.Datetime.now()
        self.assertGreater(delay.total_seconds(), seconds - 30)
        self.assertLess(delay.total_seconds(), seconds * 1.2 + 30)

    def test_deleted_coupon(self):
        [message] = self.launch(self.make_campaign(self.make_members(1)))
        self.send()
        card = message.card_id
        self.assertTrue(card)
        card.unlink()
        self.assertFalse(message.card_id)
        self.assertEqual(message.state, "sent")

    def test_accepted(self):
        message = self.send_one(Outcome.OK, provider_ref="biz-1")
        self.assertRecordValues(
            message,
            [
                {
                    "state": "sent",
                    "reason": False,
                    "provider_ref": "biz-1",
                    "provider_code": "code",
                    "provider_message": "words",
                    "attempt_count": 1,
                }
            ],
        )
        self.assertTrue(message.sent_date)
        self.assertTrue(message.card_id.active)
        self.assertEqual(message.campaign_id.state, "done")

    def test_failed_for_good(self):
        for outcome, reason in (
            (Outcome.BADNUM, "rejected_number"),
            (Outcome.CONTENT, "rejected_content"),
            (Outcome.BUG, "provider_error"),
        ):
            with self.subTest(outcome=outcome):
                message = self.send_one(outcome)
                self.assertRecordValues(
                    message,
                    [
                        {
                            "state": "failed",
                            "reason": reason,
                            "sent_date": False,
                            "cost": 0,
                            "provider_message": "words",
                        }
                    ],
                )
                self.assertFalse(message.card_id.active, "nobody holds the coupon")
                self.assertEqual(message.campaign_id.state, "done")

    def test_opted_out_at_the_provider(self):
        message = self.send_one(Outcome.OPTOUT)
        self.assertRecordValues(message, [{"state": "failed", "reason": "refused"}])
        self.assertFalse(message.card_id.active)
        self.assertRecordValues(
            self.profiles[0].consent_ids[0],
            [{"state": "refused", "source": "reply", "evidence": "Test Account: code"}],
        )
        again = self.launch(self.make_campaign(self.profiles[0]))
        self.assertEqual(again.reason, "refused")

    def test_lost_answer_is_never_sent_again(self):
        message = self.send_one(Outcome.AMBIGUOUS, provider_ref="out:1")
        self.assertRecordValues(
            message,
            [{"state": "uncertain", "reason": "answer_lost", "provider_ref": "out:1"}],
        )
        self.assertTrue(message.sent_date)
        self.assertTrue(message.card_id.active, "the member may hold it")
        self.move_due(message)
        self.assertFalse(self.send())
        self.assertEqual(message.campaign_id.state, "done")

    def test_later(self):
        for outcome, retry_after, seconds in (
            (Outcome.RETRY, None, 60),
            (Outcome.RETRY, 5, 60),
            (Outcome.POSTPONE, 3600, 3600),
        ):
            with self.subTest(outcome=outcome, retry_after=retry_after):
                message = self.send_one(outcome, retry_after=retry_after)
                self.assertRecordValues(
                    message,
                    [{"state": "queued", "reason": False, "attempt_count": 1}],
                )
                self.assertDelay(message, seconds)
                self.assertTrue(message.card_id.active)
                self.assertEqual(message.campaign_id.state, "sending")
                self.assertEqual(self.gateway.state, "active")

    def test_six_attempts(self):
        message = self.send_one(Outcome.RETRY)
        code, token, body = message.card_id.code, message.token, message.body
        for attempt, seconds in enumerate((120, 240, 480, 960), start=2):
            self.move_due(message)
            # else it would rest by now
            self.gateway.load_ids.failure_count = 0
            [outbound] = self.send(lambda _message: Outcome.RETRY)
            self.assertEqual(outbound.body, body)
            self.assertEqual(message.attempt_count, attempt)
            self.assertDelay(message, seconds)
        self.move_due(message)
        self.gateway.load_ids.failure_count = 0
        self.send(lambda _message: Outcome.RETRY)
        self.assertRecordValues(
            message,
            [{"state": "failed", "reason": "provider_error", "attempt_count": 6}],
        )
        self.assertEqual((message.card_id.code, message.token), (code, token))
        self.assertFalse(message.card_id.active)

    def test_account_that_cannot_send(self):
        for outcome in (Outcome.PAUSE, Outcome.TOKEN):
            with self.subTest(outcome=outcome):
                message = self.send_one(outcome)
                self.assertEqual(self.gateway.state, "paused")
                self.assertRegex(
                    self.gateway.pause_reason, r"^The provider .*\. \(code words\)$"
                )
                self.assertEqual(message.state, "queued")
                self.assertEqual(message.campaign_id.state, "sending")
                self.assertTrue(message.card_id.active)
                self.move_due(message)
                self.assertFalse(self.send())
                self.gateway.with_user(self.manager).action_activate()
                self.assertEqual(len(self.send()), 1)

    def test_closed_account_is_called_once(self):
        self.gateway.connection_count = 1
        messages = self.launch(self.make_campaign(self.profiles))
        sent = self.send(lambda outbound: Outcome.PAUSE, batch_size=1)
        self.assertEqual(len(sent), 1)
        self.assertEqual(set(messages.mapped("state")), {"queued"})
        self.assertEqual(set(messages.mapped("attempt_count")), {0})

    def test_a_pause_is_no_attempt(self):
        message = self.send_one(Outcome.PAUSE)
        self.assertEqual(message.attempt_count, 0)

    def test_paused_account_does_not_hold_up_the_others(self):
        other = self.gateway.copy({"name": "Second"})
        first, second = (
            self.make_campaign(self.profiles, gateway_id=gateway.id)
            for gateway in (self.gateway, other)
        )
        self.launch(first)
        self.launch(second)
        self.gateway.with_user(self.manager).action_pause()
        self.assertEqual(len(self.send()), 3)
        self.assertEqual((first.state, second.state), ("sending", "done"))

    def test_template_that_is_not_accepted(self):
        message = self.send_one(Outcome.TEMPLATE)
        self.assertRecordValues(
            message.campaign_id,
            [
                {
                    "state": "paused",
                    "pause_reason": "The provider refuses the template, signature or "
                    "sender. (code words)",
                }
            ],
        )
        self.assertEqual(self.gateway.state, "active")
        self.assertRecordValues(message, [{"state": "queued", "attempt_count": 0}])
        message.campaign_id.with_user(self.manager).action_resume()
        self.move_due(message)
        self.assertEqual(len(self.send()), 1)
        self.assertEqual(message.campaign_id.state, "done")

    def test_everybody_has_an_outcome_of_their_own(self):
        messages = self.launch(self.make_campaign(self.profiles))
        outcomes = dict(
            zip(
                self.profiles.mapped("phone"),
                (Outcome.OK, Outcome.BADNUM, Outcome.RETRY),
                strict=True,
            )
        )
        self.send(lambda message: outcomes[message.address])
        self.assertEqual(messages.mapped("state"), ["sent", "failed", "queued"])
        self.assertEqual(
            messages.card_id.with_context(active_test=False).mapped("active"),
            [True, False, True],
        )

    def test_fault_in_the_adapter(self):
        """What may have left is uncertain; nothing is sent twice."""
        messages = self.launch(self.make_campaign(self.profiles))

        def decide(message):
            if message.address == self.profiles[1].phone:
                raise ZeroDivisionError
            return Outcome.OK

        with mute_logger("odoo.addons.member_messaging.gateways.base"):
            sent = self.send(decide)
        self.assertEqual(len(sent), 2)
        self.assertEqual(Counter(messages.mapped("state")), {"sent": 1, "uncertain": 2})
        self.assertFalse(self.send())

    def test_events_go_with_their_message(self):
        first, second = self.launch(self.make_campaign(self.profiles[:2]))
        self.send()
        events = self.env["member.event"]
        now = fields.Datetime.now()
        events._record(
            [
                {"message_id": message.id, "type": "delivered", "date": now}
                for message in (first, second)
            ]
        )
        first.unlink()
        self.assertEqual(events.search([]).message_id, second)

    def test_recording_again_changes_nothing(self):
        message = self.send_one(Outcome.OK, provider_ref="biz-1")
        versions = self.get_row_versions(message)
        for outcome in (Outcome.OK, Outcome.RETRY):
            self.env["member.message"]._record(
                self.gateway, [SendResult(str(message.id), outcome, "biz-2")]
            )
        self.assertEqual(self.get_row_versions(message), versions)
        self.assertEqual(message.provider_ref, "biz-1")

    def test_link_followed_during_the_call(self):
        """Who has followed the link has got the message, whatever the answer says."""
        for outcome, state in (
            (Outcome.OK, "delivered"),
            (Outcome.AMBIGUOUS, "delivered"),
            (Outcome.BADNUM, "failed"),
        ):
            with self.subTest(outcome=outcome):
                message = self.launch(self.make_campaign(self.profiles[0]))
                during = []

                def decide(
                    outbound, message=message, outcome=outcome, note=during.append
                ):
                    message.invalidate_recordset()
                    message._record_visit(is_machine=False)
                    note(message.state)
                    return SendResult(outbound.key, outcome, "biz-1")

                self.send(decide)
                self.assertEqual(during, ["claimed"], "the sender's row")
                self.assertRecordValues(
                    message, [{"state": state, "provider_ref": "biz-1"}]
                )
                self.assertTrue(message.clicked_date)

    def test_cost(self):
        self.assertRecordValues(
            self.send_one(Outcome.OK, parts=2), [{"parts": 2, "cost": 0.1}]
        )
        template = self.make_template("x" * 71 + " {{ unsubscribe_link }}")
        campaign = self.make_campaign(self.profiles, template)
        messages = self.launch(campaign)
        self.send()
        self.assertEqual(messages.mapped("parts"), [2, 2, 2])
        self.assertAlmostEqual(campaign.cost, 0.3)


@tagged("post_install", "-at_install")
class TestText(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(3)

    def get_body(self, body, profile=None, **values):
        """:returns: what one member reads"""
        template = self.make_template(f"{body}|{{{{ unsubscribe_link }}}}", **values)
        self.launch(self.make_campaign(profile or self.profiles[0], template))
        [outbound] = self.send()
        return outbound.body.split("|")[0]

    def test_everybody_gets_code_and_link_of_their_own(self):
        campaign = self.make_campaign(self.profiles, coupon_days=7)
        messages = self.launch(campaign)
        sent = {message.address: message.body for message in self.send()}
        base = self.template.get_base_url()
        self.assertEqual(
            sent,
            {
                message.address: f"Dear {message.partner_id.name}, "
                f"code {message.card_id.code} gives you 10% on your order: "
                f"{base}/m/{message.token} Stop: {base}/m/{message.token}/stop"
                for message in messages
            },
        )
        self.assertEqual(messages.mapped("body"), list(sent.values()))
        self.assertEqual(len(set(messages.mapped("token"))), 3)
        self.assertEqual(len(set(messages.card_id.mapped("code"))), 3)
        today = fields.Date.context_today(self.env["member.campaign"])
        expiry = fields.Date.add(today, days=7)
        self.assertRecordValues(
            messages.card_id,
            [
                {
                    "partner_id": profile.partner_id.id,
                    "program_id": self.program.id,
                    "points": 1,
                    "expiration_date": expiry,
                }
                for profile in self.profiles
            ],
        )
        for card in messages.card_id:
            self.assertTrue(codes.is_valid(card.code))

    def test_coupon_ends_with_its_programme(self):
        today = fields.Date.context_today(self.program)
        end = fields.Date.add(today, days=3)
        self.program.date_to = end
        [message] = self.make_sent(self.profiles[0])
        self.assertEqual(message.card_id.expiration_date, end)

    def test_coupon_is_counted_from_the_day_in_the_shop(self):
        self.company.partner_id.tz = "Asia/Shanghai"
        with freeze_time("2026-05-01 20:00:00"):
            [message] = self.make_sent(self.profiles[0], coupon_days=7)
        self.assertEqual(
            message.card_id.expiration_date, fields.Date.to_date("2026-05-09")
        )

    def test_code_that_exists_already(self):
        [taken] = self.make_sent(self.profiles[0]).card_id.mapped("code")
        one, two, three = codes.generate_codes(3)
        with patch.object(codes, "generate_codes", side_effect=[[one, taken], [two]]):
            messages = self.make_sent(self.profiles[1:])
        self.assertEqual(messages.card_id.mapped("code"), [one, two])
        self.assertNotIn(three, messages.card_id.mapped("code"))

    def test_variables(self):
        profile = self.profiles[0]
        tier = self.env["member.tier"].create({"name": "Gold"})
        tier.with_context(lang="zh_CN").name = "金卡"
        profile.write(
            {"tier_id": tier.id, "tier_locked": True, "tier_lock_reason": "Test"}
        )
        self.product.with_context(lang="zh_CN").name = "茶"
        self.sell(profile.partner_id)
        points = self.env["loyalty.program"].create(
            {"name": "Points", "program_type": "loyalty"}
        )
        self.env["loyalty.card"].create(
            {
                "program_id": points.id,
                "partner_id": profile.partner_id.id,
                "points": 120,
            }
        )
        body = "{{ tier }} {{ last_product }} {{ points }} {{ brand }} {{ store }}."
        self.assertEqual(self.get_body(body), f"Gold Tea 120 {self.company.name} .")
        self.gateway.signature = "茶"
        self.assertEqual(self.get_body(body, lang="zh_CN"), "【茶】金卡 茶 120 茶 .")

    def test_fallbacks(self):
        self.assertEqual(
            self.get_body(
                "{{ tier ||| valued }} {{ last_product ||| tea }} {{ points ||| no }}"
            ),
            "valued tea no",
        )

    def test_percent_and_braces_in_names_are_just_letters(self):
        name = "100 % {{ tier }} %s O'Neill \\1"
        self.profiles[0].partner_id.name = name
        self.assertEqual(self.get_body("{{ member_name }}"), name)

    def test_parameters_of_a_registered_text(self):
        profile = self.profiles[0]
        points = self.env["loyalty.program"].create(
            {"name": "Points", "program_type": "loyalty"}
        )
        self.env["loyalty.card"].create(
            {
                "program_id": points.id,
                "partner_id": profile.partner_id.id,
                "points": 0,
            }
        )
        template = self.make_template(
            "{{ member_name }} {{ tier ||| guest }} {{ points ||| no }} "
            "{{ link_token }} {{ unsubscribe_link }}",
            registration_ids=[
                Command.create(
                    {
                        "gateway_id": self.gateway.id,
                        "code": "SMS_7",
                        "state": "approved",
                        "parameters": "name=member_name,tier=tier,points=points,"
                        "path=link_token",
                    }
                )
            ],
        )
        message = self.launch(self.make_campaign(profile, template))
        [outbound] = self.send(requires_registered_template=True)
        self.assertEqual(outbound.template_code, "SMS_7")
        self.assertEqual(
            outbound.params,
            {
                "name": profile.partner_id.name,
                "tier": "guest",
                "points": "0",
                "path": message.token,
            },
        )
        self.assertTrue(message.body.startswith(f"{profile.partner_id.name} guest 0 "))


@tagged("post_install", "-at_install")
class TestSend(MemberMessagingCommon):
    def test_everything_leaves_once(self):
        profiles = self.make_members(9)
        campaigns = self.make_campaign(profiles) | self.make_campaign(profiles[:4])
        for campaign in campaigns:
            self.launch(campaign)
        with patch.object(member_message_send, "CLAIM_SIZE", 5):
            sent = self.send(batch_size=2)
        self.assertEqual(
            Counter(message.address for message in sent),
            Counter(profiles.mapped("phone") + profiles[:4].mapped("phone")),
        )
        self.assertEqual(set(campaigns.mapped("state")), {"done"})

    def test_statements_do_not_grow_with_the_batch(self):
        templates = self.template | self.make_template(PLAIN)

        def count(amount):
            campaign = self.make_campaign(self.make_members(amount), templates)
            self.launch(campaign)
            with self.scripted_gateway() as sent:
                queries = self.count_queries(self.run_cron, "send")
            self.assertEqual(len(sent), amount)
            return queries

        count(2)
        few = count(10)
        self.assertEqual(count(60), few)
        self.assertLess(few, 115)
