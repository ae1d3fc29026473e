from datetime import timezone
from functools import partial

from odoo import api, fields, models

from ..gateways.types import Capability, DeliveryReport, Outcome, PendingMessage
from ..tools.ranks import OWNED_STATES, next_state
from .member_callback_query import QUERY_WINDOW


class MemberServiceMessage(models.Model):
    """What delivery reports say about messages outside of campaigns."""

    _inherit = "member.service.message"

    @api.model
    def _apply_reports(self, reports):
        """Raise the states of messages; a report told again changes nothing.

        :param dict reports: position → account and report
        :returns: positions of the reports whose message is not known (yet)
        :rtype: list[int]
        """
        found = self._match(reports)
        self._apply_matched(
            [(message, *reports[position]) for position, message in found.items()]
        )
        return [position for position in reports if position not in found]

    @api.model
    def _apply_matched(self, matched):
        """:param matched: list of message, account and report"""
        refused = {}
        for message, gateway, report in matched:
            message._apply_report(report)
            if report.status == "failed" and report.outcome is Outcome.OPTOUT:
                codes = refused.setdefault(gateway, {})
                codes[report.address] = report.provider_code
        for gateway, codes in refused.items():
            self._refuse_opted_out(gateway, codes)
        self.union(*(message for message, *_report in matched))._tell_odoo()

    def _match(self, reports):
        """:returns: position → message no sender is working on"""
        references = {
            reference
            for _gateway, report in reports.values()
            for reference in (report.provider_ref, report.alternative_ref)
            if reference
        }
        candidates = {
            (message.gateway_id, message.address, message.provider_ref): message
            for message in self.search([("provider_ref", "in", list(references))])
            if message.state not in OWNED_STATES
        }
        found = {}
        for position, (gateway, report) in reports.items():
            for reference in (report.provider_ref, report.alternative_ref):
                key = gateway, report.address, reference
                if reference and key in candidates:
                    found[position] = candidates[key]
        return found

    def _apply_report(self, report):
        state = next_state(self.state, report.status)
        if state == self.state:
            return
        date = report.date.replace(tzinfo=None) if report.date else None
        has_failed = state == "failed"
        self.write(
            {
                "state": state,
                "reason": "not_delivered" if has_failed else False,
                "provider_code": report.provider_code,
                "provider_message": report.provider_message,
                "delivered_date": state == "delivered"
                and (date or fields.Datetime.now()),
            }
        )

    @api.model
    def _find_pending(self, gateway, adapter, now):
        """:returns: messages whose fate the provider may know"""
        states = ["uncertain"]
        if Capability.WEBHOOK not in adapter.capabilities:
            states.append("sent")
        return self.search(
            [
                ("gateway_id", "=", gateway.id),
                ("state", "in", states),
                ("sent_date", ">", now - QUERY_WINDOW),
            ],
            order="id",
        )


class MemberCallback(models.Model):
    """Reports may be about service messages, too."""

    _inherit = "member.callback"

    @api.model
    def _apply_found(self, found):
        unknown = super()._apply_found(found)
        return unknown and self.env["member.service.message"]._apply_reports(
            {position: found[position] for position in unknown}
        )

    def _query_provider(self, gateway, now, run):
        yield from self._query_services(gateway, now, run)
        yield from super()._query_provider(gateway, now, run)

    def _query_services(self, gateway, now, run):
        """As :meth:`_query_provider`, about messages outside of campaigns."""
        services = self.env["member.service.message"]
        adapter = gateway._get_adapter()
        pending = {
            message._get_key(): message
            for message in services._find_pending(gateway, adapter, now)
        }
        while chunk := list(pending.items())[: adapter.query_size]:
            asked = [
                PendingMessage(
                    key,
                    message.address,
                    message.provider_ref or None,
                    message.sent_date.replace(tzinfo=timezone.utc),
                )
                for key, message in chunk
            ]
            pending = dict(list(pending.items())[adapter.query_size :])
            yield 0
            answers = self._ask(adapter, asked, now)
            run(partial(self._apply_answers, gateway, dict(chunk), answers))
            yield len(chunk)

    def _apply_answers(self, gateway, messages, answers):
        """:param dict messages: key → message that was asked about"""
        replies = [item for item in answers if not isinstance(item, DeliveryReport)]
        if replies:
            self._apply_found([(gateway, reply) for reply in replies])
        self.env["member.service.message"]._apply_matched(
            [
                (messages[report.key], gateway, report)
                for report in answers
                if isinstance(report, DeliveryReport) and report.key in messages
            ]
        )
