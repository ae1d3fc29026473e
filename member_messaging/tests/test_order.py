from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import uuid4

from odoo import Command, fields
from odoo.tests import tagged

from odoo.addons.base.tests.test_ir_cron import CronMixinCase

from .common import MemberMessagingCommon


class OrderCommon(MemberMessagingCommon, CronMixinCase):
    """A member, a till and an accountant."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)
        cls.partner = cls.profile.partner_id
        cls.cashier = cls.make_user(
            "cashier", "base.group_user,point_of_sale.group_pos_user"
        )
        cls.accountant = cls.make_user(
            "accountant", "base.group_user,account.group_account_invoice"
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
        cls.session = cls.till.current_session_id
        cls.session.with_user(cls.cashier).set_opening_control(0, "")

    # --------------------------------------------------------------------- at the till

    def ring_up(self, *lines, partner=None, **values):
        """Pay an order at the till.

        :param lines: price, or values of a line with ``price_unit``
        :returns: ``pos.order``
        """
        lines = [
            {"product_id": self.product.id, "qty": 1, **self.as_line(line)}
            for line in lines
        ]
        for line in lines:
            line["price_subtotal"] = line["price_unit"] * line["qty"]
            line["price_subtotal_incl"] = line["price_subtotal"]
        total = sum(line["price_subtotal_incl"] for line in lines)
        answer = (
            self.env["pos.order"]
            .with_user(self.cashier)
            .sync_from_ui(
                [
                    {
                        "uuid": str(uuid4()),
                        "session_id": self.session.id,
                        "user_id": self.cashier.id,
                        "partner_id": (partner or self.partner).id,
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
                        **values,
                    }
                ]
            )
        )
        order = self.env["pos.order"].browse(answer["pos.order"][-1]["id"])
        self.assertEqual(order.state, "paid")
        return order

    @staticmethod
    def as_line(line):
        return line if isinstance(line, dict) else {"price_unit": line}

    def bring_back(self, *lines):
        """:returns: values of lines that return these POS lines, as a till does"""
        return [
            {
                "product_id": line.product_id.id,
                "qty": -line.qty,
                "price_unit": line.price_unit,
                "refunded_orderline_id": line.id,
            }
            for line in lines
        ]

    # -------------------------------------------------------------------- in the office

    def sell_lines(self, *prices, partner=None, **values):
        """A confirmed sales order with a line per price."""
        order = self.make_sale(
            partner or self.partner,
            order_line=[
                Command.create({"product_id": self.product.id, "price_unit": price})
                for price in prices
            ],
            **values,
        )
        order.action_confirm()
        return order

    def invoice(self, orders):
        """:returns: posted invoice of what is left to invoice"""
        move = orders.with_user(self.salesperson)._create_invoices(final=True)
        move = move.with_user(self.accountant)
        move.action_post()
        return move

    def credit(self, invoice, lines=None, post=True):
        """:returns: credit note for these lines of an invoice, by default all"""
        wizard = (
            self.env["account.move.reversal"]
            .with_user(self.accountant)
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": invoice.journal_id.id})
        )
        note = self.env["account.move"].browse(wizard.refund_moves()["res_id"])
        note = note.with_user(self.accountant)
        if lines:
            kept = lines.mapped("price_unit")
            note.invoice_line_ids.filtered(
                lambda line: line.price_unit not in kept
            ).unlink()
        if post:
            note.action_post()
        return note

    # ------------------------------------------------------------------------- figures

    def get_rows(self, partner=None):
        """:returns: rows of a contact as staff see them, oldest document first"""
        return (
            self.env["member.order"]
            .with_user(self.staff)
            .search([("partner_id", "=", (partner or self.partner).id)], order="id")
        )

    def assertRows(self, *expected, partner=None):
        """:param expected: (document, amount, number of orders)"""
        rows = self.get_rows(partner)
        self.assertEqual(
            sorted(
                (row.order_model, row.order_id, row.amount, row.order_count)
                for row in rows
            ),
            sorted(
                (order._name, order.id, amount, count)
                for order, amount, count in expected
            ),
        )
        self.assertEqual(len(set(rows.ids)), len(rows))

    def assertFigures(self, revenue, order_count, profile=None):
        """Check the figures as they stand, and that a full refresh leaves them so."""
        profile = profile or self.profile
        figures = [{"revenue": revenue, "order_count": order_count}]
        self.env.flush_all()
        profile.invalidate_recordset()
        self.assertRecordValues(profile, figures)
        self.env["member.profile"].with_user(self.staff).action_refresh()
        self.assertRecordValues(profile, figures)

    def get_lines(self, partner_ids=None):
        """:returns: product lines that count as dicts"""
        self.env.flush_all()
        self.env.cr.execute(self.env["member.order"]._get_line_sql(partner_ids))
        return sorted(
            (
                line
                for line in self.env.cr.dictfetchall()
                if line["partner_id"] == self.profile.partner_id.id
            ),
            key=lambda line: (line["order_key"], line["line_id"]),
        )


@tagged("post_install", "-at_install")
class TestCreditNote(OrderCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.product.invoice_policy = "order"

    def test_partial_credit_lowers_what_was_paid(self):
        order = self.sell_lines(60, 40)
        invoice = self.invoice(order)
        self.assertRows((order, 100, 1))
        note = self.credit(invoice, invoice.invoice_line_ids[1])
        self.assertRows((order, 100, 1), (order, -40, 0))
        refund = self.get_rows().filtered(lambda row: row.amount < 0)
        self.assertRecordValues(
            refund,
            [
                {
                    "name": order.name,
                    "company_id": self.company.id,
                    "date": datetime.combine(note.invoice_date, datetime.min.time()),
                    "member_amount": -40,
                }
            ],
        )
        self.assertFigures(60, 1)
        self.assertEqual(self.profile.last_order_date, order.date_order)

    def test_only_a_posted_credit_note_counts(self):
        order = self.sell_lines(100)
        note = self.credit(self.invoice(order), post=False)
        self.assertRows((order, 100, 1))
        note.action_post()
        self.assertFigures(0, 1)
        note.button_draft()
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)
        note.button_cancel()
        self.assertFigures(100, 1)
        note.button_draft()
        note.action_post()
        self.assertFigures(0, 1)
        order._action_cancel()
        self.assertRows()
        self.assertFigures(0, 0)

    def test_several_credit_notes_are_one_refund_of_the_last_day(self):
        order = self.sell_lines(60, 30, 10)
        invoice = self.invoice(order)
        self.credit(invoice, invoice.invoice_line_ids[0])
        second = self.credit(invoice, invoice.invoice_line_ids[1], post=False)
        second.invoice_date = fields.Date.today() + timedelta(days=3)
        second.action_post()
        self.assertRows((order, 100, 1), (order, -90, 0))
        self.assertEqual(self.get_rows()[1].date.date(), second.invoice_date)

    def test_drafts_beside_a_posted_credit_note(self):
        order = self.sell_lines(60, 40)
        invoice = self.invoice(order)
        self.credit(invoice, invoice.invoice_line_ids[1])
        self.credit(invoice, invoice.invoice_line_ids[0], post=False)
        self.assertRows((order, 100, 1), (order, -40, 0))
        order.with_user(self.salesperson)._create_invoices()
        self.assertRows((order, 100, 1), (order, -40, 0))
        self.assertFigures(60, 1)

    def test_corrected_invoice_is_no_refund(self):
        order = self.sell_lines(100)
        self.credit(self.invoice(order))
        self.assertFigures(0, 1)
        corrected = order.with_user(self.salesperson)._create_invoices()
        corrected.with_user(self.accountant).action_post()
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)

    def test_corrected_invoice_of_a_lower_price(self):
        order = self.sell_lines(100)
        self.credit(self.invoice(order))
        corrected = order.with_user(self.salesperson)._create_invoices()
        corrected = corrected.with_user(self.accountant)
        corrected.invoice_line_ids.price_unit = 90
        corrected.action_post()
        self.assertRows((order, 100, 1), (order, -10, 0))
        self.assertFigures(90, 1)

    def test_credit_of_an_order_that_was_reduced_as_well(self):
        order = self.sell_lines(60, 40)
        invoice = self.invoice(order)
        order.order_line[1].product_uom_qty = 0
        self.credit(invoice, invoice.invoice_line_ids[1])
        self.assertRows((order, 60, 1))
        self.assertFigures(60, 1)

    def test_invoice_of_two_members(self):
        """Each order gets its own lines of a common credit note."""
        other = self.make_members(1)
        payer = self.make_partners(1)
        orders = [
            self.sell_lines(
                price,
                partner=partner,
                partner_invoice_id=payer.id,
                partner_shipping_id=payer.id,
            )
            for partner, price in ((self.partner, 100), (other.partner_id, 30))
        ]
        invoice = self.invoice(orders[0] + orders[1])
        self.assertEqual((len(invoice), invoice.amount_total), (1, 130))
        note = self.credit(invoice)
        self.assertRows((orders[0], 100, 1), (orders[0], -100, 0))
        self.assertRows(
            (orders[1], 30, 1), (orders[1], -30, 0), partner=other.partner_id
        )
        self.assertFigures(0, 1)
        self.assertFigures(0, 1, other)
        self.assertFalse(self.get_rows(payer))
        note.button_draft()
        note.invoice_line_ids.filtered(lambda line: line.price_unit == 100).unlink()
        note.action_post()
        self.assertRows((orders[0], 100, 1))
        self.assertFigures(0, 1, other)

    def test_fee_kept_back_by_a_credit_note(self):
        order = self.sell_lines(100)
        note = self.credit(self.invoice(order), post=False)
        note.invoice_line_ids = [
            Command.create({"name": "Insurance", "quantity": 1, "price_unit": 7})
        ]
        note.action_post()
        # a line of its own that is no part of the order
        self.assertRows((order, 100, 1), (order, -100, 0))

    def test_taxes_to_the_cent(self):
        """Taxes of the whole document are rounded, not those of a line."""
        self.company.tax_calculation_rounding_method = "round_globally"
        tax = self.env["account.tax"].create({"name": "7 %", "amount": 7})
        self.product.taxes_id = tax
        order = self.sell_lines(0.07, 0.07, 0.07)
        self.assertNotEqual(
            round(sum(order.order_line.mapped("price_total")), 2), order.amount_total
        )
        self.credit(self.invoice(order))
        self.assertRows((order, order.amount_total, 1), (order, -order.amount_total, 0))
        self.assertFigures(0, 1)

    def test_foreign_order_credited_in_full_leaves_nothing(self):
        currency = self.env["res.currency"].create(
            {
                "name": "XTS",
                "symbol": "X",
                "rate_ids": [Command.create({"name": "2000-01-01", "rate": 3})],
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "Foreign", "currency_id": currency.id}
        )
        order = self.sell_lines(60, 40, pricelist_id=pricelist.id)
        currency.rate_ids.rate = 7
        invoice = self.invoice(order)
        self.assertEqual(invoice.currency_id, currency)
        self.credit(invoice, invoice.invoice_line_ids[1])
        self.assertRows((order, 33.33, 1), (order, -13.33, 0))
        self.assertFigures(20, 1)
        self.credit(invoice, invoice.invoice_line_ids[0])
        self.assertFigures(0, 1)

    def test_down_payment_is_no_second_invoice(self):
        order = self.sell_lines(100)
        wizard = (
            self.env["sale.advance.payment.inv"]
            .with_user(self.salesperson)
            .with_context(active_model="sale.order", active_ids=order.ids)
            .create({"advance_payment_method": "fixed", "fixed_amount": 30})
        )
        wizard.create_invoices()
        order.invoice_ids.with_user(self.accountant).action_post()
        invoice = self.invoice(order)
        self.assertEqual(invoice.amount_total, 70)
        self.credit(invoice)
        self.assertRows((order, 100, 1), (order, -70, 0))
        self.assertFigures(30, 1)

    def test_posting_an_ordinary_invoice_refreshes_nobody(self):
        order = self.sell_lines(100)
        move = order.with_user(self.salesperson)._create_invoices()
        with patch.object(
            type(self.env["member.profile"]), "_refresh", autospec=True
        ) as refresh:
            move.with_user(self.accountant).action_post()
        refresh.assert_not_called()


@tagged("post_install", "-at_install")
class TestPosOrder(OrderCommon):
    def test_refund_is_no_order(self):
        order = self.ring_up(80)
        self.assertRows((order, 80, 1))
        self.assertFigures(80, 1)
        refund = self.ring_up(*self.bring_back(order.lines), is_refund=True)
        self.assertRows((order, 80, 1), (refund, -80, 0))
        self.assertFigures(0, 1)

    def test_exchange_is_an_order_when_more_is_taken_home(self):
        order = self.ring_up(80)
        dearer = self.ring_up(*self.bring_back(order.lines), 100, is_refund=True)
        self.assertRows((order, 80, 1), (dearer, 20, 1))
        self.assertFigures(100, 2)
        cheaper = self.ring_up(*self.bring_back(dearer.lines[1]), 70, is_refund=True)
        self.assertRows((order, 80, 1), (dearer, 20, 1), (cheaper, -30, 0))
        self.assertFigures(70, 2)

    def test_gift_is_an_order_and_its_return_is_none(self):
        gift = self.ring_up(0)
        self.assertRows((gift, 0, 1))
        returned = self.ring_up(*self.bring_back(gift.lines), is_refund=True)
        self.assertRows((gift, 0, 1), (returned, 0, 0))
        self.assertFigures(0, 1)

    def test_member_whom_somebody_holds_is_refreshed_by_the_scheduler(self):
        profiles = type(self.profile)
        cron = "member_messaging.ir_cron_member_messaging_refresh_recent"
        with self.capture_triggers(cron) as triggers:
            self.ring_up(80)
            self.assertFalse(triggers.records)
            with patch.object(
                profiles, "try_lock_for_update", lambda self, **kw: self.browse()
            ):
                self.ring_up(20)
        self.assertEqual(len(triggers.records), 1)
        self.profile.invalidate_recordset()
        self.assertEqual(self.profile.revenue, 80)

    def test_lines(self):
        """What members bought: no rewards, no refunds, less what came back."""
        reward = self.program.reward_ids
        order = self.ring_up(
            {"price_unit": 10, "qty": 3},
            50,
            {"price_unit": -5, "reward_id": reward.id, "is_reward_line": True},
        )
        [three, one, _reward] = order.lines
        [back] = self.bring_back(three)
        self.ring_up({**back, "qty": -1}, *self.bring_back(one), is_refund=True)
        sale = self.sell(self.partner, 25)
        sale.order_line = [
            Command.create({"display_type": "line_section", "name": "More"}),
            Command.create(
                {"product_id": self.product.id, "price_unit": 5, "product_uom_qty": 0}
            ),
        ]
        quotation = self.make_sale(self.partner, 30)
        keys = {row.order_id: row.id for row in self.get_rows()}
        expected = [
            {
                "order_key": keys[sale.id],
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "date": sale.date_order,
                "line_id": sale.order_line[0].id,
                "product_id": self.product.id,
                "quantity": 1,
                "amount": 25,
            },
            {
                "order_key": keys[order.id],
                "partner_id": self.partner.id,
                "company_id": self.company.id,
                "date": order.date_order,
                "line_id": three.id,
                "product_id": self.product.id,
                "quantity": 2,
                "amount": 20,
            },
        ]
        self.assertEqual(quotation.state, "draft")
        expected.sort(key=lambda line: line["order_key"])
        for partner_ids in (None, self.partner.ids):
            self.assertEqual(self.get_lines(partner_ids), expected)
        self.assertFalse(self.get_lines(self.make_partners(1).ids))


@tagged("post_install", "-at_install")
class TestRollUp(OrderCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.firm = cls.make_partners(1, is_company=True)
        cls.firm_profile = cls.enrol(cls.firm)
        cls.partner.parent_id = cls.firm
        cls.colleague = cls.make_partners(1, parent_id=cls.firm.id)

    def set_rolled_up(self, value):
        self.env["res.config.settings"].create(
            {"member_commercial_partner": value}
        ).execute()

    def test_orders_of_contacts_count_for_the_company(self):
        sale = self.sell(self.colleague, 100)
        self.assertRows((sale, 100, 1), partner=self.colleague)
        cron = "member_messaging.ir_cron_member_messaging_refresh"
        with self.capture_triggers(cron) as triggers:
            self.set_rolled_up(True)
        self.assertEqual(len(triggers.records), 1)
        pos = self.ring_up(30)
        own = self.sell(self.firm, 5)
        self.assertRows((sale, 100, 1), (pos, 30, 1), (own, 5, 1), partner=self.firm)
        self.assertRows()
        # by the till's hook alone, then by a full refresh
        self.assertFigures(135, 3, self.firm_profile)
        self.assertFigures(0, 0)
        orders = self.env["member.order"].with_user(self.staff)
        self.assertEqual(
            orders._map_partners([self.partner.id, self.colleague.id]), self.firm.ids
        )
        own._action_cancel()
        self.assertFigures(130, 2, self.firm_profile)
        with self.capture_triggers(cron) as triggers:
            self.set_rolled_up(True)
            self.assertFalse(triggers.records, "nothing changed")
            self.set_rolled_up(False)
        self.assertEqual(len(triggers.records), 1)
        self.assertRows((pos, 30, 1))
        self.assertRows((sale, 100, 1), partner=self.colleague)
        self.assertRows(partner=self.firm)
        self.assertEqual(orders._map_partners(self.partner.ids), self.partner.ids)

    def test_credit_note_and_lines_count_for_the_company(self):
        self.set_rolled_up(True)
        self.product.invoice_policy = "order"
        order = self.sell_lines(60, 40)
        invoice = self.invoice(order)
        self.credit(invoice, invoice.invoice_line_ids[1])
        self.assertRows((order, 100, 1), (order, -40, 0), partner=self.firm)
        self.assertFigures(60, 1, self.firm_profile)
        self.profile = self.firm_profile
        for partner_ids in (None, self.firm.ids):
            self.assertEqual(
                sorted(line["amount"] for line in self.get_lines(partner_ids)), [40, 60]
            )
        self.assertFalse(self.get_lines(self.partner.ids))


@tagged("post_install", "-at_install")
class TestCurrency(OrderCommon):
    """Companies with currencies of their own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.euro, cls.yen = cls.env["res.currency"].create(
            [
                {"name": "XEU", "symbol": "e", "rounding": 0.01},
                {"name": "XYE", "symbol": "y", "rounding": 1.0},
            ]
        )
        cls.abroad, cls.island = cls.env["res.company"].create(
            [
                {"name": "Abroad", "currency_id": cls.euro.id},
                {"name": "Island", "currency_id": cls.yen.id},
            ]
        )
        cls.branch = cls.env["res.company"].create(
            {"name": "Branch", "parent_id": cls.abroad.id, "currency_id": cls.euro.id}
        )
        cls.set_rates(cls.euro, None, {"2024-01-01": 0.8, "2024-03-01": 0.7})
        cls.set_rates(cls.euro, cls.abroad, {"2024-02-01": 0.9, "2024-04-01": 0.95})
        cls.set_rates(cls.yen, None, {"2024-02-15": 110.0})
        cls.set_rates(cls.yen, cls.island, {"2024-03-15": 130.7})
        cls.set_rates(cls.company.currency_id, cls.island, {"2024-03-20": 1.25})

    @classmethod
    def set_rates(cls, currency, company, rates):
        cls.env["res.currency.rate"].create(
            [
                {
                    "currency_id": currency.id,
                    "company_id": company and company.id,
                    "name": day,
                    "rate": rate,
                }
                for day, rate in rates.items()
            ]
        )

    def make_order(self, company, day, partner=None, price=100.0):
        """A confirmed sales order of a company at noon of a day."""
        order = (
            self.env["sale.order"]
            .with_company(company)
            .create(
                {
                    "partner_id": (partner or self.partner).id,
                    "company_id": company.id,
                    "order_line": [
                        Command.create(
                            {
                                "product_id": self.product.id,
                                "price_unit": price,
                                "tax_ids": [Command.clear()],
                            }
                        )
                    ],
                }
            )
        )
        order.action_confirm()
        order.date_order = f"{day} 12:00:00"
        return order

    def test_rates_are_those_of_odoo(self):
        theirs = self.make_partners(1)
        days = [
            "2023-06-01",
            "2024-01-31",
            "2024-02-20",
            "2024-03-01",
            "2024-03-14",
            "2024-03-25",
            "2024-06-01",
        ]
        orders = self.env["sale.order"]
        for company in (self.company, self.abroad, self.branch, self.island):
            for number, day in enumerate(days):
                orders |= self.make_order(company, day, price=97.31 + number)
        for day in days:
            orders |= self.make_order(self.island, day, theirs, 55.0)
            orders |= self.make_order(self.company, day, theirs, 12.34)
        theirs.company_id = self.island
        main_currency = self.env["res.company"]._get_main_company().currency_id
        rows = self.env["member.order"].search([("order_id", "in", orders.ids)])
        rows = {row.order_id: row for row in rows if row.order_model == "sale.order"}
        self.assertEqual(len(rows), len(orders))
        amounts = set()
        for order in orders:
            row = rows[order.id]
            currency = order.partner_id.company_id.currency_id or main_currency
            self.assertEqual(row.amount, order.amount_total)
            self.assertEqual(row.currency_id, order.company_id.currency_id)
            self.assertEqual(row.member_currency_id, currency)
            self.assertAlmostEqual(
                row.member_amount,
                order.company_id.currency_id._convert(
                    order.amount_total,
                    currency,
                    order.company_id,
                    order.date_order.date(),
                ),
                msg=f"{order.company_id.name} {order.date_order}",
            )
            amounts.add(row.member_amount / row.amount)
        self.assertGreater(len(amounts), 10)

    def test_incremental_and_full_agree(self):
        orders = self.make_order(self.abroad, "2024-03-01")
        orders |= self.make_order(self.island, "2024-03-16", price=13070)
        self.env.flush_all()
        rows = []
        for partner_ids in (None, self.partner.ids):
            self.env.cr.execute(self.env["member.order"]._get_order_sql(partner_ids))
            found = self.env.cr.dictfetchall()
            rows.append(
                {row["id"]: row for row in found if row["order_id"] in orders.ids}
            )
        self.assertEqual(len(rows[0]), 2)
        self.assertEqual(rows[0], rows[1])

    def test_one_currency_needs_no_conversion(self):
        def read_sql():
            return self.env["member.order"]._get_order_sql().code

        self.assertIn("width_bucket", read_sql())
        (self.abroad + self.branch + self.island).currency_id = self.company.currency_id
        others = self.env["res.company"].search(
            [("currency_id", "!=", self.company.currency_id.id)]
        )
        others.currency_id = self.company.currency_id
        order = self.make_order(self.abroad, "2024-03-01")
        self.assertNotIn("width_bucket", read_sql())
        row = self.env["member.order"].search([("order_id", "=", order.id)])
        self.assertEqual(row.member_amount, row.amount)


@tagged("post_install", "-at_install")
class TestChangedPartners(OrderCommon):
    def get_changed(self):
        """:returns: contacts with orders written since the start of this test"""
        return set(self.env["member.order"]._get_changed_partner_ids(self.env.cr.now()))

    def age(self):
        """Let everything so far be written yesterday."""
        self.env.flush_all()
        for table in ("sale_order", "pos_order", "account_move"):
            self.env.cr.execute(
                f"UPDATE {table} SET write_date = write_date - interval '1 day'"
            )
        self.env.invalidate_all()

    def test_members_whose_orders_were_written(self):
        self.product.invoice_policy = "order"
        self.age()
        self.assertFalse(self.get_changed())
        nobody = self.make_partners(1)
        self.sell(nobody)
        self.assertFalse(self.get_changed(), "no member")
        order = self.sell_lines(100)
        self.assertEqual(self.get_changed(), {self.partner.id})
        self.age()
        order.order_line.price_unit = 90
        self.assertEqual(self.get_changed(), {self.partner.id})
        invoice = self.invoice(order)
        self.age()
        self.assertFalse(self.get_changed())
        self.credit(invoice)
        self.assertEqual(self.get_changed(), {self.partner.id})
        self.age()
        self.ring_up(10)
        self.assertEqual(self.get_changed(), {self.partner.id})

    def test_company_of_the_contact(self):
        self.env["ir.config_parameter"].set_param(
            "member_messaging.commercial_partner", "True"
        )
        firm = self.make_partners(1, is_company=True)
        self.enrol(firm)
        self.partner.parent_id = firm
        self.age()
        self.sell(self.partner)
        self.assertEqual(self.get_changed(), {firm.id})


@tagged("post_install", "-at_install")
class TestSettle(OrderCommon):
    """Sales orders paid at the till by ``pos_sale``, where it is installed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if "sale_order_origin_id" not in cls.env["pos.order.line"]._fields:
            raise cls.skipTest(cls, "pos_sale is not installed")
        # who settles sales orders must be allowed to see them
        cls.cashier.group_ids |= cls.env.ref("sales_team.group_sale_salesman_all_leads")
        cls.down_payment = cls.env.ref("pos_sale.default_downpayment_product")
        cls.till.down_payment_product_id = cls.down_payment
        cls.product.invoice_policy = "order"

    def settle(self, order, **values):
        """:returns: values of POS lines that settle a sales order"""
        return [
            {
                "product_id": (
                    self.down_payment if line.is_downpayment else line.product_id
                ).id,
                "qty": line.product_uom_qty - line.qty_invoiced,
                "price_unit": line.price_unit,
                "sale_order_origin_id": order.id,
                "sale_order_line_id": line.id,
                **values,
            }
            for line in order.order_line
            if not line.display_type
        ]

    def pay_down(self, order, price):
        """:returns: POS order with a down payment of a sales order"""
        return self.ring_up(
            {
                "product_id": self.down_payment.id,
                "price_unit": price,
                "sale_order_origin_id": order.id,
            }
        )

    def test_settled_order_counts_once(self):
        order = self.sell_lines(60, 40)
        self.ring_up(*self.settle(order))
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)

    def test_settled_quotation_counts_once(self):
        order = self.make_sale(self.partner, 100)
        self.ring_up(*self.settle(order))
        self.assertEqual(order.state, "sale")
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)

    def test_what_is_bought_besides_counts(self):
        order = self.sell_lines(100)
        pos = self.ring_up(*self.settle(order), 15)
        self.assertRows((order, 100, 1), (pos, 15, 1))
        self.assertFigures(115, 2)
        self.assertEqual(
            sorted(line["amount"] for line in self.get_lines(self.partner.ids)),
            [15, 100],
        )

    def test_discount_at_the_till_lowers_what_was_paid(self):
        order = self.sell_lines(100)
        pos = self.ring_up(*self.settle(order), -5)
        self.assertRows((order, 100, 1), (pos, -5, 0))
        self.assertFigures(95, 1)

    def test_down_payment_and_rest(self):
        order = self.sell_lines(100)
        self.pay_down(order, 30)
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)
        down_payment = order.order_line.filtered(
            lambda line: line.is_downpayment and not line.display_type
        )
        self.assertEqual(down_payment.qty_invoiced, 1)
        rest = self.ring_up(*self.settle(order))
        self.assertEqual(rest.amount_total, 70)
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)
        self.assertEqual(
            [line["amount"] for line in self.get_lines(self.partner.ids)], [100]
        )

    def test_down_payment_given_back_leaves_the_order(self):
        order = self.sell_lines(100)
        paid = self.pay_down(order, 30)
        self.ring_up(*self.bring_back(paid.lines), is_refund=True)
        self.assertRows((order, 100, 1))
        self.assertFigures(100, 1)

    def test_settled_goods_brought_back(self):
        order = self.sell_lines(60, 40)
        settled = self.ring_up(*self.settle(order))
        back = self.ring_up(*self.bring_back(settled.lines[1]), is_refund=True)
        self.assertRows((order, 100, 1), (back, -40, 0))
        self.assertFigures(60, 1)
        rest = self.ring_up(*self.bring_back(settled.lines[0]), is_refund=True)
        self.assertRows((order, 100, 1), (back, -40, 0), (rest, -60, 0))
        self.assertFigures(0, 1)

    def test_settled_goods_returned_in_the_office(self):
        """Odoo copies the link to the sales order into such a refund."""
        order = self.sell_lines(100)
        settled = self.ring_up(*self.settle(order))
        manager = self.make_user(
            "pos_manager",
            "point_of_sale.group_pos_manager,sales_team.group_sale_salesman_all_leads",
        )
        refund = settled.with_user(manager)._refund()
        self.assertEqual(refund.lines.sale_order_origin_id, order)
        self.env["pos.make.payment"].with_user(manager).with_context(
            active_id=refund.id
        ).create({"amount": -100, "payment_method_id": self.cash.id}).check()
        self.assertRows((order, 100, 1), (refund, -100, 0))
        self.assertFigures(0, 1)

    def test_all_of_an_order_with_a_down_payment_brought_back(self):
        order = self.sell_lines(100)
        self.pay_down(order, 30)
        settled = self.ring_up(*self.settle(order))
        back = self.ring_up(*self.bring_back(*settled.lines), is_refund=True)
        self.assertEqual(back.amount_total, -70)
        self.assertRows((order, 100, 1), (back, -100, 0))

    def test_cancelled_order_leaves_what_the_till_took(self):
        order = self.sell_lines(100)
        pos = self.pay_down(order, 30)
        order._action_cancel()
        self.assertRows((pos, 30, 1))
        self.assertFigures(30, 1)
        self.assertFalse(self.get_lines(self.partner.ids))

    def test_company_of_the_contact(self):
        self.env["ir.config_parameter"].set_param(
            "member_messaging.commercial_partner", "True"
        )
        firm = self.make_partners(1, is_company=True)
        self.partner.parent_id = firm
        order = self.sell_lines(100)
        pos = self.ring_up(*self.settle(order), 15)
        self.assertRows((order, 100, 1), (pos, 15, 1), partner=firm)
        self.assertRows()
