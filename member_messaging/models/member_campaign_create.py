from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

#: So many members are kept one by one; beyond it their filter is kept instead.
MAX_CHOSEN = 10_000


class ResPartner(models.Model):
    _inherit = "res.partner"

    def action_create_campaign(self):
        """Start a campaign to exactly these contacts, as far as they are members.

        Where the whole result of a big filter is selected, the browser hands over
        only a part of it; the filter itself is in the context as ``active_domain``.
        """
        if len(self) > MAX_CHOSEN:
            domain = self.env.context.get("active_domain")
            return self._create_member_campaign(domain and Domain(domain))
        return self._create_member_campaign(Domain("id", "in", self.ids))

    def _create_member_campaign(self, domain):
        """Make a segment and a draft campaign for contacts.

        :param Domain domain: condition on ``res.partner``
        :returns: action that opens the campaign, and tells who was left out
        :raises UserError: none of them is a member
        """
        company = self.env.company
        if not domain:
            raise UserError(
                self.env._(
                    "Select at most %s, or choose a segment in the campaign.",
                    MAX_CHOSEN,
                )
            )
        selected = self.with_context(active_test=False).search_count(domain)
        domain &= Domain("member_profile_id", "!=", False)
        domain &= Domain("company_id", "in", [company.id, False])
        count = self.search_count(domain)
        if not count:
            raise UserError(
                self.env._(
                    "None of them is a member of %s. Enrol those first who agree.",
                    company.name,
                )
            )
        if count <= MAX_CHOSEN:
            domain = Domain("id", "in", self.search(domain, order="id").ids)
        segment = self.env["member.segment"].create(
            {
                "name": self.env._(
                    "%(count)s chosen on %(date)s",
                    count=count,
                    date=fields.Date.context_today(self),
                ),
                "domain": str(list(domain)),
                "company_id": company.id,
            }
        )
        campaign = self.env["member.campaign"].create(
            {
                "name": self.env._("To %s", segment.name),
                "segment_ids": segment.ids,
                "company_id": company.id,
            }
        )
        action = {
            "type": "ir.actions.act_window",
            "res_model": "member.campaign",
            "res_id": campaign.id,
            "views": [(False, "form")],
        }
        if not (left_out := selected - count):
            return action
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning",
                "sticky": True,
                "message": self.env._(
                    "%(left_out)s of %(selected)s are left out: not members of "
                    "%(company)s, or archived.",
                    left_out=left_out,
                    selected=selected,
                    company=company.name,
                ),
                "next": action,
            },
        }


class MemberProfile(models.Model):
    _inherit = "member.profile"

    def action_create_campaign(self):
        """Start a campaign to exactly these members."""
        partners = self.env["res.partner"]
        if len(self) > MAX_CHOSEN:
            domain = self.env.context.get("active_domain")
            return partners._create_member_campaign(
                domain and Domain("member_profile_id", "any", Domain(domain))
            )
        return partners._create_member_campaign(Domain("id", "in", self.partner_id.ids))
