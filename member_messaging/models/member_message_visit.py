from odoo import api, fields, models


class MemberMessage(models.Model):
    """What the person behind a short link does."""

    _inherit = "member.message"

    @api.model
    def _find_by_token(self, token):
        """:returns: the message a short link belongs to, or none"""
        return self.search([("token", "=", token)]) if token else self

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
        # A refusal counts for the number, whoever else uses it.
        profiles = self.env["member.inbound"]._find_profiles(self.address)
        self.env["member.consent"]._refuse(
            self.profile_id | profiles, self.channel, "link", f"/m/{self.token}/stop"
        )
        self.env["member.event"]._record(
            [
                {
                    "message_id": self.id,
                    "type": "unsubscribed",
                    "date": fields.Datetime.now(),
                    "ref": "link",
                }
            ]
        )

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
