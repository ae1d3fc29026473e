from odoo import fields, models

from odoo.addons.sms.tools.sms_api import SmsApiBase


class SmsApiGateway(SmsApiBase):
    """Hands Odoo's SMS to the outbox of a company's gateway.

    Nothing is sent here, inside of whatever transaction Odoo is in: a sender takes them
    from the outbox within a minute, once the transaction is committed.
    """

    def _send_sms_batch(self, messages, delivery_reports_url=False):
        # sudo: salespeople and crons send SMS without rights of messaging
        company_sudo = self.company.sudo()
        gateway_sudo = company_sudo.member_sms_gateway_id
        results, outbox = [], []
        for message in messages:
            matched = self._match(gateway_sudo, message["content"] or "")
            refusal = self._find_refusal(gateway_sudo, matched)
            for recipient in message["numbers"]:
                result = {"uuid": recipient["uuid"], "state": "processing"}
                address = company_sudo._phone_format(
                    number=recipient["number"], country=company_sudo.country_id
                )
                if not recipient["number"]:
                    result["state"] = "sms_number_missing"
                elif not address:
                    result["state"] = "wrong_number_format"
                elif refusal:
                    result.update(state="server_error", failure_reason=refusal)
                else:
                    outbox.append(
                        {
                            "address": address,
                            "body": message["content"] or "",
                            "sms_uuid": recipient["uuid"],
                            **matched,
                        }
                    )
                results.append(result)
        self.env["member.service.message"].sudo()._enqueue(gateway_sudo, "odoo", outbox)
        return results

    @staticmethod
    def _match(gateway, body):
        """:returns: the registered text and parameters a text is sent by, nothing if
        the provider sends any text; None: no registered text reads like it
        :rtype: dict | None
        """
        if not gateway._needs_registration():
            return {}
        found = gateway.registration_ids._match(body)
        return found and {"template_code": found[0], "params": found[1]}

    def _find_refusal(self, gateway, matched):
        """:returns: why a text cannot be sent; None if it can"""
        if gateway._is_muted():
            return self.env._("This is a neutralised copy: nothing is sent.")
        if matched is None:
            return self.env._(
                "The provider sends registered texts only, and none reads like this "
                "one. Register it there, then enter it under Member Messaging > "
                "Configuration > Gateways > Registrations."
            )
        return None


class SmsSms(models.Model):
    _inherit = "sms.sms"

    member_company_id = fields.Many2one(
        "res.company",
        string="Sending Company",
        readonly=True,
        default=lambda self: self.env.company,
        help="Whose gateway an SMS without a message of its own leaves through.",
    )

    def _get_sms_company(self):
        return (
            self.mail_message_id.record_company_id
            or self.member_company_id
            or super()._get_sms_company()
        )

    def _split_by_api(self):
        others = self.browse()
        for company, messages in self.grouped(
            lambda message: message._get_sms_company()
        ).items():
            # sudo: as in SmsApiGateway
            if company.sudo().member_sms_gateway_id:
                api = SmsApiGateway(self.env)
                api._set_company(company)
                yield api, messages
            else:
                others += messages
        if others:
            yield from super(SmsSms, others)._split_by_api()

    def _send(self, unlink_failed=False, unlink_sent=True, raise_exception=False):
        """The cron hands over SMS of all companies at once, each has its own way."""
        if self.env.context.get("sms_api"):
            return super()._send(unlink_failed, unlink_sent, raise_exception)
        for sms_api, messages in self._split_by_api():
            messages.with_context(sms_api=sms_api)._send(
                unlink_failed, unlink_sent, raise_exception
            )
        return None
