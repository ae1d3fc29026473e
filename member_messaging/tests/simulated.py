from urllib.parse import urlsplit

from odoo.tests import HttpCase

from .common import MemberMessagingCommon


class SimulatedProviderCase(MemberMessagingCommon, HttpCase):
    """The whole way to a provider on this computer, and back.

    :cvar simulator: the provider; :cvar gateway: the account there
    """

    simulator = None
    gateway = None

    @classmethod
    def _request_handler(cls, session, request, /, **options):
        # lets calls to this computer pass, but does not know pairs of timeouts
        if isinstance(options.get("timeout"), tuple):
            options["timeout"] = sum(options["timeout"])
        return super()._request_handler(session, request, **options)

    def setUp(self):
        super().setUp()
        self.simulator.reset()

    def get_callback_url(self):
        return f"{self.base_url()}{urlsplit(self.gateway.report_url).path}"

    def push_reports(self):
        """The vendor posts what the carriers said to our callback address."""
        with self.allow_requests(all_requests=True):
            return self.simulator.push_reports(self.get_callback_url())

    def push_replies(self, *replies):
        """The vendor posts what members answered, pairs of number and text."""
        with self.allow_requests(all_requests=True):
            return self.simulator.push_replies(self.get_callback_url(), replies)
