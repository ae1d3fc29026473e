from contextlib import contextmanager, nullcontext
from itertools import count
from unittest.mock import patch

from odoo import Command, fields
from odoo.tests import HttpCase, TransactionCase, new_test_user

from ..gateways import ADAPTERS
from ..gateways.types import Outcome, SendResult

BODY = (
    "Dear {{ member_name ||| member }}, code {{ coupon_code }} gives you "
    "{{ coupon_value }}: {{ link }} Stop: {{ unsubscribe_link }}"
)


class MemberMessagingCommon(TransactionCase):
    """A shop with a sandbox gateway; every test makes the members it needs.

    What people do is done here as they do it: with their own rights, by the methods
    behind their buttons, and by crons.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(
            context={
                **cls.env.context,
                "lang": "en_US",
                "no_reset_password": True,
                "tracking_disable": True,
            }
        )
        for code in ("en_US", "zh_CN"):
            cls.env["res.lang"]._activate_lang(code)
        cls.company = cls.env.company
        cls.numbers = count()
        cls.staff = cls.make_user(
            "staff", "member_messaging.group_member_messaging_user"
        )
        cls.manager = cls.make_user(
            "manager", "member_messaging.group_member_messaging_manager"
        )
        cls.salesperson = cls.make_user("salesperson", "sales_team.group_sale_salesman")
        cls.product = cls.make_product("Tea")
        # No starter data of the addon, which a shop may have changed.
        for model in (
            "member.tier",
            "member.segment",
            "member.template",
            "member.sending.hours",
        ):
            cls.env[model].search([]).active = False
        cls.env["member.gateway"].search([]).active = False
        cls.gateway = cls.env["member.gateway"].create(
            {
                "name": "Test Account",
                "provider": "sandbox",
                "price": 0.05,
                # what becomes of a message depends on its id: here nothing goes wrong
                "sandbox_badnum_rate": 0,
                "sandbox_delivered_rate": 1,
                "sandbox_refuse_rate": 0,
                "sandbox_yes_rate": 0,
            }
        )
        # one member gets more campaigns in an hour of testing than in a month
        cls.policy = cls.env["member.send.policy"].create(
            {"promotion_limit": 0, "gap_hours": 0, "cap_ids": False}
        )
        cls.program = cls.make_program()
        cls.template = cls.make_template(BODY)

    # ------------------------------------------------------------------- records

    @classmethod
    def make_user(cls, login, groups, company=None):
        company = company or cls.company
        return new_test_user(
            cls.env,
            login,
            groups=groups,
            lang="en_US",
            tz="Asia/Shanghai",
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )

    @classmethod
    def make_other_company(cls):
        """:returns: another company and a messaging manager who sees only that one"""
        company = cls.env["res.company"].create({"name": "Other"})
        return company, cls.make_user(
            "stranger", "member_messaging.group_member_messaging_manager", company
        )

    @classmethod
    def make_product(cls, name, price=100.0):
        return cls.env["product.product"].create(
            {
                "name": name,
                "list_price": price,
                "type": "consu",
                "available_in_pos": True,
                "taxes_id": [Command.clear()],
            }
        )

    @classmethod
    def make_program(cls, **values):
        """A coupon programme: 10 % off the order, once."""
        return cls.env["loyalty.program"].create(
            {
                "name": "Ten percent",
                "program_type": "coupons",
                # without it stock gives the discount to every order of a till
                "trigger": "with_code",
                "rule_ids": [
                    Command.clear(),
                    Command.create({"minimum_amount": 0, "minimum_qty": 0}),
                ],
                "reward_ids": [
                    Command.clear(),
                    Command.create(
                        {
                            "reward_type": "discount",
                            "discount_mode": "percent",
                            "discount": 10,
                            "required_points": 1,
                        }
                    ),
                ],
                "communication_plan_ids": [Command.clear()],
                **values,
            }
        )

    @classmethod
    def make_template(cls, body, **values):
        return cls.env["member.template"].create(
            {"name": "Text", "lang": "en_US", "body": body, **values}
        )

    @classmethod
    def make_partners(cls, amount, **values):
        """Contacts with mainland mobile numbers of their own."""
        return cls.env["res.partner"].create(
            [
                {
                    "name": f"Member {number}",
                    "phone": f"+86138{number:08d}",
                    "country_id": cls.env.ref("base.cn").id,
                    **values,
                }
                for _index in range(amount)
                for number in [next(cls.numbers)]
            ]
        )

    @classmethod
    def enrol(cls, partners, is_granted=True):
        """Make members of contacts by the dialog staff use.

        :returns: their profiles
        """
        cls.env["member.profile.enrol"].with_user(cls.staff).create(
            {
                "partner_ids": [Command.set(partners.ids)],
                "is_granted": is_granted,
                "evidence": is_granted and "Paper form",
            }
        ).action_enrol()
        return partners.member_profile_id

    @classmethod
    def make_members(cls, amount, is_granted=True, **values):
        """:returns: profiles of new members, by default with consent to promotions"""
        return cls.enrol(cls.make_partners(amount, **values), is_granted)

    @classmethod
    def make_aliyun_gateway(cls, **values):
        """An account at Alibaba Cloud; it knows the default template and signature."""
        gateway = cls.env["member.gateway"].create(
            {
                "name": "Aliyun",
                "provider": "aliyun",
                "api_key": "key",
                "api_secret": "secret",
                "signature": "Tea House",
                "price": 0.05,
                **values,
            }
        )
        gateway.signature_ids.state = "approved"
        cls.template.registration_ids = [
            Command.create(
                {"gateway_id": gateway.id, "code": "SMS_1", "state": "approved"}
            )
        ]
        return gateway

    @classmethod
    def make_segment(cls, profiles, **values):
        """A segment of exactly these members."""
        return cls.env["member.segment"].create(
            {
                "name": "Chosen",
                "domain": str([("member_profile_id", "in", profiles.ids)]),
                **values,
            }
        )

    @classmethod
    def make_campaign(cls, profiles, templates=None, **values):
        """A draft of staff, one variant of equal share per template."""
        templates = templates or cls.template
        return (
            cls.env["member.campaign"]
            .with_user(cls.staff)
            .create(
                {
                    "name": "Campaign",
                    "segment_ids": [Command.set(cls.make_segment(profiles).ids)],
                    "gateway_id": cls.gateway.id,
                    "program_id": cls.program.id,
                    "variant_ids": [
                        Command.create(
                            {
                                "name": "ABC"[index],
                                "template_id": template.id,
                                "share_rate": 100 / len(templates),
                            }
                        )
                        for index, template in enumerate(templates)
                    ],
                    **values,
                }
            )
        )

    # -------------------------------------------------------------------- orders

    @classmethod
    def make_sale(cls, partner, price=100.0, **values):
        """A quotation of a salesperson."""
        return (
            cls.env["sale.order"]
            .with_user(cls.salesperson)
            .create(
                {
                    "partner_id": partner.id,
                    "user_id": cls.salesperson.id,
                    "order_line": [
                        Command.create(
                            {"product_id": cls.product.id, "price_unit": price}
                        )
                    ],
                    **values,
                }
            )
        )

    @classmethod
    def sell(cls, partner, price=100.0, days=0):
        """A sales order confirmed ``days`` ago; past ones need a refresh to count."""
        order = cls.make_sale(partner, price)
        order.action_confirm()
        if days:
            order.date_order = fields.Datetime.subtract(order.date_order, days=days)
        return order

    # ------------------------------------------------------------------- running

    def run_cron(self, verb):
        """Let the scheduler run one of the addon's crons now."""
        cron = self.env.ref(f"member_messaging.ir_cron_member_messaging_{verb}")
        # an HttpCase is in this mode all the time
        mode = (
            nullcontext()
            if isinstance(self, HttpCase)
            else self.enter_registry_test_mode()
        )
        with mode:
            outcome = cron.method_direct_trigger()
        self.assertIs(outcome, True, "the cron failed")
        self.env.invalidate_all()

    @contextmanager
    def scripted_gateway(self, decide=None, provider="sandbox", **attributes):
        """Put an adapter whose outcomes the test chooses in the place of a provider's.

        :param decide: Outbound → Outcome or SendResult; by default all is accepted
        :param attributes: class attributes of the adapter
        :returns: list of the ``Outbound`` handed over, filled as they leave
        """
        sent = []

        def _send(adapter, batch):
            for message in batch:
                sent.append(message)
                result = decide(message) if decide else Outcome.OK
                if isinstance(result, Outcome):
                    result = SendResult(message.key, result, f"ref-{message.key}")
                yield result

        scripted = type(
            "ScriptedGateway", (ADAPTERS[provider],), {"_send": _send, **attributes}
        )
        with patch.dict(ADAPTERS, {provider: scripted}):
            yield sent

    def send(self, decide=None, **values):
        """Run the sender with outcomes of the test's choice.

        :param values: of :meth:`scripted_gateway`
        :returns: what was handed to the provider
        :rtype: list[odoo.addons.member_messaging.gateways.types.Outbound]
        """
        with self.scripted_gateway(decide, **values) as sent:
            self.run_cron("send")
        return sent

    def launch(self, campaign):
        """Staff submit, a manager launches, the audience is planned.

        :returns: the campaign's messages
        """
        campaign.with_user(self.staff).action_request_review()
        campaign.with_user(self.manager).action_launch()
        self.run_cron("plan")
        return self.get_messages(campaign)

    def get_messages(self, campaign, **values):
        """:returns: messages of a campaign with these values, in order of members

        Planning goes by the age of the members.
        """
        return self.env["member.message"].search(
            [
                ("campaign_id", "=", campaign.id),
                *((name, "=", value) for name, value in values.items()),
            ],
            order="id",
        )

    def make_sent(self, profiles, **values):
        """A campaign that has been accepted by the provider.

        :returns: its messages
        """
        campaign = self.make_campaign(profiles, **values)
        self.launch(campaign)
        self.send()
        return self.get_messages(campaign, state="sent")

    def move_due(self, messages):
        """Let postponed messages be due."""
        self.env.cr.execute(
            "UPDATE member_message SET due_date = %s WHERE id IN %s",
            (fields.Datetime.now(), tuple(messages.ids)),
        )
        messages.invalidate_recordset()

    def count_queries(self, function, *args):
        """:returns: number of SQL statements a call executes"""
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.cr.sql_log_count
        function(*args)
        self.env.flush_all()
        return self.cr.sql_log_count - before

    def get_row_versions(self, records):
        """:returns: id → physical place of the row, which any write changes"""
        self.env.flush_all()
        self.env.cr.execute(
            f"SELECT id, ctid::text FROM {records._table} WHERE id IN %s",
            (tuple(records.ids),),
        )
        return dict(self.env.cr.fetchall())
