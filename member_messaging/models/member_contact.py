from odoo import models
from odoo.tools import SQL


class ResPartner(models.Model):
    _inherit = "res.partner"

    def unlink(self):
        # The database would delete the members silently.
        # sudo: who may delete a contact may have no rights on members
        self.env["member.profile"].sudo().search(
            [("partner_id", "in", self.ids)]
        ).unlink()
        self._suppress_blocked()
        return super().unlink()

    def _suppress_blocked(self):
        """Blocked numbers of which no contact is left stay silent, should somebody
        tidy up the block list."""
        # sudo: the list belongs to nobody who may delete contacts
        self.env["member.suppression"].sudo()._add(
            SQL(
                """
                SELECT pa.company_id, 'sms' AS channel, k.purpose,
                       pa.phone_sanitized AS address, 'blocked' AS reason
                  FROM res_partner pa
                  JOIN phone_blacklist listed
                    ON listed.number = pa.phone_sanitized AND listed.active
                 CROSS JOIN (VALUES ('promotion'), ('service')) AS k (purpose)
                 WHERE pa.id = ANY(%(ids)s) AND NOT EXISTS (
                       SELECT FROM res_partner other
                        WHERE other.phone_sanitized = pa.phone_sanitized
                          AND other.id != ALL(%(ids)s))
                """,
                ids=self.ids,
            )
        )


class MemberProfile(models.Model):
    _inherit = "member.profile"

    def unlink(self):
        self._suppress_refused()
        self._keep_consents()
        return super().unlink()

    def _suppress_refused(self):
        """Keep what members refused, without keeping them.

        Their consents lead to nobody from now on: without this, whoever enters the
        same number again could write to people who had said no. An address stays open
        if another member who uses it agreed later than that.
        """
        suppressions = self.env["member.suppression"]
        # sudo: the list belongs to nobody who may delete contacts
        suppressions.sudo()._add(
            SQL(
                """
                SELECT pa.company_id, c.channel, c.purpose, %(address)s AS address,
                       'refused' AS reason
                  FROM member_consent c
                  JOIN member_profile p ON p.id = c.profile_id
                  JOIN res_partner pa ON pa.id = p.partner_id
                 WHERE p.id = ANY(%(ids)s) AND c.is_current AND c.state = 'refused'
                   AND NOT EXISTS (
                       SELECT FROM res_partner other
                         JOIN member_profile q ON q.partner_id = other.id
                         JOIN member_consent word ON word.profile_id = q.id
                        WHERE other.phone_sanitized = pa.phone_sanitized
                          AND q.id != ALL(%(ids)s) AND word.is_current
                          AND word.state = 'granted' AND word.channel = c.channel
                          AND word.purpose = c.purpose AND word.date > c.date)
                """,
                address=suppressions._get_address_sql(SQL("c.channel")),
                ids=self.ids,
            )
        )
