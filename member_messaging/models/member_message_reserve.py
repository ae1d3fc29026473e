from odoo import api, models
from odoo.tools import SQL

from .member_consent import ADVERTISING
from .member_message_call import get_key
from .member_message_record import FINAL


class MemberMessage(models.Model):
    """Drawing on the SMS of the month, on budgets and on trial batches."""

    _inherit = "member.message"

    @api.model
    def _reserve(self, gateway, claimed):
        """Let claimed messages draw on what they may use; what finds too little waits
        again.

        A transaction of its own behind that of the claim, which takes longer: senders
        that draw on the same row at the same time are in each other's way for
        milliseconds only, and whoever dies in between has sent nothing and drawn
        nothing.

        :param list[dict] claimed: see :meth:`_prepare_texts`
        :returns: those that may leave
        """
        lacks = self.env["member.gateway.load"]._draw(gateway, claimed)
        left_out = [row["id"] for row, lack in zip(claimed, lacks, strict=True) if lack]
        if left_out:
            self._release(left_out)
            campaigns = self.env["member.campaign"]
            for lack in set(lacks):
                if isinstance(lack, tuple) and lack[0] == "budget":
                    campaigns.browse(lack[1])._pause_for_budget()
        return [row for row, lack in zip(claimed, lacks, strict=True) if not lack]

    def _record_batch(self, gateway, claimed, done, lane, seconds):
        # first: who is in the way of another sender loses no work
        self._give_back(gateway, claimed, done)
        return super()._record_batch(gateway, claimed, done, lane, seconds)

    @api.model
    def _give_back(self, gateway, claimed, done):
        """What has certainly not left costs nothing, and a provider may have counted
        other parts than we did."""
        results = {result.key: result for result in done.results}
        self.env["member.gateway.load"]._give_back(
            gateway,
            [(row, *self._get_bill(row, results.get(get_key(row)))) for row in claimed],
        )

    @staticmethod
    def _get_bill(row, result):
        """:returns: parts a message was billed, and whether it waits again"""
        if not result or result.outcome not in FINAL:
            return 0, True
        if FINAL[result.outcome][0] == "failed":
            return 0, False
        return result.parts or row["parts"], False


class MemberGatewayLoad(models.Model):
    _inherit = "member.gateway.load"

    @api.model
    def _recount(self):
        """Count anew what has left this month, and what campaigns have spent.

        For databases that are older than the counters; nobody may be sending.
        """
        self.env.flush_all()
        gateways = self.env["member.gateway"].with_context(active_test=False)
        for gateway in gateways.search([("company_id", "!=", False)]):
            month = gateway._get_month()
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE member_gateway_load l
                       SET month = %(month)s, month_count = used.total,
                           month_advertising_count = used.advertising
                      FROM (SELECT COALESCE(SUM(parts), 0) AS total,
                                   COALESCE(SUM(parts) FILTER (WHERE is_advertising), 0)
                                       AS advertising
                              FROM (SELECT m.parts, m.sent_date,
                                           c.category IN %(advertising)s
                                               AS is_advertising
                                      FROM member_message m
                                      JOIN member_campaign c ON c.id = m.campaign_id
                                     WHERE m.gateway_id = %(gateway)s
                                 UNION ALL
                                    SELECT m.parts, m.sent_date, FALSE
                                      FROM member_service_message m
                                     WHERE m.gateway_id = %(gateway)s) m
                             WHERE m.sent_date >= %(month)s::timestamp
                                   AT TIME ZONE %(zone)s AT TIME ZONE 'utc') used
                     WHERE l.gateway_id = %(gateway)s
                    """,
                    month=month,
                    zone=gateway.company_id.partner_id.tz or "UTC",
                    gateway=gateway.id,
                    advertising=ADVERTISING,
                )
            )
        self.env.cr.execute(
            """
            UPDATE member_campaign_load l
               SET cost = COALESCE((SELECT SUM(m.cost) FROM member_message m
                                     WHERE m.campaign_id = l.campaign_id), 0)
            """
        )
        self.invalidate_model()
        self.env["member.campaign.load"].invalidate_model()
