from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase, tagged

from .common import MemberMessagingCommon
from .test_pos import MemberPosCommon


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
