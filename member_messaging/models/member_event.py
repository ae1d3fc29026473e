from odoo import api, fields, models
from odoo.tools import SQL

from ..tools import ranks

TYPES = [
    ("delivered", "Delivered"),
    ("failed", "Not Delivered"),
    ("opened", "Opened"),
    ("clicked", "Clicked"),
    ("redeemed", "Redeemed"),
    ("replied", "Replied"),
    ("unsubscribed", "Unsubscribed"),
]


class MemberEvent(models.Model):
    """One fact about a message. Rows are only ever added."""

    _name = "member.event"
    _description = "Message Event"
    _order = "date desc, id desc"
    _rec_name = "type"

    message_id = fields.Many2one(
        "member.message", required=True, ondelete="cascade", index=True
    )
    campaign_id = fields.Many2one(related="message_id.campaign_id")
    partner_id = fields.Many2one(related="message_id.partner_id")
    company_id = fields.Many2one(related="message_id.company_id")
    type = fields.Selection(TYPES, required=True)
    date = fields.Datetime(required=True)
    is_bot = fields.Boolean(
        string="By a Machine",
        help="Link previews and scanners are kept but never counted as people.",
    )
    provider_event_ref = fields.Char(
        string="Reference", help="The same fact is stored once."
    )
    payload = fields.Json()

    _ref_uniq = models.UniqueIndex(
        "(message_id, type, provider_event_ref) WHERE provider_event_ref IS NOT NULL"
    )
    _date_idx = models.Index("(date) WHERE NOT is_bot")

    @api.model
    def _record(self, facts):
        """Store facts and let them raise their messages.

        A fact that is stored already changes nothing, so that callbacks and clicks may
        be repeated.

        :param list[dict] facts: ``message_id``, ``type``, ``date`` (naive UTC) and
            optionally ``ref``, ``is_bot``, ``payload``, ``code``, ``text``
        :returns: ids of the messages that got a new fact
        :rtype: list[int]
        """
        if not facts:
            return []
        rows = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_event (message_id, type, date, is_bot,
                       provider_event_ref, payload, create_uid, create_date)
                SELECT f.message_id, f.type, f.date, f.is_bot, f.ref, f.payload::jsonb,
                       %(uid)s, %(now)s
                  FROM unnest(%(messages)s::int[], %(types)s::varchar[],
                              %(dates)s::timestamp[], %(bots)s::bool[],
                              %(refs)s::varchar[], %(payloads)s::varchar[])
                       AS f (message_id, type, date, is_bot, ref, payload)
           ON CONFLICT DO NOTHING
             RETURNING message_id, type, date, is_bot
                """,
                uid=self.env.uid,
                now=fields.Datetime.now(),
                messages=[fact["message_id"] for fact in facts],
                types=[fact["type"] for fact in facts],
                dates=[fact["date"] for fact in facts],
                bots=[fact.get("is_bot", False) for fact in facts],
                refs=[fact.get("ref") for fact in facts],
                payloads=[fact.get("payload") for fact in facts],
            )
        )
        for event_type in {row[1] for row in rows}:
            self._raise_messages(
                event_type,
                {row[0]: row[2] for row in rows if row[1] == event_type and not row[3]},
            )
        self.env["member.message"].invalidate_model()
        self.invalidate_model()
        return [row[0] for row in rows]

    def _raise_messages(self, event_type, dates):
        """Note the first time of an event on its messages and raise their state.

        The state only rises: what arrives late or out of order never lowers it.
        """
        state = ranks.EVENT_STATE.get(event_type)
        # A row the sender holds keeps its state: the sender finishes it.
        raising = sorted(ranks.RAISES.get(state, frozenset()) - ranks.OWNED_STATES)
        column = SQL.identifier(f"{event_type}_date")
        date = (
            SQL("")
            if event_type == "failed"
            else SQL(
                "%(column)s = LEAST(m.%(column)s, f.date),",
                column=column,
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET %(date)s
                       state = CASE WHEN m.state = ANY(%(raising)s) THEN %(state)s
                                    ELSE m.state END,
                       reason = CASE WHEN m.state = ANY(%(raising)s) THEN %(reason)s
                                     ELSE m.reason END,
                       write_date = %(now)s
                  FROM unnest(%(ids)s::int[], %(dates)s::timestamp[]) AS f (id, date)
                 WHERE f.id = m.id
                """,
                date=date,
                raising=raising,
                state=state,
                reason="not_delivered" if event_type == "failed" else None,
                now=fields.Datetime.now(),
                ids=list(dates),
                dates=list(dates.values()),
            )
        )
