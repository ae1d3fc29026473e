from odoo import fields, models
from odoo.tools import SQL, format_datetime

from ..models.member_message import CLAIMED, UNCERTAIN, WAITS
from ..models.member_send_quota import LONG


class MemberQueue(models.Model):
    """What each gateway has to do at this moment. One row per gateway."""

    _name = "member.queue"
    _description = "Sending Queue"
    _auto = False
    _order = "sequence, id"
    _rec_name = "gateway_id"

    gateway_id = fields.Many2one("member.gateway", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    sequence = fields.Integer(readonly=True, aggregator=None)
    status = fields.Selection(
        [
            ("working", "Sending"),
            ("idle", "Nothing to Send"),
            ("waiting", "Waiting"),
            ("resting", "Provider Does Not Answer"),
            ("paused", "Paused"),
            ("stopped", "All Sending Stopped"),
        ],
        readonly=True,
    )
    hint = fields.Char(
        string="Why, and What to Do",
        compute="_compute_hint",
    )
    due_count = fields.Integer(
        string="Ready to Leave",
        readonly=True,
        help="Could leave now: they wait for their turn.",
    )
    later_count = fields.Integer(
        string="Later", readonly=True, help="Planned or put off for a later time."
    )
    claimed_count = fields.Integer(
        string="Being Sent",
        readonly=True,
        help="Handed to the provider at this moment, the answer is not there yet.",
    )
    minute_count = fields.Integer(string="Sent in the Last Minute", readonly=True)
    rate = fields.Float(
        string="Sent per Second",
        digits=(16, 1),
        readonly=True,
        aggregator="sum",
        help="On average of the last minute.",
    )
    uncertain_count = fields.Integer(
        string="Uncertain",
        readonly=True,
        help="The provider's answer got lost. They are not sent again; a delivery "
        "report settles them.",
    )
    failed_count = fields.Integer(
        string="Failed in 24 Hours", readonly=True, help="Refused or not delivered."
    )

    @property
    def _table_query(self):
        now = fields.Datetime.now()
        return SQL(
            """
            SELECT g.id, g.id AS gateway_id, g.company_id, g.priority AS sequence,
                   COALESCE(m.due_count, 0) AS due_count,
                   COALESCE(m.later_count, 0) AS later_count,
                   COALESCE(m.claimed_count, 0) AS claimed_count,
                   COALESCE(r.minute_count, 0) AS minute_count,
                   COALESCE(r.minute_count, 0) / 60.0 AS rate,
                   COALESCE(u.uncertain_count, 0) AS uncertain_count,
                   COALESCE(r.failed_count, 0) AS failed_count,
                   CASE WHEN p.is_stopped THEN 'stopped'
                        WHEN g.state = 'paused' THEN 'paused'
                        WHEN l.rest_until_date IS NOT NULL THEN 'resting'
                        WHEN m.claimed_count > 0 OR r.minute_count > 0 THEN 'working'
                        WHEN m.due_count > 0 THEN 'waiting'
                        ELSE 'idle' END AS status
              FROM member_gateway g
              LEFT JOIN member_gateway_load l ON l.gateway_id = g.id
              LEFT JOIN member_send_policy p ON p.company_id = g.company_id
              -- what is open, by the partial indexes of the two states
              LEFT JOIN (
                    SELECT gateway_id,
                           COUNT(*) FILTER (WHERE state = 'queued'
                                            AND due_date <= %(now)s) AS due_count,
                           COUNT(*) FILTER (WHERE state = 'queued'
                                            AND due_date > %(now)s) AS later_count,
                           COUNT(*) FILTER (WHERE state = 'claimed') AS claimed_count
                      FROM (SELECT m.gateway_id, m.state, m.due_date
                              FROM member_message m
                              JOIN member_campaign c ON c.id = m.campaign_id
                             WHERE %(waits)s AND c.state IN ('scheduled', 'sending')
                         UNION ALL
                            SELECT m.gateway_id, m.state, m.due_date
                              FROM member_message m WHERE %(claimed)s) open
                  GROUP BY gateway_id) m ON m.gateway_id = g.id
              LEFT JOIN (SELECT gateway_id, COUNT(*) AS uncertain_count
                           FROM member_message m WHERE %(uncertain)s
                       GROUP BY gateway_id) u ON u.gateway_id = g.id
              LEFT JOIN (
                    SELECT gateway_id,
                           COUNT(*) FILTER (WHERE sent_date > %(minute)s)
                               AS minute_count,
                           COUNT(*) FILTER (WHERE state = 'failed') AS failed_count
                      FROM member_message WHERE claimed_date > %(day)s
                  GROUP BY gateway_id) r ON r.gateway_id = g.id
             WHERE g.active
            """,
            now=now,
            waits=WAITS,
            claimed=CLAIMED,
            uncertain=UNCERTAIN,
            minute=fields.Datetime.subtract(now, minutes=1),
            day=fields.Datetime.subtract(now, days=1),
        )

    def _compute_hint(self):
        loads = self.env["member.gateway.load"]
        for queue in self:
            gateway = queue.gateway_id
            queue.hint = {
                "stopped": self.env._(
                    "A manager has stopped all sending: Configuration > Sending Policy."
                ),
                "paused": gateway.pause_reason
                or self.env._(
                    "Not in use yet: Configuration > Gateways says what is missing."
                ),
                "idle": queue.status == "idle" and queue._describe_later(),
                "resting": self.env._(
                    "%(error)s. Tried again at %(time)s by itself; nothing is lost.",
                    error=gateway.last_error or self.env._("No answer"),
                    time=fields.Datetime.context_timestamp(
                        self, gateway.rest_until_date or fields.Datetime.now()
                    ).strftime("%H:%M:%S"),
                ),
                "waiting": queue.status == "waiting"
                and loads._describe_wait(gateway, True, LONG)
                or self.env._(
                    "Messages are due and no sender is at work. If this lasts for "
                    "minutes, ask the administrator whether scheduled actions run."
                ),
            }.get(queue.status, False)

    def _describe_later(self):
        """:returns: when the next of the messages that wait is due, False if none is"""
        if not self.later_count:
            return False
        [(due_date,)] = self.env["member.message"]._read_group(
            [
                ("gateway_id", "=", self.gateway_id.id),
                ("state", "=", "queued"),
                ("campaign_id.state", "in", ("scheduled", "sending")),
            ],
            [],
            ["due_date:min"],
        )
        return due_date and self.env._(
            "The next message leaves at %s: what is planned for later, or waits for "
            "the hours in which its member may be written to.",
            format_datetime(self.env, due_date, dt_format="short"),
        )

    def _action_view(self, domain, name):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_message_action"
        )
        return {
            **action,
            "display_name": name,
            "domain": [("gateway_id", "=", self.gateway_id.id), *domain],
            "context": {},
        }

    def action_view_open(self):
        return self._action_view(
            [("state", "in", ("queued", "claimed"))], self.env._("Waiting")
        )

    def action_view_uncertain(self):
        return self._action_view([("state", "=", "uncertain")], self.env._("Uncertain"))

    def action_view_failed(self):
        since = fields.Datetime.subtract(fields.Datetime.now(), days=1)
        return {
            **self._action_view(
                [("state", "=", "failed"), ("claimed_date", ">", since)],
                self.env._("Failed in 24 Hours"),
            ),
            "context": {"search_default_group_reason": 1},
        }
