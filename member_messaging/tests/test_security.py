import base64

from lxml import etree

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged

from ..gateways.types import InboundMessage
from ..models.member_message_plan import PIECES
from .common import MemberMessagingCommon

SECRETS = (
    "api_key",
    "api_secret",
    "endpoint",
    "callback_secret",
    "twilio_key_secret",
    "generic_url",
    "generic_headers",
    "generic_body",
    "generic_secret_value",
)
#: Model → what staff and managers may do: read, write, create, unlink.
RIGHTS = {
    "member.attribution": ("r", "r"),
    "member.callback": ("", "r"),
    "member.callback.rejection": ("", "r"),
    "member.campaign": ("rwcu", "rwcu"),
    "member.campaign.load": ("r", "r"),
    "member.campaign.variant": ("rwcu", "rwcu"),
    "member.complaint": ("rc", "rwc"),
    "member.consent": ("r", "r"),
    "member.consent.record": ("rwc", "rwc"),
    "member.event": ("r", "r"),
    "member.former.number": ("r", "r"),
    "member.gateway": ("r", "rw"),
    "member.gateway.try": ("", ""),
    "member.gateway.code": ("r", "rwcu"),
    "member.gateway.report": ("r", "r"),
    "member.gateway.signature": ("r", "rwcu"),
    "member.gateway.test": ("", "rwc"),
    "member.gateway.test.value": ("", "rwcu"),
    "member.import": ("rwcu", "rwcu"),
    "member.import.column": ("rwcu", "rwcu"),
    "member.import.line": ("r", "r"),
    "member.import.mapping": ("r", "r"),
    "member.inbound": ("rw", "rw"),
    "member.keyword": ("r", "rwcu"),
    "member.keyword.answer": ("r", "r"),
    "member.message": ("r", "r"),
    "member.message.report": ("r", "r"),
    "member.message.archive": ("", ""),
    "member.message.export": ("", "rwc"),
    "member.order": ("r", "r"),
    "member.privacy.log": ("", "r"),
    "member.profile.erase": ("", "rwc"),
    "member.join.setup": ("", "rwc"),
    "member.profile": ("rwc", "rwcu"),
    "member.profile.enrol": ("rwc", "rwc"),
    "member.rfm.scale": ("r", "rwcu"),
    "member.rfm.segment": ("r", "rwcu"),
    "member.segment": ("rwcu", "rwcu"),
    "member.send.cap": ("r", "rwcu"),
    "member.send.policy": ("r", "rwc"),
    "member.sending.hours": ("r", "rwcu"),
    "member.campaign.audience": ("r", "r"),
    "member.gateway.load": ("r", "r"),
    "member.lane": ("r", "r"),
    "member.queue": ("r", "r"),
    "member.join": ("", ""),
    "member.quota": ("", ""),
    "member.suppression": ("", "r"),
    "member.service.message": ("", "r"),
    "member.tag.assignment": ("r", "r"),
    "member.tag.rule": ("r", "rwcu"),
    "member.template": ("rwcu", "rwcu"),
    "member.template.registration": ("rwcu", "rwcu"),
    "member.tier": ("r", "rwcu"),
    "member.timeline": ("r", "r"),
    "member.tier.change": ("r", "r"),
    "member.tier.lock": ("rwc", "rwc"),
}
OPERATIONS = {"r": "read", "w": "write", "c": "create", "u": "unlink"}


@tagged("post_install", "-at_install")
class TestSecurity(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = [
            model for name, model in cls.env.items() if name.startswith("member.")
        ]

    # -------------------------------------------------------------------- models

    def get_rights(self, model, user):
        """:returns: letters of the operations a user may do"""
        return "".join(
            letter
            for letter, operation in OPERATIONS.items()
            if model.with_user(user).has_access(operation)
        )

    def test_rights(self):
        self.assertEqual(
            {
                model._name: tuple(
                    self.get_rights(model, user) for user in (self.staff, self.manager)
                )
                for model in self.models
            },
            RIGHTS,
        )

    def test_nobody_else_has_rights(self):
        clerk = self.make_user("clerk", "base.group_user")
        for user in (clerk, self.salesperson, self.env.ref("base.public_user")):
            with self.subTest(user=user.login):
                allowed = [
                    model._name for model in self.models if self.get_rights(model, user)
                ]
                self.assertEqual(allowed, [])

    def test_models_are_described(self):
        for model in self.models:
            self.assertNotEqual(model._description, model._name)

    # ------------------------------------------------------------------- secrets

    def test_secrets_of_an_account(self):
        self.gateway.write(
            {"api_key": "LTAI", "api_secret": "hush", "endpoint": "x.cn"}
        )
        self.env.ref("base.group_allow_export").user_ids += self.staff | self.manager
        for user in (self.staff, self.manager):
            gateway = self.gateway.with_user(user)
            self.assertEqual(gateway.name, "Test Account")
            self.assertFalse(
                {*SECRETS, "report_url"} & set(gateway.fields_get()), user.login
            )
            self.assertFalse(
                {*SECRETS, "report_url"} & set(gateway.read()[0]), user.login
            )
            for name in SECRETS:
                with self.subTest(user=user.login, field=name):
                    for attempt in (
                        lambda gateway, name: gateway.read([name]),
                        lambda gateway, name: gateway.export_data([name]),
                        lambda gateway, name: gateway.search([(name, "=like", "h%")]),
                        lambda gateway, name: gateway.search([], order=name),
                        lambda gateway, name: gateway.formatted_read_group([], [name]),
                        lambda gateway, name: gateway.write({name: "mine"}),
                        lambda gateway, name: gateway.env["member.campaign"].search(
                            [(f"gateway_id.{name}", "=like", "h%")]
                        ),
                    ):
                        with self.assertRaises(AccessError):
                            attempt(gateway, name)
            with self.assertRaises(AccessError):
                gateway.read(["report_url"])
        administrator = self.make_user("administrator", "base.group_system")
        self.assertEqual(
            self.gateway.with_user(administrator).read(["api_secret"])[0]["api_secret"],
            "hush",
        )

    def find_secrets(self):
        """:returns: names of the fields that open an account at any provider: those
        closed to everybody but administrators and left out of copies
        """
        return {
            name
            for name, field in self.env["member.gateway"]._fields.items()
            if field.groups == "base.group_system"
            and field.store
            and not field.copy
            and field.type in ("char", "text")
        }

    def test_secrets_of_every_provider(self):
        names = self.find_secrets()
        self.assertLessEqual({"api_key", "api_secret", "callback_secret"}, names)
        gateway = self.gateway
        gateway.write({name: f"hush {name}" for name in names})
        cashier = self.make_user("cashier", "point_of_sale.group_pos_user")
        users = self.staff | self.manager | cashier
        self.env.ref("base.group_allow_export").user_ids += users
        for user in users:
            account = gateway.with_user(user)
            for name in names:
                with self.subTest(user=user.login, field=name):
                    with self.assertRaises(AccessError):
                        account.read([name])
                    with self.assertRaises(AccessError):
                        account.export_data([name])
                    with self.assertRaises(AccessError):
                        account.search([(name, "=like", "h%")])
                    with self.assertRaises(AccessError):
                        account.write({name: "mine"})
        copy = gateway.copy()
        for name in names:
            self.assertNotEqual(copy[name], gateway[name], name)
        for name in ("api_secret", "callback_secret"):
            self.assertNotIn(f"hush {name}", repr(gateway._get_adapter().config))

    def test_secrets_are_dots_on_the_screen(self):
        administrator = self.make_user("administrator", "base.group_system")
        form = (
            self.env["member.gateway"]
            .with_user(administrator)
            .get_view(view_type="form")["arch"]
        )
        tree = etree.fromstring(form)
        # what is compared with the provider's console has to be read
        for name in self.find_secrets() - {"api_key", "twilio_key_sid"}:
            for node in tree.iterfind(f".//field[@name='{name}']"):
                self.assertEqual(node.get("password"), "True", name)

    def test_staff_send_without_seeing_secrets(self):
        gateway = self.make_aliyun_gateway().with_user(self.staff)
        self.assertEqual(gateway._get_adapter().config.api_secret, "secret")
        self.assertNotIn("secret", repr(gateway._get_adapter().config))

    def test_secret_part_of_the_link(self):
        [message] = self.make_sent(self.make_members(1))
        token = message.token
        for user in (self.staff, self.manager):
            seen = message.with_user(user)
            self.assertIn(token, seen.body, "what the member reads, staff may read")
            self.assertNotIn("token", seen.fields_get())
            with self.assertRaises(AccessError):
                seen.read(["token"])
            with self.assertRaises(AccessError):
                seen.search([("token", "=", token)])

    def test_copy_of_an_account_is_empty(self):
        self.gateway.write({"api_key": "LTAI", "api_secret": "hush"})
        copy = self.gateway.copy()
        self.assertRecordValues(copy, [{"api_key": False, "api_secret": False}])
        self.assertGreaterEqual(len(copy.callback_secret), 32)
        self.assertNotEqual(copy.callback_secret, self.gateway.callback_secret)

    def test_copy_of_a_database_reaches_nobody(self):
        gateway = self.make_aliyun_gateway()
        gateway.write({name: f"hush {name}" for name in self.find_secrets()})
        secret = gateway.callback_secret
        self.launch(self.make_campaign(self.make_members(1), gateway_id=gateway.id))
        self.env.flush_all()
        for query in get_neutralization_queries(["member_messaging"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.assertEqual(gateway.state, "paused")
        for name in self.find_secrets() - {"callback_secret"}:
            self.assertFalse(gateway[name], name)
        self.assertNotEqual(gateway.callback_secret, secret)
        self.assertFalse(self.send(provider="aliyun"))
        self.assertEqual(self.gateway.state, "active", "the sandbox goes on playing")

    # -------------------------------------------------------------------- launch

    def test_staff_cannot_launch_past_the_button(self):
        campaign = self.make_campaign(self.make_members(1))
        for state in ("scheduled", "sending"):
            with (
                self.subTest(state=state),
                self.assertRaisesRegex(UserError, "Only a messaging manager"),
            ):
                campaign.with_user(self.staff).write({"state": state})
            with (
                self.subTest(state=state, create=True),
                self.assertRaisesRegex(UserError, "Only a messaging manager"),
            ):
                self.make_campaign(campaign.browse(), state=state)
        self.assertEqual(campaign.state, "draft")

    # ------------------------------------------------------------------ companies

    def test_companies_see_their_own(self):
        company = {"company_id": self.company.id}
        profile = self.make_members(1, **company)
        tier = self.env["member.tier"].create({"name": "Ours", **company})
        self.env["member.rfm.segment"].create({"name": "Ours", **company})
        always = {
            f"{day}_{end}": hour
            for day in ("week", "saturday", "sunday")
            for end, hour in (("from", 0), ("to", 24))
        }
        self.env["member.sending.hours"].create({"name": "Ours", **always, **company})
        self.policy.cap_ids = [Command.create({})]
        scale = self.env["member.rfm.scale"].create(company)
        self.env["member.tier.change"].create(
            {"profile_id": profile.id, "tier_id": tier.id, "kind": "manual"}
        )
        self.env["member.former.number"].create(
            {"profile_id": profile.id, "number": "OLD"}
        )
        tag = self.env["res.partner.category"].create({"name": "Ours"})
        rule = self.env["member.tag.rule"].create(
            {"category_id": tag.id, "kind": "domain", **company}
        )
        rule.action_apply()
        job = self.env["member.import"].create(
            {
                "file": base64.b64encode(b"name,number\r\nTom,T1\r\n"),
                "consent_source": "none",
                **company,
            }
        )
        job.action_read()
        job.action_check()
        self.template.write(company)
        self.template.registration_ids = [
            Command.create({"gateway_id": self.gateway.id, "code": "SMS_1"})
        ]
        [message] = self.make_sent(profile)
        order = self.make_sale(profile.partner_id)
        status = order._try_apply_code(message.card_id.code)
        order._apply_program_reward(status[message.card_id], message.card_id)
        order.action_confirm()
        self.env["member.inbound"]._receive(
            self.gateway,
            [InboundMessage(address=message.address, text="Hi", event_ref="1")],
        )
        keyword = self.env["member.keyword"].create(
            {"name": "Ours", "words": "hi", "answer": "Hi", **company}
        )
        self.env["member.keyword.answer"].create(
            {
                "keyword_id": keyword.id,
                "inbound_id": self.env["member.inbound"]
                .search([("message_id", "=", message.id)])
                .id,
                "address": message.address,
                "day": fields.Date.today(),
                "body": "Hi",
            }
        )
        self.env["member.complaint"].create({"address": message.address, **company})
        self.env["member.callback"].create({"gateway_id": self.gateway.id})
        self.env["member.callback.rejection"]._count([(self.gateway.id, "secret")])
        self.env["member.privacy.log"].with_user(self.manager)._note(
            "export", reference="Ours"
        )
        self.env["member.suppression"]._add_address(
            "+8613900000000", self.company, "sms", "promotion", "complaint"
        )
        account = {"gateway_id": self.gateway.id}
        self.env["member.gateway.code"].create({**account, "code": "x"})
        self.env["member.gateway.signature"].create({**account, "name": "Tea"})
        self.env["member.service.message"].create(
            {**account, "kind": "test", "address": message.address}
        )
        self.env["member.campaign.audience"].create(
            {
                "campaign_id": message.campaign_id.id,
                "position": 1,
                "size": 0,
                **dict.fromkeys(PIECES, "{}"),
            }
        )
        self.env.flush_all()
        _company, stranger = self.make_other_company()
        domains = {
            "member.attribution": [("message_id", "=", message.id)],
            "member.callback": [("gateway_id", "=", self.gateway.id)],
            "member.callback.rejection": [("gateway_id", "=", self.gateway.id)],
            "member.campaign": [("id", "=", message.campaign_id.id)],
            "member.campaign.audience": [
                ("campaign_id", "=", message.campaign_id.id),
            ],
            "member.campaign.load": [("campaign_id", "=", message.campaign_id.id)],
            "member.campaign.variant": [("id", "=", message.variant_id.id)],
            "member.consent": [("profile_id", "=", profile.id)],
            "member.event": [("message_id", "=", message.id)],
            "member.former.number": [("profile_id", "=", profile.id)],
            "member.gateway": [("id", "=", self.gateway.id)],
            "member.gateway.code": [("gateway_id", "=", self.gateway.id)],
            "member.gateway.load": [("gateway_id", "=", self.gateway.id)],
            "member.gateway.report": [("gateway_id", "=", self.gateway.id)],
            "member.gateway.signature": [("gateway_id", "=", self.gateway.id)],
            "member.complaint": [("message_id", "=", message.id)],
            "member.keyword": [("id", "=", keyword.id)],
            "member.keyword.answer": [("keyword_id", "=", keyword.id)],
            "member.lane": [("gateway_id", "=", self.gateway.id)],
            "member.queue": [("gateway_id", "=", self.gateway.id)],
            "member.import": [("id", "=", job.id)],
            "member.import.column": [("import_id", "=", job.id)],
            "member.import.line": [("import_id", "=", job.id)],
            "member.import.mapping": [("company_id", "=", self.company.id)],
            "member.inbound": [("message_id", "=", message.id)],
            "member.message": [("id", "=", message.id)],
            "member.message.report": [("message_id", "=", message.id)],
            "member.order": [("partner_id", "=", profile.partner_id.id)],
            "member.privacy.log": [("reference", "=", "Ours")],
            "member.profile": [("id", "=", profile.id)],
            "member.service.message": [("gateway_id", "=", self.gateway.id)],
            "member.segment": [("id", "=", message.campaign_id.segment_ids.id)],
            "member.send.policy": [("company_id", "=", self.company.id)],
            "member.sending.hours": [("name", "=", "Ours")],
            "member.send.cap": [("policy_id", "=", self.policy.id)],
            "member.suppression": [("company_id", "=", self.company.id)],
            "member.tag.assignment": [("rule_id", "=", rule.id)],
            "member.tag.rule": [("id", "=", rule.id)],
            "member.template": [("id", "=", self.template.id)],
            "member.template.registration": [("template_id", "=", self.template.id)],
            "member.rfm.scale": [("id", "=", scale.id)],
            "member.rfm.segment": [("name", "=", "Ours")],
            "member.tier": [("name", "=", "Ours")],
            "member.tier.change": [("profile_id", "=", profile.id)],
            "member.timeline": [("partner_id", "=", profile.partner_id.id)],
        }
        self.assertEqual(
            set(domains),
            {
                model._name
                for model in self.models
                if not model._transient
                and model.with_user(self.manager).has_access("read")
            },
        )
        for name, domain in domains.items():
            with self.subTest(model=name):
                model = self.env[name]
                self.assertTrue(model.with_user(self.manager).search(domain))
                self.assertFalse(model.with_user(stranger).search(domain))
                self.assertFalse(
                    model.with_user(stranger)._read_group(domain, [], ["__count"])[0][0]
                )

    def test_shared_members_and_templates(self):
        """What has no company is everybody's."""
        _company, stranger = self.make_other_company()
        profile = self.make_members(1)
        self.assertEqual(
            profile.with_user(stranger).joined_date,
            fields.Date.context_today(profile.with_user(self.staff)),
        )
        self.assertEqual(self.template.with_user(stranger).name, "Text")
