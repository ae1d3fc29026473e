from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from ..tools.quality import has_fallen

#: What is delivered later counts as not delivered, today as in the past: so a day can
#: be judged before its last reports have come.
PATIENCE = timedelta(hours=2)
RECENT = timedelta(hours=24)
PAST = timedelta(days=28)
ACTIVITY = "member_messaging.mail_activity_type_quality"


class MemberGateway(models.Model):
    """Watches whether a gateway delivers as well as it used to."""

    _inherit = "member.gateway"

    @api.model
    def _cron_check_quality(self):
        for gateway_id, *counts in self._count_delivered(fields.Datetime.now()):
            if has_fallen(*counts):
                self.browse(gateway_id)._warn_of_drop(*counts)

    def _count_delivered(self, now):
        """:returns: per gateway its id; delivered and sent of the last day; the same of
        the four weeks before
        """
        since, until = now - PATIENCE - RECENT, now - PATIENCE
        return self.env.execute_query(
            SQL(
                """
                SELECT gateway_id,
                       COUNT(*) FILTER (WHERE is_recent AND is_delivered),
                       COUNT(*) FILTER (WHERE is_recent),
                       COUNT(*) FILTER (WHERE NOT is_recent AND is_delivered),
                       COUNT(*) FILTER (WHERE NOT is_recent)
                  FROM (SELECT gateway_id, sent_date > %(since)s AS is_recent,
                               COALESCE(delivered_date <= sent_date + %(patience)s,
                                        FALSE) AS is_delivered
                          FROM (SELECT gateway_id, claimed_date, sent_date,
                                       delivered_date
                                  FROM member_message
                             UNION ALL
                                SELECT gateway_id, claimed_date, sent_date,
                                       delivered_date
                                  FROM member_service_message) m
                         WHERE claimed_date > %(begin)s AND sent_date <= %(until)s
                           AND gateway_id IS NOT NULL) m
              GROUP BY gateway_id
                """,
                since=since,
                until=until,
                begin=since - PAST,
                patience=PATIENCE,
            )
        )

    def _warn_of_drop(self, recent_delivered, recent_sent, past_delivered, past_sent):
        """Raise an activity, unless one is open still."""
        if self.activity_search([ACTIVITY]):
            return
        [speaker] = self._speaking()
        rates = {
            "gateway": speaker.name,
            "recent": f"{100 * recent_delivered / recent_sent:.1f}",
            "past": f"{100 * past_delivered / past_sent:.1f}",
            "count": recent_sent,
        }
        speaker.activity_schedule(
            ACTIVITY,
            summary=speaker.env._("Gateway %s delivers worse than before", self.name),
            note=speaker.env._(
                "Of %(count)s messages of the last day %(recent)s %% arrived within "
                "two hours, of those of the four weeks before %(past)s %%. Look at "
                "Gateway Quality by carrier and hour, and ask the provider.",
                **rates,
            ),
            user_id=(self.user_id or self.env.user).id,
        )
