from odoo import api, fields, models

LIGHTS = [("green", "Works"), ("yellow", "Look Here"), ("red", "Stopped")]


class MemberGateway(models.Model):
    """How far a gateway is set up, and how it is: computed from what has happened,
    never ticked by hand."""

    _inherit = "member.gateway"

    is_keys_done = fields.Boolean(compute="_compute_setup")
    is_test_done = fields.Boolean(compute="_compute_setup")
    is_callback_done = fields.Boolean(compute="_compute_setup")
    is_template_done = fields.Boolean(compute="_compute_setup")
    is_setup_done = fields.Boolean(compute="_compute_setup")
    light = fields.Selection(LIGHTS, string="Condition", compute="_compute_light")
    light_hint = fields.Char(string="Why", compute="_compute_light")

    @api.depends(
        "provider",
        "signature",
        "probe_state",
        "registration_ids.state",
        "signature_ids.state",
    )
    def _compute_setup(self):
        # without the rights to see keys and callbacks, staff may know whether they work
        for gateway, gateway_sudo in zip(self, self.sudo(), strict=True):
            gateway.is_keys_done = not gateway_sudo._get_adapter().check_config()
            gateway.is_test_done = gateway_sudo._has_been_accepted()
            gateway.is_callback_done = (
                not gateway.has_callback or gateway_sudo._has_been_called()
            )
            gateway.is_template_done = not gateway._needs_registration() or bool(
                not gateway._find_signature_problem()
                and gateway.registration_ids.filtered(lambda r: r.state == "approved")
            )
            gateway.is_setup_done = (
                gateway.is_keys_done
                and gateway.is_test_done
                and gateway.is_callback_done
                and gateway.is_template_done
            )

    def _has_been_accepted(self):
        """:returns: whether the provider has ever taken a message or said yes"""
        return self.probe_state == "ok" or bool(
            self.env["member.service.message"].search_count(
                [("gateway_id", "in", self.ids), ("sent_date", "!=", False)], limit=1
            )
            or any(load.day_count for load in self.load_ids)
        )

    def _has_been_called(self):
        """:returns: whether anything has come to the callback address lately"""
        domain = [("gateway_id", "in", self.ids)]
        return any(
            self.env[model].search_count(domain, limit=1)
            for model in ("member.callback", "member.inbound")
        )

    @api.depends("state", "pause_reason", "probe_state", "provider")
    @api.depends_context("lang", "tz")
    def _compute_light(self):
        for gateway in self:
            gateway.light, gateway.light_hint = gateway._judge()

    def _judge(self):
        """:returns: ``light`` and why"""
        if self.state == "paused" and self.pause_reason:
            return "red", self.pause_reason
        if self.state == "paused":
            return "yellow", self.env._("Not in use yet: test it, then press Activate.")
        if self.load_ids.failure_count:
            return "yellow", self.env._(
                "The provider did not answer the last call: %s",
                self.last_error or self.env._("no answer"),
            )
        if self.probe_state == "failed":
            return "yellow", self.probe_text
        if self.is_sandbox:
            return "green", self.env._("In use; nothing is really sent.")
        if not self.sudo()._has_been_accepted():
            return "yellow", self.env._(
                "Not proven yet: test the connection or send a test SMS."
            )
        return "green", self.env._("In use, the last call was answered.")
