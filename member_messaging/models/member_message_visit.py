from odoo import api, fields, models


class MemberMessage(models.Model):
    """What the person behind a short link does."""

    _inherit = "member.message"

    @api.model
    def _find_by_token(self, token):
        """:returns: the message a short link belongs to, or none: also if neither
        member nor number is left, for whom a link could do anything
        """
        # PostgreSQL refuses some characters that an address may have
        is_token = token.isascii() and token.isalnum()
        message = self.search([("token", "=", token)]) if is_token else self.browse()
        return message.filtered(lambda m: m.profile_id or m.address)

    def _record_visit(self, is_machine):
        self.ensure_one()
        self.env["member.event"]._record(
            [
                {
                    "message_id": self.id,
                    "type": "clicked",
                    "date": fields.Datetime.now(),
                    "is_bot": is_machine,
                }
            ]
        )

    def _unsubscribe(self):
        """Refuse promotions for the member; repeating changes nothing."""
        self.ensure_one()
        self._stop(self.channel, "promotion", f"/m/{self.token}/stop")

    def _get_coupon_status(self):
        """:returns: ``none``, ``usable``, ``used``, ``expired`` or ``withdrawn``"""
        self.ensure_one()
        card = self.card_id
        if not card:
            return "none"
        # not by the event: a cancelled order gives the coupon back
        if card.points <= 0:
            return "used"
        if not card.active:
            return "withdrawn"
        if card.expiration_date and card.expiration_date < fields.Date.context_today(
            self
        ):
            return "expired"
        return "usable"
