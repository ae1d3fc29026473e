import unittest
from collections import Counter
from urllib.parse import urlsplit

from odoo import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .simulated import SimulatedProviderCase

try:
    from simulators.aliyun import (
        KEY_ID,
        KEY_SECRET,
        SIGNATURE,
        TEMPLATE,
        AliyunSimulator,
    )
except ImportError:  # the addon without its repository
    AliyunSimulator = None


@unittest.skipUnless(AliyunSimulator, "tests/simulators is not on the path")
@tagged("post_install", "-at_install")
class TestAliyunSend(SimulatedProviderCase):
    """Registered texts at a provider that checks signatures."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.simulator = cls.enterClassContext(
            AliyunSimulator(
                templates={
                    TEMPLATE: "尊敬的${name}，券码${code}，见 shop.cn/m/${path}"
                },
                sleep=lambda seconds: None,
            )
        )
        cls.gateway = cls.make_aliyun_gateway(
            api_key=KEY_ID,
            api_secret=KEY_SECRET,
            endpoint=cls.simulator.url,
            signature=SIGNATURE,
            optout_text="拒收请回复R",
        )
        cls.template = cls.make_template(
            "尊敬的{{ member_name ||| 会员 }}，券码{{ coupon_code }}，见 {{ link }}",
            lang="zh_CN",
            registration_ids=[
                Command.create(
                    {
                        "gateway_id": cls.gateway.id,
                        "code": TEMPLATE,
                        "state": "approved",
                        "parameters": "name=member_name,code=coupon_code,"
                        "path=link_token",
                    }
                )
            ],
        )

    def assertArrivedOnce(self, messages):
        """Everybody got one text, with the values that belong to them."""
        self.assertEqual(
            self.simulator.accepted,
            Counter(message.address.removeprefix("+86") for message in messages),
        )
        self.assertEqual(
            {text.phone: text.params for text in self.simulator.messages},
            {
                message.address.removeprefix("+86"): {
                    "name": message.partner_id.name,
                    "code": message.card_id.code,
                    "path": message.token,
                }
                for message in messages
            },
        )

    def test_thousand_members(self):
        profiles = self.make_members(1000)
        campaign = self.make_campaign(profiles)
        messages = self.launch(campaign)
        self.run_cron("send")
        self.assertEqual(self.simulator.calls, {"SendBatchSms": 10})
        self.assertEqual(Counter(messages.mapped("state")), {"sent": 1000})
        self.assertArrivedOnce(messages)
        self.assertEqual(campaign.state, "done")
        self.assertEqual(len(set(messages.card_id.mapped("code"))), 1000)

        dead, refusing = messages[7], messages[600]
        self.simulator.receipt(dead.address.removeprefix("+86"), "MK:0001")
        self.simulator.receipt(refusing.address.removeprefix("+86"), "MBBLACK")
        self.assertEqual(self.push_reports(), {True: 10})
        self.run_cron("apply")
        self.assertEqual(
            Counter(messages.mapped("state")), {"delivered": 998, "failed": 2}
        )
        self.assertEqual((dead | refusing).mapped("state"), ["failed", "failed"])
        self.assertEqual(
            messages.card_id.with_context(active_test=False).filtered(
                lambda card: not card.active
            ),
            (dead | refusing).card_id,
        )
        self.assertEqual(refusing.profile_id.consent_ids[0].state, "refused")
        self.assertEqual(
            set(self.env["member.callback"].search([]).mapped("state")), {"done"}
        )

    def test_console_probes_the_address(self):
        """It must be answered like a push before the console accepts it."""
        path = urlsplit(self.gateway.report_url).path
        answer = self.url_open(path)
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.json(), {"code": 0, "msg": "成功"})
        self.assertEqual(self.url_open(f"{path}x").status_code, 403)
        self.assertFalse(self.env["member.callback"].search([]))

    def test_extension_code(self):
        self.gateway.aliyun_extend_code = "77"
        adapter = self.gateway._get_adapter()
        self.assertEqual(adapter.config.options, {"extend_code": "77"})

    def test_wrong_credentials(self):
        profiles = self.make_members(120)
        campaign = self.make_campaign(profiles)
        messages = self.launch(campaign)
        self.gateway.api_secret = "mistyped"
        self.run_cron("send")
        self.assertFalse(self.simulator.accepted)
        self.assertEqual(self.gateway.state, "paused")
        self.assertIn("SignatureDoesNotMatch", self.gateway.pause_reason)
        self.assertEqual(Counter(messages.mapped("state")), {"queued": 120})
        self.assertEqual(campaign.state, "sending")
        codes = messages.card_id.mapped("code")
        self.assertEqual(len(codes), 120)
        self.assertTrue(all(messages.card_id.mapped("active")))
        self.run_cron("send")
        self.assertFalse(self.simulator.accepted)

        self.gateway.api_secret = KEY_SECRET
        self.gateway.with_user(self.manager).action_activate()
        self.move_due(messages)
        self.run_cron("send")
        self.assertArrivedOnce(messages)
        self.assertEqual(messages.card_id.mapped("code"), codes)
        self.assertEqual(campaign.state, "done")

    def test_lost_answer(self):
        """The call arrived and its answer did not: the report says so."""
        messages = self.launch(self.make_campaign(self.make_members(3)))
        self.simulator.drop_next(1)
        self.run_cron("send")
        self.assertEqual(set(messages.mapped("state")), {"uncertain"})
        self.move_due(messages)
        self.run_cron("send")
        self.assertArrivedOnce(messages)
        self.assertEqual(self.push_reports(), {True: 1})
        self.run_cron("apply")
        self.assertEqual(set(messages.mapped("state")), {"delivered"})

    def test_lost_answer_without_report(self):
        """The account is asked instead."""
        messages = self.launch(self.make_campaign(self.make_members(2)))
        self.simulator.drop_next(1)
        self.run_cron("send")
        self.simulator.settle()
        self.run_cron("apply")
        self.assertEqual(self.simulator.calls["QuerySendDetails"], 2)
        self.assertEqual(set(messages.mapped("state")), {"delivered"})

    def test_bad_number_among_good_ones(self):
        messages = self.launch(self.make_campaign(self.make_members(5)))
        self.simulator.fail_phone(
            messages[2].address.removeprefix("+86"), "isv.MOBILE_NUMBER_ILLEGAL"
        )
        self.run_cron("send")
        self.assertEqual(
            messages.mapped("state"), ["sent", "sent", "failed", "sent", "sent"]
        )
        self.assertArrivedOnce(messages - messages[2])

    def test_template_the_vendor_does_not_know(self):
        self.template.registration_ids.code = "SMS_2"
        campaign = self.make_campaign(self.make_members(2))
        messages = self.launch(campaign)
        self.run_cron("send")
        self.assertEqual(campaign.state, "paused")
        self.assertIn("isv.SMS_TEMPLATE_ILLEGAL", campaign.pause_reason)
        self.assertEqual(set(messages.mapped("state")), {"queued"})
        self.template.registration_ids.code = TEMPLATE
        campaign.with_user(self.manager).action_resume()
        self.move_due(messages)
        self.run_cron("send")
        self.assertArrivedOnce(messages)

    def test_value_the_vendor_does_not_take(self):
        """A name longer than the vendor allows concerns its bearer only."""
        messages = self.launch(self.make_campaign(self.make_members(3)))
        messages[1].partner_id.name = "长" * 36
        with mute_logger("odoo.addons.member_messaging.gateways.aliyun"):
            self.run_cron("send")
        self.assertRecordValues(
            messages,
            [
                {"state": "sent", "reason": False},
                {"state": "failed", "reason": "rejected_content"},
                {"state": "sent", "reason": False},
            ],
        )
