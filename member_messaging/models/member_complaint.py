from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .member_consent import CHANNELS


class MemberComplaint(models.Model):
    """Somebody complained about a message. The number gets no more promotions, and too
    many complaints stop the account (see ``member_send_policy_safety``).
    """

    _name = "member.complaint"
    _description = "Complaint"
    _order = "date desc, id desc"
    _rec_name = "address"

    source = fields.Selection(
        [
            ("carrier", "Report of the Carrier"),
            ("12321", "12321 Complaint Centre"),
            ("staff", "Told to Staff"),
            ("reply", "Reply"),
        ],
        string="Came By",
        required=True,
        default="staff",
    )
    date = fields.Datetime(required=True, default=fields.Datetime.now)
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    address = fields.Char(
        string="Number",
        required=True,
        help="Who complained. The message is the last one that went to this number.",
    )
    profile_id = fields.Many2one(
        "member.profile",
        string="Member",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
    )
    message_id = fields.Many2one(
        "member.message",
        string="About",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
    )
    campaign_id = fields.Many2one(
        "member.campaign",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
    )
    gateway_id = fields.Many2one(
        "member.gateway", ondelete="set null", index="btree_not_null", readonly=True
    )
    inbound_id = fields.Many2one(
        "member.inbound",
        string="Reply",
        ondelete="set null",
        readonly=True,
        index="btree_not_null",
    )
    consent_source = fields.Selection(
        selection=lambda self: (
            self.env["member.consent"]
            ._fields["source"]
            ._description_selection(self.env)
        ),
        string="Had Agreed By",
        readonly=True,
        help="How the member had agreed to promotions.",
    )
    note = fields.Text(help="What was said, file number, whom to call back …")
    reference = fields.Char(
        readonly=True, help="Of the provider's report: told twice it is stored once."
    )

    _reference_uniq = models.UniqueIndex(
        "(gateway_id, reference) WHERE reference IS NOT NULL",
        "This complaint has been recorded already.",
    )
    _date_idx = models.Index("(date)")

    @api.model_create_multi
    def create(self, vals_list):
        complaints = super().create(self._complete(vals_list))
        complaints._suppress()
        self.env["member.send.policy"]._check_complaints(complaints)
        return complaints

    @api.model
    def _report(self, gateway, reports):
        """Record complaints a provider tells; those told before are left out.

        :param list[dict] reports: ``address`` in E.164, ``reference``, and optionally
            ``date`` (naive UTC), ``note``, ``source``
        :returns: the new complaints
        """
        known = set(
            self.search(
                [
                    ("gateway_id", "=", gateway.id),
                    ("reference", "in", [report["reference"] for report in reports]),
                ]
            ).mapped("reference")
        )
        new = {
            report["reference"]: {
                "source": "carrier",
                "channel": gateway.channel,
                "company_id": gateway.company_id.id,
                **report,
                "gateway_id": gateway.id,
            }
            for report in reports
            if report["reference"] not in known
        }
        return self.create(list(new.values()))

    def _complete(self, vals_list):
        """Find what complaints are about: the last message that went to each number,
        and the member.
        """
        companies = self.env["res.company"]
        for vals in vals_list:
            company = companies.browse(vals.get("company_id", self.env.company.id))
            vals["company_id"] = company.id
            vals["address"] = self._format(vals.get("address"), company)
        found = self._find_messages(
            {(vals["company_id"], vals["address"]) for vals in vals_list}
        )
        completed = [
            found.get((vals["company_id"], vals["address"]), {})
            # what the caller knows counts more
            | {name: value for name, value in vals.items() if value}
            for vals in vals_list
        ]
        sources = self._find_consent_sources(
            [vals.get("profile_id") for vals in completed]
        )
        return [
            {"consent_source": sources.get(vals.get("profile_id"), False), **vals}
            for vals in completed
        ]

    def _format(self, number, company):
        address = company._phone_format(number=number or "", country=company.country_id)
        if not address:
            raise ValidationError(
                self.env._(
                    "“%s” is no phone number: nothing was recorded. Write it with the "
                    "country code, e.g. +86 138 0013 8000.",
                    number or "",
                )
            )
        return address

    def _find_messages(self, numbers):
        """:param numbers: pairs of company id and number
        :returns: pair → message, campaign, gateway and member, as far as known
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT n.company_id, n.address, m.id AS message_id, m.campaign_id,
                       m.gateway_id, COALESCE(m.profile_id, p.id) AS profile_id
                  FROM unnest(%s::int[], %s::varchar[]) AS n (company_id, address)
                  LEFT JOIN LATERAL (
                       SELECT * FROM member_message
                        WHERE address = n.address AND company_id = n.company_id
                          AND state IN ('sent', 'delivered', 'uncertain')
                          AND claimed_date IS NOT NULL
                     ORDER BY sent_date DESC, id DESC LIMIT 1) m ON TRUE
                  LEFT JOIN LATERAL (
                       SELECT profile.id
                         FROM member_profile profile
                         JOIN res_partner pa ON pa.id = profile.partner_id
                        WHERE pa.phone_sanitized = n.address
                     ORDER BY profile.id DESC LIMIT 1) p ON TRUE
                """,
                *map(list, zip(*numbers, strict=True)),
            )
            if numbers
            else SQL("SELECT WHERE FALSE")
        )
        return {
            (row.pop("company_id"), row.pop("address")): row
            for row in self.env.cr.dictfetchall()
        }

    def _find_consent_sources(self, profile_ids):
        """:returns: profile id → how the member agreed last"""
        granted = (
            self.env["member.consent"]
            .sudo()  # sudo: whoever records a complaint
            .search(
                [
                    ("profile_id", "in", list(filter(None, profile_ids))),
                    ("purpose", "=", "promotion"),
                    ("state", "=", "granted"),
                ],
                order="id",
            )
        )
        return {consent.profile_id.id: consent.source for consent in granted}

    def _suppress(self):
        """Nobody with the number gets promotions any more."""
        by_number = (
            self.env["member.inbound"]
            ._find_profiles(self.mapped("address"))
            .grouped(lambda profile: profile.partner_id.phone_sanitized)
        )
        labels = dict(self._fields["source"]._description_selection(self.env))
        for channel, group in self.grouped("channel").items():
            evidence = {}
            for complaint in group:
                label = labels[complaint.source]
                words = f"{label}: {complaint.note}" if complaint.note else label
                for profile in complaint.profile_id | by_number.get(
                    complaint.address, complaint.profile_id
                ):
                    evidence.setdefault(profile, words)
            # sudo: the ledger is written by dialogs and rules, never by hand
            consents_sudo = self.env["member.consent"].sudo()
            consents_sudo._refuse_each(evidence, channel, "complaint")
