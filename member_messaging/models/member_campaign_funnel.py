from odoo import fields, models


class MemberCampaign(models.Model):
    """The figures of a campaign on its form and card."""

    _inherit = "member.campaign"

    funnel = fields.Json(compute="_compute_funnel")
    planned_count = fields.Integer(compute="_compute_funnel", string="Planned")
    sent_count = fields.Integer(compute="_compute_funnel", string="Sent")
    open_count = fields.Integer(compute="_compute_funnel", string="Waiting")
    redeemed_count = fields.Integer(compute="_compute_funnel", string="Redeemed")
    progress_rate = fields.Float(
        compute="_compute_funnel",
        string="Progress",
        help="Part of the reachable members that the campaign is done with.",
    )
    revenue = fields.Monetary(compute="_compute_funnel")
    cost = fields.Monetary(compute="_compute_funnel")

    def _compute_funnel(self):
        measures = (
            "planned_count",
            "skipped_count",
            "open_count",
            "sent_count",
            "delivered_count",
            "failed_count",
            "clicked_count",
            "redeemed_count",
            "unsubscribed_count",
            "revenue",
            "cost",
        )
        figures = {
            campaign: dict(zip(measures, sums, strict=True))
            for campaign, *sums in self.env["member.message.report"]._read_group(
                [("campaign_id", "in", self.ids)],
                ["campaign_id"],
                [f"{measure}:sum" for measure in measures],
            )
        }
        for campaign in self:
            sums = figures.get(campaign) or dict.fromkeys(measures, 0)
            reachable = sums["planned_count"] - sums["skipped_count"]
            campaign.planned_count = sums["planned_count"]
            campaign.sent_count = sums["sent_count"]
            campaign.open_count = sums["open_count"]
            campaign.redeemed_count = sums["redeemed_count"]
            campaign.revenue = sums["revenue"]
            campaign.cost = sums["cost"]
            campaign.progress_rate = (
                100.0 * (reachable - sums["open_count"]) / reachable if reachable else 0
            )
            campaign.funnel = campaign._prepare_funnel(sums)

    def _prepare_funnel(self, sums):
        """:returns: steps for the funnel widget: ``key``, ``label``, ``count``,
        ``base`` (what the rate is of) and ``domain`` of the messages behind the number
        :rtype: list[dict]
        """
        _ = self.env._
        planned = sums["planned_count"]
        reached = planned - sums["skipped_count"]
        rows = [
            ("planned", _("Selected"), planned, planned, []),
            (
                "reachable",
                _("Reachable"),
                reached,
                planned,
                [("state", "!=", "skipped")],
            ),
            (
                "sent",
                _("Sent"),
                sums["sent_count"],
                reached,
                [("sent_date", "!=", False)],
            ),
            (
                "delivered",
                _("Delivered"),
                sums["delivered_count"],
                sums["sent_count"],
                [("state", "=", "delivered")],
            ),
            (
                "clicked",
                _("Clicked"),
                sums["clicked_count"],
                sums["delivered_count"],
                [("clicked_date", "!=", False)],
            ),
            (
                "redeemed",
                _("Redeemed"),
                sums["redeemed_count"],
                sums["delivered_count"],
                [("redeemed_date", "!=", False)],
            ),
        ]
        return [
            {"key": key, "label": label, "count": count, "base": base, "domain": domain}
            for key, label, count, base, domain in rows
        ]

    def action_view_messages(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_message_action"
        )
        return {
            **action,
            "domain": [("campaign_id", "=", self.id)],
            "context": {"search_default_group_state": 1},
        }

    def action_view_unreached(self):
        """Why were members of the audience not reached?"""
        action = self.action_view_messages()
        return {
            **action,
            "name": self.env._("Not Reached"),
            "domain": [("campaign_id", "=", self.id), ("state", "=", "skipped")],
            "context": {"search_default_group_reason": 1},
        }

    def action_view_report(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_message_report_action"
        )
        return {**action, "domain": [("campaign_id", "=", self.id)], "context": {}}
