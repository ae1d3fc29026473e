from odoo import Command, fields
from odoo.tests import tagged

from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestReport(MemberMessagingCommon):
    """Two campaigns of very different size, so that an average of rates is wrong.

    ============ ==== ========= ======= ======== ======= ====
    campaign     sent delivered clicked redeemed revenue cost
    ============ ==== ========= ======= ======== ======= ====
    large (A, B) 4    2         1       1        90      0.20
    small        1    1         1       0        0       0.15
    ============ ==== ========= ======= ======== ======= ====
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gold = cls.env["member.tier"].create(
            {"name": "Gold", "sequence": 2, "min_revenue": 1_000_000}
        )
        cls.basic = cls.env["member.tier"].create({"name": "Basic", "sequence": 1})
        cls.profiles = cls.make_members(5)
        cls.profiles.tier_id = cls.basic
        cls.profiles[0].tier_id = cls.gold
        cls.gateway.optout_text = "Stop: TD"
        cls.template = cls.make_template("Sale!")
        cls.reports = cls.env["member.message.report"].with_user(cls.staff)

    def setUp(self):
        super().setUp()
        self.profiles[4].partner_id.phone = False
        self.large = self.make_campaign(
            self.profiles,
            name="Large",
            variant_ids=[
                Command.create(
                    {"name": name, "template_id": self.template.id, "share_rate": 50}
                )
                for name in "AB"
            ],
        )
        self.launch(self.large)
        self.small = self.make_campaign(self.profiles[0], name="Small")
        self.launch(self.small)
        self.send()
        self.messages = self.get_messages(self.large, state="sent")
        self.lone = self.get_messages(self.small)
        variant_a, variant_b = self.large.variant_ids
        self.update(self.messages, variant_id=variant_a.id)
        self.update(self.messages[3], variant_id=variant_b.id)
        self.update(self.messages, sent_date="2026-05-01 02:30:00")
        self.update(self.lone, sent_date="2026-05-01 03:10:00", cost=0.15)
        self.record("delivered", self.messages[:2] | self.lone)
        self.record("clicked", self.messages[0] | self.lone)
        order = self.make_sale(self.messages[0].partner_id)
        card = self.messages[0].card_id
        status = order._try_apply_code(card.code)
        order._apply_program_reward(status[card], card)
        order.action_confirm()
        self.env.invalidate_all()

    def update(self, messages, **values):
        """Write as the sender does, past the ORM."""
        for name, value in values.items():
            self.env.cr.execute(
                f"UPDATE member_message SET {name} = %s WHERE id IN %s",
                (value, tuple(messages.ids)),
            )
        self.env.invalidate_all()

    def record(self, event_type, messages):
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": event_type,
                    "date": fields.Datetime.now(),
                }
                for message in messages
            ]
        )

    def get_domain(self):
        return [("campaign_id", "in", (self.large | self.small).ids)]

    def get_figures(self, groupby, *measures, domain=None):
        """:returns: group → figures, as a graph asks for them"""
        groups = self.reports.formatted_read_group(
            domain or self.get_domain(), groupby, measures
        )
        return {
            tuple(
                group[name][1] if isinstance(group[name], tuple) else group[name]
                for name in groupby
            ): tuple(group[measure] for measure in measures)
            for group in groups
        }

    # -------------------------------------------------------------------- totals

    def test_rates_are_ratios_of_sums(self):
        measures = ["delivery_rate:avg", "click_rate:avg", "redemption_rate:avg"]
        total, by_campaign, by_both = self.reports.formatted_read_grouping_sets(
            self.get_domain(),
            [[], ["campaign_id"], ["campaign_id", "variant_id"]],
            measures,
        )

        def get_rates(group):
            return [
                None if group[name] is None else round(group[name], 1)
                for name in measures
            ]

        # mean of rates would say 75, 75, 25
        self.assertEqual(get_rates(total[0]), [60.0, 66.7, 33.3])
        self.assertEqual(
            {group["campaign_id"][1]: get_rates(group) for group in by_campaign},
            {"Large": [50.0, 50.0, 50.0], "Small": [100.0, 100.0, 0.0]},
        )
        large = {
            group["variant_id"][1]: get_rates(group)
            for group in by_both
            if group["campaign_id"][0] == self.large.id
            and self.reports.search_count(
                [*group["__extra_domain"], ("sent_count", "=", 1)]
            )
        }
        self.assertEqual(large["B"][0], 0.0)
        # nothing was delivered, so there is no rate of it
        self.assertFalse(large["B"][1])
        self.assertEqual(
            self.get_figures([], *measures)[()],
            tuple(total[0][measure] for measure in measures),
        )

    def test_sums(self):
        measures = [
            f"{name}:sum"
            for name in (
                "planned_count",
                "skipped_count",
                "sent_count",
                "delivered_count",
                "clicked_count",
                "redeemed_count",
                "revenue",
                "discount",
                "cost",
                "profit",
            )
        ]
        figures = self.get_figures(["campaign_id"], *measures)
        self.assertEqual(
            [round(value, 2) for value in figures["Large",]],
            [5, 1, 4, 2, 1, 1, 90, 10, 0.2, 89.8],
        )
        self.assertEqual(
            [round(value, 2) for value in figures["Small",]],
            [1, 0, 1, 1, 1, 0, 0, 0, 0.15, -0.15],
        )
        [roi] = self.get_figures([], "roi_rate:avg")[()]
        self.assertAlmostEqual(roi, 100 * (90 - 0.35) / 0.35)

    # -------------------------------------------------------------------- groups

    def test_groups(self):
        sent = "sent_count:sum"
        self.assertEqual(
            self.get_figures(["tier_id"], sent), {("Gold",): (2,), ("Basic",): (3,)}
        )
        self.assertEqual(self.get_figures(["channel"], sent), {("sms",): (5,)})
        self.assertEqual(
            self.get_figures(["gateway_id"], sent),
            # who was left out has none
            {("Test Account",): (5,), (False,): (0,)},
        )
        # staff work in Shanghai, eight hours ahead
        self.assertEqual(
            self.get_figures(["sent_hour"], sent),
            {("10:00",): (4,), ("11:00",): (1,), (False,): (0,)},
        )
        self.assertEqual(
            self.get_figures(["reason"], "skipped_count:sum"),
            {("no_address",): (1,), (False,): (0,)},
        )
        self.assertEqual(self.get_figures(["category"], sent), {("promotion",): (5,)})

    def test_drill_down(self):
        [group] = [
            group
            for group in self.reports.formatted_read_group(
                self.get_domain(), ["campaign_id"], ["redeemed_count:sum"]
            )
            if group["redeemed_count:sum"]
        ]
        row = self.reports.search(
            [*group["__extra_domain"], ("redeemed_count", "=", 1)]
        )
        self.assertRecordValues(
            row,
            [
                {
                    "message_id": self.messages[0].id,
                    "partner_id": self.messages[0].partner_id.id,
                    "revenue": 90,
                    "delivery_rate": 100,
                    "redemption_rate": 100,
                }
            ],
        )
        action = row.action_open_message()
        self.assertEqual(
            (action["res_model"], action["res_id"]),
            ("member.message", self.messages[0].id),
        )

    # ------------------------------------------------------------ on the campaign

    def test_funnel(self):
        campaign = self.large.with_user(self.staff)
        self.assertEqual(
            [(step["key"], step["count"], step["base"]) for step in campaign.funnel],
            [
                ("planned", 5, 5),
                ("reachable", 4, 5),
                ("sent", 4, 4),
                ("delivered", 2, 4),
                ("clicked", 1, 2),
                ("redeemed", 1, 2),
            ],
        )
        messages = self.env["member.message"].with_user(self.staff)
        for step in campaign.funnel:
            with self.subTest(step=step["key"]):
                self.assertEqual(
                    messages.search_count(
                        [("campaign_id", "=", campaign.id), *step["domain"]]
                    ),
                    step["count"],
                )
        self.assertEqual((campaign.revenue, campaign.cost), (90, 0.2))
        for action, count in (
            (campaign.action_view_messages(), 5),
            (campaign.action_view_unreached(), 1),
            (campaign.action_view_report(), 5),
        ):
            self.assertEqual(
                self.env[action["res_model"]]
                .with_user(self.staff)
                .search_count(action["domain"]),
                count,
            )

    def test_campaign_that_was_not_sent(self):
        campaign = self.make_campaign(self.profiles)
        self.assertRecordValues(
            campaign, [{"planned_count": 0, "progress_rate": 0, "revenue": 0}]
        )
        domain = [("campaign_id", "=", campaign.id)]
        [(rate,)] = self.get_figures([], "delivery_rate:avg", domain=domain).values()
        self.assertFalse(rate)
