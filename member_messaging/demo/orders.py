"""Past orders in bulk: the ORM would need minutes for what is inserted here at once."""

from datetime import datetime
from typing import NamedTuple

from psycopg2.extras import execute_values

from odoo import Command, fields


class Purchase(NamedTuple):
    """One product bought at once.

    ``date`` is naive UTC, ``amount`` the price of all pieces in company currency. With
    a ``card_id`` the customer redeemed that coupon and paid ``discount`` less.
    """

    partner_id: int
    date: datetime
    product_id: int
    quantity: int
    amount: float
    card_id: int | None = None
    discount: float = 0


def insert_sale_orders(env, purchases):
    """Insert confirmed sales orders of one line each.

    :param list[Purchase] purchases: without coupons
    """
    company = env.company
    warehouse = env["stock.warehouse"].search(
        [("company_id", "=", company.id)], limit=1
    )
    sequence = env["ir.sequence"].search(
        [("code", "=", "sale.order"), ("company_id", "in", [company.id, False])],
        order="company_id",
        limit=1,
    )
    _insert(
        env,
        """
        orders AS (
            INSERT INTO sale_order (
                   id, company_id, partner_id, partner_invoice_id, partner_shipping_id,
                   currency_id, user_id, name, state, invoice_status, currency_rate,
                   amount_untaxed, amount_tax, amount_total, locked, require_signature,
                   require_payment, prepayment_percent, picking_policy, warehouse_id,
                   date_order, create_uid, write_uid, create_date, write_date)
            SELECT id, %(company)s, partner_id, partner_id, partner_id, %(currency)s,
                   %(user)s, %(prefix)s || to_char(nextval(%(sequence)s), 'FM00000'),
                   'sale', 'no', 1, amount, 0, amount, FALSE, FALSE, FALSE, 1,
                   'direct', %(warehouse)s, date, %(user)s, %(user)s, date, date
              FROM bought
        )
        INSERT INTO sale_order_line (
               order_id, sequence, company_id, currency_id, order_partner_id,
               salesman_id, product_id, product_uom_id, state, qty_delivered_method,
               invoice_status, name, product_uom_qty, price_unit, discount,
               price_subtotal, price_total, price_tax, price_reduce_taxexcl,
               price_reduce_taxinc, qty_delivered, qty_invoiced, qty_to_invoice,
               is_downpayment, customer_lead, warehouse_id, create_uid, write_uid,
               create_date, write_date)
        SELECT id, 10, %(company)s, %(currency)s, partner_id, %(user)s, product_id,
               uom_id, 'sale', 'manual', 'no', product_name, quantity, price, 0, amount,
               amount, 0, price, price, quantity, 0, 0, FALSE, 0, %(warehouse)s,
               %(user)s, %(user)s, date, date
          FROM bought
        """,
        "sale_order",
        purchases,
        warehouse=warehouse.id or None,
        prefix=sequence.prefix or "",
        sequence=f"ir_sequence_{sequence.id:03d}",
    )


def insert_pos_orders(env, session, purchases):
    """Insert paid POS orders of one line each, and one more for a coupon.

    :param session: ``pos.session`` the orders belong to
    :param list[Purchase] purchases: no coupon twice
    """
    _insert(
        env,
        """
        orders AS (
            INSERT INTO pos_order (
                   id, user_id, company_id, partner_id, sequence_number, session_id,
                   config_id, name, state, pos_reference, uuid, amount_tax,
                   amount_total, amount_paid, amount_return, currency_rate, is_refund,
                   to_invoice, is_tipped, date_order, create_uid, write_uid,
                   create_date, write_date)
            SELECT id, %(user)s, %(company)s, partner_id, id, %(session)s, %(config)s,
                   %(shop)s || ' - ' || to_char(id, 'FM000000'), 'done',
                   to_char(id, 'FM000000'), gen_random_uuid()::text, 0,
                   amount - discount, amount - discount, 0, 1, FALSE, FALSE, FALSE,
                   date, %(user)s, %(user)s, date, date
              FROM bought
        ), lines AS (
            INSERT INTO pos_order_line (
                   company_id, product_id, order_id, name, full_product_name, uuid,
                   price_unit, qty, price_subtotal, price_subtotal_incl, discount,
                   create_uid, write_uid, create_date, write_date)
            SELECT %(company)s, product_id, id, id::text, product_name,
                   gen_random_uuid()::text, price, quantity, amount, amount, 0,
                   %(user)s, %(user)s, date, date
              FROM bought
        ), used AS (
            UPDATE loyalty_card c SET points = 0 FROM bought b WHERE c.id = b.card_id
         RETURNING c.id, c.program_id
        )
        INSERT INTO pos_order_line (
               company_id, product_id, order_id, name, full_product_name, uuid,
               price_unit, qty, price_subtotal, price_subtotal_incl, discount,
               is_reward_line, reward_id, coupon_id, points_cost,
               create_uid, write_uid, create_date, write_date)
        SELECT %(company)s, r.discount_line_product_id, b.id, b.id || '-1',
               r.description->>'en_US', gen_random_uuid()::text, -b.discount, 1,
               -b.discount, -b.discount, 0, TRUE, r.id, b.card_id, r.required_points,
               %(user)s, %(user)s, b.date, b.date
          FROM bought b
          JOIN used ON used.id = b.card_id
          JOIN loyalty_reward r ON r.program_id = used.program_id
        """,
        "pos_order",
        purchases,
        session=session.id,
        config=session.config_id.id,
        shop=session.config_id.name,
    )


def create_till(env, name, code):
    """Create a till that takes cash.

    :param str code: of the new journal, at most five letters
    """
    # a cash drawer belongs to one till
    drawer = env["account.journal"].create(
        {"name": f"Cash {name}", "code": code, "type": "cash"}
    )
    method = env["pos.payment.method"].create({"name": "Cash", "journal_id": drawer.id})
    return env["pos.config"].create(
        {"name": name, "payment_method_ids": [Command.set(method.ids)]}
    )


def open_history_session(env, config):
    """:returns: a closed session of a till to put past orders into"""
    session = env["pos.session"].create({"config_id": config.id, "user_id": env.uid})
    env.flush_all()
    # Closing it for real would post accounting entries for orders that have none.
    env.cr.execute(
        "UPDATE pos_session SET state = 'closed', stop_at = %s WHERE id = %s",
        (fields.Datetime.now(), session.id),
    )
    session.invalidate_recordset()
    return session


def _insert(env, query, table, purchases, **params):
    """Run ``query`` over ``bought``: the purchases with a new ``id`` of ``table``, the
    price of one piece, and name and unit of the product."""
    env.flush_all()
    cursor = env.cr._obj
    query = cursor.mogrify(
        query,
        {
            "company": env.company.id,
            "currency": env.company.currency_id.id,
            "user": env.ref("base.user_admin").id,
            **params,
        },
    ).decode()
    execute_values(
        cursor,
        """
        WITH bought AS MATERIALIZED (
            SELECT v.*, v.amount / NULLIF(v.quantity, 0) AS price, t.uom_id,
                   t.name->>'en_US' AS product_name, nextval('{table}_id_seq') AS id
              FROM (VALUES %s) AS v (partner_id, date, product_id, quantity, amount,
                                     card_id, discount)
              JOIN product_product p ON p.id = v.product_id
              JOIN product_template t ON t.id = p.product_tmpl_id
        ), {query}
        """.format(table=table, query=query.replace("%", "%%")),
        purchases,
        template="(%s::int, %s::timestamp, %s::int, %s::int, %s::numeric, %s::int,"
        " %s::numeric)",
        page_size=5000,
    )
    # what follows in this transaction is planned for the rows there are now
    cursor.execute(f"ANALYZE {table}, {table}_line")
    env.invalidate_all(flush=False)
