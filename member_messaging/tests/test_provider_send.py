import unittest
from collections import Counter

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from .simulated import SimulatedProviderCase

try:
    from simulators import infobip, tencent
except ImportError:  # the addon without its repository
    infobip = tencent = None


class ProviderSendCase(SimulatedProviderCase):
    """A campaign through an account that the form describes completely."""

    def send_campaign(self, count):
        messages = self.launch(
            self.make_campaign(self.make_members(count), gateway_id=self.gateway.id)
        )
        self.run_cron("send")
        return messages

    def get_phone(self, message):
        """:returns: a message's number as the simulator writes it"""
        return message.address

    def assertArrivedOnce(self, messages):
        self.assertEqual(
            self.simulator.accepted, Counter(map(self.get_phone, messages))
        )

    def check_whole_way(self, receipt):
        messages = self.send_campaign(30)
        self.assertEqual(Counter(messages.mapped("state")), {"sent": 30})
        self.assertArrivedOnce(messages)
        self.simulator.receipt(self.get_phone(messages[7]), receipt)
        self.assertEqual(self.push_reports(), {True: 1})
        self.assertTrue(self.push_replies((self.get_phone(messages[0]), "TD")))
        self.run_cron("apply")
        self.assertEqual(
            Counter(messages.mapped("state")), {"delivered": 29, "failed": 1}
        )
        self.assertEqual(messages[7].state, "failed")
        self.assertEqual(messages[0].profile_id.consent_ids[0].state, "refused")
        self.assertEqual(
            set(self.env["member.callback"].search([]).mapped("state")), {"done"}
        )

    def check_lost_answer(self):
        self.simulator.drop_next(1)
        messages = self.send_campaign(1)
        self.assertEqual(messages.state, "uncertain")
        self.assertArrivedOnce(messages)
        self.push_reports()
        self.run_cron("apply")
        self.assertEqual(messages.state, "delivered")

    def check_incomplete(self, field, label):
        value = self.gateway[field]
        self.gateway[field] = False
        with self.assertRaisesRegex(UserError, label):
            self.gateway.action_activate()
        self.gateway[field] = value
        self.gateway.action_activate()


@unittest.skipUnless(tencent, "tests/simulators is not on the path")
@tagged("post_install", "-at_install")
class TestTencentSend(ProviderSendCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = cls.enterClassContext(
            tencent.TencentSimulator(sleep=lambda seconds: None, max_param_length=35)
        )
        cls.gateway = cls.env["member.gateway"].create(
            {
                "name": "Tencent",
                "provider": "tencent",
                "api_key": tencent.SECRET_ID,
                "api_secret": tencent.SECRET_KEY,
                "endpoint": cls.simulator.url,
                "signature": tencent.SIGNATURE,
                "optout_text": "拒收请回复R",
                "tencent_app_id": tencent.APP_ID,
                "price": 0.05,
            }
        )
        cls.gateway.signature_ids.state = "approved"
        cls.template = cls.make_template(
            "尊敬的{{ member_name ||| 会员 }}，券码{{ coupon_code }}，见 {{ link }}",
            lang="zh_CN",
            registration_ids=[
                Command.create(
                    {
                        "gateway_id": cls.gateway.id,
                        "code": tencent.TEMPLATE,
                        "parameters": "2=coupon_code,1=member_name",
                        "state": "approved",
                    }
                )
            ],
        )

    def test_whole_way(self):
        self.check_whole_way("MK:0001")
        self.assertEqual(
            {text.phone: text.params for text in self.simulator.messages},
            {
                message.address: [message.partner_id.name, message.card_id.code]
                for message in self.env["member.message"].search(
                    [("gateway_id", "=", self.gateway.id)]
                )
            },
            "positional parameters",
        )

    def test_lost_answer(self):
        self.check_lost_answer()

    def test_incomplete(self):
        self.check_incomplete("tencent_app_id", "SdkAppId")

    def test_fetched_instead_of_posted(self):
        self.gateway.tencent_pull = True
        messages = self.send_campaign(3)
        self.simulator.settle()
        self.simulator.answer_members([(messages[0].address, "TD")])
        self.run_cron("apply")
        self.assertEqual(set(messages.mapped("state")), {"delivered"})
        self.assertEqual(messages[0].profile_id.consent_ids[0].state, "refused")
        self.assertEqual(self.simulator.calls["PullSmsSendStatusByPhoneNumber"], 0)


@unittest.skipUnless(infobip, "tests/simulators is not on the path")
@tagged("post_install", "-at_install")
class TestInfobipSend(ProviderSendCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = cls.enterClassContext(
            infobip.InfobipSimulator(sleep=lambda seconds: None)
        )
        cls.gateway = cls.env["member.gateway"].create(
            {
                "name": "Infobip",
                "provider": "infobip",
                "api_key": infobip.API_KEY,
                "endpoint": cls.simulator.url,
                "infobip_sender": infobip.SENDER,
                "optout_text": "STOP",
                "price": 0.05,
            }
        )

    def get_phone(self, message):
        return message.address.removeprefix("+")

    def test_whole_way(self):
        self.check_whole_way("EC_UNKNOWN_SUBSCRIBER")
        messages = self.env["member.message"].search(
            [("gateway_id", "=", self.gateway.id)]
        )
        self.assertEqual(
            {text.phone: text.content for text in self.simulator.messages},
            {self.get_phone(message): message.body for message in messages},
        )
        self.assertEqual(
            {text.params["callback_url"] for text in self.simulator.messages},
            {self.gateway.report_url},
            "where the reports go is told with each message",
        )

    def test_lost_answer(self):
        self.check_lost_answer()

    def test_incomplete(self):
        self.check_incomplete("endpoint", "Base URL")
