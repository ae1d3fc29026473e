from odoo import models
from odoo.tools import SQL

#: Replies deleted between two commits, with their chatter and activities.
REPLY_SIZE = 500


class MemberMessage(models.Model):
    """The end of what members wrote and did: see ``member_message_purge``."""

    _inherit = "member.message"

    def _clear(self, message_ids):
        """The events stay, without the words and references of the provider."""
        result = super()._clear(message_ids)
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_event SET payload = NULL, provider_event_ref = NULL
                 WHERE message_id = ANY(%s)
                   AND (payload IS NOT NULL OR provider_event_ref IS NOT NULL)
                """,
                message_ids,
            )
        )
        self.env["member.event"].invalidate_model()
        return result

    def _purge_company(self, company, limit):
        # first: they point at messages outside of campaigns
        yield from self.env["member.inbound"]._purge(company, limit)
        yield from super()._purge_company(company, limit)

    def _detach(self, profile, erasure):
        """Events and credits tell the order of the member: not any more."""
        own = SQL("m.profile_id = %s", profile.id)
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_event e SET payload = NULL, provider_event_ref = NULL
                  FROM member_message m WHERE m.id = e.message_id AND %s
                """,
                own,
            )
        )
        # The amount is the campaign's figure. A number below 0 is no order, and unique.
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_attribution a SET order_id = -a.id
                  FROM member_message m WHERE m.id = a.message_id AND %s
                """,
                own,
            )
        )
        return super()._detach(profile, erasure)


class MemberInbound(models.Model):
    _inherit = "member.inbound"

    def _purge(self, company, limit):
        """Delete replies of a company from before ``limit``. That there was one stays
        on its message; a refusal stays in the ledger.

        Yields the number of rows after each step.
        """
        domain = [("company_id", "=", company.id), ("date", "<", limit)]
        while replies := self.search(domain, order="id", limit=REPLY_SIZE):
            replies.unlink()
            yield len(replies)


class MemberProfile(models.Model):
    _inherit = "member.profile"

    def _erase(self, erasure):
        # sudo: replies are deleted by nobody's hand
        self.env["member.inbound"].sudo().search(
            [("profile_id", "=", self.id)]
        ).unlink()
        # sudo: they may be of another company
        complaints = (
            self.env["member.complaint"].sudo().search([("profile_id", "=", self.id)])
        )
        # that somebody complained about a campaign stays, who and in which words not
        complaints.write({"address": "*", "note": False, "profile_id": False})
        return super()._erase(erasure)

    def _forget_elsewhere(self, partner, number):
        # sudo: requests to join belong to nobody
        requests = self.env["member.join"].sudo().search([("phone", "=", number)])
        requests.filtered("phone").unlink()
        return super()._forget_elsewhere(partner, number)
