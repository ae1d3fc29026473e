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
        matches = self._match(reports)
        self._apply_reports(
            [
                (message_id, *reports[position])
                for position, message_id in matches.items()
            ]
        )
        return [position for position in reports if position not in matches]

    def _match(self, reports):
        """Find and lock the messages of reports: by the provider's reference, by ours,
        or by the key of a message we asked about.

        Rows a sender still owns are left out: their report is applied once the sender
        has written its result.

        :param dict reports: position → account and report
        :returns: position → message id
        """
        if not reports:
            return {}
        gateways, items = zip(*reports.values(), strict=True)
        self.env.cr.execute(
            SQL(
                """
                SELECT r.position, m.id
                  FROM unnest(%(positions)s::int[], %(gateways)s::int[],
                              %(refs)s::varchar[], %(own_refs)s::varchar[],
                              %(keys)s::int[], %(addresses)s::varchar[])
                       AS r (position, gateway, ref, own_ref, key, address)
                 -- OFFSET: looked up one by one, each by an index. Right after a
                 -- campaign the statistics know nothing about its rows, and a join
                 -- may compare all with all.
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
                        WHERE id = r.key
                          AND address = r.address AND gateway_id = r.gateway
                       OFFSET 0) by_key ON TRUE
                  JOIN member_message m
                    ON m.id = COALESCE(by_ref.id, by_own_ref.id, by_key.id)
                   AND m.state NOT IN %(owned)s
              -- Two runs with reports of the same messages wait for each other in turn;
              -- and so lie the rows and index entries.
              ORDER BY m.id, r.position
                   FOR NO KEY UPDATE OF m
                """,
                positions=literal(reports),
                gateways=literal(gateway.id for gateway in gateways),
                refs=literal(report.provider_ref for report in items),
                own_refs=literal(report.alternative_ref for report in items),
                keys=literal(report.key for report in items),
                addresses=literal(report.address for report in items),
                owned=OWNED,
            ),
            # Somebody else has just changed a row: no error, it is tried again.
            log_exceptions=False,
        )
        return dict(self.env.cr.fetchall())

    def _apply_reports(self, matched):
        """:param matched: list of message id, account and report"""
        now = fields.Datetime.now()
        added = self.env["member.event"]._record(
            [
                {
                    "message_id": message_id,
                    "type": report.status,
                    "date": report.date.replace(tzinfo=None) if report.date else now,
                    "ref": report.event_ref,
                    "code": report.provider_code,
                    "text": report.provider_message,
                }
                for message_id, _gateway, report in matched
            ]
        )
        failed = [
            (message_id, gateway, report)
            for message_id, gateway, report in matched
            if report.status == "failed" and (message_id, "failed") in added
        ]
        if failed:
            self._follow_failures(failed)

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
