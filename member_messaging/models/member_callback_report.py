from odoo import api, fields, models
from odoo.tools import SQL

from ..gateways.types import DeliveryReport, InboundMessage, Outcome
from ..tools.arrays import literal
from .member_callback import OWNED


class MemberCallback(models.Model):
    """What reports and replies do: events, states, refusals. Sets, never one by one."""

    _inherit = "member.callback"

    @api.model
    def _apply_found(self, found):
        """Turn reports and replies into events.

        The number of statements does not depend on how many there are.

        :param found: list of pairs, ``member.gateway`` and ``DeliveryReport`` or
            ``InboundMessage``
        :returns: positions of the reports whose message is not known (yet)
        """
        replies, reports = {}, {}
        for position, (gateway, item) in enumerate(found):
            if isinstance(item, DeliveryReport):
                reports[position] = (gateway, item)
            elif isinstance(item, InboundMessage):
                replies.setdefault(gateway, []).append(item)
        # first, since they ask what was sent last
        for gateway, items in replies.items():
            self.env["member.inbound"]._receive(gateway, items)
        known = self._apply_reports(reports)
        return [position for position in reports if position not in known]

    def _apply_reports(self, reports):
        """:param dict reports: position → account and report
        :returns: positions of the reports whose message is known
        """
        if not reports:
            return set()
        rows = self.env["member.event"]._record_selected(
            self._get_matched_sql(reports),
            {report.status for _gateway, report in reports.values()},
        )
        failed = [
            (message_id, *reports[position])
            for position, message_id, is_new in rows
            if is_new and reports[position][1].status == "failed"
        ]
        if failed:
            self._follow_failures(failed)
        return {position for position, _message_id, _is_new in rows}

    @staticmethod
    def _get_matched_sql(reports):
        """Find and lock the messages of reports: by the provider's reference, by ours,
        or by the key of a message we asked about.

        Rows a sender still owns are left out: their report is applied once the sender
        has written its result.

        :returns: SELECT of the facts they tell, see ``member.event._record_selected``
        """
        gateways, items = zip(*reports.values(), strict=True)
        # why it failed; of what has arrived there is no more to say
        codes, texts = zip(
            *(
                (report.provider_code, report.provider_message)
                if report.status == "failed"
                else (None, None)
                for report in items
            ),
            strict=True,
        )
        return SQL(
            """
            SELECT r.position, m.id AS message_id, r.type,
                   COALESCE(r.date, %(now)s) AS date, FALSE AS is_bot,
                   r.event_ref AS ref, r.code, r.text
              FROM unnest(%(positions)s::int[], %(gateways)s::int[],
                          %(refs)s::varchar[], %(own_refs)s::varchar[],
                          %(keys)s::int[], %(addresses)s::varchar[],
                          %(types)s::varchar[], %(dates)s::timestamp[],
                          %(event_refs)s::varchar[], %(codes)s::varchar[],
                          %(texts)s::varchar[])
                   AS r (position, gateway, ref, own_ref, key, address, type, date,
                         event_ref, code, text)
             -- OFFSET: looked up one by one, each by an index. Right after a campaign
             -- the statistics know nothing about its rows, and a join may compare all
             -- with all.
              LEFT JOIN LATERAL (
                   SELECT id FROM member_message
                    WHERE r.key IS NULL AND provider_ref = r.ref
                      AND address = r.address AND gateway_id = r.gateway
                   OFFSET 0) by_ref ON TRUE
              LEFT JOIN LATERAL (
                   SELECT id FROM member_message
                    WHERE r.key IS NULL AND by_ref.id IS NULL
                      AND provider_ref = r.own_ref
                      AND address = r.address AND gateway_id = r.gateway
                   OFFSET 0) by_own_ref ON TRUE
              LEFT JOIN LATERAL (
                   SELECT id FROM member_message
                    WHERE id = r.key AND address = r.address AND gateway_id = r.gateway
                   OFFSET 0) by_key ON TRUE
              JOIN member_message m
                ON m.id = COALESCE(by_ref.id, by_own_ref.id, by_key.id)
               AND m.state NOT IN %(owned)s
          -- Two runs with reports of the same messages wait for each other in turn; and
          -- so lie the rows and index entries.
          ORDER BY m.id, r.position
               FOR NO KEY UPDATE OF m
            """,
            now=fields.Datetime.now(),
            positions=literal(reports),
            gateways=literal(gateway.id for gateway in gateways),
            refs=literal(report.provider_ref for report in items),
            own_refs=literal(report.alternative_ref for report in items),
            keys=literal(report.key for report in items),
            addresses=literal(report.address for report in items),
            owned=OWNED,
            types=literal(report.status for report in items),
            # in UTC all of them: the zone, which goes unread here, is +00:00
            dates=literal(report.date and str(report.date) for report in items),
            event_refs=literal(report.event_ref for report in items),
            codes=literal(codes),
            texts=literal(texts),
        )

    def _follow_failures(self, failed):
        """Void the coupons, and honour the provider's block list."""
        messages = self.env["member.message"]
        messages._void_coupons([message_id for message_id, _gateway, _report in failed])
        refused = {
            message_id: f"{gateway.name}: {report.provider_code}"
            for message_id, gateway, report in failed
            if report.outcome is Outcome.OPTOUT
        }
        for channel, group in messages.browse(refused).grouped("channel").items():
            self.env["member.consent"]._refuse_each(
                {message.profile_id: refused[message.id] for message in group},
                channel,
                "reply",
            )
