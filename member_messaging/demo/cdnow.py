"""The purchases of 23,570 real customers of the CD shop CDNOW, 1997–1998.

Real are customers, order of purchases, number of CDs and dollars. Made up are names,
telephone numbers, consents and the time of day; the dates are moved so that the last
purchase was yesterday. Three customers in ten buy on the website (sales orders), the
others at the till (POS orders).

Every row of the file is an order. That includes the purchases of 0 dollars (80 of
69,659 in the master file), which count as orders and add nothing to the revenue, and
several purchases on one day, which stay several orders.
"""

from datetime import date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from odoo import fields

from .orders import (
    Purchase,
    create_till,
    insert_pos_orders,
    insert_sale_orders,
    open_history_session,
)

MASTER = "CDNOW_master.txt"
SAMPLE = "CDNOW_sample.txt"
WORDING = "Send me offers by SMS. I can stop them at any time by replying TD."


class Row(NamedTuple):
    """A line of the file; ``customer`` is a number with leading zeros."""

    customer: str
    date: date
    cds: int
    dollars: float


def find_file(name):
    """:returns: path of a data file inside the installed package ``lifetimes``"""
    spec = find_spec("lifetimes")
    if not spec:
        raise FileNotFoundError(
            "The CDNOW data comes with the Python package lifetimes: "
            "pip install Lifetimes"
        )
    return Path(spec.origin).with_name("datasets") / name


def read(path):
    """:returns: the purchases in a CDNOW file
    :rtype: list[Row]
    """
    rows = []
    for line in path.read_text().splitlines():
        # The sample has one more column in front, the number in the master file.
        *_master, customer, day, cds, dollars = line.split()
        if day.isdigit():
            day = datetime.strptime(day, "%Y%m%d").date()
            rows.append(Row(customer, day, int(cds), float(dollars)))
    return rows


def load(env, path):
    """Enrol the customers of a CDNOW file, with their orders, in the current company.

    A contact's reference is the customer's number in the file.

    :returns: the members
    """
    rows = read(path)
    partner_ids = _insert_partners(env, sorted({row.customer for row in rows}))
    profiles = _enrol(env, rows, partner_ids)
    insert_orders(env, rows, partner_ids)
    env["member.profile"]._refresh()
    return profiles


def _chance(purpose, customer):
    """A number from 0 to 99 that stays the same for a customer."""
    return crc32(f"{purpose}{customer}".encode()) % 100


def _move(env, rows):
    """:returns: how much later the purchases are to be"""
    yesterday = fields.Date.context_today(env.user) - timedelta(days=1)
    return yesterday - max(row.date for row in rows)


def _insert_partners(env, customers):
    """:returns: customer → contact id"""
    env.cr.execute(
        """
        INSERT INTO res_partner (
               id, ref, name, complete_name, commercial_partner_id, phone,
               phone_sanitized, country_id, company_id, lang, tz, type, active, color,
               is_company, partner_share, customer_rank, supplier_rank, autopost_bills,
               message_bounce, create_uid, write_uid, create_date, write_date)
        SELECT n.id, n.ref, n.name, n.name, n.id, n.phone, n.phone, %s, %s, 'en_US',
               'Asia/Shanghai', 'contact', TRUE, 0, FALSE, TRUE, 1, 0, 'ask', 0,
               %s, %s, %s, %s
          FROM (SELECT nextval('res_partner_id_seq')::int AS id, ref, phone,
                       'Customer ' || ref AS name
                  FROM unnest(%s::varchar[], %s::varchar[]) AS c (ref, phone)) n
     RETURNING ref, id
        """,
        (
            env.ref("base.cn").id,
            env.company.id,
            *[env.uid] * 2,
            *[fields.Datetime.now()] * 2,
            customers,
            [_make_phone(customer) for customer in customers],
        ),
    )
    return dict(env.cr.fetchall())


def _make_phone(customer):
    """A valid Chinese mobile number, or none; a few belong to two customers."""
    draw, number = _chance("phone", customer), int(customer)
    if draw < 2:
        return None
    return f"+86139{number - number % 2 if draw < 4 else number:08d}"


def insert_orders(env, rows, partner_ids):
    """Insert the purchases, as sales and POS orders.

    :param dict partner_ids: customer → contact id
    """
    move = _move(env, rows)
    product = env["product.product"].create(
        {
            "name": "Compact Disc",
            "list_price": 14.99,
            "type": "consu",
            "available_in_pos": True,
            "taxes_id": False,
            "supplier_taxes_id": False,
        }
    )
    sales, store = [], []
    for index, row in enumerate(rows):
        # from 10 to 21 o'clock in Shanghai, the same day there and in UTC
        hour = time(2 + index % 12, index * 7 % 60)
        purchase = Purchase(
            partner_ids[row.customer],
            datetime.combine(row.date + move, hour),
            product.id,
            row.cds,
            row.dollars,
        )
        (sales if _chance("web", row.customer) < 30 else store).append(purchase)
    insert_sale_orders(env, sales)
    till = create_till(env, "CDNOW", "CDNOW")
    insert_pos_orders(env, open_history_session(env, till), store)


def _enrol(env, rows, partner_ids):
    """Members since their first purchase; eight in ten agreed to promotions."""
    move = _move(env, rows)
    joined = {}
    for row in rows:
        joined[row.customer] = min(joined.get(row.customer, row.date), row.date)
    profiles = env["member.profile"].create(
        [
            {
                "partner_id": partner_id,
                "number": f"CD{customer}",
                "source": "import",
                "joined_date": joined[customer] + move,
            }
            for customer, partner_id in partner_ids.items()
        ]
    )
    env["member.consent"].create(
        [
            {
                "profile_id": profile.id,
                "state": "granted" if draw < 80 else "refused",
                "source": "import",
                "evidence": "Made up for the demonstration",
                "wording": WORDING,
            }
            for customer, profile in zip(partner_ids, profiles, strict=True)
            if (draw := _chance("consent", customer)) < 84
        ]
    )
    return profiles
