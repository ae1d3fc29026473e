from odoo import models
from odoo.tools import SQL


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _update_foreign_keys(self, src_partners, dst_partner):
        """Stock deletes what a unique constraint keeps it from moving, such as the
        member with everything that belongs to it; so members are merged before."""
        # sudo: who merges contacts may have no rights on members
        members = self.env["member.profile"].sudo()
        members._merge_partners(src_partners, dst_partner)
        self._release_member_tags(src_partners | dst_partner)
        # No foreign key shows them to the wizard.
        # sudo: as above, for messages
        self.env["member.message"].sudo()._replace(
            "partner_id", src_partners, dst_partner
        )
        return super()._update_foreign_keys(src_partners, dst_partner)

    def _release_member_tags(self, partners):
        """A tag that one of the contacts has by hand stays by hand: no rule may take
        it away from the one that stays."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM member_tag_assignment kept
                 USING res_partner_res_partner_category_rel tag
                 WHERE kept.partner_id = ANY(%(ids)s) AND tag.partner_id = ANY(%(ids)s)
                   AND tag.category_id = kept.category_id AND NOT EXISTS (
                       SELECT FROM member_tag_assignment own
                        WHERE own.partner_id = tag.partner_id
                          AND own.category_id = tag.category_id)
                """,
                ids=partners.ids,
            )
        )

    def _merge(self, partner_ids, dst_partner=None, extra_checks=True):
        orders = self.env["member.order"]
        partners = self.env["res.partner"].browse(partner_ids)
        before = orders._map_partners(partners.exists().ids)
        result = super()._merge(partner_ids, dst_partner, extra_checks=extra_checks)
        # Orders have moved by now, and may have counted for somebody else.
        after = orders._map_partners(partners.exists().ids)
        # sudo: as above
        self.env["member.profile"].sudo()._refresh(list({*before, *after}))
        return result
