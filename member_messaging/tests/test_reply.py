import runpy
from datetime import timedelta
from pathlib import Path

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, freeze_time, tagged

from ..gateways.types import InboundMessage
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestReply(MemberMessagingCommon):
    """What members write back, and what becomes of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keywords = cls.env["member.keyword"]
        cls.rules = {
            name: cls.env.ref(f"member_messaging.member_keyword_{name}")
            for name in ("refusal", "subscription", "help", "balance", "booking")
        }
        cls.gateway.user_id = cls.staff
        cls.company.phone = "400-123"
        cls.profile = cls.make_members(1, lang="en_US")

    def receive(self, *texts, address=None):
        """:returns: the replies, which came in one batch"""
        inbound = self.env["member.inbound"]
        before = inbound.search([])
        inbound._receive(
            self.gateway,
            [
                InboundMessage(
                    address=address or self.profile.partner_id.phone_sanitized,
                    text=text,
                    event_ref=f"{next(self.numbers)}",
                )
                for text in texts
            ],
        )
        return (inbound.search([]) - before).sorted("id")

    def get_answers(self, address=None):
        """:returns: texts that were handed to the outbox for a number"""
        address = address or self.profile.partner_id.phone_sanitized
        messages = self.env["member.service.message"].search(
            [("address", "=", address), ("kind", "=", "answer")]
        )
        return messages.sorted("id").mapped("body")

    def test_staff_see_the_member_beside_the_reply(self):
        [reply] = self.receive("Do you open on Sunday?")
        reply = reply.with_user(self.staff)
        self.assertEqual(reply.member_consent_state, "granted")
        self.assertEqual(reply.member_tier_id, self.profile.tier_id)
        self.assertEqual(reply.member_timeline_ids, self.profile.timeline_ids)
        [stranger] = self.receive("Hello", address="+8613900000001")
        self.assertFalse(stranger.with_user(self.staff).member_timeline_ids)

    def get_states(self):
        return self.profile.consent_ids.sorted("id").mapped("state")

    # ------------------------------------------------------------------ refusals

    def test_us_4_refusals_hold_without_any_rule(self):
        self.keywords.search([]).active = False
        [reply] = self.receive("please stop texting me")
        self.assertEqual(self.get_states(), ["granted", "refused"])
        self.assertRecordValues(reply, [{"intent": "refuse", "is_handled": True}])
        self.assertFalse(self.get_answers(), "nothing confirms it")

    def test_us_4_no_rule_takes_a_refusal_away(self):
        self.keywords.create(
            {
                "name": "Nonsense",
                "sequence": 0,
                "match": "contains",
                "words": "stop\n退订",
                "answer": "Buy more!",
            }
        )
        self.receive("STOP")
        self.assertEqual(self.get_states(), ["granted", "refused"])
        self.assertNotIn("Buy more!", self.get_answers())

    def test_us_4_shop_adds_words(self):
        self.keywords.create(
            {
                "name": "Basta",
                "match": "whole",
                "words": "basta\nya no",
                "action": "unsubscribe",
            }
        )
        [reply] = self.receive("¡Basta!")
        self.assertRecordValues(reply, [{"intent": "refuse", "is_handled": True}])
        self.assertEqual(self.get_states(), ["granted", "refused"])

    def test_us_8_one_confirmation_without_advertising(self):
        self.receive("TD", "STOP")
        self.receive("退订")
        with freeze_time(fields.Datetime.now() + timedelta(days=2)):
            self.receive("STOP")
        self.assertEqual(
            self.get_answers(),
            [f"You will get no more promotions from {self.company.name}."],
        )
        for answer in ("See https://shop.example", "Still {{ points }} points"):
            with self.subTest(answer=answer), self.assertRaises(ValidationError):
                self.rules["refusal"].answer = answer

    def test_us_8_strangers_get_no_confirmation(self):
        self.receive("STOP", address="+8613999999999")
        self.assertFalse(self.get_answers("+8613999999999"))

    # ---------------------------------------------------------------- once more

    def test_us_10_explicit_words_subscribe_again(self):
        self.receive("STOP")
        [reply] = self.receive(" start! ")
        self.assertRecordValues(
            self.profile.consent_ids.filtered("is_current"),
            [{"state": "granted", "source": "reply", "evidence": " start! "}],
        )
        self.assertRecordValues(reply, [{"intent": "subscribe", "is_handled": True}])
        self.assertIn("again", self.get_answers()[-1])

    def test_us_10_nothing_else_subscribes(self):
        self.receive("STOP")
        self.receive("I will start collecting points", "yes or no?", "我要订阅积分信息")
        self.assertEqual(self.get_states(), ["granted", "refused"])

    def test_us_10_yes_of_a_subscriber_is_for_staff(self):
        [reply] = self.receive("Yes")
        self.assertFalse(reply.is_handled)
        self.assertEqual(self.get_states(), ["granted"])
        self.assertFalse(self.get_answers())

    def test_us_10_last_word_of_a_batch_counts(self):
        self.receive("STOP", "START")
        self.assertEqual(self.get_states(), ["granted", "refused", "granted"])
        self.receive("START", "STOP")
        self.assertEqual(self.get_states()[-1], "refused")
        self.receive("START", "STOP")
        self.assertEqual(len(self.get_states()), 4)

    def test_us_10_others_with_the_number_stay_refused(self):
        brother = self.make_members(1, phone=self.profile.partner_id.phone)
        self.receive("STOP")
        self.receive("START")
        states = (brother | self.profile).consent_ids.filtered("is_current")
        self.assertEqual(sorted(states.mapped("state")), ["granted", "refused"])

    def test_us_10_help_tells_brand_and_contact(self):
        [reply] = self.receive("HELP")
        [answer] = self.get_answers()
        self.assertIn(self.company.name, answer)
        self.assertIn("400-123", answer)
        self.assertTrue(reply.is_handled)

    def test_help_for_a_stranger(self):
        self.receive("info", address="+8613999999999")
        self.assertTrue(self.get_answers("+8613999999999"))

    # ------------------------------------------------------------------ answers

    def test_i1_balance(self):
        loyalty = self.env["loyalty.program"].create(
            {"name": "Points", "program_type": "loyalty"}
        )
        tier = self.env["member.tier"].create({"name": "Gold"})
        self.profile.tier_id = tier
        today = fields.Date.today()
        self.env["loyalty.card"].create(
            [
                {
                    "program_id": loyalty.id,
                    "partner_id": self.profile.partner_id.id,
                    "points": 70,
                },
                *(
                    {
                        "program_id": self.program.id,
                        "partner_id": self.profile.partner_id.id,
                        "points": points,
                        "code": code,
                        "expiration_date": expiry,
                    }
                    for code, points, expiry in (
                        ("043OPEN", 1, False),
                        ("043USED", 0, False),
                        ("043PAST", 1, today - timedelta(days=1)),
                    )
                ),
            ]
        )
        [reply] = self.receive("ｐｏｉｎｔｓ ？")
        self.assertEqual(
            self.get_answers(),
            [
                f"{self.profile.partner_id.name}, points: 70, tier: Gold, "
                "coupons: 043OPEN."
            ],
        )
        self.assertTrue(reply.is_handled)

    def test_i1_balance_of_a_stranger_is_for_staff(self):
        [reply] = self.receive("points", address="+8613999999999")
        self.assertFalse(self.get_answers("+8613999999999"))
        self.assertFalse(reply.is_handled)

    def test_i1_once_per_rule_number_and_day(self):
        replies = self.receive("points", "balance")
        replies |= self.receive("points")
        self.assertEqual(len(self.get_answers()), 1)
        self.assertEqual(replies.mapped("is_handled"), [True] * 3)
        self.receive("help")
        self.assertEqual(len(self.get_answers()), 2, "another rule")
        with freeze_time(fields.Datetime.now() + timedelta(days=1)):
            self.receive("points")
        self.assertEqual(len(self.get_answers()), 3)

    def test_i1_signature_stands_in_front(self):
        self.gateway.signature = "Tea House"
        self.receive("help")
        self.assertTrue(self.get_answers()[0].startswith("【Tea House】Tea House, "))

    def test_i1_language_of_the_member(self):
        self.rules["help"].with_context(lang="zh_CN").answer = "{{ brand }}：帮助"
        self.profile.partner_id.lang = "zh_CN"
        self.receive("help")
        self.assertEqual(self.get_answers(), [f"{self.company.name}：帮助"])

    def test_i1_block_list_gets_no_answer(self):
        self.env["phone.blacklist"].add(self.profile.partner_id.phone_sanitized)
        [reply] = self.receive("help")
        self.assertFalse(self.get_answers())
        self.assertFalse(reply.is_handled)

    def test_answer_to_a_number_that_refuses_meanwhile(self):
        """What waits for a sender is asked about again, as in campaigns."""
        other = self.make_members(1)
        number = other.partner_id.phone_sanitized
        self.receive("help")
        self.receive("help", address=number)
        self.env["phone.blacklist"].add(self.profile.partner_id.phone_sanitized)
        self.env["member.consent"]._refuse(other, "sms", "staff", "", "service")
        self.assertFalse(self.send())
        answers = self.env["member.service.message"].search([("kind", "=", "answer")])
        self.assertRecordValues(
            answers.sorted("id"),
            [
                {"state": "skipped", "reason": "blocked"},
                {"state": "skipped", "reason": "refused"},
            ],
        )
        self.assertIn("Not sent", answers[0].outcome)

    def test_i1_statements_do_not_grow_with_replies(self):
        profiles = self.make_members(30)

        def receive(members):
            self.env["member.inbound"]._receive(
                self.gateway,
                [
                    InboundMessage(
                        address=profile.partner_id.phone_sanitized,
                        text="points",
                        event_ref=f"{next(self.numbers)}",
                    )
                    for profile in members
                ],
            )

        receive(profiles[:1])
        few = self.count_queries(receive, profiles[1:6])
        many = self.count_queries(receive, profiles[6:26])
        self.assertLess(many, few + 15)

    # ---------------------------------------------------------------- follow-ups

    def test_i1_booking_is_followed_up(self):
        [reply] = self.receive("I'd like to BOOK a table, say at 7")
        self.assertRecordValues(
            reply.activity_ids, [{"user_id": self.staff.id, "summary": "Booking"}]
        )
        self.assertFalse(reply.is_handled)
        reply.with_user(self.staff).action_handled()
        self.assertFalse(reply.activity_ids)

    def test_i1_forward(self):
        self.keywords.create(
            {
                "name": "Catering",
                "match": "contains",
                "words": "团购\ncatering",
                "action": "forward",
                "user_id": self.manager.id,
            }
        )
        [reply] = self.receive("你们做团购吗？")
        self.assertEqual(reply.activity_ids.user_id, self.manager)

    def test_i1_forward_to_somebody_without_rights_waits(self):
        self.gateway.user_id = self.salesperson
        [reply] = self.receive("预约明天")
        self.assertFalse(reply.activity_ids)
        self.assertFalse(reply.is_handled)

    # --------------------------------------------------------------------- inbox

    def test_i1_staff_answers_once(self):
        [reply] = self.receive("Do you open on Sunday?")
        self.assertFalse(reply.is_handled)
        reply = reply.with_user(self.staff)
        with self.assertRaisesRegex(UserError, "Write the answer first"):
            reply.action_answer()
        reply.answer = " From 9 to 6. "
        reply.action_answer()
        reply.action_answer()
        self.assertEqual(self.get_answers(), ["From 9 to 6."])
        self.assertRecordValues(
            reply, [{"is_handled": True, "answer_user_id": self.staff.id}]
        )
        self.assertEqual(len(self.send()), 1)
        self.env.invalidate_all()
        self.assertEqual(reply.sudo().answer_message_id.state, "sent")
        self.assertIn("accepted", reply.answer_outcome)

    def test_i1_staff_answers_no_blocked_number(self):
        [reply] = self.receive("Do you open on Sunday?")
        self.env["phone.blacklist"].add(reply.address)
        reply.answer = "Yes"
        with self.assertRaisesRegex(UserError, "nothing was sent"):
            reply.with_user(self.staff).action_answer()
        self.assertFalse(self.get_answers())

    def test_i1_complaint_waits_for_staff(self):
        [reply] = self.receive("再发我就投诉！")
        self.assertRecordValues(
            reply,
            [{"intent": "refuse", "is_complaint": True, "is_handled": False}],
        )

    # --------------------------------------------------------------------- rules

    def test_rule_checks(self):
        for values in (
            {"words": " \n "},
            {"match": "refusal", "action": "answer"},
            {"match": "contains", "action": "resubscribe"},
            {"action": "forward"},
            {"answer": False},
            {"answer": "{{ coupon_code }}"},
            {"answer": "{{ x.y }}"},
        ):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.keywords.create(
                    {"name": "Rule", "words": "word", "answer": "text", **values}
                )

    def test_try_a_sentence(self):
        with Form(self.keywords.with_user(self.manager)) as form:
            form.name = "Opening Hours"
            form.match = "contains"
            form.words = "几点\nopening hours"
            form.answer = "9 to 9"
            for text, expected in (
                ("请问几点关门", "Opening Hours"),
                ("预约几点可以", "Opening Hours"),
                ("points", "Points and Coupons"),
                ("不要再发", "Refusal"),
                ("hello", "waits in the inbox"),
            ):
                form.sample = text
                self.assertIn(expected, form.sample_result)
        self.rules["refusal"].active = False
        self.assertIn("promotions stop", self.rules["help"]._try("TD"))

    def test_migration_of_former_versions(self):
        """Rules nobody has edited get the words that are new; others stay."""
        path = Path(__file__).parents[1] / "migrations/19.0.1.4.0/post-replies.py"
        migration = runpy.run_path(str(path))
        fresh = {name: self.rules[name].words for name in migration["FORMER"]}
        for name, words in migration["FORMER"].items():
            self.rules[name].words = words
        self.rules["booking"].words = "table"
        self.rules["help"].unlink()
        for _again in range(2):
            migration["migrate"](self.env.cr, "19.0.1.3.0")
            self.assertEqual(self.rules["balance"].words, fresh["balance"])
            self.assertEqual(self.rules["subscription"].words, fresh["subscription"])
            self.assertEqual(self.rules["booking"].words, "table")

    def test_i1_letter_y_is_a_booking(self):
        [reply] = self.receive("y!")
        self.assertEqual(reply.activity_ids.user_id, self.staff)
        self.assertFalse(self.receive("why").activity_ids)

    def test_rules_of_another_company(self):
        company, stranger = self.make_other_company()
        self.rules["help"].company_id = company
        self.receive("help")
        self.assertFalse(self.get_answers())
        with self.assertRaises(AccessError):
            self.rules["help"].with_user(self.manager).read(["answer"])
        self.assertTrue(self.rules["help"].with_user(stranger).answer)
