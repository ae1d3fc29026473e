from odoo import Command, fields
from odoo.tests import TransactionCase, tagged

from ..demo import shop

#: Facts: none of them may lie in the future.
FACTS = {
    "sale.order": ("date_order",),
    "pos.order": ("date_order",),
    "member.message": (
        "claimed_date",
        "sent_date",
        "delivered_date",
        "clicked_date",
        "redeemed_date",
        "replied_date",
        "unsubscribed_date",
    ),
    "member.event": ("date",),
    "member.inbound": ("date",),
    "member.attribution": ("date",),
    "member.campaign": ("planned_date", "done_date"),
}


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """The made-up shop looks like a real one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # a shop of its own: others may have members already
        company = cls.env["res.company"].create({"name": "Tea Shop"})
        cls.env.user.write(
            {"company_ids": [Command.link(company.id)], "tz": "Asia/Shanghai"}
        )
        cls.env = cls.env(
            context={**cls.env.context, "allowed_company_ids": company.ids}
        )
        members = cls.env["member.profile"].search([])
        cls.now = fields.Datetime.now()
        shop.load(cls.env)
        cls.members = cls.env["member.profile"].search([]) - members
        cls.campaigns = cls.env["member.campaign"].search(
            [("company_id", "=", company.id)]
        )

    def get_shares(self, field):
        """:returns: value of a field of the members → share in %"""
        return {
            key: 100 * count / len(self.members)
            for key, count in self.env["member.profile"]._read_group(
                [("id", "in", self.members.ids)], [field], ["__count"]
            )
        }

    def test_members_are_of_all_kinds(self):
        self.assertEqual(len(self.members), 2400)
        lifecycles = self.get_shares("lifecycle")
        self.assertEqual(len(lifecycles), 5)
        self.assertGreater(min(lifecycles.values()), 1)
        segments = self.get_shares("rfm_segment_id")
        self.assertEqual(len(segments), 8)
        tiers = self.get_shares("tier_id")
        for name, share in (("silver", 10), ("gold", 5), ("vip", 1)):
            tier = self.env.ref(f"member_messaging.member_tier_{name}")
            self.assertGreater(tiers[tier], share, name)

    def test_campaigns_of_every_state(self):
        states = self.campaigns.grouped("state")
        self.assertEqual(set(states), {"done", "sending", "review", "draft"})
        self.assertGreaterEqual(len(states["done"]), 4)
        running = states["sending"]
        self.assertGreater(running.sent_count, 100)
        self.assertGreater(running.open_count, 100)

    def test_results_are_plausible(self):
        done = self.campaigns.filtered(lambda campaign: campaign.state == "done")
        for campaign, *rates in self.env["member.message.report"]._read_group(
            [("campaign_id", "in", done.ids)],
            ["campaign_id"],
            [
                "delivery_rate:avg",
                "click_rate:avg",
                "redemption_rate:avg",
                "unsubscribe_rate:avg",
            ],
        ):
            limits = ((90, 99), (5, 30), (1, 12), (0, 2))
            for rate, (least, most) in zip(rates, limits, strict=True):
                self.assertTrue(least <= rate <= most, f"{campaign.name}: {rates}")

    def test_results_differ(self):
        """By hour and by variant there is something to compare."""
        report = self.env["member.message.report"]
        sent = [("campaign_id", "in", self.campaigns.ids), ("sent_count", ">", 0)]
        hours = [hour for [hour] in report._read_group(sent, ["sent_hour"])]
        self.assertEqual(hours, ["10:00", "12:00", "18:00", "20:00"])
        compared = self.campaigns.filtered(lambda c: len(c.variant_ids) > 1)
        self.assertEqual(compared.mapped("state"), ["done"])
        variants = [("variant_id", "in", compared.variant_ids.ids)]
        [(_a, clicks_a), (_b, clicks_b)] = report._read_group(
            variants, ["variant_id"], ["click_rate:avg"]
        )
        self.assertNotEqual(clicks_a, clicks_b)

    def test_nothing_happened_in_the_future(self):
        for model, names in FACTS.items():
            for name in names:
                later = self.env[model].search_count([(name, ">", self.now)])
                self.assertFalse(later, f"{model}.{name}")

    def test_texts_say_when_their_coupons_expire(self):
        message = self.env["member.message"].search(
            [("campaign_id", "in", self.campaigns.ids), ("body", "like", "前到店出示")],
            order="id",
            limit=1,
        )
        year, month, day = str(message.card_id.expiration_date).split("-")
        self.assertIn(f"{year}/{month}/{day}", message.body)
        sent = fields.Datetime.context_timestamp(message, message.sent_date).date()
        self.assertEqual((message.card_id.expiration_date - sent).days, 30)

    def test_coupons_are_called_at_the_till_as_in_the_message(self):
        rewards = self.campaigns.program_id.reward_ids
        self.assertTrue(rewards)
        for lang in {"en_US", self.campaigns.template_id[:1].lang}:
            for reward in rewards.with_context(lang=lang):
                self.assertEqual(
                    reward.discount_line_product_id.name, reward.description
                )

    def test_inbox_has_a_question(self):
        replies = self.env["member.inbound"].search(
            [("message_id.campaign_id", "in", self.campaigns.ids)]
        )
        waiting = replies.filtered(lambda reply: not reply.is_handled)
        self.assertIn("？", "".join(waiting.mapped("text")))
        self.assertTrue(replies - waiting)
