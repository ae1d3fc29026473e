from odoo import fields, models
from odoo.tools import SQL


class MemberTagAssignment(models.Model):
    """A tag that a rule has put on a contact; what is not here was set by hand.

    The table hangs on the row of the tag itself: however a tag leaves a contact, the
    ownership leaves with it, so that a tag set by hand later belongs to nobody. It
    follows a merged contact as well. Rows are written by the rules, in SQL.
    """

    _name = "member.tag.assignment"
    _description = "Tag Kept by a Rule"
    # The ORM knows no foreign key of two columns.
    _auto = False
    _log_access = False
    _order = "id"
    _rec_name = "partner_id"

    rule_id = fields.Many2one("member.tag.rule", readonly=True)
    category_id = fields.Many2one("res.partner.category", string="Tag", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Contact", readonly=True)

    def init(self):
        self.env.cr.execute(
            SQL(
                """
                CREATE TABLE IF NOT EXISTS member_tag_assignment (
                    id serial PRIMARY KEY,
                    rule_id int4 NOT NULL
                        REFERENCES member_tag_rule ON DELETE CASCADE,
                    category_id int4 NOT NULL,
                    partner_id int4 NOT NULL,
                    UNIQUE (partner_id, rule_id),
                    FOREIGN KEY (category_id, partner_id)
                        REFERENCES res_partner_res_partner_category_rel
                            (category_id, partner_id)
                        ON UPDATE CASCADE ON DELETE CASCADE
                );
                CREATE INDEX IF NOT EXISTS member_tag_assignment_rule_id_idx
                    ON member_tag_assignment (rule_id)
                """
            )
        )
