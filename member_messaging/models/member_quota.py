from datetime import datetime, timedelta, timezone

from odoo import api, fields, models
from odoo.tools import SQL

#: Windows are over for good after this.
LONGEST = timedelta(days=2)


class MemberQuota(models.Model):
    """How often something was done within a window of time, by anybody on any server.

    PostgreSQL counts: two transactions that count the same thing at the same time
    conflict, and Odoo repeats the second one.
    """

    _name = "member.quota"
    _description = "Quota"
    _log_access = False

    key_hash = fields.Char(required=True, readonly=True)
    window_date = fields.Datetime(required=True, readonly=True)
    use_count = fields.Integer(required=True, readonly=True)

    _window_uniq = models.Constraint("UNIQUE (key_hash, window_date)")

    @api.model
    def _take(self, key, limit, window):
        """Count one use.

        :param str key: what is counted; only a salted hash of it is stored
        :param int limit: uses allowed within a window
        :param timedelta window: it begins at a multiple of its length
        :returns: whether this use is still allowed
        :rtype: bool
        """
        now = datetime.now(timezone.utc)
        start = now - (now - datetime.min.replace(tzinfo=timezone.utc)) % window
        [(count,)] = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_quota (key_hash, window_date, use_count)
                VALUES (%s, %s, 1)
           ON CONFLICT (key_hash, window_date)
             DO UPDATE SET use_count = member_quota.use_count + 1
             RETURNING use_count
                """,
                self.env["member.suppression"]._get_hash_sql(SQL("%s", key)),
                start.replace(tzinfo=None),
            )
        )
        return count <= limit

    @api.autovacuum
    def _gc_quotas(self):
        self.search([("window_date", "<", fields.Datetime.now() - LONGEST)]).unlink()
