"""Campaigns that ran just now become campaigns of the past."""

from datetime import timedelta

from odoo import fields
from odoo.tools import format_date

OF_CAMPAIGN = (
    "message_id IN (SELECT id FROM member_message WHERE campaign_id = %(campaign)s)"
)
#: Table → its dates, and which rows belong to a campaign. Waiting messages stay due
#: when they are.
DATES = {
    "member_message": (
        "due_date claimed_date sent_date delivered_date clicked_date replied_date "
        "unsubscribed_date",
        "campaign_id = %(campaign)s AND state != 'queued'",
    ),
    "member_event": ("date", OF_CAMPAIGN),
    "member_inbound": ("date create_date", OF_CAMPAIGN),
    "member_campaign": (
        "scheduled_date frozen_date planned_date done_date create_date",
        "id = %(campaign)s",
    ),
}


def move_back(campaign, launched, moment):
    """Move what has happened to a campaign so far from ``launched`` to ``moment``."""
    env = campaign.env
    env.flush_all()
    # coupons count days in the time zone of whoever sent them
    real_day, past_day = (
        fields.Datetime.context_timestamp(campaign, time).date()
        for time in (launched, moment)
    )
    params = {
        "campaign": campaign.id,
        "span": launched - moment,
        "days": (real_day - past_day).days,
    }
    for table, (columns, condition) in DATES.items():
        moves = ", ".join(f"{name} = {name} - %(span)s" for name in columns.split())
        env.cr.execute(f"UPDATE {table} SET {moves} WHERE {condition}", params)
    _move_coupons_back(campaign, params)
    env.invalidate_all(flush=False)


def _move_coupons_back(campaign, params):
    """Coupons end earlier, and the texts that were sent say so."""
    env = campaign.env
    # sent in this transaction: nobody has counted them yet
    env.cr.execute("ANALYZE member_message, loyalty_card")
    env.cr.execute(
        """
        UPDATE loyalty_card c
           SET expiration_date = c.expiration_date - %(days)s::int,
               create_date = m.claimed_date
          FROM member_message m
         WHERE m.campaign_id = %(campaign)s AND c.id = m.card_id
        """,
        params,
    )
    expiry = campaign._get_coupon_expiry()
    said, says = (
        format_date(env, date, lang_code=campaign.template_id.lang)
        for date in (expiry, expiry - timedelta(days=params["days"]))
    )
    env.cr.execute(
        """
        UPDATE member_message SET body = replace(body, %(said)s, %(says)s)
         WHERE campaign_id = %(campaign)s AND body LIKE '%%' || %(said)s || '%%'
        """,
        {**params, "said": said, "says": says},
    )
