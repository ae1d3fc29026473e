"""Refresh and count members, beside plain SQL that does the same.

Members, sales and POS orders are made by SQL; a few members buy very often. The floor
scores every buyer by quintiles of recency, frequency and spending and stores that in a
new table with a key and an index: less than a refresh does, which also keeps tiers,
names, life cycle, products and the history of tiers.
"""

import contextlib

from benchlib import DATABASE, Bench, fresh_database

from odoo import fields
from odoo.tools import SQL

#: Members and orders; four of five orders are sales orders, the others from the till.
SMALL = (100_000, 1_000_000)
FULL = (1_000_000, 5_000_000)
TABLES = (
    "res_partner",
    "sale_order",
    "sale_order_line",
    "pos_order",
    "pos_order_line",
    "member_profile",
    "member_consent",
    "member_message",
    "phone_blacklist",
)

PARTNERS = """
    INSERT INTO res_partner (
           name, complete_name, ref, phone, phone_sanitized, email, country_id, city,
           lang, tz, type, active, color, is_company, partner_share, customer_rank,
           supplier_rank, autopost_bills, message_bounce, create_uid, write_uid,
           create_date, write_date)
    SELECT 'Member ' || i, 'Member ' || i, 'bench', phone, phone,
           'm' || i || '@example.com', %(country)s, 'City ' || i %% 50, 'en_US',
           'Asia/Shanghai', 'contact', TRUE, 0, FALSE, TRUE, 1, 0, 'ask', 0, 1, 1,
           now(), now()
      FROM generate_series(1, %(members)s) i,
           -- each hundredth has no phone, each fiftieth shares one
           LATERAL (SELECT CASE WHEN i %% 100 > 0 THEN '+86138' || to_char(
                        i - i %% 50 / 49, 'FM00000000') END AS phone) p
"""
PROFILES = """
    WITH profile AS (
        INSERT INTO member_profile (
               partner_id, number, joined_date, source, lifecycle, create_uid,
               write_uid, create_date, write_date)
        SELECT id, 'bench-' || id, now(), 'import', 'prospect', 1, 1, now(), now()
          FROM res_partner WHERE ref = 'bench'
     RETURNING id, partner_id
    ), consent AS (
        INSERT INTO member_consent (
               profile_id, channel, purpose, state, source, is_current, create_uid,
               write_uid, create_date, write_date)
        SELECT id, 'sms', 'promotion',
               CASE WHEN id %% 20 = 7 THEN 'refused' ELSE 'granted' END,
               'import', TRUE, 1, 1, now(), now()
          FROM profile WHERE id %% 10 > 0
    )
    UPDATE res_partner pa SET commercial_partner_id = pa.id, member_profile_id = p.id
      FROM profile p WHERE p.partner_id = pa.id
"""
# A buyer's rank among n is n·u², so that few buy very often; ranks are spread over the
# members by a factor without a common divisor.
BUYERS = """
    SELECT i, b.id AS partner_id,
           round((20 + 400 * random() * random())::numeric, 2) AS amount,
           now() AT TIME ZONE 'utc' - random() * random() * interval '1000 days'
               - (b.position %% 200) * interval '1 day' AS date
      FROM (SELECT i, floor(%(members)s * power(random(), 2))::bigint * 7919
                       %% %(members)s AS position
              FROM generate_series(1, %(orders)s) i) d
      JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS position
              FROM res_partner WHERE ref = 'bench') b USING (position)
"""
SALES = f"""
    WITH buyer AS MATERIALIZED ({BUYERS}), sold AS (
        INSERT INTO sale_order (
               company_id, partner_id, partner_invoice_id, partner_shipping_id,
               currency_id, name, state, invoice_status, currency_rate,
               amount_untaxed, amount_tax, amount_total, picking_policy, warehouse_id,
               date_order, create_uid, write_uid, create_date, write_date)
        SELECT %(company)s, partner_id, partner_id, partner_id, %(currency)s,
               'BENCH' || i, 'sale', 'to invoice', 1, amount, 0, amount, 'direct',
               %(warehouse)s, date, 1, 1, date, date
          FROM buyer
     RETURNING id, amount_total)
    INSERT INTO sale_order_line (
           order_id, company_id, name, product_id, product_uom_qty, price_unit,
           price_subtotal, price_total, state, customer_lead, create_uid, write_uid,
           create_date, write_date)
    SELECT id, %(company)s, 'Product', (%(products)s)[1 + id %% %(kinds)s], 1,
           amount_total, amount_total, amount_total, 'sale', 0, 1, 1, now(), now()
      FROM sold
"""
POS_ORDERS = f"""
    WITH buyer AS MATERIALIZED ({BUYERS}), sold AS (
        INSERT INTO pos_order (
               company_id, partner_id, session_id, config_id, name, pos_reference,
               state, amount_tax, amount_total, amount_paid, amount_return,
               currency_rate, date_order, create_uid, write_uid, create_date,
               write_date)
        SELECT %(company)s, partner_id, %(session)s, %(till)s, 'BENCH' || i,
               'BENCH' || i, 'done', 0, amount, amount, 0, 1, date, 1, 1, date, date
          FROM buyer
     RETURNING id, amount_total)
    INSERT INTO pos_order_line (
           order_id, company_id, name, product_id, qty, price_unit, price_subtotal,
           price_subtotal_incl, create_uid, write_uid, create_date, write_date)
    SELECT id, %(company)s, 'Product', (%(products)s)[1 + id %% %(kinds)s], 1,
           amount_total, amount_total, amount_total, 1, 1, now(), now()
      FROM sold
"""

FLOOR_TABLE = """
    CREATE TABLE bench_rfm (
        partner_id int PRIMARY KEY, last_order timestamp, orders int, revenue numeric,
        r int, f int, m int);
    CREATE INDEX ON bench_rfm (r, f, m)
"""
FLOOR = """
    INSERT INTO bench_rfm
    SELECT *, ntile(5) OVER (ORDER BY last_order), ntile(5) OVER (ORDER BY orders),
           ntile(5) OVER (ORDER BY revenue)
      FROM (SELECT partner_id, MAX(date_order) AS last_order, COUNT(*) AS orders,
                   SUM(amount_total) AS revenue
              FROM (SELECT partner_id, date_order, amount_total
                      FROM sale_order WHERE state = 'sale'
                 UNION ALL
                    SELECT partner_id, date_order, amount_total
                      FROM pos_order
                     WHERE state IN ('paid', 'done') AND partner_id IS NOT NULL) o
          GROUP BY partner_id) g
"""
# One more order for each hundredth member.
BUY = """
    INSERT INTO sale_order (
           company_id, partner_id, partner_invoice_id, partner_shipping_id,
           currency_id, name, state, invoice_status, currency_rate, amount_untaxed,
           amount_tax, amount_total, picking_policy, warehouse_id, date_order,
           create_uid, write_uid, create_date, write_date)
    SELECT %(company)s, id, id, id, %(currency)s, 'AGAIN' || id, 'sale', 'to invoice',
           1, 75, 0, 75, 'direct', %(warehouse)s, now() AT TIME ZONE 'utc', 1, 1,
           now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
      FROM res_partner WHERE ref = 'bench' AND id %% 100 = 7
 RETURNING partner_id
"""
DOMAIN = [
    ("member_lifecycle", "in", ["active", "sleeping"]),
    ("member_order_count", ">=", 3),
    ("city", "=", "City 7"),
]
COUNT = """
    SELECT COUNT(*) FROM res_partner pa JOIN member_profile p
        ON p.id = pa.member_profile_id
     WHERE pa.active AND p.lifecycle IN ('active', 'sleeping') AND p.order_count >= 3
       AND pa.city = 'City 7'
"""
REACH = """
    SELECT barrier, COUNT(*) FROM (
        SELECT CASE WHEN pa.phone_sanitized IS NULL THEN 'address'
                    WHEN EXISTS (SELECT FROM phone_blacklist b
                                  WHERE b.active AND b.number = pa.phone_sanitized)
                    THEN 'blocked'
                    WHEN c.state = 'refused' THEN 'refused'
                    WHEN c.state IS NULL THEN 'consent'
                    WHEN row_number() OVER (PARTITION BY pa.phone_sanitized
                                            ORDER BY p.id) > 1 THEN 'duplicate'
                    END AS barrier
          FROM res_partner pa
          JOIN member_profile p ON p.id = pa.member_profile_id
          LEFT JOIN member_consent c ON c.profile_id = p.id AND c.is_current
               AND c.channel = 'sms' AND c.purpose = 'promotion'
         WHERE pa.active) r
  GROUP BY barrier
"""


def make_data(env, members, orders):
    """:returns: what the statements above need to know"""
    category = env["product.category"].create([{"name": f"C{i}"} for i in range(5)])
    products = env["product.product"].create(
        [{"name": f"P{i}", "categ_id": category[i % 5].id} for i in range(20)]
    )
    till = env["pos.config"].create({"name": "Bench"})
    session = env["pos.session"].create({"config_id": till.id, "user_id": env.uid})
    params = {
        "members": members,
        "country": env.ref("base.cn").id,
        "company": env.company.id,
        "currency": env.company.currency_id.id,
        "warehouse": env["stock.warehouse"].search([], limit=1).id,
        "products": products.ids,
        "kinds": len(products),
        "till": till.id,
        "session": session.id,
    }
    env.flush_all()
    env.cr.execute("SET LOCAL work_mem = '256MB'")
    # The rows are right; checking millions of keys one by one would take longer than
    # all the rest.
    env.cr.execute("SET LOCAL session_replication_role = replica")
    env.cr.execute(PARTNERS, params)
    env.cr.execute(PROFILES, params)
    env.cr.execute(SALES, params | {"orders": orders * 4 // 5})
    env.cr.execute(POS_ORDERS, params | {"orders": orders - orders * 4 // 5})
    vacuum(env)
    return params


def vacuum(env):
    """Bring the tables into the state a server has them in after a while."""
    env.cr.commit()
    with contextlib.closing(env.registry.cursor()) as cr:
        cr._cnx.autocommit = True
        for table in TABLES:
            cr.execute(f"VACUUM ANALYZE {table}")
    env.invalidate_all()


def get_contact_versions(env):
    """:returns: a fingerprint of the stored rows of all contacts"""
    [row] = env.execute_query(
        SQL("SELECT COUNT(*), SUM(xmin::text::bigint) FROM res_partner")
    )
    return row


def measure_floor(bench, env, count):
    env.cr.execute("DROP TABLE IF EXISTS bench_rfm")
    env.cr.execute(FLOOR_TABLE)
    with bench.measure("SQL: score and store", count) as floor:
        env.cr.execute(FLOOR)
        env.cr.commit()
    return floor


def measure_refreshes(bench, env, params):
    """:returns: the measures: everything new, nothing changed, a hundredth bought"""
    profiles, count = env["member.profile"], params["members"]
    start = fields.Datetime.now()
    with bench.measure("refresh: everything is new", count) as full:
        profiles._refresh(commit=True)
    vacuum(env)
    with bench.measure("refresh: nothing changed", count) as unchanged:
        profiles._refresh(commit=True)
    env.cr.execute(BUY, params)
    bought = env.cr.rowcount
    env.cr.commit()
    with bench.measure("refresh: catch up with 1 % who bought", bought) as one_percent:
        profiles._cron_refresh_recent()
        env.cr.commit()
    refreshed = profiles.search_count([("last_order_date", ">=", start)])
    assert refreshed == bought, f"{refreshed} of {bought} buyers refreshed"
    return full, unchanged, one_percent


def measure_one_member(bench, env, params):
    """:returns: the measure of the member who bought most after one more order"""
    member = env["member.profile"].search([], order="order_count DESC", limit=1)
    env.cr.execute(
        BUY.replace("id %% 100 = 7", "id = %(partner)s"),
        params | {"partner": member.partner_id.id},
    )
    env.cr.commit()
    env.invalidate_all()
    with bench.measure(f"refresh: one of {member.order_count:,} orders", 1) as one:
        env["member.profile"]._refresh(member.partner_id.ids)
        env.cr.commit()
    return one


def measure_twice(bench, label, count, work):
    """:returns: the measure of the second time, and what the work gave then"""
    work()
    with bench.measure(label, count) as measure:
        result = work()
    return measure, result


def measure_counts(bench, env, count):
    """:returns: how much longer the slower of segment and waterfall takes than SQL"""
    segment = env["member.segment"].create({"name": "Bench", "domain": repr(DOMAIN)})
    everybody = env["member.segment"].create({"name": "All", "domain": "[]"})

    def run(statement):
        env.cr.execute(statement)
        return env.cr.fetchall()

    def count_segment():
        env.invalidate_all()
        return segment.member_count

    def count_reach():
        [channel] = everybody.get_reach("promotion")
        return channel["selected"], channel["reachable"]

    count_sql, [(expected,)] = measure_twice(
        bench, "SQL: count three conditions", count, lambda: run(COUNT)
    )
    count_ours, counted = measure_twice(
        bench, "segment: count three conditions", count, count_segment
    )
    assert counted == expected, f"segment has {counted}, SQL {expected}"
    reach_sql, expected = measure_twice(
        bench, "SQL: who can be reached", count, lambda: run(REACH)
    )
    reach_ours, reached = measure_twice(bench, "segment: waterfall", count, count_reach)
    expected = sum(n for _reason, n in expected), dict(expected)[None]
    assert reached == expected, f"waterfall has {reached}, SQL {expected}"
    return max(
        count_ours.seconds / count_sql.seconds, reach_ours.seconds / reach_sql.seconds
    )


def main():
    bench = Bench("members", __doc__)
    members, orders = FULL if bench.full else SMALL
    with bench.environment(fresh_database(DATABASE, "members")) as env:
        with bench.measure("make members and orders", orders):
            params = make_data(env, members, orders)
        versions = get_contact_versions(env)
        floor = measure_floor(bench, env, members)
        full, unchanged, one_percent = measure_refreshes(bench, env, params)
        one = measure_one_member(bench, env, params)
        assert get_contact_versions(env) == versions, "contacts were rewritten"
        slowest_count = measure_counts(bench, env, members)
    bench.report(
        size=members,
        full_over_floor=full.seconds / floor.seconds,
        unchanged_over_floor=unchanged.seconds / floor.seconds,
        one_percent_over_full=one_percent.seconds / full.seconds,
        count_over_sql=slowest_count,
        one_member_queries=one.sql,
    )


if __name__ == "__main__":
    main()
