from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..tools import sms
from .member_consent import CHANNELS
from .member_template import CATEGORIES


class MemberCampaign(models.Model):
    _name = "member.campaign"
    _description = "Member Campaign"
    _inherit = ["mail.thread", "mail.activity.mixin", "bus.listener.mixin"]
    _order = "scheduled_date desc, id desc"

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    user_id = fields.Many2one(
        "res.users", string="Responsible", default=lambda self: self.env.user
    )
    goal = fields.Selection(
        [
            ("conversion", "Sell"),
            ("notice", "Inform"),
            ("care", "Care"),
            ("feedback", "Ask"),
        ],
        required=True,
        default="conversion",
    )
    category = fields.Selection(CATEGORIES, required=True, default="promotion")
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    color = fields.Integer()

    # who
    segment_ids = fields.Many2many(
        "member.segment",
        string="To",
        help="Every member of these segments, once.",
        domain="[('company_id', '=', company_id)]",
    )
    audience_count = fields.Integer(
        string="Selected Members", compute="_compute_audience_count"
    )
    holdout_rate = fields.Float(
        string="Control Group (%)",
        compute="_compute_holdout_rate",
        store=True,
        readonly=False,
        help="Part of the audience that gets nothing, to see what they buy anyway. "
        "The segments propose it.",
    )
    # what
    variant_ids = fields.One2many("member.campaign.variant", "campaign_id", copy=True)
    template_id = fields.Many2one(
        "member.template",
        compute="_compute_template_id",
        inverse="_inverse_template_id",
        domain="[('channel', '=', channel), ('category', '=', category)]",
    )
    preview_profile_id = fields.Many2one(
        "member.profile",
        string="Sample Member",
        compute="_compute_preview_profile_id",
        readonly=False,
        store=False,
    )
    preview_body = fields.Text(string="Preview", compute="_compute_preview")
    preview_size = fields.Char(string="Length", compute="_compute_preview")
    gateway_id = fields.Many2one(
        "member.gateway",
        string="Send Through",
        compute="_compute_gateway_id",
        store=True,
        readonly=False,
        domain="[('channel', '=', channel), ('company_id', '=', company_id)]",
    )
    is_sandbox = fields.Boolean(related="gateway_id.is_sandbox")
    # offer
    program_id = fields.Many2one(
        "loyalty.program",
        string="Coupon Programme",
        domain="[('program_type', '=', 'coupons'),"
        " ('company_id', 'in', [company_id, False])]",
        help="Each recipient gets a code of their own from this programme.",
    )
    coupon_days = fields.Integer(
        string="Coupon Valid For (Days)",
        default=30,
        help="Counted from the day of sending; never beyond the programme's end.",
    )
    # when
    schedule_type = fields.Selection(
        [("now", "As soon as launched"), ("date", "At a set time")],
        string="Send",
        required=True,
        default="now",
    )
    scheduled_date = fields.Datetime(string="Send At", copy=False, tracking=True)
    not_after_date = fields.Datetime(
        string="Not After",
        copy=False,
        help="What has not left by then is not sent any more.",
    )
    has_late_joiners = fields.Boolean(
        string="Take In Late Joiners",
        help="Members who join the segments later, until “Not After”, get the message "
        "too. Otherwise the audience is the one of the launch.",
    )
    frozen_date = fields.Datetime(string="Audience Fixed", readonly=True, copy=False)
    frozen_count = fields.Integer(
        string="Members of the Fixed Audience", readonly=True, copy=False
    )
    written_count = fields.Integer(
        string="Messages Planned So Far", readonly=True, copy=False
    )
    planned_date = fields.Datetime(readonly=True, copy=False)
    done_date = fields.Datetime(readonly=True, copy=False)
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("review", "In Review"),
            ("scheduled", "Scheduled"),
            ("testing", "Testing"),
            ("sending", "Sending"),
            ("paused", "Paused"),
            ("done", "Done"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="draft",
        copy=False,
        tracking=True,
        group_expand="_group_expand_state",
        index=True,
    )
    pause_reason = fields.Char(readonly=True, copy=False)
    utm_campaign_id = fields.Many2one(
        "utm.campaign",
        string="UTM Campaign",
        copy=False,
        ondelete="set null",
        index="btree_not_null",
    )

    _holdout_check = models.Constraint(
        "CHECK (holdout_rate >= 0 AND holdout_rate < 100)",
        "The control group is a part of the audience: from 0 to below 100 %.",
    )
    _coupon_days_check = models.Constraint(
        "CHECK (coupon_days > 0)", "A coupon is valid for at least one day."
    )

    # ------------------------------------------------------------------ computed

    @api.depends("segment_ids")
    def _compute_audience_count(self):
        for campaign in self:
            try:
                campaign.audience_count = (
                    self.env["res.partner"].search_count(
                        campaign._get_audience_domain()
                    )
                    if campaign.segment_ids
                    else 0
                )
            except UserError:
                # A broken segment is reported on the segment and at review.
                campaign.audience_count = 0

    # not on the rates: a segment changes no campaign that has been approved
    @api.depends("segment_ids")
    def _compute_holdout_rate(self):
        for campaign in self:
            campaign.holdout_rate = (
                max(campaign.segment_ids.mapped("holdout_rate"), default=0)
                or campaign.holdout_rate
            )

    @api.depends("variant_ids.template_id")
    def _compute_template_id(self):
        for campaign in self:
            campaign.template_id = campaign.variant_ids[:1].template_id

    def _inverse_template_id(self):
        for campaign in self:
            if not campaign.template_id:
                campaign.variant_ids = [fields.Command.clear()]
            elif campaign.variant_ids:
                campaign.variant_ids[0].template_id = campaign.template_id
            else:
                campaign.variant_ids = [
                    fields.Command.create({"template_id": campaign.template_id.id})
                ]

    @api.depends("segment_ids")
    def _compute_preview_profile_id(self):
        for campaign in self:
            try:
                partner = self.env["res.partner"].search(
                    campaign._get_audience_domain(), limit=1
                )
            except UserError:
                partner = self.env["res.partner"]
            campaign.preview_profile_id = partner.member_profile_id

    @api.depends("template_id", "gateway_id", "program_id", "preview_profile_id")
    def _compute_preview(self):
        for campaign in self:
            campaign.preview_body = campaign.preview_size = False
            if template := campaign.template_id:
                campaign.preview_body = template._render_sample(
                    campaign.gateway_id,
                    campaign.preview_profile_id,
                    campaign.program_id,
                )
                campaign.preview_size = template._describe_size(
                    campaign.preview_body,
                    campaign.preview_profile_id.partner_id.country_id.code,
                )

    @api.depends("channel", "company_id")
    def _compute_gateway_id(self):
        for campaign in self:
            campaign.gateway_id = self.env["member.gateway"]._propose(
                campaign.company_id, campaign.channel
            )

    def _group_expand_state(self, states, domain):
        """Columns stand in the order of the work, and only those in use."""
        return [
            state
            for state, _label in self._fields["state"].selection
            if state in states
        ]

    # ------------------------------------------------------------------- checks

    @api.constrains("scheduled_date", "not_after_date")
    def _check_dates(self):
        for campaign in self:
            if (
                campaign.not_after_date
                and campaign.scheduled_date
                and campaign.not_after_date <= campaign.scheduled_date
            ):
                raise ValidationError(
                    self.env._(
                        "“Not after” must be later than the time of sending, "
                        "otherwise nobody gets the message."
                    )
                )

    @api.constrains("variant_ids")
    def _check_variants(self):
        for campaign in self:
            total = sum(campaign.variant_ids.mapped("share_rate"))
            if campaign.variant_ids and abs(total - 100) > 0.01:
                raise ValidationError(
                    self.env._(
                        "The shares of the variants add up to %(total).0f %%, "
                        "not to 100 %%.",
                        total=total,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        self._check_launch(vals_list)
        return super().create(vals_list)

    def write(self, vals):
        self._check_launch([vals])
        return super().write(vals)

    def _check_launch(self, vals_list):
        """The buttons are not the only way to write a state."""
        if any(vals.get("state") in ("scheduled", "sending") for vals in vals_list):
            self._check_manager()

    @api.constrains("has_late_joiners", "not_after_date")
    def _check_late_joiners(self):
        for campaign in self:
            if campaign.has_late_joiners and not campaign.not_after_date:
                raise ValidationError(
                    self.env._("Say until when late joiners get it: set “Not after”.")
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_launched(self):
        if any(campaign.frozen_date for campaign in self):
            raise UserError(
                self.env._(
                    "A campaign that has been launched is the proof of what was sent. "
                    "Archive it instead."
                )
            )

    def _check_ready(self):
        """:raises UserError: everything that still keeps a campaign from leaving"""
        for campaign in self:
            if problems := campaign._find_problems():
                raise UserError(
                    self.env._(
                        "“%(campaign)s” cannot be launched yet:\n%(problems)s",
                        campaign=campaign.name,
                        problems="\n".join(f"• {problem}" for problem in problems),
                    )
                )

    def _find_problems(self):
        self.ensure_one()
        return [
            *self._find_audience_problems(),
            *self._find_text_problems(),
            *self._find_offer_problems(),
            *self._find_gateway_problems(),
            *self._find_time_problems(),
        ]

    def _find_audience_problems(self):
        if not self.segment_ids:
            return [
                self.env._("Choose at least one segment: nobody would get the message.")
            ]
        if not self.env["res.partner"].search_count(
            self._get_audience_domain(), limit=1
        ):
            return [
                self.env._(
                    "The segments have no members: change them or enrol members."
                )
            ]
        return []

    def _find_text_problems(self):
        if not self.variant_ids:
            return [self.env._("Choose a template.")]
        problems = []
        for template in self.variant_ids.template_id:
            if template.uses_coupon and not self.program_id:
                problems.append(
                    self.env._(
                        "“%s” contains a coupon code: choose a coupon programme.",
                        template.name,
                    )
                )
            if self.category == "promotion" and not (
                template._has_optout(self.gateway_id) or self.gateway_id.optout_text
            ):
                problems.append(
                    self.env._(
                        "“%s” does not tell how to refuse more promotions, as the law "
                        "demands: add {{ unsubscribe_link }} or set the opt-out text "
                        "of the gateway.",
                        template.name,
                    )
                )
            if template.category != self.category:
                problems.append(
                    self.env._(
                        "“%s” was written for another category of message.",
                        template.name,
                    )
                )
        return problems

    def _find_gateway_problems(self):
        gateway = self.gateway_id
        if not gateway:
            return [
                self.env._(
                    "There is no gateway for this channel: ask an administrator to set "
                    "one up under Configuration > Gateways."
                )
            ]
        if gateway.state == "paused":
            return [
                self.env._(
                    "Gateway %(gateway)s is paused: %(reason)s",
                    gateway=gateway.name,
                    reason=gateway.pause_reason
                    or self.env._("it was never activated."),
                )
            ]
        problems = []
        if gateway._get_adapter().check_config():
            problems.append(
                self.env._("Gateway %s is not completely set up.", gateway.name)
            )
        return problems + self._find_registration_problems(gateway)

    def _find_registration_problems(self, gateway):
        """:returns: why the gateway's provider would refuse the texts, if it sends
        registered ones only
        :rtype: list[str]
        """
        if not gateway._needs_registration():
            return []
        by_template = gateway.registration_ids.grouped("template_id")
        problems = [gateway._find_signature_problem()]
        for template in self.variant_ids.template_id:
            if registration := by_template.get(template):
                problems.append(registration._find_problem(self.category))
                continue
            problems.append(
                self.env._(
                    "“%(template)s” is not registered at %(gateway)s: enter the "
                    "provider's template number on the message.",
                    template=template.name,
                    gateway=gateway.name,
                )
            )
        return [problem for problem in problems if problem]

    def _find_offer_problems(self):
        program = self.program_id
        problems = []
        if program.date_to and program.date_to < fields.Date.context_today(self):
            problems.append(
                self.env._("The coupon programme “%s” has ended.", program.name)
            )
        if program and program.trigger != "with_code":
            problems.append(
                self.env._(
                    "The coupon programme “%s” gives its reward to everybody, without "
                    "a code. Let it be used with a code.",
                    program.name,
                )
            )
        return problems

    def _find_time_problems(self):
        now = fields.Datetime.now()
        problems = []
        if self.schedule_type == "date" and not self.scheduled_date:
            problems.append(self.env._("Choose when to send."))
        elif (
            self.schedule_type == "date"
            and self.state in ("draft", "review")
            and self.scheduled_date < now
        ):
            problems.append(
                self.env._("The time of sending has passed: choose a later one.")
            )
        if self.not_after_date and self.not_after_date <= now:
            problems.append(self.env._("“Not after” has passed already."))
        return problems

    # ------------------------------------------------------------------ actions

    def _move(self, expected, vals):
        """Change the state of campaigns that are in one of the expected states."""
        for campaign in self:
            if campaign.state not in expected:
                raise UserError(
                    self.env._(
                        "“%(campaign)s” is %(state)s by now. Reload the page.",
                        campaign=campaign.name,
                        state=dict(
                            self._fields["state"]._description_selection(self.env)
                        )[campaign.state],
                    )
                )
        self.write(vals)

    def action_request_review(self):
        self._check_ready()
        self._move({"draft"}, {"state": "review"})

    def action_back_to_draft(self):
        self._move({"review"}, {"state": "draft"})

    def action_launch(self):
        """Approve the campaign: its audience is planned at once, in the background."""
        self._check_manager()
        self._check_ready()
        for campaign in self:
            campaign._move(
                {"draft", "review"},
                {
                    "state": "scheduled",
                    "scheduled_date": (
                        campaign.scheduled_date
                        if campaign.schedule_type == "date"
                        else fields.Datetime.now()
                    ),
                    "utm_campaign_id": campaign._get_utm_campaign().id,
                },
            )
        self._wake_crons()

    def action_pause(self):
        self._move(
            {"scheduled", "sending"},
            {"state": "paused", "pause_reason": self.env._("Paused by hand.")},
        )

    def action_resume(self):
        self._check_manager()
        self._check_ready()
        self._move({"paused"}, {"state": "scheduled", "pause_reason": False})
        self._wake_crons()

    def action_cancel(self):
        self._move(
            {"draft", "review", "scheduled", "sending", "paused"},
            {"state": "cancelled", "pause_reason": False},
        )
        self._wake_crons()

    def action_view_audience(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_action"
        )
        return {
            **action,
            "domain": [("partner_id", "any", list(self._get_audience_domain()))],
            "context": {},
        }

    # ----------------------------------------------------------------- business

    def _check_manager(self):
        if not (
            self.env.su
            or self.env.user.has_group(
                "member_messaging.group_member_messaging_manager"
            )
        ):
            raise UserError(
                self.env._("Only a messaging manager launches or resumes a campaign.")
            )

    def _get_audience_domain(self):
        """:returns: condition on ``res.partner`` of the members of any segment
        :rtype: Domain
        """
        self.ensure_one()
        return fields.Domain.OR(
            segment._get_partner_domain() for segment in self.segment_ids
        )

    def _get_utm_campaign(self):
        self.ensure_one()
        # sudo: UTM records belong to sales and marketing, launching needs one only
        return self.utm_campaign_id or self.env["utm.campaign"].sudo().create(
            {"title": self.name}
        )

    def _get_coupon_expiry(self):
        """:returns: last day on which a coupon sent now can be redeemed
        :rtype: datetime.date
        """
        self.ensure_one()
        shop = self.with_context(tz=self.company_id.partner_id.tz or self.env.user.tz)
        expiry = fields.Date.context_today(shop) + timedelta(days=self.coupon_days)
        return min(expiry, self.program_id.date_to or expiry)

    def _get_parts(self):
        """:returns: SMS of the text as the sample member gets it: providers bill by the
        recipient's country
        """
        self.ensure_one()
        country = (
            self.preview_profile_id.partner_id.country_id or self.company_id.country_id
        )
        return sms.size(self.preview_body or "", country.code).parts

    def _pause_for_template(self, reason):
        """The provider refuses the template or signature: nothing more can leave."""
        self.write({"state": "paused", "pause_reason": reason})
        for campaign in self:
            campaign.activity_schedule(
                "mail.mail_activity_data_warning",
                summary=self.env._("Text refused by the provider"),
                note=self.env._(
                    "The campaign is paused, what has not left waits. %s Correct the "
                    "template or its registration, then resume.",
                    reason,
                ),
                user_id=(campaign.user_id or self.env.user).id,
            )

    def _speaking(self):
        """:returns: each campaign, texts for whom are in the language of who is
        responsible for it: what senders note, people read
        """
        for campaign in self:
            lang = campaign.user_id.lang or campaign.company_id.partner_id.lang
            yield campaign.with_context(lang=lang) if lang else campaign

    def _notify_progress(self):
        """Tell the forms that are open on these campaigns to read their figures again,
        once this transaction is committed."""
        for campaign in self:
            campaign._bus_send("member_messaging.progress", {"id": campaign.id})

    def _tries_capped_again(self):
        """:returns: whether members who have had enough wait until that has changed"""
        policy = self.env["member.send.policy"]._get_for(self.company_id)
        return bool(self.not_after_date) and policy.capped_action == "postpone"

    def _get_gateways(self):
        """:returns: gateways the campaign's messages may leave through: the chosen one
        first, then those that serve other countries or stand in, in their order. None
        of these sends less truly than the chosen one, and all know the texts.
        """
        self.ensure_one()
        chosen = self.gateway_id
        others = self.env["member.gateway"].search(
            [
                ("company_id", "=", self.company_id.id),
                ("channel", "=", self.channel),
                ("id", "!=", chosen.id),
            ]
        )
        return chosen + others.filtered(
            lambda gateway: (
                gateway.is_sandbox == chosen.is_sandbox
                and (gateway.is_stand_in or gateway._get_prefixes())
                and self._can_leave_through(gateway)
            )
        )

    def _can_leave_through(self, gateway):
        templates = self.variant_ids.template_id
        if gateway._get_adapter().check_config():
            return False
        if self._find_registration_problems(gateway):
            return False
        return self.category != "promotion" or all(
            template._has_optout(gateway) or gateway.optout_text
            for template in templates
        )

    def _wake_crons(self):
        """Let the crons work now, and again when the last launched campaign is due."""
        dates = {
            fields.Datetime.now(),
            *(date for date in self.mapped("scheduled_date") if date),
        }
        # sudo: waking a cron needs no right to change it
        self.env.ref("member_messaging.ir_cron_member_messaging_plan").sudo()._trigger(
            at=dates
        )
        self.env["member.lane"]._wake(dates)
