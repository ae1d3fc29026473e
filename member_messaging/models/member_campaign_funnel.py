from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_amount

from ..tools import sms


class MemberCampaign(models.Model):
    """The figures of a campaign on its form and card."""

    _inherit = "member.campaign"

    forecast = fields.Text(
        compute="_compute_forecast",
        help="Who would get the campaign if it left now, what it costs, and why the "
        "others would not get it.",
    )
    forecast_losses = fields.Json(compute="_compute_forecast")
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

    @api.depends(
        "segment_ids",
        "holdout_rate",
        "category",
        "channel",
        "gateway_id",
        "planned_date",
        "preview_body",
    )
    def _compute_forecast(self):
        messages = self.env["member.message"]
        for campaign in self:
            campaign.update({"forecast": False, "forecast_losses": False})
            if campaign.segment_ids and not campaign.planned_date:
                try:
                    reach = messages._count_reach(
                        messages._get_campaign_decision_sql(campaign)
                    )
                except UserError:
                    # a broken segment is reported on the segment and at review
                    continue
                campaign.update(campaign._describe_reach(reach))

    def _describe_reach(self, reach):
        """:returns: values of ``forecast``, and of ``forecast_losses``: ``key``,
        ``label`` and ``count`` of the reasons in its last lines, most frequent first
        """
        reached = reach.pop(None, 0)
        lines = [
            self.env._(
                "%(reached)s of %(selected)s members will get it.",
                reached=reached,
                selected=reached + sum(reach.values()),
            )
        ]
        if self.preview_body and self.gateway_id.price:
            # as the preview beside it: providers bill by the recipient's country
            country = (
                self.preview_profile_id.partner_id.country_id
                or self.company_id.country_id
            )
            parts = sms.size(self.preview_body, country.code).parts
            cost = reached * parts * self.gateway_id.price
            lines.append(
                self.env._(
                    "About %(cost)s for %(parts)s SMS each.",
                    cost=format_amount(self.env, cost, self.currency_id),
                    parts=parts,
                )
            )
        labels = dict(
            self.env["member.message"]
            ._fields["reason"]
            ._description_selection(self.env)
        )
        losses = [
            {"key": reason, "label": labels[reason], "count": count}
            for reason, count in sorted(reach.items(), key=lambda item: -item[1])
        ]
        lines += [f"{loss['count']} · {loss['label']}" for loss in losses]
        return {"forecast": "\n".join(lines), "forecast_losses": losses}

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
        planned = sums["planned_count"]
        reached = planned - sums["skipped_count"]
        rows = [
            ("planned", self.env._("Selected"), planned, planned, []),
            (
                "reachable",
                self.env._("Reachable"),
                reached,
                planned,
                [("state", "!=", "skipped")],
            ),
            (
                "sent",
                self.env._("Sent"),
                sums["sent_count"],
                reached,
                [("sent_date", "!=", False)],
            ),
            (
                "delivered",
                self.env._("Delivered"),
                sums["delivered_count"],
                sums["sent_count"],
                [("state", "=", "delivered")],
            ),
            (
                "clicked",
                self.env._("Clicked"),
                sums["clicked_count"],
                sums["delivered_count"],
                [("clicked_date", "!=", False)],
            ),
            (
                "redeemed",
                self.env._("Redeemed"),
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
            "domain": [("campaign_id", "=", self.id), ("state", "=", "skipped")],
            "display_name": self.env._("Not Reached"),
            "context": {"search_default_group_reason": 1},
        }

    def action_view_report(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_message_report_action"
        )
        return {**action, "domain": [("campaign_id", "=", self.id)], "context": {}}
