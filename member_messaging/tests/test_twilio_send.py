import unittest
from collections import Counter

from odoo.tests import tagged

from .simulated import SimulatedProviderCase

try:
    from simulators.twilio import ACCOUNT, SERVICE, TOKEN, TwilioSimulator
except ImportError:  # the addon without its repository
    TwilioSimulator = None


@unittest.skipUnless(TwilioSimulator, "tests/simulators is not on the path")
@tagged("post_install", "-at_install")
class TestTwilioSend(SimulatedProviderCase):
    """The whole way to Twilio, and back by signed callbacks."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = cls.enterClassContext(
            TwilioSimulator(sleep=lambda seconds: None)
        )
        cls.env["ir.config_parameter"].set_param("web.base.url", cls.base_url())
        cls.gateway = cls.env["member.gateway"].create(
            {
                "name": "Twilio",
                "provider": "twilio",
                "priority": 1,
                "api_key": ACCOUNT,
                "api_secret": TOKEN,
                "endpoint": cls.simulator.url,
                "twilio_messaging_service": SERVICE,
                "rate_per_second": 0,
            }
        )

    def launch_campaign(self, amount):
        messages = self.launch(
            self.make_campaign(self.make_members(amount), gateway_id=self.gateway.id)
        )
        self.run_cron("send")
        return messages

    def test_campaign_with_reports_and_a_refusal(self):
        messages = self.launch_campaign(20)
        self.assertEqual(self.simulator.accepted, Counter(messages.mapped("address")))
        self.assertEqual(set(messages.mapped("state")), {"sent"})
        dead = messages[3]
        self.simulator.receipt(dead.address, "30005")
        self.assertEqual(self.push_reports(), {True: 40})
        self.assertTrue(self.push_replies((messages[0].address, "STOP")))
        self.assertEqual(set(self.simulator.answers), {b"<Response/>"})
        self.run_cron("apply")
        self.assertEqual(
            Counter(messages.mapped("state")), {"delivered": 19, "failed": 1}
        )
        self.assertEqual(dead.state, "failed")
        self.assertEqual(messages[0].profile_id.consent_ids[0].state, "refused")
        self.assertFalse(self.env["member.callback.rejection"].search([]))

    def test_lost_answer_is_found_by_the_callback(self):
        """The address of the callback carries our reference; nothing is sent again."""
        self.simulator.drop_next(2)
        messages = self.launch_campaign(2)
        self.assertEqual(set(messages.mapped("state")), {"uncertain"})
        self.assertEqual(self.push_reports(), {True: 4})
        self.run_cron("apply")
        self.assertEqual(set(messages.mapped("state")), {"delivered"})
        self.assertEqual(set(self.simulator.accepted.values()), {1})

    def test_told_twice_is_the_same(self):
        messages = self.launch_campaign(1)
        self.push_reports()
        self.run_cron("apply")
        self.simulator.messages[0].told.clear()
        self.push_reports()
        self.run_cron("apply")
        self.assertEqual(
            Counter(messages.event_ids.mapped("type")), {"sent": 1, "delivered": 1}
        )
        self.assertEqual(
            set(self.env["member.callback"].search([]).mapped("state")), {"done"}
        )

    def test_wrong_token_stops_the_gateway(self):
        self.gateway.api_secret = "mistyped"
        messages = self.launch_campaign(3)
        self.assertFalse(self.simulator.accepted)
        self.assertEqual(self.gateway.state, "paused")
        self.assertIn("20003", self.gateway.pause_reason)
        self.assertEqual(set(messages.mapped("state")), {"queued"})
