from datetime import timedelta

from odoo import api, fields, models
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import SQL

from ..transaction import commit_short

#: Days the gateway's form looks back, and days the counts are kept.
RECENT_DAYS = 7
KEEP_DAYS = 180


class MemberCallbackRejection(models.Model):
    """How often callbacks were turned away: one row per gateway, day and reason.

    Never a row per call: everybody on the internet may call.
    """

    _name = "member.callback.rejection"
    _description = "Rejected Callbacks"
    _order = "last_date desc, id desc"
    _log_access = False

    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="gateway_id.company_id", store=True)
    date = fields.Date(string="Day (UTC)", required=True)
    reason = fields.Selection(
        [
            ("secret", "Wrong secret in the address"),
            ("signature", "Wrong signature or secret header"),
            ("size", "Too large"),
            ("unreadable", "Cannot be read"),
        ],
        required=True,
    )
    count = fields.Integer(string="Callbacks", required=True)
    last_date = fields.Datetime(string="Last", required=True)

    _day_uniq = models.Constraint(
        "UNIQUE (gateway_id, date, reason)", "There is one count per day and reason."
    )

    @api.model
    def _count_now(self, gateway_id, reason):
        """Count a call nobody vouches for, in a transaction that ends at once.

        In a flood many requests want the same row. They must not wait for one another
        as long as requests that are repeated do; one that always loses is not counted.
        """
        self.env.cr.rollback()
        try:
            commit_short(self.env, self._count, [(gateway_id, reason)])
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            self.env.cr.rollback()

    @api.model
    def _count(self, rejected):
        """Add to the counts of today; gateways that do not exist have none.

        :param rejected: list of pairs, gateway id and reason
        """
        gateway_ids, reasons = zip(*rejected, strict=True)
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO member_callback_rejection AS r (
                       gateway_id, company_id, date, reason, count, last_date)
                SELECT g.id, g.company_id, %(now)s::date, c.reason, COUNT(*), %(now)s
                  FROM unnest(%(gateways)s::bigint[], %(reasons)s::varchar[])
                       AS c (gateway_id, reason)
                  JOIN member_gateway g ON g.id = c.gateway_id
              GROUP BY g.id, c.reason
              ORDER BY g.id, c.reason
           ON CONFLICT (gateway_id, date, reason) DO UPDATE
                   SET count = r.count + excluded.count, last_date = excluded.last_date
                """,
                now=SQL("(statement_timestamp() AT TIME ZONE 'UTC')"),
                gateways=list(gateway_ids),
                reasons=list(reasons),
            ),
            # another request counts at the same moment: no error, it is tried again
            log_exceptions=False,
        )
        self.invalidate_model(flush=False)

    @api.autovacuum
    def _gc_rejections(self):
        limit = fields.Date.today() - timedelta(days=KEEP_DAYS)
        self.search([("date", "<", limit)]).unlink()


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    rejection_count = fields.Integer(
        compute="_compute_rejections", compute_sudo=True, string="Rejected Callbacks"
    )
    rejection_reason = fields.Char(
        compute="_compute_rejections", compute_sudo=True, string="Last Reason"
    )

    def _compute_rejections(self):
        """What was turned away lately, so that somebody asks the provider why."""
        self.rejection_count = 0
        self.rejection_reason = False
        rejections = self.env["member.callback.rejection"].search(
            [
                ("gateway_id", "in", self.ids),
                ("date", ">", fields.Date.today() - timedelta(days=RECENT_DAYS)),
            ]
        )
        labels = dict(rejections._fields["reason"]._description_selection(self.env))
        for gateway, group in rejections.grouped("gateway_id").items():
            gateway.rejection_count = sum(group.mapped("count"))
            gateway.rejection_reason = labels[group[0].reason]

    def action_view_rejections(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Rejected Callbacks"),
            "res_model": "member.callback.rejection",
            "view_mode": "list",
            "domain": [("gateway_id", "=", self.id)],
        }
