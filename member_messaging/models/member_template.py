from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import format_date

from ..tools import sms, template
from ..tools.codes import COUPON_PREFIX
from .member_consent import CHANNELS

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
        gateway = self.env["member.gateway"].search([], limit=1)
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
        partner = profile.partner_id
        record = self.with_context(lang=self.lang)
        link = f"{self.get_base_url()}/m/"
        sample = {
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
        text = self._get_text(gateway)
        # while somebody types, a text with a mistake shows itself unfilled
        return text if template.check(text) else template.render(text, sample)


class MemberTemplateRegistration(models.Model):
    """The provider's own number of a text it has approved."""

    _name = "member.template.registration"
    _description = "Registered Template"
    _order = "id"
    _rec_name = "code"

    template_id = fields.Many2one(
        "member.template", required=True, ondelete="cascade", index=True
    )
    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    code = fields.Char(
        string="Provider Template", required=True, help="E.g. SMS_123456789."
    )
    parameters = fields.Char(
        help="The provider's parameters and our variables, e.g. "
        "name=member_name, code=coupon_code. Empty: both have the same names."
    )

    _gateway_uniq = models.Constraint(
        "UNIQUE (template_id, gateway_id)",
        "A template is registered once per gateway.",
    )

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
                for variable in template.find_variables(self.template_id.body)
            }
        pairs = (
            pair.partition("=") for pair in self.parameters.split(",") if pair.strip()
        )
        return {name.strip(): variable.strip() for name, _equals, variable in pairs}
