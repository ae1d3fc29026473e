import json
import logging
from datetime import timedelta, timezone

import psycopg2

from odoo import api, fields, models
from odoo.service.model import retrying
from odoo.tools import SQL

from ..gateways import ADAPTERS
from ..gateways.errors import GatewayError
from ..gateways.types import (
    Capability,
    DeliveryReport,
    InboundMessage,
    Outcome,
    PendingMessage,
    WebhookRequest,
)

_logger = logging.getLogger(__name__)

#: Callbacks applied between two commits.
BATCH_SIZE = 200
#: A report whose message is not known yet is tried again for so long.
PATIENCE = timedelta(days=1)
#: How long after sending a provider is asked about a message.
QUERY_WINDOW = timedelta(days=3)
QUERY_SIZE = 1000


class MemberCallback(models.Model):
    """What a provider posted, kept as it came and applied afterwards.

    Providers give up within a second and repeat what was not acknowledged; so the
    request only stores the row, and a cron does the work.
    """

    _name = "member.callback"
    _description = "Provider Callback"
    _order = "id"
    _rec_name = "gateway_id"

    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="gateway_id.company_id", store=True)
    date = fields.Datetime(
        string="Received", required=True, default=fields.Datetime.now
    )
    body = fields.Text(help="The request as it came.")
    query = fields.Json()
    state = fields.Selection(
        [
            ("new", "To Apply"),
            ("done", "Applied"),
            ("unmatched", "Message Unknown"),
            ("unreadable", "Unreadable"),
        ],
        required=True,
        default="new",
    )
    error = fields.Char()

    _new_idx = models.Index("(id) WHERE state = 'new'")

    @api.model
    def _store(self, gateway, webhook):
        """Keep a verified request and wake the cron that applies it."""
        self.create(
            {
                "gateway_id": gateway.id,
                # NUL cannot be stored in a text and means nothing to a provider
                "body": webhook.body.decode(errors="replace").replace("\0", ""),
                "query": dict(webhook.query),
            }
        )
        self.env.ref("member_messaging.ir_cron_member_messaging_apply")._trigger()

    @api.model
    def _cron_apply(self):
        """Apply what providers posted, and ask those that do not post."""
        progress = self.env["ir.cron"]._commit_progress
        domain = [("state", "=", "new")]
        progress(remaining=self.search_count(domain))
        last_id = 0
        # By id, since a report that waits for its message stays ``new``.
        while batch := self.search([*domain, ("id", ">", last_id)], limit=BATCH_SIZE):
            last_id = batch[-1].id
            retrying(batch._apply, self.env)
            if not progress(len(batch)):
                return
        retrying(self._query_providers, self.env)
        progress(0)

    def _apply(self):
        """Apply callbacks no other run is working on, each for itself."""
        for callback in self.try_lock_for_update().filtered(
            lambda callback: callback.state == "new"
        ):
            try:
                with self.env.cr.savepoint():
                    callback._apply_one()
            except psycopg2.OperationalError:
                # somebody else changed a row: the whole batch is tried again
                raise
            except Exception as error:
                # Whatever is wrong with one callback holds up no other.
                if not isinstance(error, GatewayError):
                    _logger.exception("callback %s cannot be applied", callback.id)
                callback.write({"state": "unreadable", "error": str(error)})

    def _apply_one(self):
        """:raises GatewayError: the provider's words cannot be read"""
        self.ensure_one()
        found = self.gateway_id._get_adapter().parse(
            WebhookRequest(body=(self.body or "").encode(), query=self.query or {})
        )
        unmatched = self._apply_found(self.gateway_id, found)
        if not unmatched:
            self.state = "done"
        elif self.date < fields.Datetime.now() - PATIENCE:
            self.write(
                {
                    "state": "unmatched",
                    "error": ", ".join(
                        report.provider_ref or "" for report in unmatched
                    ),
                }
            )

    @api.model
    def _apply_found(self, gateway, found):
        """Turn reports and replies into events.

        :param found: list of ``DeliveryReport`` and ``InboundMessage``
        :returns: reports whose message is not known (yet)
        """
        reports = [item for item in found if isinstance(item, DeliveryReport)]
        self.env["member.inbound"]._receive(
            gateway, [item for item in found if isinstance(item, InboundMessage)]
        )
        matches = self._match(gateway, reports)
        self.env["member.event"]._record(
            [
                {
                    "message_id": matches[position],
                    "type": report.status,
                    "date": (
                        report.date.replace(tzinfo=None)
                        if report.date
                        else fields.Datetime.now()
                    ),
                    "ref": report.event_ref,
                    "payload": json.dumps(
                        {
                            "code": report.provider_code,
                            "message": report.provider_message,
                        }
                    ),
                }
                for position, report in enumerate(reports)
                if position in matches
            ]
        )
        self._note_failures(reports, matches)
        return [
            report for position, report in enumerate(reports) if position not in matches
        ]

    def _match(self, gateway, reports):
        """Find the messages of reports by the provider's reference, by ours, or by
        the key of a message we asked about.

        Rows a sender still owns are left out: their report is applied once the sender
        has written its result.

        :returns: position in ``reports`` → message id
        """
        rows = self.env.execute_query(
            SQL(
                """
                SELECT r.position, m.id
                  FROM unnest(%(positions)s::int[], %(refs)s::varchar[],
                              %(own_refs)s::varchar[], %(addresses)s::varchar[])
                       AS r (position, ref, own_ref, address)
                  JOIN member_message m ON m.gateway_id = %(gateway)s
                   AND m.provider_ref IN (r.ref, r.own_ref) AND m.address = r.address
                 WHERE m.state NOT IN ('queued', 'claimed')
             UNION ALL
                SELECT r.position, m.id
                  FROM unnest(%(positions)s::int[], %(keys)s::int[],
                              %(addresses)s::varchar[]) AS r (position, key, address)
                  JOIN member_message m ON m.gateway_id = %(gateway)s
                   AND m.id = r.key AND m.address = r.address
                 WHERE m.state NOT IN ('queued', 'claimed')
                """,
                positions=list(range(len(reports))),
                refs=[report.provider_ref for report in reports],
                own_refs=[report.alternative_ref for report in reports],
                keys=[report.key and int(report.key) for report in reports],
                addresses=[report.address for report in reports],
                gateway=gateway.id,
            )
        )
        return dict(rows)

    def _note_failures(self, reports, matches):
        """Keep the provider's words, void the coupon, and honour its block list."""
        failed = {
            matches[position]: report
            for position, report in enumerate(reports)
            if position in matches and report.status == "failed"
        }
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET provider_code = f.code, provider_message = f.message
                  FROM unnest(%s::int[], %s::varchar[], %s::varchar[])
                       AS f (id, code, message)
                 WHERE f.id = m.id AND m.state = 'failed'
                """,
                list(failed),
                [report.provider_code for report in failed.values()],
                [report.provider_message for report in failed.values()],
            )
        )
        messages = self.env["member.message"]
        messages._void_coupons(list(failed))
        for message_id, report in failed.items():
            if report.outcome is Outcome.OPTOUT:
                message = messages.browse(message_id)
                self.env["member.consent"]._refuse(
                    message.profile_id,
                    message.channel,
                    "reply",
                    f"{message.gateway_id.name}: {report.provider_code}",
                )

    @api.model
    def _query_providers(self, now=None):
        """Ask about messages whose answer got lost; providers that post nothing are
        asked about every message.

        :param datetime now: naive UTC time by which delays are judged
        """
        now = now or fields.Datetime.now()
        for gateway in self.env["member.gateway"].search([("active", "=", True)]):
            if Capability.QUERY in ADAPTERS[gateway.provider].capabilities:
                self._query_provider(gateway, now)

    def _query_provider(self, gateway, now):
        adapter = gateway._get_adapter()
        states = ["uncertain"]
        if Capability.WEBHOOK not in adapter.capabilities:
            states.append("sent")
        domain = [
            ("gateway_id", "=", gateway.id),
            ("state", "in", states),
            ("sent_date", ">", now - QUERY_WINDOW),
        ]
        last_id = 0
        while messages := self.env["member.message"].search(
            [*domain, ("id", ">", last_id)], order="id", limit=QUERY_SIZE
        ):
            last_id = messages[-1].id
            pending = [
                PendingMessage(
                    str(message.id),
                    message.address,
                    message.provider_ref or None,
                    message.sent_date.replace(tzinfo=timezone.utc),
                )
                for message in messages
            ]
            self._apply_found(
                gateway, adapter.query(pending, now.replace(tzinfo=timezone.utc))
            )
