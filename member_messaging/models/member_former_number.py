from odoo import fields, models


class MemberFormerNumber(models.Model):
    """A number a member had before contacts were merged: the old card still works."""

    _name = "member.former.number"
    _description = "Former Member Number"
    _order = "id"
    _rec_name = "number"

    profile_id = fields.Many2one(
        "member.profile", string="Member", required=True, ondelete="cascade", index=True
    )
    number = fields.Char(string="Former Number", required=True, readonly=True)

    _number_uniq = models.Constraint(
        "UNIQUE (number)", "Another member had this number."
    )
