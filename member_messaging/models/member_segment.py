from ast import literal_eval

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain


class MemberSegment(models.Model):
    _name = "member.segment"
    _description = "Member Segment"
    _order = "name, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    description = fields.Char(
        translate=True, help="Who these members are and what to write them."
    )
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    domain = fields.Char(
        string="Members Who",
        required=True,
        default="[]",
        help="Conditions on the contact. Only members are ever selected.",
    )
    exclude_ids = fields.Many2many(
        "member.segment",
        "member_segment_exclude_rel",
        "segment_id",
        "exclude_id",
        string="Except Members Of",
        domain="[('id', '!=', id)]",
    )
    member_count = fields.Integer(string="Members", compute="_compute_member_count")

    @api.depends("domain", "exclude_ids", "company_id")
    def _compute_member_count(self):
        for segment in self:
            try:
                segment.member_count = self.env["res.partner"].search_count(
                    segment._get_partner_domain()
                )
            except UserError:
                # While the domain is being typed the form must stay usable.
                segment.member_count = 0

    @api.constrains("domain", "exclude_ids")
    def _check_domain(self):
        if self._has_cycle("exclude_ids"):
            raise ValidationError(
                self.env._("A segment cannot exclude itself, directly or indirectly.")
            )
        for segment in self:
            segment._get_partner_domain()

    def _get_partner_domain(self):
        """Return the condition on ``res.partner`` that selects the segment's members.

        :raises ValidationError: the stored domain cannot be read
        :rtype: Domain
        """
        self.ensure_one()
        try:
            domain = Domain(literal_eval(self.domain or "[]"))
            domain.validate(self.env["res.partner"])
        except (ValueError, SyntaxError, TypeError) as error:
            raise ValidationError(
                self.env._(
                    "The conditions of segment %(segment)s cannot be read: %(error)s\n"
                    "Correct them on the segment; nothing was sent.",
                    segment=self.name,
                    error=error,
                )
            ) from error
        domain &= Domain("member_profile_id", "!=", False)
        domain &= Domain("company_id", "in", [self.company_id.id, False])
        for excluded in self.exclude_ids:
            domain &= ~excluded._get_partner_domain()
        return domain

    def action_view_members(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_action"
        )
        return {
            **action,
            "display_name": self.name,
            "domain": [("partner_id", "any", list(self._get_partner_domain()))],
            "context": {},
        }
