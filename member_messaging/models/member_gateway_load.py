from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from ..tools.throttle import BREAK_AFTER, rest_seconds


class MemberGatewayLoad(models.Model):
    """What a gateway is doing at the moment. One row per gateway.

    Apart from the settings, so that senders, which write here many times a second, and
    people, who edit a gateway, do not wait for one another. All senders of all servers
    share these rows, and the database's clock is the one that counts.
    """

    _name = "member.gateway.load"
    _description = "Gateway Load"
    _rec_name = "gateway_id"
    _log_access = False

    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="gateway_id.company_id")
    next_call_date = fields.Datetime(
        string="Next Call", help="Until then every call the rate allows is given away."
    )
    day = fields.Date(help="The day the messages are counted for.")
    day_count = fields.Integer(string="Messages on That Day", default=0)
    failure_count = fields.Integer(
        string="Failed Calls",
        default=0,
        help="Calls in a row that brought no usable answer.",
    )
    rest_until_date = fields.Datetime(
        string="Rests Until",
        help="After too many failed calls nothing is sent before this time; then one "
        "call tries whether the provider is back.",
    )
    last_error = fields.Char()

    _gateway_uniq = models.Constraint(
        "UNIQUE (gateway_id)", "A gateway has one row of this kind."
    )

    @api.model
    def _create_missing(self):
        """Every gateway has its row, whenever it was made."""
        gateways = self.env["member.gateway"].with_context(active_test=False)
        missing = gateways.search([("load_ids", "=", False)])
        self.create([{"gateway_id": gateway.id} for gateway in missing])

    # ---------------------------------------------------------------------- rate

    @api.model
    def _book_call(self, gateway, count, seconds):
        """Take the next call of a gateway's rate, and its share of the day.

        :param int count: messages of the call
        :param float seconds: time from one call to the next
        :returns: seconds to wait before the call may be made; None: the day's messages
            are used up
        :rtype: float | None
        """
        rows = self._execute(
            SQL(
                """
                UPDATE member_gateway_load SET
                       next_call_date = GREATEST(next_call_date, %(now)s)
                                        + make_interval(secs => %(seconds)s),
                       day = %(day)s,
                       day_count = CASE WHEN day = %(day)s THEN day_count ELSE 0 END
                                   + %(count)s
                 WHERE gateway_id = %(gateway)s
                   AND (%(limit)s = 0 OR %(count)s <= %(limit)s
                        - CASE WHEN day = %(day)s THEN day_count ELSE 0 END)
             RETURNING date_part('epoch', next_call_date - %(now)s) - %(seconds)s
                """,
                now=SQL("clock_timestamp() AT TIME ZONE 'utc'"),
                seconds=seconds,
                day=gateway._get_today(),
                count=count,
                limit=gateway.daily_limit,
                gateway=gateway.id,
            )
        )
        return max(0.0, rows[0][0]) if rows else None

    @api.model
    def _hold_back(self, gateway, seconds):
        """The provider asked for patience: no sender calls before that."""
        self._execute(
            SQL(
                """
                UPDATE member_gateway_load SET next_call_date = GREATEST(next_call_date,
                       clock_timestamp() AT TIME ZONE 'utc'
                       + make_interval(secs => %s))
                 WHERE gateway_id = %s RETURNING id
                """,
                seconds,
                gateway.id,
            )
        )

    @api.model
    def _get_day_rest(self, gateway):
        """:returns: messages the gateway may still send today; None: no limit"""
        if not gateway.daily_limit:
            return None
        load = self.search([("gateway_id", "=", gateway.id)])
        used = load.day_count if load.day == gateway._get_today() else 0
        return max(0, gateway.daily_limit - used)

    # -------------------------------------------------------------------- health

    @api.model
    def _get_resting(self):
        """:returns: gateways whose provider does not answer; senders pass them over"""
        return self.search([("failure_count", ">=", BREAK_AFTER)]).gateway_id

    @api.model
    def _try_probe(self, gateway):
        """Ask to be the one sender that tries a resting gateway again.

        :returns: whether the rest is over and no other sender is trying already
        :rtype: bool
        """
        now = fields.Datetime.now()
        rows = self._execute(
            SQL(
                """
                UPDATE member_gateway_load SET rest_until_date = %s
                 WHERE gateway_id = %s AND failure_count >= %s
                   AND COALESCE(rest_until_date, %s) <= %s
             RETURNING id
                """,
                # should the one that tries die, the next one may
                now + timedelta(seconds=rest_seconds(BREAK_AFTER)),
                gateway.id,
                BREAK_AFTER,
                now,
                now,
            )
        )
        return bool(rows)

    @api.model
    def _note_calls(self, gateway, failures, successes, error):
        """Count calls without a usable answer in a row; after too many, rest.

        :param int failures: calls that brought none
        :param int successes: calls that brought one: the provider is there
        :param str error: what went wrong last
        """
        if successes:
            self._execute(
                SQL(
                    """
                    UPDATE member_gateway_load
                       SET failure_count = 0, rest_until_date = NULL
                     WHERE gateway_id = %s AND failure_count > 0 RETURNING id
                    """,
                    gateway.id,
                )
            )
        elif failures:
            [(count,)] = self._execute(
                SQL(
                    """
                    UPDATE member_gateway_load
                       SET failure_count = failure_count + %s, last_error = %s
                     WHERE gateway_id = %s RETURNING failure_count
                    """,
                    # however many calls were under way, a probe counts as one
                    min(failures, BREAK_AFTER),
                    error,
                    gateway.id,
                )
            )
            if seconds := rest_seconds(count):
                self._execute(
                    SQL(
                        "UPDATE member_gateway_load SET rest_until_date = %s"
                        " WHERE gateway_id = %s RETURNING id",
                        fields.Datetime.now() + timedelta(seconds=seconds),
                        gateway.id,
                    )
                )

    def _execute(self, query):
        """:returns: rows of an UPDATE … RETURNING"""
        # whoever else books at the same moment is no error: the caller tries again
        self.env.cr.execute(query, log_exceptions=False)
        rows = self.env.cr.fetchall()
        self.invalidate_model()
        return rows
