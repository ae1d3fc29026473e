from functools import partial

from odoo import models

from ..gateways.dispatch import Pace, dispatch
from ..gateways.types import Outbound
from ..tools.throttle import BREAK_AFTER, divide_rate
from ..transaction import commit_short


def get_key(row):
    """Return the key by which a provider is told of a claimed message.

    Messages of campaigns and others are numbered each for themselves: those of others
    count below zero. A provider that is told the key as a reference must never take
    one for the other.
    """
    return str(row.get("key", row["id"]))


class MemberMessage(models.Model):
    """Calling the provider. Only a sender gets here, after its claim is committed."""

    _inherit = "member.message"

    def _call(self, gateway, claimed, is_probe=False):
        """Hand claimed messages to the provider.

        :param list[dict] claimed: see :meth:`_claim`
        :param bool is_probe: the provider was not answering: give up at once if it
            still does not
        :rtype: odoo.addons.member_messaging.gateways.dispatch.Dispatched
        """
        adapter = gateway._get_adapter()
        pace = None
        if gateway.rate_per_second or gateway.daily_limit:
            pace = Pace(partial(self._book, gateway))
        outbound = [
            Outbound(
                get_key(row),
                row["address"],
                row["body"],
                row["template_code"],
                row["params"],
            )
            for row in claimed
        ]
        return dispatch(
            adapter,
            outbound,
            partial(divide_rate, gateway.rate_per_second),
            1 if is_probe else gateway.connection_count,
            pace,
            1 if is_probe else BREAK_AFTER,
        )

    def _book(self, gateway, count, seconds):
        loads = self.env["member.gateway.load"]
        return commit_short(self.env, loads._book_call, gateway, count, seconds)
