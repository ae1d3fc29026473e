from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

#: A sender that has work and was silent for so long has died or waits for its turn.
SILENCE = timedelta(minutes=5)
MOST_LANES = 16


class MemberLane(models.Model):
    """One sender: a scheduled action that claims, calls and records.

    Several of them, on any number of servers, share the outbox. Each number runs once
    at a time, wherever it runs.
    """

    _name = "member.lane"
    _description = "Sender"
    _order = "number"
    _rec_name = "number"

    number = fields.Integer(required=True, aggregator=None)
    active = fields.Boolean(related="cron_id.active", store=True)
    cron_id = fields.Many2one("ir.cron", required=True, ondelete="cascade")
    seen_date = fields.Datetime(string="Last Batch")
    gateway_id = fields.Many2one("member.gateway", ondelete="set null")
    message_count = fields.Integer(
        string="Messages", help="Handed to providers since the sender was added."
    )
    rate = fields.Float(
        string="Messages per Second",
        digits=(16, 1),
        aggregator="sum",
        help="Of the last batch, from claim to record.",
    )
    is_working = fields.Boolean(compute="_compute_is_working")

    _number_uniq = models.Constraint(
        "UNIQUE (number)", "Two senders cannot have the same number."
    )

    def _compute_is_working(self):
        since = fields.Datetime.now() - SILENCE
        for lane in self:
            lane.is_working = bool(lane.seen_date and lane.seen_date > since)

    @api.model
    def _set_count(self, count):
        """Have so many senders; those beyond are kept, inactive."""
        count = min(max(count, 1), MOST_LANES)
        # sudo: as below; the senders are those of all companies
        lanes = self.sudo().with_context(active_test=False).search([("number", ">", 0)])
        first = lanes[:1].cron_id
        for number in range(len(lanes) + 1, count + 1):
            cron = first.copy(
                {
                    "name": f"Member Messaging: send queue ({number})",
                    "code": f"model._cron_send({number})",
                }
            )
            lanes |= lanes.create({"number": number, "cron_id": cron.id})
        for lane in lanes:
            is_wanted = lane.number <= count
            if lane.cron_id.active != is_wanted:
                lane.cron_id.active = is_wanted

    @api.model
    def _get_count(self):
        # sudo: senders work for all companies
        return self.sudo().search_count([])

    @api.model
    def _wake(self, at=None):
        """Let every sender look into the queue.

        :param at: naive UTC times; None: now
        """
        # sudo: waking a cron needs no right to change it
        for cron in self.sudo().search([("active", "=", True)]).cron_id:
            cron._trigger(at=at)

    @api.model
    def _note_batch(self, number, gateway, count, seconds):
        """Say what a sender has just done, in its own row."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_lane
                   SET seen_date = %s, gateway_id = %s, rate = %s,
                       message_count = COALESCE(message_count, 0) + %s
                 WHERE number = %s
                """,
                fields.Datetime.now(),
                gateway.id,
                count / max(seconds, 0.001),
                count,
                number,
            )
        )
        self.invalidate_model()
