import logging
from datetime import timedelta
from ipaddress import ip_address, ip_network

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL

from ..tools.codes import generate_tokens
from .sms_sms import SmsApiGateway

_logger = logging.getLogger(__name__)

#: How long a link confirms. Who did not follow it refused (silence is no consent), and
#: what they typed is deleted.
VALIDITY = timedelta(hours=48)
#: What is counted → number of confirmations sent, and within which time. Customers in
#: the shop share an address of the network.
LIMITS = {
    "number": (3, timedelta(days=1)),
    "source": (30, timedelta(hours=1)),
    "company": (300, timedelta(hours=1)),
}
#: No marketing to children (China's PIPL 28 and 31).
ADULT_AGE = relativedelta(years=14)
#: Network addresses are kept in this coarseness, by version of the protocol.
KEPT_PREFIX = {4: 24, 6: 48}


class MemberServiceMessage(models.Model):
    _inherit = "member.service.message"

    kind = fields.Selection(
        selection_add=[("join", "Join Page")], ondelete={"join": "cascade"}
    )


class MemberJoin(models.Model):
    """Somebody asks on the public page to become a member.

    It becomes one when whoever holds the number follows the link sent to it; until
    then nothing is known of who typed it, and no contact is made or touched.
    """

    _name = "member.join"
    _description = "Request to Join"
    _order = "id desc"

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, ondelete="cascade"
    )
    name = fields.Char(required=True, readonly=True)
    phone = fields.Char(required=True, readonly=True, help="In E.164.")
    birthday = fields.Date(readonly=True)
    is_agreed = fields.Boolean(string="Agreed to Promotions", readonly=True)
    wording = fields.Text(readonly=True, help="What was beside the box.")
    lang = fields.Char(required=True, readonly=True)
    network = fields.Char(readonly=True, help="Where it came from, truncated.")
    token = fields.Char(required=True, readonly=True, groups="base.group_system")
    confirmed_date = fields.Datetime(readonly=True)

    _token_uniq = models.Constraint("UNIQUE (token)")

    @api.model
    def _is_child(self, birthday):
        today = fields.Date.context_today(self)
        return bool(birthday) and birthday + ADULT_AGE > today

    @api.model
    def _request(self, company, source, values):
        """Take a request and send the link that confirms it.

        Whether the number is a member's already makes no difference here, so that
        nobody finds out. Over the limits nothing is sent.

        :param str source: network address of the visitor
        :param dict values: ``name``, ``phone``, ``birthday``, ``is_agreed``,
            ``wording`` and ``lang``
        :returns: the request; none, if there were too many or nothing can be sent
        """
        if not company._get_join_gateway():
            _logger.warning("join page of company %s: no gateway for SMS", company.id)
            return self
        keys = {
            "number": values["phone"],
            "source": self._truncate(source, {4: 32, 6: 64}),
            "company": company.id,
        }
        # all are counted: a list, not a generator
        allowed = [
            self.env["member.quota"]._take(f"join:{kind}:{keys[kind]}", *limit)
            for kind, limit in LIMITS.items()
        ]
        if not all(allowed):
            return self
        [token] = generate_tokens(1)
        request = self.create(
            {
                **values,
                "company_id": company.id,
                "network": self._truncate(source, KEPT_PREFIX),
                "token": token,
            }
        )
        request._send_link()
        return request

    @staticmethod
    def _truncate(source, prefixes):
        try:
            address = ip_address(source)
        except ValueError:
            return "unknown"
        prefix = prefixes[address.version]
        return str(ip_network((address, prefix), strict=False))

    def _send_link(self):
        """A service message without marketing, sent after this transaction."""
        self.ensure_one()
        company = self.company_id.with_context(lang=self.lang)
        body = company._get_join_text(self.token)
        gateway = company._get_join_gateway()
        # An unregistered text is refused by the provider, which says so on the message.
        matched = SmsApiGateway._match(gateway, body) or {}
        self.env["member.service.message"]._enqueue(
            gateway, "join", [{"address": self.phone, "body": body, **matched}]
        )

    @api.model
    def _find(self, company, token):
        """:returns: the request a link belongs to, or none"""
        return self.search(
            [
                ("company_id", "=", company.id),
                ("token", "=", token),
                ("create_date", ">", fields.Datetime.now() - VALIDITY),
            ]
        )

    def _confirm(self):
        """Whoever holds the number has confirmed: make a member; repeating it changes
        nothing."""
        self.ensure_one()
        self.env.cr.execute(
            SQL(
                "UPDATE member_join SET confirmed_date = %s"
                " WHERE id = %s AND confirmed_date IS NULL",
                fields.Datetime.now(),
                self.id,
            )
        )
        if not self.env.cr.rowcount:
            return
        self.invalidate_recordset()
        partner = self._find_partner() or self._create_partner()
        profile = self.env["member.profile"]._enrol(partner.ids, "web")
        if self.birthday and not profile.birthday:
            profile.birthday = self.birthday
        if self.is_agreed and not self._is_child(profile.birthday):
            self.env["member.consent"].create(self._prepare_consent(profile))

    def _find_partner(self):
        """:returns: the contact who has the number, a member rather than another"""
        partners = self.env["res.partner"].search(
            [
                ("phone_sanitized", "=", self.phone),
                ("company_id", "in", (self.company_id.id, False)),
            ],
            order="id",
        )
        return partners.sorted(lambda partner: not partner.member_profile_id)[:1]

    def _create_partner(self):
        return self.env["res.partner"].create(
            {
                "name": self.name,
                "phone": self.phone,
                "lang": self.lang,
                "company_id": self.company_id.id,
            }
        )

    def _prepare_consent(self, profile):
        return {
            "profile_id": profile.id,
            "channel": "sms",
            "purpose": "promotion",
            "state": "granted",
            "source": "double_opt_in",
            "date": self.confirmed_date,
            "wording": self.wording,
            "evidence": self.env._(
                "Ticked on the join page on %(asked)s UTC from %(network)s, confirmed "
                "on %(confirmed)s UTC by the link sent to the number.",
                asked=fields.Datetime.to_string(self.create_date),
                network=self.network,
                confirmed=fields.Datetime.to_string(self.confirmed_date),
            ),
        }

    @api.autovacuum
    def _gc_requests(self):
        """What was confirmed is in the ledger, what was not is nobody's business."""
        self.search([("create_date", "<", fields.Datetime.now() - VALIDITY)]).unlink()
