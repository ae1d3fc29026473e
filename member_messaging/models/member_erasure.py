from odoo import api, fields, models
from odoo.tools import SQL

from ..fields import KeylessMany2one
from ..tools import ledger

#: What an erased person does not get any more: nothing at all.
PURPOSES = ("promotion", "service")


class MemberProfile(models.Model):
    """Erasure of a member (GDPR 17, PIPL 47): the member goes, proof stays without a
    name.

    Later stages extend :meth:`_erase` for their own rows.
    """

    _inherit = "member.profile"

    def _erase(self, erasure):
        """Delete a member so that what has to be kept leads to nobody.

        The contact stays as it is.

        :param erasure: row of ``member.privacy.log`` that stands for the member in
            whatever is kept
        """
        self.ensure_one()
        partner = self.partner_id
        number = partner.phone_sanitized
        if number:
            erasure._keep_hash(number)
        self._suppress_erased()
        self.env["member.consent"]._erase(self, erasure)
        self._forget_elsewhere(partner, number)
        self.unlink()
        # sudo: whoever erases members may not edit contacts
        partner.sudo().member_erased_date = fields.Datetime.now()

    def _keep_consents(self):
        """Members are deleted, say with their contact: what they agreed to or refused
        stays provable, as after an erasure."""
        # sudo: who may delete a contact may have no rights on consents
        consents_sudo = self.env["member.consent"].sudo()
        own = consents_sudo.search([("profile_id", "in", self.ids)])
        for profile_sudo in own.profile_id:
            deletion = self.env["member.privacy.log"]._note(
                "deletion", reference=profile_sudo.number
            )
            if number := profile_sudo.partner_id.phone_sanitized:
                deletion._keep_hash(number)
            consents_sudo._erase(profile_sudo, deletion)

    def _suppress_erased(self):
        """Nobody writes to the number again, unless another member who uses it has
        agreed to that, or the person comes back and agrees."""
        suppressions = self.env["member.suppression"]
        # sudo: nobody may write the list by hand
        suppressions.sudo()._add(
            SQL(
                """
                SELECT pa.company_id, 'sms' AS channel, k.purpose,
                       pa.phone_sanitized AS address, 'erased' AS reason
                  FROM member_profile p
                  JOIN res_partner pa ON pa.id = p.partner_id
                 CROSS JOIN unnest(%(purposes)s) AS k (purpose)
                 WHERE p.id = %(id)s AND NOT EXISTS (
                       SELECT FROM res_partner other
                         JOIN member_profile q ON q.partner_id = other.id
                         JOIN member_consent word ON word.profile_id = q.id
                        WHERE other.phone_sanitized = pa.phone_sanitized
                          AND q.id != p.id AND word.is_current
                          AND word.state = 'granted')
                """,
                purposes=list(PURPOSES),
                id=self.id,
            )
        )

    def _forget_elsewhere(self, partner, number):
        """Delete what points at the contact, not at the member."""
        # sudo: these rows belong to nobody who may erase a member
        assignments = self.env["member.tag.assignment"].sudo()
        tags = assignments.search([("partner_id", "=", partner.id)]).category_id
        # a tag that a rule has set goes, and its assignment with it
        partner.sudo().category_id -= tags
        lines = self.env["member.import.line"].sudo()
        lines.search(
            fields.Domain("partner_id", "=", partner.id)
            | (fields.Domain("phone", "=", number) if number else fields.Domain.FALSE)
        ).unlink()


class MemberConsent(models.Model):
    """What is left of the ledger of an erased member: that somebody had agreed to which
    words, when and how. See ``tools/ledger`` for the chain."""

    _inherit = "member.consent"

    profile_id = fields.Many2one(required=False)
    erasure_id = KeylessMany2one(
        "member.privacy.log", string="Erased", readonly=True, index="btree_not_null"
    )
    source = fields.Selection(
        selection_add=[("erasure", "Erasure")], ondelete={"erasure": "cascade"}
    )

    _profile_check = models.Constraint(
        "CHECK (profile_id IS NOT NULL OR erasure_id IS NOT NULL)",
        "A consent is the word of a member.",
    )

    @api.model
    def _erase(self, profile, erasure):
        """Take the member out of their rows and close each of their chains."""
        self.flush_model()
        self._seal(profile.ids)
        own = SQL("c.profile_id = %s", profile.id)
        self.env.cr.execute(
            SQL(
                "UPDATE member_consent c SET evidence = %s"
                " WHERE %s AND COALESCE(c.evidence, '') != ''",
                ledger.ERASED,
                own,
            )
        )
        chains = {}
        for row in self._read_ledger(own, SQL("c.chain, c.position")):
            chains.setdefault(row["chain"], []).append(row)
        for chain, rows in chains.items():
            self._close_chain(profile, chain, rows)
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_consent c
                   SET profile_id = NULL, erasure_id = %s, is_current = FALSE
                 WHERE %s
                """,
                erasure.id,
                own,
            )
        )
        self.env.invalidate_all(flush=False)

    def _close_chain(self, profile, chain, rows):
        """Add the last row of a chain: it says what is left of those before it."""
        [(consent_id,)] = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_consent (
                       profile_id, company_id, channel, purpose, state, source,
                       evidence, is_current, create_uid, write_uid, create_date,
                       write_date)
                VALUES (%(profile)s, %(company)s, 'sms', 'promotion', 'refused',
                        %(source)s, %(digest)s, FALSE, %(uid)s, %(uid)s, %(now)s,
                        %(now)s)
             RETURNING id
                """,
                profile=profile.id,
                company=profile.company_id.id or None,
                source=ledger.ERASURE,
                digest=ledger.digest(rows),
                uid=self.env.uid,
                now=fields.Datetime.now(),
            )
        )
        [last] = self._read_ledger(SQL("c.id = %s", consent_id), SQL("c.id"))
        last.update(chain=chain, position=str(int(rows[-1]["position"]) + 1))
        last["seal"] = ledger.seal(last, rows[-1]["seal"])
        self._store_seals([last])


class MemberSuppression(models.Model):
    _inherit = "member.suppression"

    reason = fields.Selection(
        selection_add=[("erased", "Erased on Request")], ondelete={"erased": "cascade"}
    )


class ResPartner(models.Model):
    _inherit = "res.partner"

    member_erased_date = fields.Datetime(
        string="Member Erased",
        readonly=True,
        copy=False,
        help="Since then no rule makes this contact a member again. The contact may "
        "still join.",
    )
