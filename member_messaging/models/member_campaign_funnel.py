from datetime import timedelta

from babel.dates import format_skeleton

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_amount, format_datetime
from odoo.tools.misc import babel_locale_parse, formatLang, get_lang

from ..tools.throttle import HEADROOM
from .member_consent import ADVERTISING

#: A pause so short is not worth a word.
SOON = timedelta(minutes=15)


class MemberCampaign(models.Model):
    """The figures of a campaign on its form and card."""

    _inherit = "member.campaign"

    forecast = fields.Text(
        compute="_compute_forecast",
        help="Who would get the campaign if it left now, what it costs, and why the "
        "others would not get it.",
    )
    forecast_losses = fields.Json(compute="_compute_forecast")
    forecast_warning = fields.Char(string="Too Few SMS", compute="_compute_forecast")
    wait_reason = fields.Char(string="Why It Waits", compute="_compute_progress_hint")
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
    progress_hint = fields.Char(
        compute="_compute_progress_hint",
        string="Under Way",
        help="What is going on, and when it is expected to be over, in your time zone.",
    )
    has_retriable = fields.Boolean(compute="_compute_has_retriable")
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
        "scheduled_date",
    )
    def _compute_forecast(self):
        messages = self.env["member.message"]
        for campaign in self:
            campaign.update(
                {"forecast": False, "forecast_losses": False, "forecast_warning": False}
            )
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
                reached=formatLang(self.env, reached, digits=0),
                selected=formatLang(self.env, reached + sum(reach.values()), digits=0),
            )
        ]
        parts = self._get_parts()
        if self.preview_body and self.gateway_id.price:
            cost = reached * parts * self.gateway_id.price
            lines.append(
                self.env._(
                    "About %(cost)s for %(parts)s SMS each.",
                    cost=format_amount(self.env, cost, self.currency_id),
                    parts=parts,
                )
            )
        need, warning = self._describe_need(reached * parts)
        if need:
            lines.append(need)
        labels = dict(
            self.env["member.message"]
            ._fields["reason"]
            ._description_selection(self.env)
        )
        losses = [
            {"key": reason, "label": labels[reason], "count": count}
            for reason, count in sorted(reach.items(), key=lambda item: -item[1])
        ]
        lines += [
            f"{formatLang(self.env, loss['count'], digits=0)} · {loss['label']}"
            for loss in losses
        ]
        return {
            "forecast": "\n".join(lines),
            "forecast_losses": losses,
            "forecast_warning": warning,
        }

    def _describe_need(self, need):
        """Compare the SMS a campaign needs with what the month of sending has left.

        :param int need: SMS
        :returns: a sentence, and a warning if there are too few; None and False if
            there is no limit
        """
        gateway = self.gateway_id._origin
        if not gateway or not need:
            return None, False
        date = max(self.scheduled_date or fields.Datetime.now(), fields.Datetime.now())
        month = gateway._get_month(date)
        is_advertising = self.category in ADVERTISING
        rest = self.env["member.gateway.load"]._get_rest(gateway, is_advertising, month)
        if rest is None:
            return None, False
        values = {
            "need": formatLang(self.env, need, digits=0),
            "rest": formatLang(self.env, rest, digits=0),
            # each language has an order of its own
            "month": format_skeleton(
                "yMMMM", month, locale=babel_locale_parse(get_lang(self.env).code)
            ),
        }
        if need > rest:
            sentence = self._describe_lack(values, is_advertising)
            return sentence, self.env._(
                "%(sentence)s What does not fit waits for the next month, or until a "
                "manager raises “SMS per Month”, and is not sent after “Not After”.",
                sentence=sentence,
            )
        if is_advertising:
            return (
                self.env._(
                    "Needs about %(need)s of the %(rest)s SMS left for promotions and "
                    "content in %(month)s.",
                    **values,
                ),
                False,
            )
        return (
            self.env._(
                "Needs about %(need)s of the %(rest)s SMS left in %(month)s.", **values
            ),
            False,
        )

    def _describe_lack(self, values, is_advertising):
        if is_advertising:
            return self.env._(
                "Needs about %(need)s SMS, only %(rest)s are left for promotions and "
                "content in %(month)s.",
                **values,
            )
        return self.env._(
            "Needs about %(need)s SMS, only %(rest)s are left in %(month)s.", **values
        )

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

    def _compute_has_retriable(self):
        """Whether something has provably not left that another try may bring through"""
        messages = self.env["member.message"]
        groups = messages._read_group(
            [("campaign_id", "in", self.ids), *messages._get_retriable()],
            ["campaign_id"],
        )
        retriable = {campaign.id for (campaign,) in groups}
        for campaign in self:
            campaign.has_retriable = campaign._origin.id in retriable

    @api.depends("state", "planned_date", "frozen_date", "written_count", "load_ids")
    def _compute_progress_hint(self):
        for campaign in self:
            campaign.wait_reason = campaign._describe_wait()
            campaign.progress_hint = campaign._describe_progress()

    def _describe_wait(self):
        """:returns: why nothing leaves although it is time, False if it does"""
        if self.state not in ("scheduled", "sending") or not self.open_count:
            return False
        return self.env["member.gateway.load"]._describe_wait(
            self.gateway_id, self.category in ADVERTISING, max(1, self._get_parts())
        )

    def _describe_trial_wait(self):
        load = self.load_ids
        if load.trial_state == "sending" and load.trial_count:
            return self.env._(
                "%(count)s messages of the trial batch of %(size)s have left.",
                count=load.trial_count,
                size=load.trial_size,
            )
        if load.trial_state == "waiting":
            end = load.trial_date + timedelta(minutes=self.trial_minutes)
            return self.env._(
                "The trial batch of %(size)s messages has left. The other %(count)s "
                "wait for its reports, until %(end)s at the latest.",
                size=load.trial_count,
                count=self.open_count,
                end=self._format_time(end),
            )
        return False

    def _describe_progress(self):
        if self.state not in ("scheduled", "sending") or self.wait_reason:
            return False
        if self.state == "sending" and (trial := self._describe_trial_wait()):
            return trial
        if not self.frozen_date:
            return self.env._("The audience is being selected.")
        if not self.planned_date:
            return self.env._(
                "Planned so far: %(written)s of %(selected)s members.",
                written=self.written_count,
                selected=self.frozen_count,
            )
        return self._describe_rest()

    def _describe_rest(self):
        """:returns: how many messages are still to leave, and when: not before the
        hours in which their members may be written to
        """
        now = fields.Datetime.now()
        first, last = self._get_due_dates()
        start = max(self.scheduled_date, first or now, now)
        rate = self._get_expected_rate()
        end = rate and start + timedelta(seconds=self.open_count / rate)
        if last and last > now:
            end = max(end or last, last)
        values = {
            "count": formatLang(self.env, self.open_count, digits=0),
            "start": self._format_time(start),
            "end": end and self._format_time(end),
        }
        if self.state == "scheduled":
            if end:
                return self.env._(
                    "%(count)s messages leave from %(start)s to about %(end)s.",
                    **values,
                )
            return self.env._("%(count)s messages leave from %(start)s.", **values)
        if self.open_count and start - now > SOON:
            return self.env._(
                "%(count)s messages are still to leave: the next at %(start)s, the "
                "last at about %(end)s. Till then they wait, for the hours in which "
                "their members may be written to or for another try.",
                **values,
            )
        if end and self.open_count:
            return self.env._(
                "%(count)s messages are still to leave, until about %(end)s.", **values
            )
        return self.env._("%(count)s messages are still to leave.", **values)

    def _get_due_dates(self):
        """:returns: when the first and the last message that waits is due; None if
        none does
        """
        [dates] = self.env["member.message"]._read_group(
            [("campaign_id", "=", self.id), ("state", "=", "queued")],
            [],
            ["due_date:min", "due_date:max"],
        )
        return dates

    def _get_expected_rate(self):
        """:returns: messages per second: what the gateway allows, or less if the
        senders were slower lately; None: nobody knows
        """
        gateway = self.gateway_id
        # sudo: how fast the senders are is no secret
        lanes = self.env["member.lane"].sudo().search([("gateway_id", "=", gateway.id)])
        rate = sum(lanes.filtered("is_working").mapped("rate"))
        if gateway.rate_per_second:
            allowed = gateway.rate_per_second / HEADROOM
            rate = min(rate or allowed, allowed)
        return rate or None

    def _format_time(self, moment):
        return format_datetime(self.env, moment, dt_format="short")

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
