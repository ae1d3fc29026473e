from odoo import api, fields, models


class MemberRfmSegment(models.Model):
    """A name for a range of RFM scores. The first one in order that fits is taken."""

    _name = "member.rfm.segment"
    _description = "RFM Segment"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(
        default=10, help="A member gets the first segment of the list that fits."
    )
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company", help="Leave empty to use the segment in every company."
    )
    description = fields.Char(
        string="What to Do", translate=True, help="What to write these members."
    )
    r_min = fields.Integer(string="Recency From", default=1, aggregator=None)
    r_max = fields.Integer(string="Recency To", default=5, aggregator=None)
    f_min = fields.Integer(string="Frequency From", default=1, aggregator=None)
    f_max = fields.Integer(string="Frequency To", default=5, aggregator=None)
    m_min = fields.Integer(string="Monetary From", default=1, aggregator=None)
    m_max = fields.Integer(string="Monetary To", default=5, aggregator=None)

    _range_check = models.Constraint(
        "CHECK (1 <= r_min AND r_min <= r_max AND r_max <= 5"
        " AND 1 <= f_min AND f_min <= f_max AND f_max <= 5"
        " AND 1 <= m_min AND m_min <= m_max AND m_max <= 5)",
        "Scores go from 1 to 5, and a range from its lower to its higher score.",
    )

    def unlink(self):
        self.env["member.profile"]._forget("rfm_segment_id", self)
        return super().unlink()

    @api.model
    def _get_all(self):
        """:returns: the segments of all companies, in order"""
        # sudo: a refresh concerns members and segments of every company, whoever asks
        return self.sudo().search([("active", "=", True)])
