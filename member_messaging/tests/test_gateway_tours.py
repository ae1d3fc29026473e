import unittest

from odoo.tests import tagged

from .simulated import SimulatedProviderCase

try:
    from simulators.aliyun import TEMPLATE, AliyunSimulator
    from simulators.twilio import TwilioSimulator
except ImportError:  # the addon without its repository
    AliyunSimulator = TwilioSimulator = None


class GatewayTourCase(SimulatedProviderCase):
    """The first ten minutes of a shop with its provider: whatever people do happens in
    the browser, what the scheduler and the provider do happens between the tours.
    """

    #: Name of the gateway, and beginning of the names of the tours.
    gateway_name = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gateway.active = False
        cls.administrator = cls.make_user(
            "administrator",
            "base.group_system,member_messaging.group_member_messaging_manager",
        )
        cls.profiles = cls.make_members(3)
        cls.profiles[0].partner_id.name = "Amy"
        cls.make_segment(cls.profiles, name="Tea lovers")

    def run_tour(self, name):
        self.start_tour(
            # the address of the provider shows in developer mode
            "/odoo?debug=1",
            f"member_messaging_gateway_{self.gateway_name.lower()}_{name}",
            login=self.administrator.login,
            cookies={"endpoint": self.simulator.url},
            timeout=180,
        )
        self.env.invalidate_all()

    def get_phone(self, message):
        """:returns: the number as the provider writes it"""
        return message.address

    def play(self):
        """Create, test, send, and hear what has become of it.

        :returns: the messages of the campaign, Amy's first
        """
        self.run_tour("setup")
        self.gateway = self.env["member.gateway"].search(
            [("name", "=", self.gateway_name)]
        )
        self.assertRecordValues(
            self.gateway,
            [
                {
                    "state": "active",
                    "probe_state": "ok",
                    "is_callback_done": False,
                    "user_id": self.administrator.id,
                }
            ],
        )
        self.assertEqual(len(self.simulator.messages), 1, "the test SMS")
        # the carrier knows what has become of the test SMS
        self.push_reports()
        self.run_cron("apply")
        self.assertTrue(self.gateway.is_setup_done)

        self.run_tour("campaign")
        campaign = self.env["member.campaign"].search([("name", "=", "First campaign")])
        self.assertEqual(campaign.user_id, self.administrator)
        self.run_cron("plan")
        self.run_cron("send")
        messages = self.get_messages(campaign)
        self.assertEqual(messages.mapped("state"), ["sent"] * 3)
        self.assertEqual(
            [message.content for message in self.simulator.messages[1:]],
            messages.mapped("body"),
        )
        self.push_reports()
        self.assertTrue(self.push_replies((self.get_phone(messages[0]), "TD")))
        self.run_cron("apply")
        self.run_tour("recap")
        self.assertEqual(messages.mapped("state"), ["delivered"] * 3)
        self.assertEqual(
            [profile.consent_ids[0].state for profile in self.profiles],
            ["refused", "granted", "granted"],
        )
        self.assertFalse(self.env["member.callback.rejection"].search([]))
        return messages


@unittest.skipUnless(AliyunSimulator, "tests/simulators is not on the path")
@tagged("post_install", "-at_install")
class TestAliyunTour(GatewayTourCase):
    gateway_name = "Aliyun"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = cls.enterClassContext(
            AliyunSimulator(
                templates={TEMPLATE: "尊敬的${name}，新茶上市。 拒收请回复R"}
            )
        )

    def get_phone(self, message):
        return message.address.removeprefix("+86")

    def test_first_ten_minutes(self):
        messages = self.play()
        self.assertEqual(self.simulator.calls["QuerySmsTemplateList"], 1)
        self.assertEqual(
            [text.params for text in self.simulator.messages[1:]],
            [{"name": message.partner_id.name} for message in messages],
        )


@unittest.skipUnless(TwilioSimulator, "tests/simulators is not on the path")
@tagged("post_install", "-at_install")
class TestTwilioTour(GatewayTourCase):
    gateway_name = "Twilio"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = cls.enterClassContext(TwilioSimulator())
        # what Twilio calls, and signs
        cls.env["ir.config_parameter"].set_param("web.base.url", cls.base_url())

    def test_first_ten_minutes(self):
        self.play()
        self.assertEqual(set(self.simulator.answers), {b"<Response/>"})
