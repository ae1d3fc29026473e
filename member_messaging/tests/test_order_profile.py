from collections import Counter

from odoo import Command, fields
from odoo.tests import tagged

from ..tools import rfm
from .common import MemberMessagingCommon


class OrderProfileCommon(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)
        cls.partner = cls.profile.partner_id
        tiers = cls.env["member.tier"].create(
            [
                {"name": "Ordinary", "sequence": 1, "window_days": 0},
                {"name": "Silver", "sequence": 2, "min_revenue": 500},
                {"name": "Gold", "sequence": 3, "min_revenue": 500, "min_orders": 3},
            ]
        )
        cls.ordinary, cls.silver, cls.gold = tiers

    def refresh(self):
        self.env["member.profile"].with_user(self.staff).action_refresh()

    def get_orders(self, partner=None):
        return (
            self.env["member.order"]
            .with_user(self.staff)
            .search([("partner_id", "=", (partner or self.partner).id)], order="id")
        )


@tagged("post_install", "-at_install")
class TestMemberOrder(OrderProfileCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # who may take payments outside the till's own screen
        cls.cashier = cls.make_user(
            "cashier", "base.group_user,point_of_sale.group_pos_manager"
        )
        drawer = cls.env["account.journal"].create(
            {"name": "Drawer", "code": "DRAW", "type": "cash"}
        )
        cls.cash = cls.env["pos.payment.method"].create(
            {"name": "Cash", "journal_id": drawer.id}
        )
        cls.till = cls.env["pos.config"].create(
            {"name": "Till", "payment_method_ids": [Command.set(cls.cash.ids)]}
        )
        cls.till.with_user(cls.cashier).open_ui()
        cls.till.current_session_id.with_user(cls.cashier).set_opening_control(0, "")

    def pay(self, order):
        self.env["pos.make.payment"].with_user(self.cashier).with_context(
            active_id=order.id
        ).create(
            {"amount": order.amount_total, "payment_method_id": self.cash.id}
        ).check()
        self.env.flush_all()

    def make_pos_order(self, partner, price):
        return (
            self.env["pos.order"]
            .with_user(self.cashier)
            .create(
                {
                    "session_id": self.till.current_session_id.id,
                    "partner_id": partner.id,
                    "amount_tax": 0,
                    "amount_total": price,
                    "amount_paid": 0,
                    "amount_return": 0,
                    "lines": [
                        Command.create(
                            {
                                "product_id": self.product.id,
                                "qty": 1,
                                "price_unit": price,
                                "price_subtotal": price,
                                "price_subtotal_incl": price,
                            }
                        )
                    ],
                }
            )
        )

    def test_sale_counts_while_it_is_confirmed(self):
        order = self.make_sale(self.partner, 100)
        self.assertFalse(self.get_orders())
        order.action_confirm()
        self.assertRecordValues(
            self.get_orders(),
            [
                {
                    "name": order.name,
                    "order_model": "sale.order",
                    "order_id": order.id,
                    "company_id": self.company.id,
                    "amount": 100,
                    "date": order.date_order,
                }
            ],
        )
        action = self.get_orders().action_open_order()
        self.assertEqual(
            (action["res_model"], action["res_id"]), ("sale.order", order.id)
        )
        order._action_cancel()
        self.assertFalse(self.get_orders())

    def test_taxes_are_part_of_the_amount(self):
        tax = self.env["account.tax"].create({"name": "Ten", "amount": 10})
        order = self.make_sale(self.partner, 100)
        order.order_line.tax_ids = tax
        order.action_confirm()
        self.assertEqual(self.get_orders().amount, 110)

    def test_other_currency_at_the_rate_of_the_order(self):
        currency = self.env["res.currency"].create(
            {
                "name": "XTS",
                "symbol": "X",
                "rate_ids": [Command.create({"name": "2000-01-01", "rate": 4})],
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "Foreign", "currency_id": currency.id}
        )
        order = self.make_sale(self.partner, 100, pricelist_id=pricelist.id)
        order.action_confirm()
        self.assertEqual(order.amount_total, 100)
        self.assertEqual(self.get_orders().amount, 25)
        currency.rate_ids.rate = 2
        self.refresh()
        self.assertEqual(self.profile.revenue, 25)

    def test_pos_order_counts_when_paid_and_refund_is_negative(self):
        order = self.make_pos_order(self.partner, 80)
        self.env.flush_all()
        self.assertFalse(self.get_orders())
        self.pay(order)
        self.assertRecordValues(
            self.get_orders(), [{"order_model": "pos.order", "amount": 80}]
        )
        self.assertRecordValues(
            self.profile,
            [{"order_count": 1, "revenue": 80, "last_product_id": self.product.id}],
        )
        self.pay(order._refund())
        self.assertEqual(sorted(self.get_orders().mapped("amount")), [-80, 80])
        self.assertRecordValues(
            self.profile,
            [{"order_count": 1, "revenue": 0, "last_order_date": order.date_order}],
        )

    def test_pos_order_of_nobody(self):
        order = self.make_pos_order(self.env["res.partner"], 80)
        self.pay(order)
        self.assertEqual(order.state, "paid")
        self.assertFalse(self.env["member.order"].search([("order_id", "=", order.id)]))

    def test_other_company_sees_other_orders(self):
        self.sell(self.partner)
        _company, stranger = self.make_other_company()
        orders = self.env["member.order"].with_user(stranger)
        self.assertFalse(orders.search([("partner_id", "=", self.partner.id)]))


@tagged("post_install", "-at_install")
class TestMemberProfile(OrderProfileCommon):
    def test_confirming_and_cancelling_keep_one_member_up_to_date(self):
        other = self.make_members(1)
        versions = self.get_row_versions(other)
        order = self.sell(self.partner, 600)
        self.assertRecordValues(
            self.profile,
            [
                {
                    "order_count": 1,
                    "revenue": 600,
                    "average_order": 600,
                    "first_order_date": order.date_order,
                    "last_order_date": order.date_order,
                    "last_product_id": self.product.id,
                    "lifecycle": "new",
                    "tier_id": self.silver.id,
                }
            ],
        )
        cake = self.make_product("Cake")
        second = self.make_sale(self.partner, 200)
        second.order_line.product_id = cake
        second.order_line.price_unit = 200
        second.action_confirm()
        self.assertRecordValues(
            self.profile,
            [{"order_count": 2, "average_order": 400, "last_product_id": cake.id}],
        )
        second._action_cancel()
        self.assertRecordValues(
            self.profile,
            [{"order_count": 1, "revenue": 600, "last_product_id": self.product.id}],
        )
        order._action_cancel()
        self.assertRecordValues(
            self.profile,
            [
                {
                    "order_count": 0,
                    "revenue": 0,
                    "average_order": 0,
                    "last_order_date": False,
                    "last_product_id": False,
                    "r_score": 0,
                    "rfm_segment_id": False,
                    "lifecycle": "prospect",
                    "tier_id": self.ordinary.id,
                }
            ],
        )
        self.assertEqual(self.get_row_versions(other), versions)

    def test_customers_of_old_are_scored_when_they_become_members(self):
        partner = self.make_partners(1)
        self.sell(partner, 700)
        self.assertRecordValues(
            self.enrol(partner),
            [{"order_count": 1, "revenue": 700, "tier_id": self.silver.id}],
        )

    def test_highest_tier_whose_conditions_are_met(self):
        for price in (300, 100, 100):
            self.sell(self.partner, price)
        self.assertEqual(self.profile.tier_id, self.gold)
        # beyond the window of a year: neither revenue nor number counts
        late = self.sell(self.partner, 900, days=400)
        self.refresh()
        self.assertEqual(self.profile.tier_id, self.gold)
        self.env["sale.order"].search(
            [("partner_id", "=", self.partner.id), ("id", "!=", late.id)]
        )._action_cancel()
        self.assertEqual(self.profile.revenue, 900)
        self.assertEqual(self.profile.tier_id, self.ordinary)
        self.silver.window_days = 0
        self.refresh()
        self.assertEqual(self.profile.tier_id, self.silver)

    def test_locked_tier_stays(self):
        self.profile.with_user(self.staff).write(
            {
                "tier_id": self.gold.id,
                "tier_locked": True,
                "tier_lock_reason": "Friend of the house",
            }
        )
        self.sell(self.partner, 10)
        self.refresh()
        self.assertEqual(self.profile.tier_id, self.gold)
        self.profile.tier_locked = False
        self.refresh()
        self.assertEqual(self.profile.tier_id, self.ordinary)

    def test_tiers_of_a_company_the_user_does_not_see(self):
        """Staff of one company refresh; members of another one keep their tiers."""
        company, _stranger = self.make_other_company()
        tier = self.env["member.tier"].create(
            {
                "name": "Theirs",
                "sequence": 9,
                "company_id": company.id,
                "min_revenue": 600,
                "min_orders": 3,
            }
        )
        theirs = self.make_partners(1)
        for partner in (theirs, self.partner):
            for _number in range(3):
                self.sell(partner, 200)
        theirs.company_id = company
        profile = self.env["member.profile"].create({"partner_id": theirs.id})
        self.assertEqual(profile.tier_id, tier)
        self.refresh()
        self.assertEqual(profile.tier_id, tier)
        self.assertEqual(self.profile.tier_id, self.gold)

    def test_life_cycle(self):
        profiles = self.make_members(5)
        for profile, days in zip(
            profiles, [(), (5,), (200, 40), (200,), (500,)], strict=True
        ):
            for day in days:
                self.sell(profile.partner_id, days=day)
        self.refresh()
        self.assertEqual(
            profiles.mapped("lifecycle"),
            ["prospect", "new", "active", "sleeping", "lost"],
        )
        settings = self.env["res.config.settings"].create(
            {
                "member_new_days": 3,
                "member_active_days": 4,
                "member_sleeping_days": 1000,
            }
        )
        settings.execute()
        self.refresh()
        self.assertEqual(
            profiles.mapped("lifecycle"),
            ["prospect", "sleeping", "sleeping", "sleeping", "sleeping"],
        )

    def test_scores_agree_with_the_rules_in_python(self):
        profiles = self.make_members(12)
        for index, profile in enumerate(profiles[:-1]):
            for number in range(index % 4 + 1):
                self.sell(
                    profile.partner_id, 50 * (index + 1), days=7 * index + 90 * number
                )
        self.refresh()
        now = fields.Datetime.now()
        scale = self.env.ref("member_messaging.member_rfm_scale_default")
        limits = scale.with_user(self.staff)._get_limits()
        self.assertEqual([len(cuts) for cuts in limits.values()], [4, 4, 4])
        buyers = self.env["member.profile"].search([("order_count", ">", 0)])
        self.assertGreaterEqual(buyers, profiles[:-1])
        for buyer in buyers:
            scores = (
                rfm.score(
                    (now - buyer.last_order_date).days,
                    sorted(limits["recency"]),
                    higher_is_better=False,
                ),
                rfm.score(buyer.order_count, limits["frequency"]),
                rfm.score(buyer.revenue, limits["monetary"]),
            )
            self.assertEqual((buyer.r_score, buyer.f_score, buyer.m_score), scores)
            self.assertEqual(
                buyer.rfm_segment_id,
                self.env.ref(
                    "member_messaging.member_rfm_segment_" + rfm.segment(*scores[:2])
                ),
            )
        self.assertGreater(len(set(buyers.mapped("rfm_segment_id"))), 3)
        self.assertEqual({1, 5}, {1, 5} & set(buyers.mapped("r_score")))
        self.assertRecordValues(
            profiles[-1],
            [{"r_score": 0, "f_score": 0, "m_score": 0, "rfm_segment_id": False}],
        )

    def test_refreshing_again_writes_nothing(self):
        profiles = self.profile | self.make_members(3)
        for index, profile in enumerate(profiles[:3]):
            self.sell(profile.partner_id, 33.33 * (index + 1), days=40 * index)
        self.refresh()
        versions = self.get_row_versions(profiles)
        partners = self.get_row_versions(profiles.partner_id)
        self.refresh()
        self.run_cron("refresh")
        self.assertEqual(self.get_row_versions(profiles), versions)
        self.sell(self.partner, 900)
        self.refresh()
        changed = {
            key
            for key, version in self.get_row_versions(profiles).items()
            if version != versions[key]
        }
        self.assertIn(self.profile.id, changed)
        self.assertEqual(self.get_row_versions(profiles.partner_id), partners)

    def test_cost_of_one_member_does_not_grow_with_history(self):
        profile = self.profile
        self.sell(self.partner)
        refresh = profile._refresh_own
        refresh()
        few = self.count_queries(refresh)
        for _number in range(8):
            self.sell(self.partner)
        self.assertEqual(self.count_queries(refresh), few)
        self.assertLessEqual(few, 25)

    def test_contact_is_searched_and_grouped_by_what_the_member_is(self):
        profiles = self.profile | self.make_members(2)
        self.sell(self.partner, 600)
        self.refresh()
        self.env.cr.execute(
            "UPDATE member_profile SET engagement = 'high' WHERE id = %s",
            (self.profile.id,),
        )
        self.env.invalidate_all()
        partners = self.env["res.partner"].with_user(self.staff)
        ours = [("member_profile_id", "in", profiles.ids)]
        for field in ("tier_id", "lifecycle", "rfm_segment_id", "engagement"):
            with self.subTest(field=field):
                value = self.profile[field]
                name = f"member_{field}"
                self.assertEqual(
                    partners.search(
                        [*ours, (name, "=", value.id if name.endswith("id") else value)]
                    ),
                    self.partner,
                )
                expected = Counter(profile[field] for profile in profiles)
                self.assertEqual(
                    dict(partners._read_group(ours, [name], ["__count"])), expected
                )
                groups = partners.formatted_read_group(ours, [name], ["__count"])
                self.assertEqual(
                    sorted(group["__count"] for group in groups),
                    sorted(expected.values()),
                )

    def test_orders_on_the_form_of_the_member(self):
        order = self.sell(self.partner, 60)
        profile = self.profile.with_user(self.staff)
        self.assertEqual(profile.order_ids.mapped("order_id"), [order.id])
        self.assertEqual(profile.display_name, self.partner.name)
        self.assertEqual(
            self.env["member.profile"]
            .with_user(self.staff)
            .name_search(self.profile.number)[0][0],
            self.profile.id,
        )

    def test_tier_counts_its_members(self):
        self.refresh()
        tier = self.ordinary.with_user(self.staff)
        action = tier.action_view_members()
        members = self.env["member.profile"].search(action["domain"])
        self.assertIn(self.profile, members)
        self.assertEqual(tier.member_count, len(members))


@tagged("post_install", "-at_install")
class TestDeletedReferences(MemberMessagingCommon):
    """No foreign key clears what members point at, so deleting it has to."""

    def check_forgotten(self, column, target, deleted=None):
        profile = self.make_members(1)
        profile[column] = target
        (deleted or target).unlink()
        self.assertFalse(profile[column])

    def test_tier(self):
        tier = self.env["member.tier"].create({"name": "Platinum", "min_orders": 9999})
        self.check_forgotten("tier_id", tier)

    def test_rfm_segment(self):
        segment = self.env["member.rfm.segment"].create({"name": "Odd"})
        self.check_forgotten("rfm_segment_id", segment)

    def test_product(self):
        product = self.env["product.product"].create({"name": "Tea"})
        self.check_forgotten("last_product_id", product)

    def test_variant_goes_with_its_product(self):
        product = self.env["product.product"].create({"name": "Tea"})
        self.check_forgotten("last_product_id", product, product.product_tmpl_id)

    def test_category_goes_with_the_one_above(self):
        above = self.env["product.category"].create({"name": "Drinks"})
        tea = self.env["product.category"].create(
            {"name": "Tea", "parent_id": above.id}
        )
        self.check_forgotten("favourite_category_id", tea, above)
