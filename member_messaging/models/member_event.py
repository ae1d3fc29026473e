from odoo import api, fields, models
from odoo.tools import SQL

from ..fields import KeylessMany2one
from ..tools import ranks
from ..tools.arrays import literal

TYPES = [
    ("sent", "Sent"),
    ("delivered", "Delivered"),
    ("failed", "Not Delivered"),
    ("opened", "Opened"),
    ("clicked", "Clicked"),
    ("redeemed", "Redeemed"),
    ("replied", "Replied"),
    ("unsubscribed", "Unsubscribed"),
]

#: Events whose time has no column of its own on the message: its sender wrote when it
#: was sent, and why it failed says more than when.
UNDATED = ("sent", "failed")

# What is new of the facts, in their order by id.
_INSERT = SQL(
    """
    INSERT INTO member_event (message_id, type, date, is_bot, provider_event_ref,
           payload)
    SELECT f.message_id, f.type, f.date, f.is_bot, f.ref,
           CASE WHEN num_nonnulls(f.code, f.text) > 0
                THEN jsonb_build_object('code', f.code, 'message', f.text) END
      FROM fact f
ON CONFLICT DO NOTHING
 RETURNING id, message_id, type, date, is_bot, payload
    """
)


class MemberEvent(models.Model):
    """One fact about a message. Rows are only ever added."""

    _name = "member.event"
    _description = "Message Event"
    _order = "date desc, id desc"
    _rec_name = "type"
    # providers, members and tills tell facts, hardly ever a user
    _log_access = False

    message_id = KeylessMany2one("member.message", required=True)
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

    # Also the index of message_id. Facts without reference never equal each other.
    _ref_uniq = models.UniqueIndex("(message_id, type, provider_event_ref)")
    # of what members do; nobody looks for delivery reports by time
    _date_idx = models.Index(
        "(date) WHERE NOT is_bot AND type NOT IN ('sent', 'delivered', 'failed')"
    )

    @api.model
    def _record(self, facts):
        """Store facts and let them raise their messages.

        A fact that is stored already changes nothing, so that callbacks and clicks may
        be repeated.

        :param list[dict] facts: ``message_id``, ``type``, ``date`` (naive UTC) and
            optionally ``ref``, ``is_bot``, and a provider's ``code`` and ``text``
        :returns: message ids and types of the new facts
        :rtype: set[tuple[int, str]]
        """
        if not facts:
            return set()
        rows = self._record_selected(
            self._get_facts_sql(facts), {fact["type"] for fact in facts}
        )
        return {
            (message_id, facts[position]["type"])
            for position, message_id, is_new in rows
            if is_new
        }

    @api.model
    def _record_selected(self, facts, types):
        """As :meth:`_record`, for facts that a query selects.

        :param SQL facts: SELECT of ``position``, ``message_id``, ``type``, ``date``,
            ``is_bot``, ``ref``, ``code`` and ``text``, in the order of being told
        :param set[str] types: all types that occur
        :returns: position and message id of each fact, and whether it is new
        :rtype: list[tuple[int, int, bool]]
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                WITH fact AS MATERIALIZED (%s), added AS (%s), raised AS (%s)
              SELECT position, message_id,
                     (message_id, type) IN (SELECT message_id, type FROM added)
                FROM fact
                """,
                facts,
                _INSERT,
                self._get_raise_sql(types),
            ),
            # Somebody else has just changed a row: no error, it is tried again.
            log_exceptions=False,
        )
        rows = self.env.cr.fetchall()
        self.env["member.message"].invalidate_model()
        self.invalidate_model()
        return rows

    @staticmethod
    def _get_facts_sql(facts):
        return SQL(
            """
            SELECT * FROM unnest(%(positions)s::int[], %(messages)s::int[],
                                 %(types)s::varchar[], %(dates)s::timestamp[],
                                 %(bots)s::bool[], %(refs)s::varchar[],
                                 %(codes)s::varchar[], %(texts)s::varchar[])
                       AS f (position, message_id, type, date, is_bot, ref, code, text)
            """,
            positions=literal(range(len(facts))),
            messages=literal(fact["message_id"] for fact in facts),
            types=literal(fact["type"] for fact in facts),
            dates=literal(fact["date"] for fact in facts),
            bots=literal(fact.get("is_bot", False) for fact in facts),
            refs=literal(fact.get("ref") for fact in facts),
            codes=literal(fact.get("code") for fact in facts),
            texts=literal(fact.get("text") for fact in facts),
        )

    @staticmethod
    def _get_raise_sql(types):
        """:returns: UPDATE that notes the first time of each event on its message and
            raises the state

        The state only rises: what arrives late or out of order never lowers it. Of
        several final words the first one counts.
        """
        dates = [
            (SQL.identifier(f"{event_type}_date"), event_type)
            for event_type in sorted(types.difference(UNDATED))
        ]
        rises = SQL("m.state = ANY(c.lower_states)")
        return SQL(
            """
            UPDATE member_message m
               SET %(dates)s
                   state = CASE WHEN %(rises)s THEN c.proof ELSE m.state END,
                   reason = CASE WHEN %(rises)s AND c.proof = 'failed'
                                 THEN 'not_delivered'
                                 WHEN %(rises)s THEN NULL ELSE m.reason END,
                   provider_code = CASE WHEN %(rises)s AND c.proof = 'failed'
                                        THEN c.payload->>'code'
                                        ELSE m.provider_code END,
                   provider_message = CASE WHEN %(rises)s AND c.proof = 'failed'
                                           THEN c.payload->>'message'
                                           ELSE m.provider_message END
              FROM (SELECT f.*, a.payload, CASE a.type %(proofs)s END AS proof,
                           CASE a.type %(lower_states)s END AS lower_states
                      FROM (SELECT message_id,
                                   COALESCE(MIN(id) FILTER (WHERE type IN %(final)s),
                                            MIN(id) FILTER (WHERE type = 'sent'),
                                            MIN(id)) AS id
                                   %(firsts)s
                              FROM added WHERE NOT is_bot GROUP BY message_id) f
                      JOIN added a ON a.id = f.id
                  ORDER BY f.message_id) c
             WHERE m.id = c.message_id
               -- PostgreSQL looks up an array whose length it does not know; for a
               -- join of thousands it would read all messages
               AND m.id = ANY(ARRAY(SELECT message_id FROM added))
            """,
            dates=SQL().join(
                SQL("%(name)s = LEAST(m.%(name)s, c.%(name)s),", name=name)
                for name, _event_type in dates
            ),
            rises=rises,
            proofs=SQL(" ").join(
                SQL("WHEN %s THEN %s", *pair) for pair in ranks.EVENT_STATE.items()
            ),
            # A row the sender holds keeps its state: the sender finishes it.
            lower_states=SQL(" ").join(
                SQL(
                    "WHEN %s THEN %s::varchar[]",
                    event_type,
                    sorted(ranks.RAISES[proof] - ranks.OWNED_STATES),
                )
                for event_type, proof in ranks.EVENT_STATE.items()
            ),
            final=tuple(
                event_type
                for event_type, state in ranks.EVENT_STATE.items()
                if state in ranks.FINAL_STATES
            ),
            firsts=SQL().join(
                SQL(", MIN(date) FILTER (WHERE type = %s) AS %s", event_type, name)
                for name, event_type in dates
            ),
        )
