from collections import defaultdict

from odoo import api, fields, models
from odoo.tools import SQL, ormcache, str2bool

from ..tools.rates import divide_rates, merge_rates


class MemberOrder(models.Model):
    """The one place that says which orders count, for whom and for how much.

    One row is

    - a confirmed sales order or a paid POS order, with what the customer paid for it,
      taxes included;
    - a POS order that gives more back than it takes: a refund, with a negative amount;
    - what credit notes took back of one sales order, with a negative amount.

    A sales order that is paid at the till (``pos_sale``) counts once, as the sales
    order it is; the POS order counts with what else it sells.
    """

    _name = "member.order"
    _description = "Order of a Member"
    _auto = False
    _order = "date desc, id desc"

    name = fields.Char(string="Order", readonly=True)
    order_model = fields.Selection(
        [("sale.order", "Sales"), ("pos.order", "Point of Sale")],
        string="Sold At",
        readonly=True,
    )
    order_id = fields.Many2oneReference(
        string="Document", model_field="order_model", readonly=True
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        readonly=True,
        help="The contact the order counts for.",
    )
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    date = fields.Datetime(readonly=True)
    amount = fields.Monetary(
        readonly=True, help="Taxes included; what was paid back is negative."
    )
    member_currency_id = fields.Many2one(
        "res.currency", compute="_compute_member_currency_id"
    )
    member_amount = fields.Monetary(
        string="Amount for the Member",
        currency_field="member_currency_id",
        readonly=True,
        help="In the currency of the member's figures, at the rate of the day.",
    )
    order_count = fields.Integer(
        string="Orders", readonly=True, help="1 for an order, 0 for a refund."
    )

    # Flushed before this model is read, since the queries below bypass the ORM.
    _depends = {
        "sale.order": [
            "name",
            "state",
            "partner_id",
            "company_id",
            "currency_id",
            "date_order",
            "amount_total",
            "currency_rate",
        ],
        "sale.order.line": [
            "order_id",
            "product_id",
            "product_uom_qty",
            "price_total",
            "is_downpayment",
            "reward_id",
        ],
        "pos.order": [
            "name",
            "state",
            "partner_id",
            "company_id",
            "date_order",
            "amount_total",
            "currency_rate",
            "is_refund",
        ],
        "pos.order.line": [
            "order_id",
            "product_id",
            "qty",
            "price_subtotal_incl",
            "refunded_orderline_id",
            "reward_id",
        ],
        "account.move": [
            "move_type",
            "state",
            "invoice_date",
            "currency_id",
            "invoice_currency_rate",
            "amount_total",
        ],
        "account.move.line": ["move_id", "display_type", "price_total"],
        "res.partner": ["commercial_partner_id", "company_id"],
        "res.currency.rate": ["name", "rate", "currency_id", "company_id"],
    }

    @property
    def _table_query(self):
        return self._get_order_sql()

    @api.depends("partner_id")
    def _compute_member_currency_id(self):
        main_company = self.env["res.company"]._get_main_company()
        for order in self:
            company = order.partner_id.company_id or main_company
            order.member_currency_id = company.currency_id

    def action_open_order(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.order_model,
            "res_id": self.order_id,
            "views": [(False, "form")],
        }

    # ------------------------------------------------------------- for whom it counts

    @api.model
    def _is_rolled_up(self):
        """:returns: whether orders of a company's contacts count for the company"""
        # sudo: parameters are readable by administrators only
        return str2bool(
            self.env["ir.config_parameter"]
            .sudo()
            .get_param("member_messaging.commercial_partner"),
            False,
        )

    @api.model
    def _map_partners(self, partner_ids):
        """Say for whom the orders of contacts count.

        :param list[int] partner_ids: contacts
        :rtype: list[int]
        """
        partners = self.env["res.partner"].browse(partner_ids)
        if self._is_rolled_up():
            # sudo: whoever sells to a contact may not see the company behind it
            partners = partners.sudo().commercial_partner_id
        return partners.ids

    @api.model
    def _get_changed_partner_ids(self, since):
        """Find members whose orders or credit notes were written.

        Of an order that was taken from one contact and given to another only the new
        one is found. A transaction writes the time of its beginning: ``since`` is to
        go back as far as the longest one may last.

        :param datetime since: naive UTC
        :returns: contacts the orders count for, members only
        :rtype: list[int]
        """
        self.env.flush_all()
        sale, pos = self._get_partner_sql("so"), self._get_partner_sql("po")
        rows = self.env.execute_query(
            SQL(
                """
                SELECT m.partner_id
                  FROM (SELECT %(sale_partner)s AS partner_id
                          FROM sale_order so %(sale_join)s
                         WHERE so.write_date >= %(since)s
                     UNION
                        SELECT %(pos_partner)s
                          FROM pos_order po %(pos_join)s
                         WHERE po.write_date >= %(since)s
                     UNION
                        SELECT %(sale_partner)s
                          FROM account_move am
                          JOIN account_move_line aml ON aml.move_id = am.id
                          JOIN sale_order_line_invoice_rel rel
                            ON rel.invoice_line_id = aml.id
                          JOIN sale_order_line l ON l.id = rel.order_line_id
                          JOIN sale_order so ON so.id = l.order_id %(sale_join)s
                         WHERE am.move_type = 'out_refund'
                           AND am.write_date >= %(since)s
                       ) changed
                  JOIN member_profile m ON m.partner_id = changed.partner_id
                """,
                sale_partner=sale["partner"],
                sale_join=sale["join"],
                pos_partner=pos["partner"],
                pos_join=pos["join"],
                since=since,
            )
        )
        return [partner_id for (partner_id,) in rows]

    def _get_partner_sql(self, order, partner_ids=None):
        """Say in SQL for whom an order counts.

        Conditions on the contact stand beside the table of the orders, where indexes
        serve them.

        :param str order: alias of the order's table
        :param list[int] | None partner_ids: keep to orders that count for these
        :returns: ``join`` after that table, ``partner`` and ``condition``, which
            starts with AND
        :rtype: dict[str, SQL]
        """
        partner = SQL.identifier(order, "partner_id")
        join = SQL()
        if self._is_rolled_up():
            join = SQL("JOIN res_partner rp ON rp.id = %s", partner)
            partner = SQL("rp.commercial_partner_id")
        condition = (
            SQL()
            if partner_ids is None
            else SQL("AND %s = ANY(%s::int[])", partner, list(partner_ids))
        )
        return {"join": join, "partner": partner, "condition": condition}

    # ------------------------------------------------------------------------ orders

    def _get_order_sql(self, partner_ids=None):
        """Return a SELECT of every order and refund that counts.

        :param list[int] | None partner_ids: keep to orders that count for these
            contacts, found by index; None takes all
        :returns: columns

            - ``id``: key; of a sales order n it is 4n, of a POS order 4n + 1, of what
              was credited of a sales order 4n + 2
            - ``name``, ``order_model``, ``order_id``: the document
            - ``partner_id``: the contact it counts for
            - ``company_id``, ``date`` (UTC)
            - ``amount``: in the currency of that company, at the rate of the order
            - ``member_amount``: in the currency of the member's figures
            - ``order_count``: 1 for an order, 0 for a refund
        :rtype: SQL
        """
        queries = [
            self._get_sale_sql(partner_ids),
            self._get_pos_sql(partner_ids),
            self._get_credit_sql(partner_ids),
        ]
        if self._has_pos_sale():
            queries.append(self._get_settling_sql(partner_ids))
        return self._get_member_amount_sql(SQL(" UNION ALL ").join(queries))

    def _get_sale_sql(self, partner_ids):
        return SQL(
            """
            SELECT so.id * 4 AS id, so.name, 'sale.order' AS order_model,
                   so.id AS order_id, %(partner)s AS partner_id, so.company_id,
                   so.date_order AS date, %(amount)s AS amount,
                   CASE WHEN so.amount_total < 0 THEN 0 ELSE 1 END AS order_count
              FROM sale_order so %(join)s
             WHERE so.state = 'sale' %(condition)s
            """,
            amount=self._get_amount_sql("so", SQL("so.amount_total")),
            **self._get_partner_sql("so", partner_ids),
        )

    def _get_pos_sql(self, partner_ids):
        return SQL(
            """
            SELECT po.id * 4 + 1, po.name, 'pos.order', po.id, %(partner)s,
                   po.company_id, po.date_order, %(amount)s, %(count)s
              FROM pos_order po %(join)s
             WHERE po.state IN ('paid', 'done') AND po.partner_id IS NOT NULL
                   %(unlinked)s %(condition)s
            """,
            amount=self._get_amount_sql("po", SQL("po.amount_total")),
            count=_count_pos(SQL("po.amount_total")),
            unlinked=(
                SQL("AND NOT %s", self._get_linked_sql())
                if self._has_pos_sale()
                else SQL()
            ),
            **self._get_partner_sql("po", partner_ids),
        )

    def _get_credit_sql(self, partner_ids):
        """What posted credit notes took back of sales orders, a row per order.

        When a wrong invoice is credited and a right one posted, the customer gets
        nothing back: what was invoiced beyond the order's total is no refund. Of an
        invoice for several orders each gets its own lines. Without a correlated
        subselect, which would keep PostgreSQL from adding up orders in parallel.
        """
        return SQL(
            """
            SELECT * FROM (
                WITH credited AS (
                    SELECT DISTINCT so.id, so.name, %(partner)s AS partner_id,
                           so.company_id, so.currency_id, so.currency_rate,
                           so.amount_total
                      FROM sale_order so %(join)s
                      JOIN sale_order_line l ON l.order_id = so.id
                      JOIN sale_order_line_invoice_rel rel ON rel.order_line_id = l.id
                      JOIN account_move_line aml ON aml.id = rel.invoice_line_id
                      JOIN account_move am ON am.id = aml.move_id
                     WHERE am.move_type = 'out_refund' AND am.state = 'posted'
                       AND so.state = 'sale' %(condition)s
                ),
                document AS (
                    SELECT DISTINCT c.*, aml.move_id
                      FROM credited c
                      JOIN sale_order_line l ON l.order_id = c.id
                      JOIN sale_order_line_invoice_rel rel ON rel.order_line_id = l.id
                      JOIN account_move_line aml ON aml.id = rel.invoice_line_id
                     WHERE aml.display_type = 'product'
                ),
                -- once each: an invoice line may stand for several lines of an order
                line AS (
                    SELECT d.*, aml.price_total, bool_or(l.id IS NOT NULL) AS is_own
                      FROM document d
                      JOIN account_move_line aml ON aml.move_id = d.move_id
                       AND aml.display_type = 'product'
                      LEFT JOIN (sale_order_line_invoice_rel rel
                            JOIN sale_order_line l ON l.id = rel.order_line_id)
                        ON rel.invoice_line_id = aml.id AND l.order_id = d.id
                  GROUP BY d.id, d.name, d.partner_id, d.company_id, d.currency_id,
                           d.currency_rate, d.amount_total, d.move_id, aml.id
                ),
                -- the total of a document that has no other lines: taxes are rounded
                invoiced AS (
                    SELECT l.id, l.name, l.partner_id, l.company_id, l.currency_id,
                           l.currency_rate, l.amount_total, am.move_type,
                           am.invoice_date, am.currency_id AS move_currency_id,
                           am.invoice_currency_rate,
                           CASE WHEN bool_and(l.is_own) THEN am.amount_total
                                ELSE SUM(l.price_total) FILTER (WHERE l.is_own)
                                END AS total
                      FROM line l
                      JOIN account_move am ON am.id = l.move_id
                     WHERE am.state = 'posted'
                       AND am.move_type IN ('out_invoice', 'out_refund')
                  GROUP BY l.id, l.name, l.partner_id, l.company_id, l.currency_id,
                           l.currency_rate, l.amount_total, am.id
                )
                SELECT i.id * 4 + 2, i.name, 'sale.order', i.id, i.partner_id,
                       i.company_id,
                       MAX(i.invoice_date) FILTER (WHERE i.move_type = 'out_refund')
                           ::timestamp,
                       %(refund)s AS amount,
                       0
                  FROM invoiced i
              GROUP BY i.id, i.name, i.partner_id, i.company_id, i.amount_total,
                       i.currency_rate
            ) credit WHERE amount < 0
            """,
            refund=_rounded(
                SQL(
                    """
                    (GREATEST(
                        COALESCE(SUM(%(total)s)
                            FILTER (WHERE i.move_type = 'out_invoice'), 0)
                        - %(order_total)s, 0)
                     - SUM(%(total)s) FILTER (WHERE i.move_type = 'out_refund'))
                    """,
                    # At the rate of the order: of one credited in full nothing is left.
                    total=_at_rate(
                        SQL("i.total"),
                        SQL(
                            "CASE WHEN i.move_currency_id = i.currency_id"
                            " THEN i.currency_rate ELSE i.invoice_currency_rate END"
                        ),
                    ),
                    order_total=_at_rate(SQL("i.amount_total"), SQL("i.currency_rate")),
                ),
                self._get_rounding_sql("i"),
            ),
            **self._get_partner_sql("so", partner_ids),
        )

    # ---------------------------------------- sales orders paid at the till (pos_sale)

    def _has_pos_sale(self):
        return "sale_order_origin_id" in self.env["pos.order.line"]._fields

    def _get_linked_sql(self):
        """:returns: whether a POS order ``po`` has to do with sales orders"""
        lines = self.env["pos.order.line"]
        return SQL(
            """EXISTS (SELECT FROM pos_order_line x WHERE x.order_id = po.id
                       AND (x.sale_order_origin_id IS NOT NULL
                            OR x.sale_order_line_id IS NOT NULL))%s%s""",
            *(
                SQL(to_flush=lines._fields[name])
                for name in ("sale_order_origin_id", "sale_order_line_id")
            ),
        )

    def _get_settled_sql(self):
        """Join to a POS line ``l`` the sales order ``settled`` in which it counts.

        Down payments, and what is settled less them, are money for an order that
        counts anyhow, paid or given back. What the till takes back of the goods lowers
        what the customer paid.
        """
        return SQL(
            """
            LEFT JOIN sale_order_line sol ON sol.id = l.sale_order_line_id
            LEFT JOIN sale_order settled
                   ON settled.id = COALESCE(l.sale_order_origin_id, sol.order_id)
                  AND settled.state = 'sale'
                  AND (l.refunded_orderline_id IS NULL OR sol.is_downpayment)
            """
        )

    def _get_settling_sql(self, partner_ids):
        """POS orders with lines of sales orders: what they sell besides."""
        rest = SQL(
            "(po.amount_total - COALESCE(SUM(l.price_subtotal_incl)"
            " FILTER (WHERE settled.id IS NOT NULL), 0))"
        )
        return SQL(
            """
            SELECT po.id * 4 + 1, po.name, 'pos.order', po.id, %(partner)s,
                   po.company_id, po.date_order, %(amount)s, %(count)s
              FROM pos_order po %(join)s
              JOIN pos_order_line l ON l.order_id = po.id
              %(settled)s
             WHERE po.state IN ('paid', 'done') AND po.partner_id IS NOT NULL
               AND %(linked)s %(condition)s
          GROUP BY po.id, %(partner)s
            HAVING bool_or(settled.id IS NULL)
            """,
            amount=self._get_amount_sql("po", rest),
            count=_count_pos(rest),
            settled=self._get_settled_sql(),
            linked=self._get_linked_sql(),
            **self._get_partner_sql("po", partner_ids),
        )

    # ------------------------------------------------------------------------- lines

    def _get_line_sql(self, partner_ids=None):
        """Return a SELECT of the products in the orders that count.

        Left out are rewards, sections, down payments and what the till took back. A
        credit note says what was paid back, not what came back: it changes no line.

        :param list[int] | None partner_ids: as of :meth:`_get_order_sql`
        :returns: columns ``order_key`` (the order's ``id`` in :meth:`_get_order_sql`),
            ``partner_id``, ``company_id``, ``date``, ``line_id``, ``product_id``,
            ``quantity`` (in the line's unit), ``amount`` (taxes included, in the
            currency of that company)
        :rtype: SQL
        """
        return SQL(
            "%s UNION ALL %s",
            self._get_sale_line_sql(partner_ids),
            self._get_pos_line_sql(partner_ids),
        )

    def _get_sale_line_sql(self, partner_ids):
        return SQL(
            """
            SELECT so.id * 4 AS order_key, %(partner)s AS partner_id, so.company_id,
                   so.date_order AS date, l.id AS line_id, l.product_id,
                   l.product_uom_qty AS quantity, %(amount)s AS amount
              FROM sale_order so %(join)s
              JOIN sale_order_line l ON l.order_id = so.id
             WHERE so.state = 'sale' AND l.product_id IS NOT NULL
               AND l.product_uom_qty > 0 AND l.reward_id IS NULL
               AND l.is_downpayment IS NOT TRUE %(condition)s
            """,
            amount=self._get_amount_sql("so", SQL("l.price_total")),
            **self._get_partner_sql("so", partner_ids),
        )

    def _get_pos_line_sql(self, partner_ids):
        has_pos_sale = self._has_pos_sale()
        return SQL(
            """
            SELECT po.id * 4 + 1, %(partner)s, po.company_id, po.date_order, l.id,
                   l.product_id, l.qty + COALESCE(back.quantity, 0), %(amount)s
              FROM pos_order po %(join)s
              JOIN pos_order_line l ON l.order_id = po.id
              LEFT JOIN (%(returned)s) back ON back.line_id = l.id
              %(settled)s
             WHERE po.state IN ('paid', 'done') AND po.partner_id IS NOT NULL
               AND l.product_id IS NOT NULL AND l.reward_id IS NULL AND l.qty > 0
               AND l.refunded_orderline_id IS NULL
               AND l.qty + COALESCE(back.quantity, 0) > 0 %(unsettled)s %(condition)s
            """,
            amount=self._get_amount_sql(
                "po", SQL("(l.price_subtotal_incl + COALESCE(back.amount, 0))")
            ),
            returned=self._get_returned_sql(partner_ids),
            settled=self._get_settled_sql() if has_pos_sale else SQL(),
            unsettled=(
                SQL("AND settled.id IS NULL AND sol.is_downpayment IS NOT TRUE")
                if has_pos_sale
                else SQL()
            ),
            **self._get_partner_sql("po", partner_ids),
        )

    def _get_returned_sql(self, partner_ids):
        """What the till took back of POS lines: ``line_id``, ``quantity``, ``amount``,
        both negative."""
        sold = SQL()
        partner = self._get_partner_sql("po", partner_ids)
        if partner_ids is not None:
            sold = SQL(
                """
                JOIN pos_order_line l ON l.id = b.refunded_orderline_id
                JOIN pos_order po ON po.id = l.order_id %s
                """,
                partner["join"],
            )
        return SQL(
            """
            SELECT b.refunded_orderline_id AS line_id, SUM(b.qty) AS quantity,
                   SUM(b.price_subtotal_incl) AS amount
              FROM pos_order_line b
              JOIN pos_order bo ON bo.id = b.order_id
              %(sold)s
             WHERE b.refunded_orderline_id IS NOT NULL
               AND bo.state IN ('paid', 'done') %(condition)s
          GROUP BY b.refunded_orderline_id
            """,
            sold=sold,
            condition=partner["condition"],
        )

    # -------------------------------------------------------------------- currencies

    def _get_amount_sql(self, order, amount):
        """Bring an amount of an order into the currency of its company.

        :param str order: alias of the order's table
        :param SQL amount: in the currency of the order
        """
        return SQL(
            "CASE WHEN %(rate)s = 1 THEN %(amount)s ELSE %(converted)s END",
            rate=SQL.identifier(order, "currency_rate"),
            amount=amount,
            converted=_rounded(
                _at_rate(amount, SQL.identifier(order, "currency_rate")),
                self._get_rounding_sql(order),
            ),
        )

    def _get_rounding_sql(self, order):
        """:returns: smallest amount in the currency of an order's company"""
        alike = self._get_companies().grouped(
            lambda company: company.currency_id.rounding
        )
        if len(alike) == 1:
            return SQL("%s", *alike)
        return SQL(
            "(CASE %s END)",
            SQL(" ").join(
                SQL(
                    "WHEN %s = ANY(%s) THEN %s",
                    SQL.identifier(order, "company_id"),
                    companies.ids,
                    rounding,
                )
                for rounding, companies in alike.items()
            ),
        )

    def _get_member_amount_sql(self, orders):
        """Add the amounts in the currency of the members' figures.

        That is the currency of the contact's company, else of the main company. Where
        all companies have the same one there is nothing to convert.

        :param SQL orders: SELECT of all other columns
        """
        columns = SQL(
            "o.id, o.name, o.order_model, o.order_id, o.partner_id, o.company_id,"
            " o.date, o.amount"
        )
        companies = self._get_companies()
        if len(companies.currency_id) == 1:
            return SQL(
                "SELECT %s, o.amount AS member_amount, o.order_count FROM (%s) o",
                columns,
                orders,
            )
        return SQL(
            """
            SELECT %(columns)s, %(converted)s AS member_amount, o.order_count
              FROM (%(orders)s) o
              JOIN res_partner mp ON mp.id = o.partner_id
            """,
            columns=columns,
            converted=self._get_converted_sql(companies),
            orders=orders,
        )

    def _get_companies(self):
        # sudo: orders of every company count, whoever asks
        return self.env["res.company"].sudo().browse(self._get_company_ids())

    @api.model
    @ormcache()
    def _get_company_ids(self):
        companies = self.env["res.company"].sudo().with_context(active_test=False)
        return companies.search([("currency_id", "!=", False)])._ids

    def _get_converted_sql(self, companies):
        """The amount of an order ``o`` in the currency of its member ``mp``.

        Companies and rates are few and orders many: a search in an array of constants
        costs next to nothing for a row, needs no join and cannot be planned badly.
        """
        main_currency = companies._get_main_company().currency_id
        known = self._get_known_rates(companies)
        cases = []
        for (currency, root_id), sellers in companies.grouped(
            # of companies without rates of their own all have the same
            lambda company: (
                company.currency_id,
                company.root_id.id if company.root_id.id in known else None,
            )
        ).items():
            own = known[root_id] if root_id else {}
            rates = {
                other: merge_rates(own.get(other.id, []), known[None][other.id])
                for other in companies.currency_id
            }
            for other in companies.currency_id - currency:
                buyers = companies.filtered(lambda c, to=other: c.currency_id == to)
                cases.append(
                    SQL(
                        "WHEN o.company_id = ANY(%s)"
                        " AND (mp.company_id = ANY(%s) OR %s) THEN %s",
                        sellers.ids,
                        buyers.ids,
                        SQL(
                            "mp.company_id IS NULL"
                            if other == main_currency
                            else "FALSE"
                        ),
                        _rounded(
                            SQL(
                                "(o.amount * %s)",
                                _on_day(divide_rates(rates[other], rates[currency])),
                            ),
                            SQL("%s", other.rounding),
                        ),
                    )
                )
        return SQL("CASE %s ELSE o.amount END", SQL(" ").join(cases))

    def _get_known_rates(self, companies):
        """:returns: company or None → currency → [(day, rate)] in order of days"""
        known = defaultdict(lambda: defaultdict(list))
        for company_id, currency_id, day, rate in self.env.execute_query(
            SQL(
                """
                SELECT company_id, currency_id, name, rate::float8
                  FROM res_currency_rate WHERE currency_id = ANY(%s) ORDER BY name
                """,
                companies.currency_id.ids,
            )
        ):
            known[company_id][currency_id].append((day, rate))
        return known


def _on_day(steps):
    """:returns: value of a step function on the day of an order ``o``"""
    return SQL(
        "(%s::float8[])[1 + width_bucket(o.date::date, %s::date[])]::numeric",
        f"{{{','.join(str(value) for _day, value in steps)}}}",
        f"{{{','.join(str(day) for day, _value in steps[1:])}}}",
    )


def _at_rate(amount, rate):
    return SQL("%s / COALESCE(NULLIF(%s, 0), 1)", amount, rate)


def _count_pos(amount):
    """:returns: 1 if a POS order ``po`` of this amount is an order, 0 if a refund

    Who brings something back and takes more home has bought; a gift is an order too.
    """
    return SQL(
        "CASE WHEN %(amount)s > 0 OR (%(amount)s = 0 AND po.is_refund IS NOT TRUE)"
        " THEN 1 ELSE 0 END",
        amount=amount,
    )


def _rounded(amount, rounding):
    return SQL(
        "(ROUND(%(amount)s / %(rounding)s) * %(rounding)s)",
        amount=amount,
        rounding=rounding,
    )
