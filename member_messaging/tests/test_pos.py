from datetime import timedelta
from uuid import uuid4

from odoo import SUPERUSER_ID, Command, fields
from odoo.tests import Form, tagged

from odoo.addons.point_of_sale.tests.test_frontend import TestPointOfSaleHttpCommon

from ..gateways.types import Outcome
from .common import MemberMessagingCommon

#: A code as it is stored, and what may become of it when a person types it.
CODE = "0447K2M9QXT4RW4"
TYPED = " 044-7k2m 9qxt 4rw4"
#: One wrong sign: the check sign tells.
MISTYPED = "0447K2M9QXT4RW5"
#: Well-formed codes that nobody was given.
UNKNOWN = "0446TRM3XWQ9HJC"


class TillCommon(TestPointOfSaleHttpCommon):
    """Odoo's till, set up by the superuser instead of an accountant."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(
            user=SUPERUSER_ID,
            context={**cls.env.context, "allowed_company_ids": cls.env.company.ids},
        )


class MemberPosCommon(MemberMessagingCommon, TillCommon):
    """A shop with a till and a cashier who has no other rights."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["loyalty.program"].search([("id", "!=", cls.program.id)]).active = False
        cls.main_pos_config = cls.main_pos_config.with_env(cls.env)
        cls.main_pos_config.write(
            {"tax_regime_selection": False, "use_pricelist": False}
        )
        cls.cashier = cls.make_user(
            "pos_cashier", "base.group_user,point_of_sale.group_pos_user"
        )
        cls.main_pos_config.with_user(cls.cashier).open_ui()
        cls.pos_session = cls.main_pos_config.current_session_id
        cls.pos_session.with_user(cls.cashier).set_opening_control(0, None)
        cls.cash = cls.main_pos_config.payment_method_ids.filtered("is_cash_count")

    def make_coupons(self, codes, **values):
        """Send a campaign to one new member per code.

        :returns: its messages; the coupon of each has the given code
        """
        messages = self.make_sent(self.make_members(len(codes)), **values)
        for message, code in zip(messages, codes, strict=True):
            message.card_id.code = code
        return messages

    def deliver(self, messages):
        """Let the provider report that messages arrived."""
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "delivered",
                    "date": fields.Datetime.now(),
                    "ref": "report",
                }
                for message in messages
            ]
        )

    def get_figures(self, campaign):
        """:returns: what the recap's pivot shows for a campaign"""
        measures = (
            "planned_count:sum",
            "delivered_count:sum",
            "redeemed_count:sum",
            "revenue:sum",
            "discount:sum",
            "redemption_rate:avg",
        )
        [group] = self.env["member.message.report"].formatted_read_grouping_sets(
            [("campaign_id", "=", campaign.id)], [["campaign_id"]], list(measures)
        )[0]
        return {measure.partition(":")[0]: group[measure] for measure in measures}

    def assert_redeemed(self, message, order, amount, discount):
        """Everything the database says after an order with the coupon of a message."""
        self.env.invalidate_all()
        self.assertEqual(message.card_id.points, 0)
        self.assertEqual(message.redeemed_date, order.date_order)
        self.assertRecordValues(
            message.event_ids.filtered(lambda event: event.type == "redeemed"),
            [{"date": order.date_order, "is_bot": False}],
        )
        self.assertRecordValues(
            self.env["member.attribution"].search([("message_id", "=", message.id)]),
            [
                {
                    "order_model": "pos.order",
                    "order_id": order.id,
                    "amount": amount,
                    "discount": discount,
                    "kind": "redeemed",
                    "campaign_id": message.campaign_id.id,
                }
            ],
        )

    def sell_at_till(self, partner, lines, price=100.0):
        """An order as the till sends it once it is paid.

        :param list[dict] lines: values besides product, quantity and price
        """
        lines = [
            {
                "product_id": self.product.id,
                "qty": 1,
                "price_unit": price,
                "uuid": str(uuid4()),
                "tax_ids": [],
                **line,
            }
            for line in lines
        ]
        for line in lines:
            line["price_subtotal"] = line["qty"] * line["price_unit"]
            line["price_subtotal_incl"] = line["price_subtotal"]
        total = sum(line["price_subtotal_incl"] for line in lines)
        answer = (
            self.env["pos.order"]
            .with_user(self.cashier)
            .sync_from_ui(
                [
                    {
                        "uuid": str(uuid4()),
                        "session_id": self.pos_session.id,
                        "user_id": self.cashier.id,
                        "partner_id": partner and partner.id,
                        "date_order": fields.Datetime.to_string(fields.Datetime.now()),
                        "amount_total": total,
                        "amount_paid": total,
                        "amount_tax": 0,
                        "amount_return": 0,
                        "lines": [Command.create(line) for line in lines],
                        "payment_ids": [
                            Command.create(
                                {
                                    "amount": total,
                                    "name": fields.Datetime.now(),
                                    "payment_method_id": self.cash.id,
                                }
                            )
                        ],
                        "last_order_preparation_change": "{}",
                    }
                ]
            )
        )
        return self.env["pos.order"].browse(answer["pos.order"][-1]["id"])


@tagged("post_install", "-at_install")
class TestPos(MemberPosCommon):
    # ------------------------------------------------------------------- helpers

    def use_code(self, code, partner=None, date=None):
        """What the till asks before it applies a code."""
        return self.main_pos_config.with_user(self.cashier).use_coupon_code(
            code,
            fields.Datetime.to_string(date or fields.Datetime.now()),
            partner and partner.id,
            False,
        )

    def assert_refused(self, code, words, partner=None):
        answer = self.use_code(code, partner)
        self.assertFalse(answer["successful"])
        self.assertIn(words, answer["payload"]["error_message"])

    def get_reward_line(self, card, price=-10.0):
        """The line of a coupon that takes 10 off."""
        reward = self.program.reward_ids
        return {
            "product_id": reward.discount_line_product_id.id,
            "price_unit": price,
            "is_reward_line": True,
            "reward_id": reward.id,
            "coupon_id": card.id,
            "reward_identifier_code": f"reward-{card.id}",
            "points_cost": 1,
        }

    def confirm(self, order, card):
        """What the till calls after an order with a coupon is stored."""
        order.with_user(self.cashier).confirm_coupon_programs(
            {
                str(card.id): {
                    "points": -1,
                    "program_id": card.program_id.id,
                    "coupon_id": card.id,
                    "barcode": False,
                    "line_codes": [f"reward-{card.id}"],
                }
            }
        )

    def redeem(self, message, partner=None):
        """An order of 100 with 10 off by the coupon of a message."""
        card = message.card_id
        order = self.sell_at_till(
            partner or message.partner_id, [{}, self.get_reward_line(card)]
        )
        self.confirm(order, card)
        return order

    # ---------------------------------------------------------------------- codes

    def test_code_is_found_as_typed(self):
        message = self.make_coupons([CODE])
        for code in (CODE, TYPED, CODE.lower(), "０４４７Ｋ２Ｍ９ＱＸＴ４ＲＷ４"):
            with self.subTest(code):
                answer = self.use_code(code, message.partner_id)
                self.assertTrue(answer["successful"])
                self.assertEqual(answer["payload"]["coupon_id"], message.card_id.id)

    def test_owner(self):
        message = self.make_coupons([CODE])
        cards = self.env["loyalty.card"].with_user(self.cashier)
        self.assertEqual(
            cards.get_member_coupon_owner(TYPED),
            {"code": CODE, "partner_id": message.partner_id.id},
        )
        # Nobody is chosen for a code that will be refused; the refusal comes next.
        message.card_id.points = 0
        self.assertEqual(
            cards.get_member_coupon_owner(TYPED), {"code": CODE, "partner_id": False}
        )
        for code in (MISTYPED, UNKNOWN, "SUMMER25"):
            with self.subTest(code):
                self.assertEqual(
                    cards.get_member_coupon_owner(code),
                    {"code": code, "partner_id": False},
                )

    def test_refused_with_reason(self):
        message = self.make_coupons([CODE])
        card, partner = message.card_id, message.partner_id
        self.assert_refused(MISTYPED, "typing error")
        self.assert_refused(CODE[:-1], "typing error")
        self.assert_refused(UNKNOWN, "invalid")
        self.assert_refused(CODE, "choose the customer first")
        self.assert_refused(CODE, "belongs to another member", self.make_partners(1))

        today = fields.Date.context_today(card.with_user(self.cashier))
        yesterday = today - timedelta(days=1)
        card.expiration_date = yesterday
        self.assert_refused(CODE, "expired on", partner)
        card.expiration_date = today
        self.assertTrue(self.use_code(CODE, partner)["successful"])

        self.program.date_to = yesterday
        self.assert_refused(CODE, "not valid in this shop today", partner)
        self.program.date_to = False
        self.program.pos_config_ids = self.main_pos_config.copy()
        self.assert_refused(CODE, "not valid in this shop today", partner)
        self.program.pos_config_ids = False

        self.redeem(message)
        self.assert_refused(CODE, "has already been used: ", partner)
        card.active = False
        self.assert_refused(CODE, "has been withdrawn", partner)

    def test_other_codes_are_left_to_stock(self):
        """What is not a member's coupon behaves as without this addon."""
        programs = self.env["loyalty.program"]
        card = self.env["loyalty.card"].create(
            {
                "program_id": programs.create_from_template("gift_card")["res_id"],
                # as long as ours, and not valid as one of ours
                "code": "044123456789012",
                "points": 20,
            }
        )
        self.assertTrue(self.use_code(card.code)["successful"])
        # a promo code of as many signs as ours is no mistyped coupon
        self.assert_refused("BLACKFRIDAY2025", "This coupon is invalid")

    def test_coupon_of_another_company(self):
        message = self.make_coupons([CODE])
        company, _stranger = self.make_other_company()
        message.card_id.company_id = company
        self.env.flush_all()
        self.env.invalidate_all()
        cards = self.env["loyalty.card"].with_user(self.cashier)
        self.assertEqual(
            cards.get_member_coupon_owner(CODE), {"code": CODE, "partner_id": False}
        )
        self.assert_refused(CODE, "invalid", message.partner_id)

    # ----------------------------------------------------------------- redemption

    def test_redemption(self):
        first, second = self.make_coupons([CODE, UNKNOWN])
        self.deliver(first | second)
        order = self.redeem(first)
        self.assert_redeemed(first, order, 90, 10)
        self.assertFalse(second.redeemed_date)
        self.assertEqual(
            self.get_figures(first.campaign_id),
            {
                "planned_count": 2,
                "delivered_count": 2,
                "redeemed_count": 1,
                "revenue": 90,
                "discount": 10,
                "redemption_rate": 50,
            },
        )

    def test_confirming_again_adds_nothing(self):
        message = self.make_coupons([CODE])
        order = self.redeem(message)
        self.confirm(order, message.card_id)
        self.confirm(order, message.card_id)
        self.assert_redeemed(message, order, 90, 10)

    def test_redemption_does_not_need_the_second_call(self):
        """The till may lose its connection between order and confirmation."""
        message = self.make_coupons([CODE])
        order = self.sell_at_till(
            message.partner_id, [{}, self.get_reward_line(message.card_id)]
        )
        self.assertEqual(message.redeemed_date, order.date_order)
        self.confirm(order, message.card_id)
        self.assert_redeemed(message, order, 90, 10)

    def test_order_without_coupon_is_nobodys(self):
        message = self.make_coupons([CODE])
        self.sell_at_till(message.partner_id, [{}])
        self.assertFalse(message.redeemed_date)
        self.assertFalse(self.env["member.attribution"].search([]))

    def test_failed_message_gives_no_coupon(self):
        campaign = self.make_campaign(self.make_members(1))
        self.launch(campaign)
        self.send(lambda outbound: Outcome.BADNUM)
        message = self.get_messages(campaign, state="failed")
        message.card_id.code = CODE
        self.assert_refused(CODE, "has been withdrawn", message.partner_id)

    # -------------------------------------------------------------------- refunds

    def test_refund_is_taken_off_the_revenue(self):
        message = self.make_coupons([CODE])
        self.deliver(message)
        order = self.redeem(message)
        sold, reward = order.lines
        refund = self.sell_at_till(
            message.partner_id,
            [
                {"qty": -1, "refunded_orderline_id": sold.id},
                {
                    "product_id": reward.product_id.id,
                    "qty": -1,
                    "price_unit": -10,
                    "refunded_orderline_id": reward.id,
                },
            ],
        )
        self.assertRecordValues(
            self.env["member.attribution"].search(
                [("message_id", "=", message.id)], order="id"
            ),
            [
                {"order_id": order.id, "amount": 90, "discount": 10},
                {"order_id": refund.id, "amount": -90, "discount": -10},
            ],
        )
        figures = self.get_figures(message.campaign_id)
        self.assertEqual(figures["revenue"], 0)
        self.assertEqual(figures["discount"], 0)
        self.assertEqual(figures["redeemed_count"], 1)
        self.assertRecordValues(message.profile_id, [{"revenue": 0}])

    def test_exchange(self):
        """Goods of an order are returned within another one that uses a coupon too."""
        first, second = self.make_coupons([CODE, UNKNOWN])
        order = self.redeem(first)
        self.sell_at_till(
            second.partner_id,
            [
                {"qty": -1, "refunded_orderline_id": order.lines[0].id},
                {"price_unit": 150},
                self.get_reward_line(second.card_id),
            ],
        )
        amounts = {
            message: sum(credits.mapped("amount"))
            for message, credits in self.env["member.attribution"]
            .search([])
            .grouped("message_id")
            .items()
        }
        self.assertEqual(amounts, {first: -10, second: 140})

    def test_refund_in_the_back_office(self):
        """There the reward's line is copied with its coupon."""
        message = self.make_coupons([CODE])
        order = self.redeem(message)
        refund = self.env["pos.order"].browse(order.refund()["res_id"])
        Form(
            self.env["pos.make.payment"].with_context(
                active_id=refund.id, active_ids=refund.ids
            )
        ).save().check()
        self.assertEqual(refund.state, "paid")
        self.assertEqual(self.get_figures(message.campaign_id)["revenue"], 0)

    # -------------------------------------------------------------------- members

    def test_paid_order_refreshes_the_member_at_once(self):
        self.env["member.tier"].create([{"name": "Gold", "min_revenue": 150}])
        profile = self.make_members(1)
        self.sell_at_till(profile.partner_id, [{}])
        self.assertRecordValues(
            profile, [{"order_count": 1, "revenue": 100, "lifecycle": "new"}]
        )
        self.assertFalse(profile.tier_id)
        order = self.sell_at_till(profile.partner_id, [{}])
        self.assertRecordValues(
            profile,
            [
                {
                    "order_count": 2,
                    "revenue": 200,
                    "tier_id": self.env["member.tier"].search([]).id,
                }
            ],
        )
        self.sell_at_till(
            profile.partner_id,
            [{"qty": -1, "refunded_orderline_id": order.lines.id}],
        )
        self.assertRecordValues(
            profile, [{"order_count": 2, "revenue": 100, "tier_id": False}]
        )

    def test_order_of_no_member(self):
        """Neither a stranger nor a walk-in customer costs the till a refresh."""
        for partner in (self.make_partners(1), None):
            with self.subTest(partner=partner):
                self.assertEqual(self.sell_at_till(partner, [{}]).state, "paid")

    def test_till_does_not_wait_for_a_refresh(self):
        """A member whose row is held by a refresh gets the figures by the next one."""
        profile = self.make_members(1)
        self.patch(
            type(profile), "try_lock_for_update", lambda records, **kwargs: profile[:0]
        )
        order = self.sell_at_till(profile.partner_id, [{}])
        self.assertEqual(order.state, "paid")
        self.assertEqual(profile.order_count, 0)
