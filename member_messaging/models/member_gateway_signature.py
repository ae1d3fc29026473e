from odoo import api, fields, models

#: What a provider thinks of a text or signature that was handed in.
APPROVALS = [
    ("draft", "Not Handed In"),
    ("submitted", "Being Reviewed"),
    ("approved", "Approved"),
    ("rejected", "Rejected"),
]


class MemberGatewaySignature(models.Model):
    """A sender signature and what the provider thinks of it.

    Which of them is used says ``signature`` of the gateway.
    """

    _name = "member.gateway.signature"
    _description = "Sender Signature"
    _order = "gateway_id, name"

    gateway_id = fields.Many2one(
        "member.gateway", required=True, ondelete="cascade", index=True
    )
    name = fields.Char(
        string="Signature", required=True, help="As registered, without brackets."
    )
    state = fields.Selection(
        APPROVALS, string="Approval", required=True, default="draft"
    )
    rejection = fields.Char(
        string="Provider's Reason", help="Why the provider has rejected it."
    )

    _name_uniq = models.Constraint(
        "UNIQUE (gateway_id, name)", "A gateway has each signature once."
    )


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    signature_ids = fields.One2many(
        "member.gateway.signature", "gateway_id", string="Registered Signatures"
    )

    @api.model_create_multi
    def create(self, vals_list):
        gateways = super().create(vals_list)
        gateways._add_signatures()
        return gateways

    def write(self, vals):
        result = super().write(vals)
        if {"signature", "provider"} & set(vals):
            self._add_signatures()
        return result

    def _add_signatures(self):
        """What is written into the field is followed up among the registered ones."""
        self.env["member.gateway.signature"].create(
            [
                {"gateway_id": gateway.id, "name": gateway.signature}
                for gateway in self
                if gateway._needs_registration()
                and gateway.signature
                and gateway.signature not in gateway.signature_ids.mapped("name")
            ]
        )

    def _find_signature_problem(self):
        """:returns: why the provider would refuse the signature; None if it would not
        :rtype: str | None
        """
        self.ensure_one()
        if not self._needs_registration():
            return None
        current = self.signature_ids.filtered(lambda s: s.name == self.signature)
        if current.state == "approved":
            return None
        return self.env._(
            "Signature “%(signature)s” is not approved at %(gateway)s (%(state)s): see "
            "Configuration > Gateways > %(gateway)s > Registrations. %(reason)s",
            signature=self.signature or "",
            gateway=self.name,
            state=dict(current._fields["state"]._description_selection(self.env)).get(
                current.state, self.env._("not entered")
            ),
            reason=current.rejection or "",
        ).strip()
