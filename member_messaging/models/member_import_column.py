from odoo import api, fields, models

TARGETS = [
    ("name", "Full Name"),
    ("phone", "Phone"),
    ("email", "E-mail"),
    ("number", "Member Number"),
    ("birthday", "Birthday"),
    ("joined_date", "Member Since"),
    ("tags", "Tags"),
    ("street", "Street"),
    ("street2", "Street 2"),
    ("zip", "ZIP"),
    ("city", "City"),
    ("state", "State"),
    ("country", "Country"),
    ("note", "Note"),
]


class MemberImportColumn(models.Model):
    _name = "member.import.column"
    _description = "Column of a Member Import"
    _order = "index, id"
    _rec_name = "header"

    import_id = fields.Many2one(
        "member.import", required=True, ondelete="cascade", index=True
    )
    index = fields.Integer(readonly=True, aggregator=None)
    header = fields.Char(string="Column in the File", readonly=True)
    sample = fields.Char(string="First Values", readonly=True)
    target = fields.Selection(
        TARGETS, string="Becomes", help="Empty: the column is left out."
    )


class MemberImportMapping(models.Model):
    """What a company's columns were said to hold the last time."""

    _name = "member.import.mapping"
    _description = "Known Column of Member Imports"
    _order = "header, id"
    _rec_name = "header"

    company_id = fields.Many2one(
        "res.company", required=True, ondelete="cascade", index=True
    )
    header = fields.Char(required=True)
    target = fields.Selection(TARGETS, help="Empty: the column is left out.")

    _header_uniq = models.Constraint(
        "UNIQUE (company_id, header)", "This column is known already."
    )

    @api.model
    def _get_targets(self, company, headers):
        """:returns: name of a column, normalised → field, or False to leave it out"""
        return {
            mapping.header: mapping.target
            for mapping in self.search(
                [("company_id", "=", company.id), ("header", "in", headers)]
            )
        }

    @api.model
    def _save(self, company, targets):
        """Remember what columns hold.

        :param dict targets: name of a column, normalised → field or False
        """
        # sudo: written by imports only, never by hand
        known = self.sudo().search(
            [("company_id", "=", company.id), ("header", "in", list(targets))]
        )
        for mapping in known:
            if mapping.target != targets[mapping.header]:
                mapping.target = targets[mapping.header]
        new = targets.keys() - set(known.mapped("header"))
        known.create(
            [
                {
                    "company_id": company.id,
                    "header": header,
                    "target": targets[header],
                }
                for header in sorted(new)
                if header
            ]
        )
