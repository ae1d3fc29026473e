from odoo import Command, fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestSaleOrder(MemberMessagingCommon):
    """A salesperson without any messaging rights takes a member's coupon."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile, cls.other = cls.make_members(2)
        cls.partner = cls.profile.partner_id

    def setUp(self):
        super().setUp()
        self.message = self.make_sent(self.profile)
        self.card = self.message.card_id
        self.assertFalse(
            self.env["member.message"].with_user(self.salesperson).has_access("read")
        )

    def enter(self, order, code):
        """Type a code into the dialog and choose the reward."""
        dialog = (
            self.env["sale.loyalty.coupon.wizard"]
            .with_user(self.salesperson)
            .create({"order_id": order.id, "coupon_code": code})
        )
        action = dialog.action_apply()
        choice = (
            self.env[action["res_model"]]
            .with_user(self.salesperson)
            .with_context(**action["context"])
            .create({"selected_reward_id": action["context"]["default_reward_ids"][0]})
        )
        choice.action_apply()

    def redeem(self, price=100.0, **values):
        order = self.make_sale(self.partner, price, **values)
        self.enter(order, self.card.code)
        order.action_confirm()
        self.env.invalidate_all()
        return order

    def get_attributions(self):
        return self.env["member.attribution"].search(
            [("message_id", "=", self.message.id)]
        )

    def assertRefused(self, reason, code=None, partner=None):
        order = self.make_sale(partner or self.partner)
        with self.assertRaisesRegex(ValidationError, reason):
            self.enter(order, code or self.card.code)
        self.assertEqual(order.amount_total, 100)

    # ---------------------------------------------------------------- redemption

    def test_redemption(self):
        order = self.redeem()
        self.assertEqual(order.amount_total, 90)
        self.assertEqual(self.card.points, 0)
        self.assertRecordValues(
            self.get_attributions(),
            [
                {
                    "order_model": "sale.order",
                    "order_id": order.id,
                    "date": order.date_order,
                    "amount": 90,
                    "discount": 10,
                    "kind": "redeemed",
                    "campaign_id": self.message.campaign_id.id,
                    "company_id": self.company.id,
                }
            ],
        )
        self.assertRecordValues(
            self.message.event_ids, [{"type": "redeemed", "date": order.date_order}]
        )
        self.assertRecordValues(
            self.message,
            [{"state": "delivered", "redeemed_date": order.date_order}],
        )
        self.assertEqual(self.profile.revenue, 90)
        self.assertEqual(self.message.campaign_id.redeemed_count, 1)
        self.assertEqual(self.message.campaign_id.revenue, 90)

    def test_code_as_people_type_it(self):
        code = self.card.code.lower()
        order = self.make_sale(self.partner)
        self.enter(order, f" {code[:3]}-{code[3:9]} {code[9:]}")
        self.assertEqual(order.amount_total, 90)

    def test_taxes_and_other_currency(self):
        """Money in the company's currency, as the customer pays it."""
        tax = self.env["account.tax"].create({"name": "Ten", "amount": 10})
        self.product.taxes_id = tax
        currency = self.env["res.currency"].create(
            {
                "name": "XTS",
                "symbol": "X",
                "rate_ids": [Command.create({"name": "2000-01-01", "rate": 2})],
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "Foreign", "currency_id": currency.id}
        )
        order = self.redeem(200, pricelist_id=pricelist.id)
        self.assertEqual(order.amount_total, 198)
        self.assertRecordValues(
            self.get_attributions(), [{"amount": 99, "discount": 11}]
        )

    def test_confirming_again_adds_nothing(self):
        order = self.redeem()
        attributions = self.get_attributions()
        self.env["member.attribution"]._redeem(
            order, order.order_line.filtered("coupon_id")
        )
        self.assertEqual(self.get_attributions(), attributions)
        self.assertEqual(len(self.message.event_ids), 1)

    def test_cancelling_takes_the_credit_back(self):
        order = self.redeem()
        order._action_cancel()
        self.env.invalidate_all()
        self.assertFalse(self.get_attributions())
        self.assertEqual(self.profile.revenue, 0)
        self.assertEqual(self.message.campaign_id.revenue, 0)
        self.assertEqual(self.card.points, 1)
        second = self.redeem()
        self.assertRecordValues(
            self.get_attributions(), [{"order_id": second.id, "amount": 90}]
        )

    def test_order_without_coupon_is_nobodys(self):
        self.sell(self.partner)
        self.assertFalse(self.get_attributions())
        self.assertFalse(self.message.event_ids)

    def test_coupon_that_was_not_sent_by_us(self):
        card = self.env["loyalty.card"].create(
            {"program_id": self.program.id, "points": 1}
        )
        order = self.make_sale(self.other.partner_id)
        self.enter(order, card.code)
        order.action_confirm()
        self.assertEqual(order.amount_total, 90)
        self.assertFalse(
            self.env["member.attribution"].search([("order_id", "=", order.id)])
        )

    # ------------------------------------------------------------------ refusals

    def test_other_customer(self):
        self.assertRefused("belongs to another member", partner=self.other.partner_id)

    def test_used(self):
        self.redeem()
        self.assertRefused("has already been used")

    def test_expired(self):
        today = fields.Date.context_today(self.salesperson)
        self.card.expiration_date = fields.Date.subtract(today, days=2)
        self.assertRefused(
            f"expired on {self.card.expiration_date.strftime('%m/%d/%Y')}"
        )

    def test_mistyped(self):
        code = self.card.code
        wrong = code[:-3] + ("2" if code[-3] != "2" else "3") + code[-2:]
        self.assertRefused(f"typing error in {wrong}", wrong)
        self.assertRefused("typing error", code[:-1])

    def test_unknown(self):
        self.assertRefused("This code is invalid", "SPRING")

    def test_withdrawn(self):
        """The message was not delivered, so nobody can have the code."""
        self.env["member.event"]._record(
            [
                {
                    "message_id": self.message.id,
                    "type": "failed",
                    "date": fields.Datetime.now(),
                }
            ]
        )
        self.env["member.message"]._void_coupons(self.message.ids)
        self.assertRefused("has been withdrawn")
