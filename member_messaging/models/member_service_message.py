from odoo import api, fields, models
from odoo.tools import SQL

from ..tools import sms
from .member_message import REASONS, STATES


class MemberServiceMessage(models.Model):
    """An SMS outside of campaigns: a test, or one of another Odoo application.

    Outbox row and permanent record, as ``member.message`` is for campaigns: whoever
    wants something sent adds a row, a sender claims it, calls and records
    (``member_service_send``).
    """

    _name = "member.service.message"
    _description = "Service Message"
    _order = "id desc"
    _rec_name = "address"

    gateway_id = fields.Many2one(
        "member.gateway", required=True, ondelete="cascade", readonly=True
    )
    company_id = fields.Many2one(related="gateway_id.company_id", store=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    kind = fields.Selection(
        [
            ("test", "Test"),
            ("odoo", "Other Application"),
            ("answer", "Answer to a Reply"),
        ],
        required=True,
        readonly=True,
    )
    sms_uuid = fields.Char(
        string="SMS Reference", readonly=True, help="Of Odoo's own SMS, if it is one."
    )
    address = fields.Char(string="Number", required=True, readonly=True)
    body = fields.Text(string="Text", readonly=True)
    template_code = fields.Char(string="Provider Template", readonly=True)
    params = fields.Json(readonly=True)
    parts = fields.Integer(readonly=True, help="Billed SMS.")
    cost = fields.Monetary(readonly=True)
    state = fields.Selection(STATES, required=True, default="queued", readonly=True)
    reason = fields.Selection(REASONS, readonly=True)
    provider_ref = fields.Char(string="Provider Reference", readonly=True)
    provider_code = fields.Char(string="Provider Answer", readonly=True)
    provider_message = fields.Char(string="Provider Explanation", readonly=True)
    attempt_count = fields.Integer(string="Attempts", default=0, readonly=True)
    lane = fields.Integer(string="Sender", readonly=True, aggregator=None)
    due_date = fields.Datetime(
        string="Due", required=True, default=fields.Datetime.now, readonly=True
    )
    claimed_date = fields.Datetime(string="Claimed", readonly=True)
    sent_date = fields.Datetime(string="Sent", readonly=True)
    delivered_date = fields.Datetime(string="Delivered", readonly=True)
    outcome = fields.Char(compute="_compute_outcome")

    _uuid_uniq = models.UniqueIndex("(sms_uuid) WHERE sms_uuid IS NOT NULL")
    _due_idx = models.Index("(gateway_id, due_date, id) WHERE state = 'queued'")
    _claimed_idx = models.Index("(lane) WHERE state = 'claimed'")
    _open_idx = models.Index("(gateway_id, id) WHERE state IN ('sent', 'uncertain')")
    _ref_idx = models.Index("(provider_ref, address) WHERE provider_ref IS NOT NULL")
    _recent_idx = models.Index("USING brin (claimed_date)")

    def _get_key(self):
        """:returns: what a provider and its adapter know the message by; a number like
        that of a campaign's message, and never the same
        :rtype: str
        """
        return str(-self.id)

    @api.depends("state", "reason", "provider_code", "provider_message", "gateway_id")
    @api.depends_context("lang", "tz")
    def _compute_outcome(self):
        for message in self:
            message.outcome = message._describe()

    def _describe(self):
        """:returns: what has become of the message, in a sentence"""
        explanation = self.gateway_id._explain(
            self.provider_code, self.provider_message
        )
        values = {
            "gateway": self.gateway_id.name,
            "number": self.address,
            "why": explanation or "",
        }
        if self.state == "queued" and self.attempt_count:
            return self.env._(
                "It has not left yet and is tried again: %(why)s", **values
            )
        if self.state == "queued" and (
            wait := self.env["member.gateway.load"]._describe_wait(
                self.gateway_id, False, self.parts
            )
        ):
            return wait
        sentences = {
            "queued": self.env._(
                "It waits for a sender, which looks into the queue every minute at the "
                "latest. If nothing happens, ask the administrator whether scheduled "
                "actions run."
            ),
            "claimed": self.env._("It is being handed to %(gateway)s.", **values),
            "sent": self.env._(
                "%(gateway)s has accepted it for %(number)s. Whether it has arrived is "
                "not known yet.",
                **values,
            ),
            "delivered": self.env._("It has arrived at %(number)s.", **values),
            "uncertain": self.env._(
                "The answer of %(gateway)s got lost: it may have arrived. It is not "
                "sent again.",
                **values,
            ),
            "skipped": self.env._(
                "Not sent: since it was written %(number)s has got on the block list, "
                "or refused service messages.",
                **values,
            ),
        }
        return sentences.get(self.state) or explanation or self.env._("It failed.")

    @api.model
    def _enqueue(self, gateway, kind, messages):
        """Add messages to the outbox and wake the senders; nothing is sent here.

        A message with the ``sms_uuid`` of an earlier one is added only if that one has
        failed: then it gets another try.

        :param list[dict] messages: ``address`` in E.164, ``body``, and optionally
            ``template_code``, ``params``, ``sms_uuid``
        """
        known = self.search(
            [("sms_uuid", "in", [m["sms_uuid"] for m in messages if "sms_uuid" in m])]
        )
        uuids = set(known.mapped("sms_uuid"))
        country = gateway.company_id.country_id.code
        added = self.create(
            [
                {
                    **message,
                    "gateway_id": gateway.id,
                    "kind": kind,
                    "parts": sms.size(message["body"], country).parts,
                }
                for message in messages
                if message.get("sms_uuid") not in uuids
            ]
        )
        known.filtered(lambda message: message.state == "failed").write(
            {
                "state": "queued",
                "reason": False,
                "attempt_count": 0,
                "due_date": fields.Datetime.now(),
            }
        )
        self.env["member.lane"]._wake()
        return added

    def _get_due_sql(self):
        """:returns: condition that a message ``s`` of gateway ``g`` may leave now

        A test may leave through a gateway that is not in use yet; nothing may while a
        manager has stopped all sending.
        """
        return SQL(
            "s.state = 'queued' AND s.due_date <= %s"
            " AND (g.state = 'active' OR s.kind = 'test')"
            " AND NOT EXISTS (SELECT FROM member_send_policy p"
            "  WHERE p.company_id = s.company_id AND p.is_stopped)",
            fields.Datetime.now(),
        )

    def _find_busy(self):
        """:returns: gateways that have a message to send now"""
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT DISTINCT s.gateway_id FROM member_service_message s"
                " JOIN member_gateway g ON g.id = s.gateway_id WHERE %s",
                self._get_due_sql(),
            )
        )
        return self.env["member.gateway"].browse(row[0] for row in rows)
