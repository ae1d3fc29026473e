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
        return super().unlink()


class MemberProfile(models.Model):
    _inherit = "member.profile"

    def unlink(self):
        self._block_refused_numbers()
        return super().unlink()

    def _block_refused_numbers(self):
        """Put the numbers of members who refused messages on the block list.

        Their consents are deleted with them: without this, whoever enters the same
        number again could write to people who had said no. A number stays open if
        another of its members agreed later than that.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT pa.phone_sanitized
                  FROM member_consent c
                  JOIN member_profile p ON p.id = c.profile_id
                  JOIN res_partner pa ON pa.id = p.partner_id
                 WHERE p.id = ANY(%(ids)s) AND c.is_current AND c.state = 'refused'
                   AND c.channel = 'sms' AND pa.phone_sanitized IS NOT NULL
                   AND NOT EXISTS (
                       SELECT FROM res_partner other
                         JOIN member_profile q ON q.partner_id = other.id
                         JOIN member_consent word ON word.profile_id = q.id
                        WHERE other.phone_sanitized = pa.phone_sanitized
                          AND q.id != ALL(%(ids)s) AND word.is_current
                          AND word.state = 'granted' AND word.channel = c.channel
                          AND word.purpose = c.purpose
                          AND word.create_date > c.create_date)
                """,
                ids=self.ids,
            )
        )
        if rows:
            # sudo: the block list belongs to nobody who may delete contacts
            self.env["phone.blacklist"].sudo()._add(
                [number for (number,) in rows],
                message=self.env._(
                    "The member with this number refused messages and was deleted."
                ),
            )
