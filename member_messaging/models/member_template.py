from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import format_date

from ..tools import sms, template
from ..tools.codes import COUPON_PREFIX
from .member_consent import CHANNELS
from .member_gateway_signature import APPROVALS

CATEGORIES = [
    ("promotion", "Promotion"),
    ("content", "Content"),
    ("notice", "Notice"),
    ("care", "Care"),
]


class MemberTemplate(models.Model):
    _name = "member.template"
    _description = "Message Template"
    _order = "name, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", help="Leave empty to use the template in every company."
    )
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    category = fields.Selection(
        CATEGORIES,
        required=True,
        default="promotion",
        help="Promotions go only to members who agreed to receive them, and must tell "
        "how to refuse more of them.",
    )
    lang = fields.Selection(
        selection="_selection_lang",
        string="Language",
        required=True,
        default=lambda self: self.env.lang,
        help="Language of dates, tiers and product names inside the text.",
    )
    body = fields.Text(
        string="Text",
        required=True,
        help="Personal variables stand in double braces; the part behind ||| is used "
        "for members who have no value: Hello {{ member_name ||| friend }}!",
    )
    registration_ids = fields.One2many(
        "member.template.registration", "template_id", copy=True
    )
    uses_coupon = fields.Boolean(compute="_compute_uses_coupon")

    preview_profile_id = fields.Many2one(
        "member.profile",
        string="Sample Member",
        compute="_compute_preview_profile_id",
        readonly=False,
        store=False,
    )
    preview_body = fields.Text(string="Preview", compute="_compute_preview")
    preview_size = fields.Char(
        string="Length", compute="_compute_preview", help="Providers bill by part."
    )

    @api.model
    def _selection_lang(self):
        return self.env["res.lang"].get_installed()

    @api.depends("body")
    def _compute_uses_coupon(self):
        for record in self:
            record.uses_coupon = any(
                variable.name.startswith("coupon_")
                for variable in template.find_variables(record.body or "")
            )

    def _compute_preview_profile_id(self):
        buyer = self.env["member.profile"].search(
            [("order_count", ">", 0)], limit=1
        ) or self.env["member.profile"].search([], limit=1)
        for record in self:
            record.preview_profile_id = buyer

    @api.depends("body", "lang", "category", "preview_profile_id")
    def _compute_preview(self):
        gateway = self.env["member.gateway"]._propose(self.env.company, "sms")
        for record in self:
            body = record._render_sample(gateway, record.preview_profile_id)
            record.preview_body = body
            record.preview_size = record._describe_size(
                body, record.preview_profile_id.partner_id.country_id.code
            )

    @api.constrains("body")
    def _check_body(self):
        for record in self:
            if problems := template.check(record.body or ""):
                raise ValidationError(
                    self.env._(
                        "The text of %(template)s cannot be used:\n%(problems)s\n"
                        "Known variables: %(variables)s",
                        template=record.name,
                        problems="\n".join(map(record._describe_problem, problems)),
                        variables=", ".join(sorted(template.VARIABLES)),
                    )
                )

    def _describe_problem(self, problem):
        if problem.code == "unknown":
            return self.env._("There is no variable “%s”.", problem.fragment)
        return self.env._(
            "Braces that are no variable: “%s”. Write {{ member_name }}.",
            problem.fragment,
        )

    def _describe_size(self, body, country_code):
        size = sms.size(body, country_code or self.env.company.country_id.code)
        return self.env._(
            "%(units)s characters, %(parts)s SMS", units=size.units, parts=size.parts
        )

    def _get_text(self, gateway):
        """Return the unrendered text as the recipient's phone shows it.

        The sender signature stands in front, and a promotion without an unsubscribe
        link ends with the gateway's opt-out words.
        """
        self.ensure_one()
        text = self.body or ""
        if gateway.signature:
            text = f"【{gateway.signature}】{text}"
        optout = gateway.with_context(lang=self.lang).optout_text
        if self.category == "promotion" and optout and not self._has_optout(gateway):
            text = f"{text} {optout}"
        return text

    def _has_optout(self, gateway):
        """Whether the text itself tells how to refuse further promotions."""
        optout = gateway.with_context(lang=self.lang).optout_text
        return bool(optout and optout in (self.body or "")) or any(
            variable.name == "unsubscribe_link"
            for variable in template.find_variables(self.body or "")
        )

    def _render_sample(self, gateway, profile, program=None):
        """Return the text for one member, with an invented code and link."""
        self.ensure_one()
        text = self._get_text(gateway)
        sample = self._get_sample_values(gateway, profile, program)
        # while somebody types, a text with a mistake shows itself unfilled
        return text if template.check(text) else template.render(text, sample)

    def _get_sample_values(self, gateway, profile, program=None):
        """:returns: variable → what it could be for a member
        :rtype: dict
        """
        partner = profile.partner_id
        record = self.with_context(lang=self.lang)
        link = f"{self.get_base_url()}/m/"
        return {
            "member_name": partner.name,
            "tier": profile.with_context(lang=self.lang).tier_id.name,
            "points": "120",
            "last_product": profile.with_context(
                lang=self.lang
            ).last_product_id.display_name,
            "store": record.env.company.name,
            "coupon_code": f"{COUPON_PREFIX}7K2M9QXT4RWH",
            "coupon_value": (
                program.with_context(lang=self.lang)._get_offer_text()
                if program
                else "10%"
            ),
            "coupon_expiry": format_date(
                self.env,
                fields.Date.context_today(self) + timedelta(days=30),
                lang_code=self.lang,
            ),
            "link": f"{link}a8Kx3PqZ7Lw",
            "link_token": "a8Kx3PqZ7Lw",
            "unsubscribe_link": f"{link}a8Kx3PqZ7Lw/stop",
            "brand": gateway.signature or self.env.company.name,
        }


class MemberTemplateRegistration(models.Model):
    """A text as a provider knows it: its number there, and whether it is approved.

    Without a template of ours it is for the SMS of other applications, whose texts are
    recognised by :attr:`sample`.
    """

    _name = "member.template.registration"
    _description = "Registered Template"
    _order = "id"
    _rec_name = "code"

    template_id = fields.Many2one(
        "member.template",
        ondelete="cascade",
        index=True,
        help="Empty: for the SMS of other applications, such as sales or calendar, "
        "that read like the registered text.",
    )
    gateway_id = fields.Many2one(
        "member.gateway", required=True, ondelete="cascade", index=True
    )
    code = fields.Char(
        string="Provider Template", required=True, help="E.g. SMS_123456789."
    )
    parameters = fields.Char(
        help="The provider's parameters and our variables, e.g. "
        "name=member_name, code=coupon_code. Empty: both have the same names."
    )
    state = fields.Selection(
        APPROVALS,
        string="Approval",
        required=True,
        default="draft",
        help="As the provider's console shows it. Campaigns use approved texts only.",
    )
    rejection = fields.Char(
        string="Provider's Reason", help="Why the provider has rejected it."
    )
    category = fields.Selection(
        CATEGORIES,
        compute="_compute_category",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
        help="As declared to the provider. A campaign of another category cannot use "
        "the text.",
    )
    sample = fields.Text(
        string="Registered Text",
        help="As registered, with the provider's parameters: Dear ${name}, …",
    )

    @api.depends("template_id")
    def _compute_category(self):
        for registration in self:
            registration.category = registration.template_id.category or "notice"

    _gateway_uniq = models.Constraint(
        "UNIQUE (template_id, gateway_id)",
        "A template is registered once per gateway.",
    )

    @api.constrains("code", "template_id", "sample")
    def _check_sample(self):
        for registration in self:
            if not registration.template_id and not registration.sample:
                raise ValidationError(
                    self.env._(
                        "Registration %s needs a template, or the registered text by "
                        "which SMS of other applications are recognised.",
                        registration.code,
                    )
                )

    def _find_problem(self, category):
        """:returns: why a campaign cannot use the text; None if it can
        :rtype: str | None
        """
        self.ensure_one()
        values = {
            "template": self.template_id.name,
            "gateway": self.gateway_id.name,
        }
        if self.state != "approved":
            state = dict(self._fields["state"]._description_selection(self.env))
            return self.env._(
                "“%(template)s” is not approved at %(gateway)s (%(state)s): see "
                "Configuration > Templates > %(template)s > Provider Templates. "
                "%(reason)s",
                **values,
                state=state[self.state],
                reason=self.rejection or "",
            ).strip()
        if self.category != category:
            labels = dict(self._fields["category"]._description_selection(self.env))
            return self.env._(
                "“%(template)s” is declared at %(gateway)s as %(declared)s, the "
                "campaign is %(category)s: register a text of that category, see "
                "Configuration > Templates > %(template)s > Provider Templates.",
                **values,
                declared=labels[self.category],
                category=labels[category],
            )
        return None

    def _match(self, text):
        """Find the registered text that an SMS of another application reads like.

        :returns: its number at the provider and the parameters; None if there is none
        :rtype: tuple[str, dict[str, str]] | None
        """
        for registration in self:
            if registration.state == "approved" and not registration.template_id:
                params = template.read_parameters(registration.sample, text)
                if params is not None:
                    return registration.code, params
        return None

    def _get_sample_params(self):
        """:returns: the provider's parameter → a value to try it with
        :rtype: dict[str, str]
        """
        if not self.template_id:
            names = template.read_parameters(self.sample or "", self.sample or "")
            return {name: name for name in names or ()}
        record = self.template_id
        values = record._get_sample_values(self.gateway_id, record.preview_profile_id)
        return {
            name: str(values[variable] or variable)
            for name, variable in self._get_parameter_map().items()
        }

    def _fill(self, params):
        """:returns: the text as the recipient reads it, as far as it is known
        :rtype: str
        """
        if self.sample:
            return template.fill_parameters(self.sample, params)
        variables = {
            variable: params.get(name)
            for name, variable in self._get_parameter_map().items()
        }
        return template.render(self.template_id.body or "", variables)

    @api.constrains("parameters")
    def _check_parameters(self):
        for registration in self:
            for name, variable in registration._get_parameter_map().items():
                if not name or variable not in template.VARIABLES:
                    raise ValidationError(
                        self.env._(
                            "“%(parameter)s=%(variable)s” maps to no known variable. "
                            "Write name=member_name, code=coupon_code.",
                            parameter=name,
                            variable=variable,
                        )
                    )

    def _get_parameter_map(self):
        """:returns: the provider's parameter → our variable
        :rtype: dict[str, str]
        """
        self.ensure_one()
        if not self.parameters:
            return {
                variable.name: variable.name
                for variable in template.find_variables(self.template_id.body or "")
            }
        pairs = (
            pair.partition("=") for pair in self.parameters.split(",") if pair.strip()
        )
        return {name.strip(): variable.strip() for name, _equals, variable in pairs}
