"""Past orders in bulk: the ORM would need minutes for what is inserted here at once."""

from psycopg2.extras import execute_values

#: A purchase: contact id, time (naive UTC), amount in company currency, product id.
PURCHASE = ("partner_id", "date", "amount", "product_id")


def insert_sale_orders(env, purchases):
    """Insert confirmed sales orders of one line each.

    :param list[tuple] purchases: see ``PURCHASE``
    """
    company = env.company
    warehouse = env["stock.warehouse"].search([("company_id", "=", company.id)], limit=1)
    _insert(
        env,
        """
        WITH bought (partner_id, date, amount, product_id) AS (VALUES %s),
        numbered AS (
            SELECT b.*, nextval('sale_order_id_seq')::int AS id FROM bought b
        ), orders AS (
            INSERT INTO sale_order (
                   id, company_id, partner_id, partner_invoice_id, partner_shipping_id,
                   currency_id, user_id, name, state, invoice_status, currency_rate,
                   amount_untaxed, amount_tax, amount_total, locked, require_signature,
                   require_payment, prepayment_percent, picking_policy, warehouse_id,
                   date_order, create_uid, write_uid, create_date, write_date)
            SELECT id, {company}, partner_id, partner_id, partner_id, {currency}, 2,
                   'S' || to_char(id, 'FM00000'), 'sale', 'no', 1, amount, 0, amount,
                   FALSE, FALSE, FALSE, 1, 'direct', {warehouse}, date, 1, 1, date, date
              FROM numbered
        )
        INSERT INTO sale_order_line (
               order_id, sequence, company_id, currency_id, order_partner_id,
               salesman_id, product_id, product_uom_id, state, qty_delivered_method,
               invoice_status, name, product_uom_qty, price_unit, discount,
               price_subtotal, price_total, price_tax, price_reduce_taxexcl,
               price_reduce_taxinc, qty_delivered, qty_invoiced, qty_to_invoice,
               is_downpayment, customer_lead, warehouse_id, create_uid, write_uid,
               create_date, write_date)
        SELECT n.id, 10, {company}, {currency}, n.partner_id, 2, n.product_id,
               t.uom_id, 'sale', 'manual', 'no', COALESCE(t.name->>'en_US', 'Order'),
               1, n.amount, 0, n.amount, n.amount, 0, n.amount, n.amount, 1, 0, 0,
               FALSE, 0, {warehouse}, 1, 1, n.date, n.date
          FROM numbered n
          JOIN product_product p ON p.id = n.product_id
          JOIN product_template t ON t.id = p.product_tmpl_id
        """.format(
            company=company.id,
            currency=company.currency_id.id,
            warehouse=warehouse.id or "NULL",
        ),
        purchases,
    )


def insert_pos_orders(env, session, purchases):
    """Insert paid POS orders of one line each into a closed session.

    :param session: ``pos.session`` the orders belong to
    :param list[tuple] purchases: see ``PURCHASE``
    """
    company = env.company
    _insert(
        env,
        """
        WITH bought (partner_id, date, amount, product_id) AS (VALUES %s),
        numbered AS (
            SELECT b.*, nextval('pos_order_id_seq')::int AS id FROM bought b
        ), orders AS (
            INSERT INTO pos_order (
                   id, user_id, company_id, partner_id, sequence_number, session_id,
                   config_id, name, state, pos_reference, uuid, amount_tax,
                   amount_total, amount_paid, amount_return, currency_rate, is_refund,
                   to_invoice, is_tipped, date_order, create_uid, write_uid,
                   create_date, write_date)
            SELECT id, 2, {company}, partner_id, id, {session}, {config},
                   '{shop}/' || to_char(id, 'FM00000'), 'done',
                   to_char(id, 'FM00000'), gen_random_uuid()::text, 0,
                   amount, amount, 0, 1, FALSE, FALSE, FALSE, date, 1, 1, date, date
              FROM numbered
        )
        INSERT INTO pos_order_line (
               company_id, product_id, order_id, name, full_product_name, uuid,
               price_unit, qty, price_subtotal, price_subtotal_incl, discount,
               create_uid, write_uid, create_date, write_date)
        SELECT {company}, n.product_id, n.id, n.id::text,
               COALESCE(t.name->>'en_US', 'Order'), gen_random_uuid()::text,
               n.amount, 1, n.amount, n.amount, 0, 1, 1, n.date, n.date
          FROM numbered n
          JOIN product_product p ON p.id = n.product_id
          JOIN product_template t ON t.id = p.product_tmpl_id
        """.format(
            company=company.id,
            session=session.id,
            config=session.config_id.id,
            shop=session.config_id.name.replace("'", "''").replace("%", ""),
        ),
        purchases,
    )


def open_history_session(env, config):
    """:returns: a closed session of a till to put past orders into"""
    session = env["pos.session"].create({"config_id": config.id, "user_id": env.uid})
    env.flush_all()
    # Closing it for real would post accounting entries for orders that have none.
    env.cr.execute(
        "UPDATE pos_session SET state = 'closed', stop_at = now() WHERE id = %s",
        (session.id,),
    )
    session.invalidate_recordset()
    return session


def _insert(env, query, purchases):
    env.flush_all()
    execute_values(
        env.cr._obj,
        query,
        purchases,
        template="(%s::int, %s::timestamp, %s::numeric, %s::int)",
        page_size=5000,
    )
    env.invalidate_all(flush=False)
