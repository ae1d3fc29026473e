from odoo import api, fields, models
from odoo.tools import SQL, format_date, format_datetime

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
            positions = dict(
                zip(codes.generate_codes(len(missing)), missing, strict=True)
            )
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
    def _find_card(self, code):
        """Return the card behind a typed or scanned code, archived ones included.

        Lower case, spaces and dashes do not matter.
        """
        cards = self.with_context(active_test=False).search(
            [("code", "in", [code, codes.normalise(code)])]
        )
        return cards.filtered(lambda card: card.code == code) or cards

    @api.model
    def _find_member_coupon(self, code):
        """As :meth:`_find_card`, but gift cards and the like are left out."""
        return self._find_card(code).filtered(
            lambda card: card.program_type == "coupons"
        )

    @api.model
    def _explain_refusal(self, code, partner):
        """Tell a cashier or salesperson why a coupon code cannot be used.

        :param str code: what was typed or scanned
        :param partner: customer of the order, may be empty
        :returns: the reason, or False if nothing speaks against the code here
        :rtype: str | bool
        """
        card = self._find_card(code)
        if not card:
            return self._explain_unknown(code)
        if card.program_type != "coupons":
            return False
        return card._explain_unusable() or card._explain_foreign(partner)

    @api.model
    def _explain_unknown(self, code):
        """Only what has prefix and (nearly) the length of ours was meant to be ours:
        other codes may be promo codes, which are no cards."""
        plain = codes.normalise(code)
        is_ours = (
            plain.startswith(codes.COUPON_PREFIX)
            and abs(len(plain) - codes.CODE_LENGTH) <= 1
        )
        return (
            is_ours
            and not codes.is_valid(plain)
            and self.env._("There is a typing error in %s: check each character.", code)
        )

    def _explain_unusable(self):
        self.ensure_one()
        if not self.active:
            return self.env._("Coupon %s has been withdrawn.", self.code)
        required = min(self.program_id.reward_ids.mapped("required_points"), default=1)
        if self.points < required:
            if spent := self.history_ids.filtered("used")[:1]:
                return self.env._(
                    "Coupon %(code)s has already been used: %(date)s.",
                    code=self.code,
                    date=format_datetime(
                        self.env, spent.create_date, dt_format="short"
                    ),
                )
            return self.env._("Coupon %s has already been used.", self.code)
        expiry = self.expiration_date
        if expiry and expiry < fields.Date.context_today(self):
            return self.env._(
                "Coupon %(code)s expired on %(date)s.",
                code=self.code,
                date=format_date(self.env, expiry),
            )
        return False

    def _explain_foreign(self, partner):
        self.ensure_one()
        if self.partner_id in (partner, partner.browse()):
            return False
        if partner:
            return self.env._("Coupon %s belongs to another member.", self.code)
        return self.env._(
            "Coupon %s is personal: choose the customer first.", self.code
        )

    @api.model
    def get_member_coupon_owner(self, code):
        """Called by the till before a code is checked.

        :returns: the code as stored and the contact it belongs to (False: none)
        :rtype: dict
        """
        card = self._find_member_coupon(code)
        is_usable = bool(card) and not card._explain_unusable()
        return {
            "code": card.code or code,
            "partner_id": is_usable and card.partner_id.id,
        }
