from odoo import api, fields, models
from odoo.fields import Domain


class ResPartner(models.Model):
    _inherit = "res.partner"

    # Stored and written once at enrolment, so that the related fields below can be
    # searched and grouped without ever rewriting the contact.
    member_profile_id = fields.Many2one(
        "member.profile",
        string="Member",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    member_tier_id = fields.Many2one(
        related="member_profile_id.tier_id", string="Member Tier"
    )
    member_rfm_segment_id = fields.Many2one(
        related="member_profile_id.rfm_segment_id", string="RFM Segment"
    )
    member_lifecycle = fields.Selection(
        related="member_profile_id.lifecycle", string="Member Life Cycle"
    )
    member_engagement = fields.Selection(
        related="member_profile_id.engagement", string="Member Engagement"
    )
    member_preferred_hour = fields.Integer(
        related="member_profile_id.preferred_hour", string="Member's Best Hour"
    )
    member_favourite_category_id = fields.Many2one(
        related="member_profile_id.favourite_category_id",
        string="Member's Favourite Category",
    )
    member_number = fields.Char(
        compute="_compute_member_number",
        search="_search_member_number",
        help="Searching it finds former numbers as well.",
    )
    member_joined_date = fields.Date(related="member_profile_id.joined_date")
    member_birthday = fields.Date(
        related="member_profile_id.birthday", string="Birthday", readonly=False
    )
    member_last_order_date = fields.Datetime(
        related="member_profile_id.last_order_date", string="Member's Last Order"
    )
    member_order_count = fields.Integer(
        related="member_profile_id.order_count", string="Member's Orders"
    )
    member_revenue = fields.Monetary(
        related="member_profile_id.revenue",
        string="Member's Total Spent",
        currency_field="member_currency_id",
    )
    member_currency_id = fields.Many2one(
        related="member_profile_id.currency_id", string="Member's Currency"
    )

    member_tag_assignment_ids = fields.One2many(
        "member.tag.assignment",
        "partner_id",
        string="Tags by Rule",
        readonly=True,
        groups="member_messaging.group_member_messaging_user",
    )

    @api.depends("member_profile_id.number")
    def _compute_member_number(self):
        for partner in self:
            # sudo: as the related fields above
            partner.member_number = partner.sudo().member_profile_id.number

    def _search_member_number(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        # sudo: as the related fields above
        found = (
            self.sudo()
            .env["member.profile"]
            ._search(
                Domain("number", operator, value)
                | Domain("former_number_ids.number", operator, value)
            )
        )
        domain = Domain("member_profile_id", "in", found)
        if operator == "in" and (False in value or None in value):
            domain |= Domain("member_profile_id", "=", False)
        return domain

    def action_member_enrol(self):
        """Open the enrolment dialog for these contacts."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_enrol_action"
        )
        return {**action, "context": {"default_partner_ids": self.ids}}

    def action_open_member(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "member.profile",
            "res_id": self.member_profile_id.id,
            "views": [(False, "form")],
        }
