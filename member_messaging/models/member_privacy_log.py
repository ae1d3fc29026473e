from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

KINDS = [
    ("export", "Export for an Authority"),
    ("consents", "Export of Consents"),
    ("access", "Copy for the Member"),
    ("erasure", "Erasure"),
    ("deletion", "Deletion"),
]


class MemberPrivacyLog(models.Model):
    """Who took members' data out of the database or erased it, when and why.

    Rows are only ever added, and name nobody: an erased member is a former number.
    """

    _name = "member.privacy.log"
    _description = "Privacy Log"
    _order = "date desc, id desc"
    _rec_name = "reference"

    kind = fields.Selection(KINDS, string="What", required=True, readonly=True)
    date = fields.Datetime(required=True, readonly=True, default=fields.Datetime.now)
    user_id = fields.Many2one(
        "res.users",
        string="By",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
    )
    company_id = fields.Many2one("res.company", readonly=True)
    reference = fields.Char(
        string="Of",
        required=True,
        readonly=True,
        help="Number of the member, or what the export was limited to.",
    )
    reason = fields.Char(readonly=True)
    details = fields.Text(readonly=True)
    file_name = fields.Char(readonly=True)
    row_count = fields.Integer(string="Rows", readonly=True, aggregator=None)
    file_hash = fields.Char(
        string="SHA-256 of the File",
        readonly=True,
        help="Whoever has the file can show that it is the one that was handed out.",
    )
    # By it an authority that knows the number finds what had to be kept.
    address_hash = fields.Char(
        readonly=True, groups="base.group_system", index="btree_not_null"
    )

    def write(self, vals):
        if vals:
            raise UserError(self.env._("The privacy log cannot be changed."))
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_log(self):
        raise UserError(self.env._("The privacy log cannot be deleted."))

    @api.model
    def _note(self, kind, **values):
        """Add a row in the name of the user."""
        # sudo: the log is written along with what it tells, never by hand
        return self.sudo().create(
            {
                "kind": kind,
                "user_id": self.env.uid,
                "company_id": self.env.company.id,
                **values,
            }
        )

    def _keep_hash(self, address):
        """Let an erased member be found by whoever knows the number."""
        self.flush_recordset()
        self.env.cr.execute(
            SQL(
                "UPDATE member_privacy_log SET address_hash = %s WHERE id = %s",
                self.env["member.suppression"]._get_hash_sql(SQL("%s", address)),
                self.id,
            )
        )
        self.invalidate_recordset(["address_hash"])

    @api.model
    def _find_erasures(self, address):
        """:returns: erasures of members who had this number"""
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM member_privacy_log WHERE address_hash = %s",
                self.env["member.suppression"]._get_hash_sql(SQL("%s", address)),
            )
        )
        return self.browse(row[0] for row in rows)
