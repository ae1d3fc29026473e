import logging
import random
from datetime import timedelta, timezone
from functools import partial

from odoo import api, fields, models
from odoo.service.model import retrying

from ..gateways import ADAPTERS
from ..gateways.types import Capability, PendingMessage
from .member_message import UNCERTAIN_REASONS

_logger = logging.getLogger(__name__)

#: How long after sending a provider is asked about a message.
QUERY_WINDOW = timedelta(days=3)


class MemberCallback(models.Model):
    """Asking providers: for answers that got lost, and where nothing is posted."""

    _inherit = "member.callback"

    @api.model
    def _query_providers(self, now=None, checkpoint=None):
        """Ask about messages whose answer got lost; providers that post nothing are
        asked about every message.

        :param datetime now: naive UTC time by which delays are judged
        :param checkpoint: for crons. Commits; gets the number of messages asked about
            since the last time, returns the seconds that are left. None: everything
            happens in the transaction of the caller.
        """
        now = now or fields.Datetime.now()
        run = partial(retrying, env=self.env) if checkpoint else lambda work: work()
        for gateway in self.env["member.gateway"].search([("active", "=", True)]):
            if Capability.QUERY in ADAPTERS[gateway.provider].capabilities:
                for count in self._query_provider(gateway, now, run):
                    if checkpoint and not checkpoint(count):
                        return

    def _query_provider(self, gateway, now, run):
        """Ask about all messages of an account, a few at a time.

        :param run: calls what it is given, until no other transaction is in its way
        :returns: generator of the numbers of messages asked about
        """
        adapter = gateway._get_adapter()
        message_ids = self._find_pending(gateway, adapter, now)
        while message_ids:
            chunk = message_ids[: adapter.query_size]
            message_ids = message_ids[adapter.query_size :]
            pending = self._prepare_pending(chunk)
            # The provider may take its time: no transaction is left open for it.
            yield 0
            found = self._ask(adapter, pending, now)
            run(partial(self._apply_found, [(gateway, item) for item in found]))
            yield len(chunk)

    @api.model
    def _ask(self, adapter, pending, now):
        """:returns: what a provider tells about messages

        A fault in one adapter keeps no other provider from being asked.
        """
        try:
            return adapter.query(pending, now.replace(tzinfo=timezone.utc))
        except Exception:
            _logger.exception("%s: adapter failed while asking", adapter.code)
            return []

    def _find_pending(self, gateway, adapter, now):
        """:returns: ids of the messages whose fate the provider may know"""
        # reasons and the time of the claim have indexes, the state has none
        domain = fields.Domain(
            [("state", "=", "uncertain"), ("reason", "in", UNCERTAIN_REASONS)]
        )
        if Capability.WEBHOOK not in adapter.capabilities:
            domain |= fields.Domain("state", "=", "sent")
        domain &= fields.Domain(
            [
                ("gateway_id", "=", gateway.id),
                ("claimed_date", ">", now - QUERY_WINDOW),
            ]
        )
        message_ids = self.env["member.message"].search(domain, order="id").ids
        if not adapter.is_simulation:
            # Time may be up before the end: it must not always be the same messages
            # that are left out.
            random.shuffle(message_ids)
        return message_ids

    def _prepare_pending(self, message_ids):
        return [
            PendingMessage(
                str(message.id),
                message.address,
                message.provider_ref or None,
                message.sent_date.replace(tzinfo=timezone.utc),
            )
            for message in self.env["member.message"].browse(message_ids).exists()
        ]
