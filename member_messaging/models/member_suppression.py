from odoo import api, fields, models
from odoo.tools import SQL

from .member_consent import CHANNELS, PURPOSES

SALT_KEY = "member_messaging.suppression_salt"
#: By these a person takes back a refusal; a list never does. A complaint is taken back
#: by one who has shown to hold the number.
LIFTING_SOURCES = (
    *("staff", "pos", "sale", "web", "reply", "link"),
    "double_opt_in",
)
LIFTING_A_COMPLAINT = ("double_opt_in",)


class MemberSuppression(models.Model):
    """An address that gets nothing of a kind any more, whoever it belongs to.

    The address itself is not kept: a deleted member leaves only a hash of it, salted
    with a secret of this database, so that nobody finds the number by trying all.
    """

    _name = "member.suppression"
    _description = "Suppressed Address"
    _order = "date desc, id desc"
    _rec_name = "reason"

    company_id = fields.Many2one(
        "res.company",
        readonly=True,
        ondelete="cascade",
        help="Empty: in all companies, as the contact belonged to all.",
    )
    channel = fields.Selection(CHANNELS, required=True, readonly=True)
    purpose = fields.Selection(PURPOSES, required=True, readonly=True)
    address_hash = fields.Char(
        string="Hash of the Address",
        required=True,
        readonly=True,
        help="SHA-256 of a secret of this database and the number or e-mail address.",
    )
    reason = fields.Selection(
        [
            ("refused", "Refused, Then Deleted"),
            ("blocked", "On the Block List, Then Deleted"),
            ("complaint", "Complained"),
        ],
        required=True,
        readonly=True,
    )
    date = fields.Datetime(
        string="Since", required=True, default=fields.Datetime.now, readonly=True
    )
    lifted_date = fields.Datetime(
        string="Lifted",
        readonly=True,
        help="Since then the person has agreed again, with evidence in the ledger.",
    )

    _address_uniq = models.UniqueIndex(
        "(address_hash, channel, purpose, COALESCE(company_id, 0))"
        " WHERE lifted_date IS NULL"
    )

    def init(self):
        """Draw the salt once. It must outlive the hashes, so no update changes it."""
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO ir_config_parameter (key, value)
                VALUES (%s, gen_random_uuid()::text || gen_random_uuid()::text)
           ON CONFLICT (key) DO NOTHING
                """,
                SALT_KEY,
            )
        )
        return super().init()

    # The salt stays in the database: as a parameter of a query it would be logged.

    @staticmethod
    def _get_hash_sql(address):
        """:param SQL address: expression of a number in E.164 or an e-mail address"""
        return SQL(
            """
            encode(sha256(convert_to(
                (SELECT value FROM ir_config_parameter WHERE key = %s) || %s, 'UTF8')),
                'hex')
            """,
            SALT_KEY,
            address,
        )

    @staticmethod
    def _get_address_sql(channel):
        """:param SQL channel: expression of the channel
        :returns: expression of the address of a contact ``pa`` there
        """
        return SQL(
            "CASE WHEN %s = 'email' THEN pa.email_normalized"
            " ELSE pa.phone_sanitized END",
            channel,
        )

    @api.model
    def _get_active_sql(self, company, channel, category):
        """:returns: condition on a row ``s``: it stops such messages of a company

        :param SQL channel: expression of the channel
        :param SQL category: expression of the campaign's category
        """
        return SQL(
            """
            s.lifted_date IS NULL AND (s.company_id IS NULL OR s.company_id = %s)
            AND s.channel = %s AND s.purpose = %s
            """,
            company.id,
            channel,
            self.env["member.consent"]._get_purpose_sql(category),
        )

    @api.model
    def _find(self, addresses, company, channel, category):
        """:returns: those of the addresses that get no such messages of a company
        :rtype: set[str]
        """
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT a.address FROM unnest(%s::varchar[]) AS a (address)
                  JOIN member_suppression s ON s.address_hash = %s
                 WHERE %s
                """,
                list(addresses),
                self._get_hash_sql(SQL("a.address")),
                self._get_active_sql(company, SQL("%s", channel), SQL("%s", category)),
            )
        )
        return {address for (address,) in rows}

    @api.model
    def _add(self, addresses):
        """Suppress addresses; those that are suppressed already stay as they are.

        :param SQL addresses: SELECT of ``company_id``, ``channel``, ``purpose``,
            ``address``, repetitions and NULL allowed, and ``reason``
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO member_suppression (
                       company_id, channel, purpose, address_hash, reason, date,
                       create_uid, write_uid, create_date, write_date)
                SELECT a.company_id, a.channel, a.purpose, %(hash)s, a.reason, %(now)s,
                       %(uid)s, %(uid)s, %(now)s, %(now)s
                  FROM (%(addresses)s) a WHERE a.address IS NOT NULL
           ON CONFLICT DO NOTHING
                """,
                hash=self._get_hash_sql(SQL("a.address")),
                addresses=addresses,
                uid=self.env.uid,
                now=fields.Datetime.now(),
            )
        )
        self.invalidate_model()

    @api.model
    def _add_address(self, address, company, channel, purpose, reason):
        """Suppress the address of a message whose member is gone."""
        self._add(
            SQL(
                "SELECT %s AS company_id, %s AS channel, %s AS purpose, %s AS address,"
                " %s AS reason",
                company.id,
                channel,
                purpose,
                address,
                reason,
            )
        )


class MemberConsent(models.Model):
    _inherit = "member.consent"

    @api.model_create_multi
    def create(self, vals_list):
        consents = super().create(vals_list)
        consents._lift_suppressions()
        if complaints := consents.filtered(lambda c: c.source == "complaint"):
            complaints._suppress()
        return consents

    def _suppress(self):
        """Who complains is not written to again, even as another contact."""
        suppressions = self.env["member.suppression"]
        # sudo: the list belongs to nobody who may record a complaint
        suppressions.sudo()._add(
            SQL(
                """
                SELECT c.company_id, c.channel, c.purpose, %s AS address,
                       'complaint' AS reason
                  FROM member_consent c
                  JOIN member_profile p ON p.id = c.profile_id
                  JOIN res_partner pa ON pa.id = p.partner_id
                 WHERE c.id = ANY(%s)
                """,
                suppressions._get_address_sql(SQL("c.channel")),
                self.ids,
            )
        )

    def _lift_suppressions(self):
        """Whoever agrees again gets messages again."""
        given = self.filtered(
            lambda c: (
                c.state == "granted"
                and c.basis == "express"
                and c.evidence
                and c.source in LIFTING_SOURCES
            )
        )
        if not given:
            return
        suppressions = self.env["member.suppression"]
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_suppression s SET lifted_date = %(now)s
                  FROM member_consent c
                  JOIN member_profile p ON p.id = c.profile_id
                  JOIN res_partner pa ON pa.id = p.partner_id
                 WHERE c.id = ANY(%(ids)s) AND s.lifted_date IS NULL
                   AND s.address_hash = %(hash)s
                   AND s.channel = c.channel
                   -- who was erased had not refused one purpose, but everything
                   AND (s.purpose = c.purpose OR s.reason = 'erased')
                   AND (s.company_id IS NULL OR s.company_id = c.company_id
                        OR c.company_id IS NULL)
                   AND (s.reason != 'complaint' OR c.source = ANY(%(complaint)s))
                """,
                now=fields.Datetime.now(),
                ids=given.ids,
                hash=suppressions._get_hash_sql(
                    suppressions._get_address_sql(SQL("c.channel"))
                ),
                complaint=list(LIFTING_A_COMPLAINT),
            )
        )
        suppressions.invalidate_model()
