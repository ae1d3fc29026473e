from odoo import api, fields, models
from odoo.tools import SQL, format_date

from ..tools import codes


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    @api.model
    def _issue_member_coupons(self, program, partner_ids, expiration_date):
        """Create one coupon per contact, by set-based SQL.

        The stock code has 32 random bits and no retry, so that large batches collide;
        ours has more and takes a new one when it does.

        :param program: ``loyalty.program`` of type coupons
        :param list[int] partner_ids: owners of the coupons
        :param datetime.date expiration_date: last day of validity
        :returns: (card id, code) in the order of ``partner_ids``
        :rtype: list[tuple[int, str]]
        """
        points = min(program.reward_ids.mapped("required_points"), default=1)
        issued = {}
        while missing := [i for i in range(len(partner_ids)) if i not in issued]:
            positions = dict(zip(codes.generate_codes(len(missing)), missing, strict=True))
            rows = self.env.execute_query(
                SQL(
                    """
                    INSERT INTO loyalty_card (
                           program_id, company_id, partner_id, points, code,
                           expiration_date, active,
                           create_uid, write_uid, create_date, write_date)
                    SELECT %(program)s, %(company)s, c.partner_id, %(points)s, c.code,
                           %(expiry)s, TRUE, %(uid)s, %(uid)s, %(now)s, %(now)s
                      FROM unnest(%(partners)s::int[], %(codes)s::varchar[])
                           AS c (partner_id, code)
               ON CONFLICT (code) DO NOTHING
                 RETURNING id, code
                    """,
                    program=program.id,
                    company=program.company_id.id or None,
                    points=points,
                    expiry=expiration_date,
                    uid=self.env.uid,
                    now=fields.Datetime.now(),
                    partners=[partner_ids[i] for i in positions.values()],
                    codes=list(positions),
                )
            )
            issued.update((positions[code], (card_id, code)) for card_id, code in rows)
        program.invalidate_recordset(["coupon_ids", "coupon_count"])
        return [issued[i] for i in range(len(partner_ids))]

    @api.model
    def _find_member_coupon(self, code):
        """Return the coupon behind a typed or scanned code, archived ones included.

        Lower case, spaces and dashes do not matter.
        """
        card = self.with_context(active_test=False).search(
            [("code", "in", [code, codes.normalise(code)])], limit=1
        )
        return card if card.program_id.program_type == "coupons" else self.browse()

    @api.model
    def _explain_refusal(self, code, partner):
        """Tell a cashier or salesperson why a coupon code cannot be used.

        :param str code: what was typed or scanned
        :param partner: customer of the order, may be empty
        :returns: the reason, or False if nothing speaks against the code here
        :rtype: str | bool
        """
        _ = self.env._
        # sudo: a cashier may ask about any code, but learns only the reason
        card = self.sudo()._find_member_coupon(code)
        if not card:
            plain = codes.normalise(code)
            typo = len(plain) == codes.CODE_LENGTH and not codes.is_valid(plain)
            return typo and _("There is a typing error in %s: check each sign.", code)
        if not card.active:
            return _("Coupon %s has been withdrawn.", card.code)
        if card.points < min(card.program_id.reward_ids.mapped("required_points"), default=1):
            return _("Coupon %s has already been used.", card.code)
        if card.expiration_date and card.expiration_date < fields.Date.context_today(self):
            return _(
                "Coupon %(code)s expired on %(date)s.",
                code=card.code,
                date=format_date(self.env, card.expiration_date),
            )
        if card.partner_id and partner and card.partner_id != partner:
            return _("Coupon %s belongs to another member.", card.code)
        if card.partner_id and not partner:
            return _("Coupon %s is personal: choose the customer first.", card.code)
        return False

    @api.model
    def get_member_coupon_owner(self, code):
        """Called by the till before a code is checked.

        :returns: the code as stored and the contact it belongs to (False: none)
        :rtype: dict
        """
        # sudo: see _explain_refusal; the owner is needed to select the customer
        card = self.sudo()._find_member_coupon(code)
        usable = card and not self._explain_refusal(code, card.partner_id)
        return {
            "code": card.code or code,
            "partner_id": usable and card.partner_id.id,
        }
