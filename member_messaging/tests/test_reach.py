import random
from collections import Counter
from datetime import timedelta

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MemberMessagingCommon

CHANNEL = "sms"


class ReachCommon(MemberMessagingCommon):
    def make_mixed(self, amount, seed=1):
        """Members with everything that may stand between them and a message, at
        random: one obstacle, several, or none."""
        draw = random.Random(seed).random
        profiles = self.make_members(amount)
        consents = self.env["member.consent"]
        for index, profile in enumerate(profiles):
            if draw() < 0.15:
                profile.partner_id.phone = False
            elif draw() < 0.15:
                profile.partner_id.phone = "12345"
            elif draw() < 0.2:
                profile.partner_id.phone = profiles[index // 2].phone
            for purpose in ("promotion", "service"):
                if draw() < 0.2:
                    consents.create(
                        {
                            "profile_id": profile.id,
                            "purpose": purpose,
                            "state": "refused",
                            "source": "staff",
                        }
                    )
                elif draw() < 0.2:
                    consents.create(
                        {
                            "profile_id": profile.id,
                            "purpose": purpose,
                            "state": "granted",
                            "source": "import",
                            "expiry_date": "2020-01-01",
                        }
                    )
            if draw() < 0.2 and profile.partner_id.phone_sanitized:
                self.env["phone.blacklist"].add(profile.partner_id.phone_sanitized)
        return profiles

    def get_reach(self, segment, purpose="promotion", user=None):
        [reach] = segment.with_user(user or self.staff).get_reach(purpose)
        self.assertEqual(reach["channel"], CHANNEL)
        return reach

    def get_losses(self, reach):
        return {
            loss["key"]: loss["count"]
            for step in reach["steps"]
            for loss in step["losses"]
        }

    def find(self, figure, user=None):
        """:returns: members behind a figure, as the list asks for them"""
        return (
            self.env["member.profile"]
            .with_user(user or self.staff)
            .search([("member_reach", "=", figure)])
        )


@tagged("post_install", "-at_install")
class TestReach(ReachCommon):
    def test_steps_add_up_and_agree_with_planning(self):
        """Whatever the audience: the waterfall, the lists behind its figures, the
        forecast and the plan tell the same."""
        self.policy.promotion_limit = 2
        for seed in range(3):
            profiles = self.make_mixed(30, seed)
            for _index in range(2):
                self.launch(self.make_campaign(profiles[::3]))
            self.send()
            segment = self.make_segment(profiles)
            for purpose, category in (
                ("promotion", "promotion"),
                ("promotion", "content"),
                ("service", "care"),
            ):
                with self.subTest(seed=seed, category=category):
                    self.assert_agreement(segment, purpose, category)

    def assert_agreement(self, segment, purpose, category):
        reach = self.get_reach(segment, purpose)
        self.assert_steps(reach, segment)
        template = self.make_template("Hi. {{ unsubscribe_link }}", category=category)
        campaign = self.make_campaign(
            self.env["member.profile"],
            template,
            segment_ids=[Command.set(segment.ids)],
            category=category,
            program_id=False,
        )
        self.assertEqual(
            campaign.forecast.split("\n")[0],
            f"{reach['reachable']} of {reach['selected']} members will get it.",
        )
        self.assertEqual(
            {loss["key"]: loss["count"] for loss in campaign.forecast_losses},
            self.get_losses(reach),
        )
        lost = {
            loss["key"]: self.find(f"campaign/{campaign.id}/{loss['key']}")
            for loss in campaign.forecast_losses
        }
        messages = self.launch(campaign)
        planned = Counter(messages.mapped("reason"))
        self.assertEqual(planned.pop(False, 0), reach["reachable"])
        self.assertEqual(planned, self.get_losses(reach))
        for reason, profiles in lost.items():
            self.assertEqual(
                messages.filtered(lambda m, r=reason: m.reason == r).profile_id,
                profiles.sorted("id"),
            )
        # all the same for the next one
        campaign.with_user(self.manager).action_cancel()
        self.run_cron("send")

    def assert_steps(self, reach, segment):
        left = reach["selected"]
        self.assertEqual(left, segment.member_count)
        inside = self.find(reach["steps"][0]["reach"])
        self.assertEqual(len(inside), left)
        for step in reach["steps"]:
            for loss in step["losses"]:
                self.assertGreater(loss["count"], 0)
                profiles = self.find(loss["reach"])
                self.assertEqual(len(profiles), loss["count"], loss["key"])
                self.assertLessEqual(profiles, inside, "lost, but not here")
                inside -= profiles
                left -= loss["count"]
            self.assertEqual(step["count"], left, step["key"])
            self.assertEqual(self.find(step["reach"]), inside, step["key"])
        self.assertEqual(reach["reachable"], left)
        everybody = self.find(f"segment/{segment.id}/{CHANNEL}/promotion/selected")
        kind = reach["steps"][0]["reach"].rpartition("/")[0]
        self.assertEqual(self.find(f"{kind}/lost"), everybody - inside)

    def test_first_obstacle_counts(self):
        """In the order of the steps, so that each figure says what to do next."""
        profiles = self.make_members(4, is_granted=False)
        nobody, blocked, _silent, reached = profiles
        nobody.partner_id.phone = False
        # has never agreed either
        self.env["phone.blacklist"].add(blocked.phone)
        self.env["member.consent"].create(
            {"profile_id": reached.id, "state": "granted", "source": "staff"}
        )
        reach = self.get_reach(self.make_segment(profiles))
        self.assertEqual(
            [(step["key"], step["count"]) for step in reach["steps"]],
            [
                ("selected", 4),
                ("address", 3),
                ("allowed", 2),
                ("consent", 1),
                ("single", 1),
                ("fresh", 1),
                ("reachable", 1),
            ],
        )
        self.assertEqual(
            self.get_losses(reach), {"no_address": 1, "no_consent": 1, "blocked": 1}
        )

    def test_service_messages_need_no_consent(self):
        profiles = self.make_members(3, is_granted=False)
        self.env["member.consent"].create(
            {
                "profile_id": profiles[0].id,
                "purpose": "service",
                "state": "refused",
                "source": "staff",
            }
        )
        segment = self.make_segment(profiles)
        self.assertEqual(self.get_reach(segment)["reachable"], 0)
        self.assertEqual(self.get_reach(segment, "service")["reachable"], 2)

    def test_empty_segment(self):
        reach = self.get_reach(self.make_segment(self.env["member.profile"]))
        self.assertEqual({step["count"] for step in reach["steps"]}, {0})
        self.assertEqual(self.get_losses(reach), {})

    def test_figure_inverted(self):
        profiles = self.make_members(2)
        profiles[0].partner_id.phone = False
        segment = self.make_segment(profiles)
        figure = f"segment/{segment.id}/{CHANNEL}/promotion/no_address"
        self.assertEqual(
            self.env["member.profile"]
            .with_user(self.staff)
            .search(
                [("id", "in", profiles.ids), ("member_reach", "!=", figure)],
            ),
            profiles[1],
        )

    # ------------------------------------------------------------------ bad input

    def test_figures_that_do_not_exist(self):
        segment = self.make_segment(self.make_members(1))
        gone = self.make_segment(self.env["member.profile"])
        gone_id = gone.id
        gone.unlink()
        start = f"segment/{segment.id}/{CHANNEL}"
        for figure in (
            "",
            "segment",
            "nonsense",
            f"segment/{segment.id}",
            f"{start}/promotion/no_such_reason",
            f"{start}/promotion/lost/more",
            f"{start}/gossip/lost",
            f"segment/{segment.id}/pigeon/promotion/lost",
            f"segment/{gone_id}/{CHANNEL}/promotion/lost",
            f"segment/0 OR TRUE/{CHANNEL}/promotion/lost",
            "campaign/0/lost",
            "campaign/lost",
        ):
            with self.subTest(figure=figure), self.assertRaises(UserError):
                self.find(figure)
        with self.assertRaisesRegex(UserError, "no messages of this kind"):
            segment.with_user(self.staff).get_reach("gossip")

    def test_broken_segment(self):
        segment = self.make_segment(self.make_members(1))
        self.env.cr.execute(
            "UPDATE member_segment SET domain = '[(' WHERE id = %s", (segment.id,)
        )
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "cannot be read"):
            segment.with_user(self.staff).get_reach()

    # --------------------------------------------------------------------- rights

    def test_companies(self):
        company, stranger = self.make_other_company()
        segment = self.make_segment(self.make_members(2))
        self.assertEqual(self.get_reach(segment)["reachable"], 2)
        figure = f"segment/{segment.id}/{CHANNEL}/promotion/reachable"
        with self.assertRaises(AccessError):
            segment.with_user(stranger).get_reach()
        with self.assertRaises(AccessError):
            self.find(figure, stranger)
        theirs = (
            self.env["member.segment"]
            .with_user(stranger)
            .create({"name": "Theirs", "domain": segment.domain})
        )
        self.env["member.profile"].search([])[0].partner_id.company_id = self.company
        self.assertEqual(theirs.company_id, company)
        self.assertEqual(self.get_reach(theirs, user=stranger)["selected"], 1)

    def test_nobody_else_looks(self):
        segment = self.make_segment(self.make_members(1))
        with self.assertRaises(AccessError):
            segment.with_user(self.salesperson).get_reach()
        with self.assertRaises(AccessError):
            self.find(
                f"segment/{segment.id}/{CHANNEL}/promotion/lost", self.salesperson
            )

    # ---------------------------------------------------------------------- speed

    def test_queries_do_not_grow_with_the_segment(self):
        few, many = (
            self.make_segment(self.make_mixed(amount, amount)) for amount in (2, 40)
        )
        self.get_reach(few)
        figure = f"segment/%s/{CHANNEL}/promotion/lost"
        for function in (
            self.get_reach,
            lambda segment: self.env["member.profile"].search_count(
                [("member_reach", "=", figure % segment.id)]
            ),
        ):
            counts = []
            for segment in (few, many):
                self.env.invalidate_all()
                counts.append(self.count_queries(function, segment))
            self.assertEqual(*counts)


@tagged("post_install", "-at_install")
class TestPromotionLimit(ReachCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy.write({"promotion_limit": 2, "promotion_days": 30})
        cls.profile = cls.make_members(1)

    def get_reason(self, category="promotion", **values):
        """:returns: why the member would not get a campaign"""
        campaign = self.make_campaign(self.profile, category=category, **values)
        return campaign.forecast_losses and campaign.forecast_losses[0]["key"]

    def make_notice(self, category):
        template = self.make_template("Hi", category=category)
        return self.launch(
            self.make_campaign(
                self.profile, template, category=category, program_id=False
            )
        )

    def test_limit(self):
        self.launch(self.make_campaign(self.profile))
        self.assertFalse(self.get_reason())
        # waiting ones count as well
        self.launch(self.make_campaign(self.profile))
        self.assertEqual(self.get_reason(), "frequency_cap")
        [message] = self.launch(self.make_campaign(self.profile))
        self.assertRecordValues(
            message, [{"state": "skipped", "reason": "frequency_cap"}]
        )
        self.assertFalse(self.get_reason("notice"))
        self.assertEqual(self.get_reason("content"), "frequency_cap")
        self.policy.promotion_limit = 3
        self.assertFalse(self.get_reason())
        self.policy.promotion_limit = 0
        self.assertFalse(self.get_reason())

    def test_service_messages_do_not_count(self):
        for category in ("notice", "care", "notice"):
            self.make_notice(category)
        self.assertFalse(self.get_reason())

    def test_what_never_arrived_does_not_count(self):
        messages = self.env["member.message"]
        for _index in range(2):
            messages |= self.launch(self.make_campaign(self.profile))
        self.assertEqual(self.get_reason(), "frequency_cap")
        for state in ("claimed", "sent", "delivered", "uncertain"):
            messages[0].state = state
            self.assertEqual(self.get_reason(), "frequency_cap", state)
        for state in ("failed", "skipped", "cancelled"):
            messages[0].state = state
            self.assertFalse(self.get_reason(), state)

    def test_old_promotions_do_not_count(self):
        now = fields.Datetime.now()
        messages = self.env["member.message"]
        for _index in range(2):
            messages |= self.make_sent(self.profile)
        self.assertEqual(self.get_reason(), "frequency_cap")
        self.assertEqual(set(messages.campaign_id.mapped("state")), {"done"})
        messages[0].sent_date = now - timedelta(days=29, hours=23)
        self.assertEqual(self.get_reason(), "frequency_cap")
        messages[0].sent_date = now - timedelta(days=30, hours=1)
        self.assertFalse(self.get_reason())
        # judged by the day of sending
        messages[0].sent_date = now
        for days, reason in ((29, "frequency_cap"), (31, None)):
            campaign = self.make_campaign(
                self.profile,
                schedule_type="date",
                scheduled_date=now + timedelta(days=days),
            )
            self.assertEqual(
                (campaign.forecast_losses or [{"key": None}])[0]["key"], reason
            )

    def test_campaigns_that_ended_before(self):
        """They are not even read: their end says that nothing left later."""
        messages = self.env["member.message"]
        for _index in range(2):
            messages |= self.make_sent(self.profile)
        messages.campaign_id.done_date = fields.Datetime.now() - timedelta(days=31)
        self.assertFalse(self.get_reason())

    def test_other_companies_count_their_own(self):
        self.policy.promotion_limit = 0
        for _index in range(3):
            self.launch(self.make_campaign(self.profile))
        company, _stranger = self.make_other_company()
        segment = self.env["member.segment"].create(
            {
                "name": "Theirs",
                "company_id": company.id,
                "domain": str([("member_profile_id", "=", self.profile.id)]),
            }
        )
        [reach] = segment.get_reach()
        self.assertEqual(reach["reachable"], 1)
        self.policy.promotion_limit = 3
        self.assertEqual(self.get_reason(), "frequency_cap")
        # nobody has touched their policy: three in thirty days
        policy = self.env["member.send.policy"]._get_for(company)
        self.assertEqual((policy.promotion_limit, policy.promotion_days), (3, 30))

    def test_a_shared_number_gets_enough_as_well(self):
        """The second owner of a number does not take the place of the first."""
        both = self.profile | self.make_members(1)
        both[1].partner_id.phone = both[0].phone
        for _index in range(2):
            self.launch(self.make_campaign(both))
        messages = self.launch(self.make_campaign(both))
        self.assertEqual(
            messages.mapped("reason"), ["frequency_cap", "duplicate_address"]
        )

    # --------------------------------------------------------------------- policy

    def test_managers_open_their_policy(self):
        company, stranger = self.make_other_company()
        policies = self.env["member.send.policy"].with_user(stranger)
        action = policies.action_open()
        policy = policies.browse(action["res_id"])
        self.assertRecordValues(
            policy,
            [
                {
                    "company_id": company.id,
                    "promotion_limit": 3,
                    "promotion_days": 30,
                }
            ],
        )
        policy.promotion_limit = 5
        self.assertEqual(policies.action_open()["res_id"], policy.id)
        self.assertEqual(
            self.env["member.send.policy"]._get_for(company).promotion_limit, 5
        )
        with self.assertRaises(AccessError):
            self.policy.with_user(stranger).promotion_limit = 9
        with self.assertRaises(AccessError):
            self.policy.with_user(self.staff).promotion_limit = 9
