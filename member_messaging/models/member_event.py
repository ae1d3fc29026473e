from operator import itemgetter

from odoo import SUPERUSER_ID, api, fields, models
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


class MemberEvent(models.Model):
    """One fact about a message. Rows are only ever added."""

    _name = "member.event"
    _description = "Message Event"
    _order = "date desc, id desc"
    _rec_name = "type"

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
    _date_idx = models.Index("(date) WHERE NOT is_bot")

    @api.model
    def _record(self, facts):
        """Store facts and let them raise their messages.

        A fact that is stored already changes nothing, so that callbacks and clicks may
        be repeated.

        :param list[dict] facts: ``message_id``, ``type``, ``date`` (naive UTC) and
            optionally ``ref``, ``is_bot``, ``payload`` (JSON), and the provider's
            ``code`` and ``text`` for a failure
        :returns: message ids and types of the new facts
        :rtype: set[tuple[int, str]]
        """
        if not facts:
            return set()
        rows = self._insert(facts)
        words = {
            (fact["message_id"], fact["type"]): (fact.get("code"), fact.get("text"))
            for fact in facts
        }
        self._raise_messages(
            [
                (message_id, event_type, date, *words[message_id, event_type])
                for message_id, event_type, date, is_bot in rows
                if not is_bot
            ]
        )
        self.env["member.message"].invalidate_model()
        self.invalidate_model()
        return {(message_id, event_type) for message_id, event_type, *_rest in rows}

    def _insert(self, facts):
        """:returns: message id, type, date and ``is_bot`` of the new facts"""
        return self.env.execute_query(
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
                # Hardly ever a person, and looking the superuser up takes its time.
                uid=None if self.env.uid == SUPERUSER_ID else self.env.uid,
                now=fields.Datetime.now(),
                messages=literal(fact["message_id"] for fact in facts),
                types=literal(fact["type"] for fact in facts),
                dates=literal(fact["date"] for fact in facts),
                bots=literal(fact.get("is_bot", False) for fact in facts),
                refs=literal(fact.get("ref") for fact in facts),
                payloads=literal(fact.get("payload") for fact in facts),
            )
        )

    def _raise_messages(self, facts):
        """Note the first time of each event on its message and raise the state, in one
        statement.

        The state only rises: what arrives late or out of order never lowers it.

        :param facts: list of message id, type, date, and code and text of a failure
        """
        if not facts:
            return
        changes = self._collect_changes(facts)
        columns = sorted({name for change in changes for name in change["dates"]})
        names = [SQL.identifier(name) for name in columns]
        # A row the sender holds keeps its state: the sender finishes it.
        rises = SQL(
            "(f.proof, m.state) IN %s",
            tuple(
                (proof, state)
                for proof, states in ranks.RAISES.items()
                for state in states - ranks.OWNED_STATES
            ),
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET %(dates)s
                       state = CASE WHEN %(rises)s THEN f.proof ELSE m.state END,
                       reason = CASE WHEN %(rises)s AND f.proof = 'failed'
                                     THEN 'not_delivered'
                                     WHEN %(rises)s THEN NULL ELSE m.reason END,
                       provider_code = CASE WHEN %(rises)s AND f.proof = 'failed'
                                            THEN f.code ELSE m.provider_code END,
                       provider_message = CASE WHEN %(rises)s AND f.proof = 'failed'
                                               THEN f.text ELSE m.provider_message END
                  FROM unnest(%(ids)s::int[], %(proofs)s::varchar[],
                              %(codes)s::varchar[], %(texts)s::varchar[] %(arrays)s)
                       AS f (id, proof, code, text %(names)s)
                 WHERE f.id = m.id
                """,
                dates=SQL().join(
                    SQL("%(name)s = LEAST(m.%(name)s, f.%(name)s),", name=name)
                    for name in names
                ),
                rises=rises,
                ids=literal(change["id"] for change in changes),
                proofs=literal(change["proof"] for change in changes),
                codes=literal(change["code"] for change in changes),
                texts=literal(change["text"] for change in changes),
                arrays=SQL().join(
                    SQL(
                        ", %s::timestamp[]",
                        literal(change["dates"].get(name) for change in changes),
                    )
                    for name in columns
                ),
                names=SQL().join(SQL(", %s", name) for name in names),
            )
        )

    @staticmethod
    def _collect_changes(facts):
        """:returns: one dict per message: what its facts prove, the provider's words on
        a failure, and the first time of each event by column
        """
        changes = {}
        for message_id, event_type, date, code, text in facts:
            change = changes.setdefault(
                message_id,
                {"id": message_id, "proof": None, "code": None, "text": None}
                | {"dates": {}},
            )
            # the first final word counts, as if they had come one after the other
            if change["proof"] in (None, "sent"):
                proof = ranks.EVENT_STATE.get(event_type)
                change.update(proof=proof or change["proof"], code=code, text=text)
            if event_type not in UNDATED:
                column = f"{event_type}_date"
                dates = change["dates"]
                dates[column] = min(date, dates.get(column, date))
        return sorted(changes.values(), key=itemgetter("id"))
