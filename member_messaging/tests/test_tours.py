from datetime import timedelta
from itertools import count
from unittest.mock import patch

from odoo import fields
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..gateways import sandbox
from ..gateways.types import InboundMessage
from ..tools import codes
from .common import MemberMessagingCommon
from .test_pos import MemberPosCommon


@tagged("post_install", "-at_install")
class TestCampaignTours(MemberMessagingCommon, HttpCase):
    """Staff and manager in the web client; the sandbox sends."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # the sandbox without its accidents
        cls.startClassPatcher(
            patch.dict(
                sandbox.DEFAULTS,
                badnum_rate=0,
                delivered_rate=1,
                refuse_rate=0,
                yes_rate=0,
            )
        )
        # 0000 and 0001 have a fate of their own there
        cls.numbers = count(2)
        cls.granted = cls.make_members(3)
        cls.granted[0].partner_id.name = "Amy"
        cls.profiles = cls.granted + cls.make_members(1, is_granted=False)
        cls.template.name = "Tea offer"

    def run_tour(self, name, user):
        self.start_tour("/odoo", f"member_messaging_campaign_{name}", login=user.login)
        self.env.invalidate_all()

    def test_campaign(self):
        segment = self.make_segment(self.profiles, name="Tea lovers")
        self.run_tour("staff", self.staff)
        campaign = self.env["member.campaign"].search([("name", "=", "Tea week")])
        self.assertRecordValues(
            campaign,
            [
                {
                    "state": "review",
                    "user_id": self.staff.id,
                    "segment_ids": segment.ids,
                    "template_id": self.template.id,
                    "program_id": self.program.id,
                    "gateway_id": self.gateway.id,
                }
            ],
        )
        self.assertFalse(self.get_messages(campaign))

        self.run_tour("manager", self.manager)
        self.assertEqual(campaign.state, "scheduled")
        self.run_cron("plan")
        self.run_cron("send")
        self.assertEqual(campaign.state, "done")
        self.assertRecordValues(
            self.get_messages(campaign),
            [{"state": "sent", "reason": False}] * 3
            + [{"state": "skipped", "reason": "no_consent"}],
        )
        self.assert_personal(self.get_messages(campaign, state="sent"))

        self.env["member.callback"]._query_providers(
            fields.Datetime.now() + timedelta(days=1)
        )
        messages = self.get_messages(campaign, state="delivered")
        self.assertEqual(messages.profile_id, self.granted)
        messages[0]._record_visit(is_machine=False)
        messages[1]._record_visit(is_machine=True)
        self.run_tour("recap", self.staff)

    def assert_personal(self, messages):
        """Each message has its own coupon, link and text."""
        self.assertEqual(len(set(messages.mapped("token"))), len(messages))
        self.assertEqual(len(messages.card_id), len(messages))
        for message in messages:
            card = message.card_id
            self.assertEqual(card.partner_id, message.partner_id)
            self.assertEqual(card.points, 1)
            self.assertTrue(codes.is_valid(card.code))
            link = f"{message.get_base_url()}/m/{message.token}"
            self.assertEqual(
                message.body,
                f"Dear {message.partner_id.name}, code {card.code} gives you "
                f"10% on your order: {link} Stop: {link}/stop",
            )

    def test_funnel_follows_the_campaign(self):
        """Whoever looks on sees the figures rise, and reloads nothing."""
        campaign = self.make_campaign(self.profiles, name="Tea week")
        campaign.with_user(self.staff).action_request_review()
        campaign.with_user(self.manager).action_launch()
        administrator = self.make_user(
            "administrator",
            "base.group_system,member_messaging.group_member_messaging_user",
        )
        self.run_tour("live", administrator)
        self.env.invalidate_all()
        self.assertEqual(campaign.state, "done")


@tagged("post_install", "-at_install")
class TestPermissionTours(MemberMessagingCommon, HttpCase):
    """Two managers approve a big campaign; staff answer a reply."""

    def run_tour(self, name, user):
        self.start_tour("/odoo", f"member_messaging_{name}", login=user.login)
        self.env.invalidate_all()

    def test_approval(self):
        colleague = self.make_user(
            "colleague", "member_messaging.group_member_messaging_manager"
        )
        self.policy.approval_count = 2
        campaign = self.make_campaign(self.make_members(3), name="Tea week")
        self.run_tour("approval_own", self.manager)
        self.assertEqual(
            (campaign.state, campaign.submitter_id), ("review", self.manager)
        )
        self.run_tour("approval_other", colleague)
        self.assertEqual(
            (campaign.state, campaign.approver_id), ("scheduled", colleague)
        )
        self.assertEqual(len(self.launched(campaign)), 3)

    def launched(self, campaign):
        self.run_cron("plan")
        return self.send()

    @mute_logger("odoo.http")
    def test_inbox(self):
        messages = self.make_sent(self.make_members(2))
        for message, text in zip(
            messages, ("Is the tea still there?", "TD"), strict=True
        ):
            self.env["member.inbound"]._receive(
                self.gateway, [InboundMessage(message.address, text, text)]
            )
        self.run_tour("inbox", self.staff)
        question = self.env["member.inbound"].search(
            [("address", "=", messages[0].address)]
        )
        self.assertRecordValues(
            question,
            [{"answer_user_id": self.staff.id, "is_handled": True}],
        )
        self.assertEqual(question.answer_message_id.body, "Yes, come in!")


@tagged("post_install", "-at_install")
class TestSegmentTours(MemberMessagingCommon, HttpCase):
    """Staff make a segment, see who can be reached, and write to a selection."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["member.profile"].search([("id", "!=", False)]).unlink()
        cls.profiles = cls.make_members(3) + cls.make_members(2, is_granted=False)
        # the month it is where staff are
        today = fields.Date.context_today(cls.profiles.with_user(cls.staff))
        cls.profiles.birthday = today.replace(day=1, year=1990)
        cls.profiles[0].partner_id.phone = False

    def test_segment(self):
        outdated = self.make_segment(self.profiles, name="Outdated")
        self.env.cr.execute(
            "UPDATE member_segment SET domain = '[(' WHERE id = %s", (outdated.id,)
        )
        self.env.invalidate_all()
        self.start_tour("/odoo", "member_messaging_segment", login=self.staff.login)
        self.env.invalidate_all()
        segment = self.env["member.segment"].search([("name", "=", "Tea lovers")])
        self.assertIn("member_birthday_month", segment.domain)
        self.assertIn("member_days_since_order", segment.domain)

    def test_send_to_these(self):
        self.start_tour(
            "/odoo", "member_messaging_send_to_these", login=self.staff.login
        )
        self.env.invalidate_all()
        [campaign] = self.env["member.campaign"].search(
            [("create_uid", "=", self.staff.id)]
        )
        self.assertEqual(
            self.env["res.partner"].search(campaign._get_audience_domain()),
            self.profiles.partner_id,
        )


@tagged("post_install", "-at_install")
class TestPosTours(MemberPosCommon):
    """The cashier at the till; what is on the screen is checked by the tours."""

    def make_named_coupons(self, codes):
        """:param dict codes: last word of the member's name → code"""
        messages = self.make_coupons(list(codes.values()))
        for message, name in zip(messages, codes, strict=True):
            message.partner_id.name = f"Member {name}"
        return messages

    def run_tour(self, name):
        self.start_pos_tour(name, login=self.cashier.login)
        self.env.invalidate_all()
        return self.pos_session.order_ids.sorted("id")

    def test_redeem(self):
        self.program.rule_ids.minimum_amount = 100
        # The till knows one contact; the others it reads when they are needed.
        self.env["ir.config_parameter"].set_param(
            "point_of_sale.limited_customer_count", 1
        )
        messages = self.make_named_coupons(
            {
                "Typed": "0447K2M9QXT4RW4",
                "Scanned": "0443FZ8HNB6CVDQ",
                "Idle": "0446TRM3XWQ9HJC",
            }
        )
        self.deliver(messages)
        typed, scanned, idle = messages
        orders = self.run_tour("member_messaging_pos_redeem")
        self.assertEqual(orders.mapped("state"), ["paid", "paid"])
        self.assert_redeemed(typed, orders[0], 90, 10)
        self.assert_redeemed(scanned, orders[1], 90, 10)
        self.assertFalse(idle.redeemed_date)
        figures = self.get_figures(messages.campaign_id)
        self.assertAlmostEqual(figures.pop("redemption_rate"), 200 / 3)
        self.assertEqual(
            figures,
            {
                "planned_count": 3,
                "delivered_count": 3,
                "redeemed_count": 2,
                "revenue": 180,
                "discount": 20,
            },
        )
        self.assertEqual(typed.profile_id.order_count, 1)

    def test_refuse(self):
        messages = self.make_named_coupons(
            {
                "Typed": "0447K2M9QXT4RW4",
                "Used": "0445WQ2YTRJ9GKP",
                "Late": "0448PXC4DM7ZNH9",
                "Withdrawn": "0442BVH6KQ3WTR6",
                "Foreign": "0449GJT5RZ8FXM4",
            }
        )
        _typed, used, late, withdrawn, _foreign = messages.card_id
        used.points = 0
        late.expiration_date = fields.Date.today() - timedelta(days=2)
        withdrawn.active = False
        order = self.run_tour("member_messaging_pos_refuse")
        self.assertEqual(order.amount_total, 100)
        self.assertFalse(order.lines.coupon_id)
        self.assertFalse(any(messages.mapped("redeemed_date")))
        self.assertFalse(self.env["member.attribution"].search([]))

    def test_trouble(self):
        message = self.make_named_coupons({"Typed": "0447K2M9QXT4RW4"})
        order = self.run_tour("member_messaging_pos_trouble")
        self.assert_redeemed(message, order, 90, 10)

    def test_member(self):
        """Enrol at the till, see the tier, choose members by their cards."""
        self.env["ir.config_parameter"].set_param(
            "point_of_sale.limited_customer_count", 1
        )
        ordinary, gold = self.env["member.tier"].create(
            [{"name": "Ordinary"}, {"name": "Gold", "min_revenue": 1000}]
        )
        self.product.barcode = "TEA-1"
        amy = self.make_partners(1, name="Amy Walk-in")
        bea, cleo = self.make_members(2, is_granted=False)
        for profile, name, number in (
            (bea, "Bea Member", "CARD-0042"),
            (cleo, "Cleo Member", "CARD-0043"),
        ):
            profile.partner_id.name = name
            profile.number = number
        bea.write({"tier_id": gold.id, "tier_locked": True, "tier_lock_reason": "VIP"})
        order = self.run_tour("member_messaging_pos_member")
        self.assertRecordValues(
            amy.member_profile_id, [{"source": "pos", "tier_id": ordinary.id}]
        )
        self.assertFalse(amy.member_profile_id.consent_ids)
        self.assertRecordValues(
            order, [{"partner_id": cleo.partner_id.id, "amount_total": 200}]
        )
        self.assertEqual(cleo.order_count, 1)
