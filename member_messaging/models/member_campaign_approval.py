from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_amount

from ..tools.fingerprint import fingerprint

#: What of a coupon programme's reward a member is promised.
PROMISE = (
    "reward_type",
    "discount",
    "discount_mode",
    "discount_applicability",
    "discount_max_amount",
    "required_points",
    "reward_product_id",
    "reward_product_qty",
)


class MemberCampaign(models.Model):
    """Approval (C1): what one person submits another one launches, and what was
    launched stays what it was.

    Text, audience and offer are kept as fingerprints. A change before the launch sends
    the campaign back, a change after it stops what has not left.
    """

    _inherit = "member.campaign"

    submitter_id = fields.Many2one(
        "res.users", string="Submitted By", readonly=True, copy=False, tracking=True
    )
    approver_id = fields.Many2one(
        "res.users", string="Approved By", readonly=True, copy=False, tracking=True
    )
    approved_date = fields.Datetime(string="Approved On", readonly=True, copy=False)
    fingerprints = fields.Json(readonly=True, copy=False)
    approval_hint = fields.Char(
        string="Second Person", compute="_compute_approval_hint"
    )
    is_left_to_others = fields.Boolean(compute="_compute_approval_hint")

    @api.depends("state", "submitter_id", "gateway_id", "segment_ids", "preview_body")
    @api.depends_context("uid")
    def _compute_approval_hint(self):
        """Say before somebody presses the button whom it will refuse, and why."""
        self.approval_hint = False
        self.is_left_to_others = False
        for campaign in self.filtered(lambda c: c.state in ("draft", "review")):
            if not campaign.segment_ids or not (
                reasons := campaign._find_approval_reasons()
            ):
                continue
            values = {"because": "; ".join(reasons)}
            campaign.is_left_to_others = (
                campaign.state == "review" and campaign.submitter_id == self.env.user
            )
            if campaign.is_left_to_others:
                campaign.approval_hint = self.env._(
                    "You submitted this campaign, so another manager has to launch it: "
                    "%(because)s.",
                    **values,
                )
            else:
                campaign.approval_hint = self.env._(
                    "Has to be launched by another manager than the one who submits "
                    "it: %(because)s.",
                    **values,
                )

    # ----------------------------------------------------------------- what it is

    def _get_fingerprints(self):
        """:returns: of text, audience and offer
        :rtype: dict[str, str]
        """
        self.ensure_one()
        return {
            "text": fingerprint(
                [self._describe_variant(variant) for variant in self.variant_ids]
            ),
            "audience": fingerprint(self._describe_segments(self.segment_ids)),
            "offer": fingerprint(self._describe_offer()),
        }

    def _describe_variant(self, variant):
        template = variant.template_id
        registrations = template.registration_ids.filtered(
            lambda registration: registration.gateway_id == self.gateway_id
        )
        return [
            variant.id,
            variant.share_rate,
            template.body,
            template.lang,
            template.category,
            self.gateway_id.signature,
            [
                [registration.code, registration._get_parameter_map()]
                for registration in registrations
            ],
        ]

    def _describe_segments(self, segments):
        """The conditions as they were written: “today” may move on. A segment that is
        built of others cannot contain itself."""
        return [
            [
                segment.id,
                segment.domain,
                self._describe_segments(segment.include_ids),
                self._describe_segments(segment.exclude_ids),
            ]
            for segment in segments.sorted("id")
        ]

    def _describe_offer(self):
        # sudo: who may launch a campaign may not see every coupon programme
        program = self.program_id.sudo()
        return [
            self.category,
            self.holdout_rate,
            self.coupon_days,
            program.id,
            program.date_to,
            [[reward[name] for name in PROMISE] for reward in program.reward_ids],
        ]

    def _find_changes(self):
        """:returns: names of what is not any more what was submitted or approved"""
        if not self.fingerprints:
            return []
        labels = {
            "text": self.env._("text"),
            "audience": self.env._("audience"),
            "offer": self.env._("offer"),
        }
        if self.frozen_date and not self.has_late_joiners:
            # decided about already
            del labels["audience"]
        now = self._get_fingerprints()
        return [
            label
            for key, label in labels.items()
            if now[key] != self.fingerprints.get(key)
        ]

    # ------------------------------------------------------------------- approval

    def _find_approval_reasons(self):
        """:returns: why one person is not enough to launch the campaign"""
        policy = self.env["member.send.policy"]._get_for(self.company_id)
        reasons = []
        if policy.approval_count and self.audience_count > policy.approval_count:
            reasons.append(
                self.env._(
                    "it goes to %(count)s members, more than %(limit)s",
                    count=self.audience_count,
                    limit=policy.approval_count,
                )
            )
        cost = self._estimate_cost()
        if policy.approval_cost and cost > policy.approval_cost:
            reasons.append(
                self.env._(
                    "it costs about %(cost)s, more than %(limit)s",
                    cost=format_amount(self.env, cost, self.currency_id),
                    limit=format_amount(
                        self.env, policy.approval_cost, self.currency_id
                    ),
                )
            )
        return reasons

    def _estimate_cost(self):
        """:returns: price of the messages if everybody selected got one"""
        return self.audience_count * self._get_parts() * self.gateway_id.price

    def action_request_review(self):
        result = super().action_request_review()
        for campaign in self:
            campaign.write(
                {
                    "submitter_id": self.env.uid,
                    "fingerprints": campaign._get_fingerprints(),
                }
            )
        return result

    def action_launch(self):
        self._check_manager()
        if changed := self.filtered(
            lambda c: c.state == "review" and c._find_changes()
        ):
            return changed._send_back()
        for campaign in self:
            campaign._check_other_person()
        result = super().action_launch()
        for campaign in self:
            campaign._approve()
        return result

    def _send_back(self):
        """What has been changed since it was submitted is to be submitted again."""
        for campaign in self:
            campaign.message_post(
                body=self.env._(
                    "Changed since it was submitted: %s. It is a draft again.",
                    ", ".join(campaign._find_changes()),
                )
            )
        self.action_back_to_draft()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning",
                "message": self.env._(
                    "Somebody changed the campaign after it was submitted. Look at it "
                    "again and submit it once more."
                ),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _check_other_person(self):
        reasons = self._find_approval_reasons()
        if not reasons:
            return
        because = "; ".join(reasons)
        if not self.submitter_id or self.state == "draft":
            raise UserError(
                self.env._(
                    "“%(campaign)s” needs the approval of a second person: %(because)s."
                    " Submit it for review.",
                    campaign=self.name,
                    because=because,
                )
            )
        if self.submitter_id == self.env.user:
            raise UserError(
                self.env._(
                    "“%(campaign)s” needs the approval of another manager: %(because)s."
                    " You submitted it yourself. The limits are in the sending policy.",
                    campaign=self.name,
                    because=because,
                )
            )

    def _approve(self):
        self.write(
            {
                "approver_id": self.env.uid,
                "approved_date": fields.Datetime.now(),
                "fingerprints": self._get_fingerprints(),
            }
        )
        self.message_post(
            body=self.env._(
                "Approved for %(count)s selected members: %(text)s",
                count=self.audience_count,
                text=" / ".join(self.variant_ids.template_id.mapped("body")),
            )
        )

    def action_resume(self):
        changed = self.filtered(lambda campaign: campaign._find_changes())
        for campaign in changed:
            campaign._check_other_person_again()
        result = super().action_resume()
        for campaign in changed:
            campaign._approve()
        return result

    def _check_other_person_again(self):
        """What was changed while it was paused counts as submitted by its approver."""
        if self._find_approval_reasons() and self.approver_id == self.env.user:
            raise UserError(
                self.env._(
                    "“%s” has been changed since you approved it: another manager has "
                    "to resume it.",
                    self.name,
                )
            )

    # ----------------------------------------------------------------- what it was

    @api.model
    def _stop_all_changed(self):
        """As :meth:`_stop_changed`, for all of them."""
        self.search([("state", "in", ("scheduled", "sending"))])._stop_changed()

    def _stop_changed(self):
        """Pause launched campaigns that are not what was approved any more."""
        for campaign in self.filtered(lambda c: c.state in ("scheduled", "sending")):
            if changes := campaign._find_changes():
                reason = self.env._(
                    "Changed since it was approved: %s. What has not left waits. Undo "
                    "the change, or resume to approve it.",
                    ", ".join(changes),
                )
                campaign.write({"state": "paused", "pause_reason": reason})
                campaign.activity_schedule(
                    "mail.mail_activity_data_warning",
                    summary=self.env._("Changed after the approval"),
                    note=reason,
                    user_id=(campaign.approver_id or self.env.user).id,
                )


class MemberTemplate(models.Model):
    _inherit = "member.template"

    def write(self, vals):
        result = super().write(vals)
        # sudo: who edits a text may not pause every campaign that uses it
        self.env["member.campaign"].sudo().search(
            [
                ("variant_ids.template_id", "in", self.ids),
                ("state", "in", ("scheduled", "sending")),
            ]
        )._stop_changed()
        return result


class MemberCampaignVariant(models.Model):
    _inherit = "member.campaign.variant"

    def write(self, vals):
        result = super().write(vals)
        # sudo: as for texts
        self.campaign_id.sudo()._stop_changed()
        return result


class MemberSegment(models.Model):
    _inherit = "member.segment"

    def write(self, vals):
        result = super().write(vals)
        if {"domain", "include_ids", "exclude_ids"} & vals.keys():
            # sudo: as for texts
            self.env["member.campaign"].sudo()._stop_all_changed()
        return result
