import json
from datetime import datetime

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import html2plaintext

from ..tools.workbook import write_workbook

#: What of the contact is about the person.
CONTACT_FIELDS = (
    "name",
    "phone",
    "email",
    "street",
    "street2",
    "zip",
    "city",
    "state_id",
    "country_id",
    "lang",
    "tz",
    "company_id",
    "comment",
)
#: What the shop knows of the member, and has concluded (GDPR 15 (1) h, PIPL 24).
MEMBER_FIELDS = (
    "number",
    "joined_date",
    "source",
    "birthday",
    "tier_id",
    "tier_date",
    "tier_review_date",
    "tier_lock_reason",
    "first_order_date",
    "last_order_date",
    "order_count",
    "revenue",
    "average_order",
    "r_score",
    "f_score",
    "m_score",
    "rfm_segment_id",
    "lifecycle",
    "engagement",
    "engagement_count",
    "preferred_hour",
    "preferred_hour_source",
    "preferred_channel",
    "favourite_category_id",
    "last_product_id",
)
#: Sheet → model, its fields.
TABLES = {
    "consents": (
        "member.consent",
        ("date", "state", "channel", "purpose", "source", "basis", "evidence")
        + ("wording", "expiry_date", "create_date", "create_uid"),
    ),
    "messages": (
        "member.message",
        ("campaign_id", "channel", "address", "body", "state", "reason", "due_date")
        + ("sent_date", "delivered_date", "clicked_date", "redeemed_date")
        + ("replied_date", "unsubscribed_date", "gateway_id", "cleared_date"),
    ),
    "events": ("member.event", ("date", "type", "campaign_id", "is_bot", "payload")),
    "replies": (
        "member.inbound",
        ("date", "address", "text", "intent", "is_complaint", "answer", "answer_date"),
    ),
    "answers": ("member.keyword.answer", ("day", "address", "keyword_id", "body")),
    "other": (
        "member.service.message",
        ("claimed_date", "kind", "address", "body", "state", "delivered_date"),
    ),
    "coupons": (
        "loyalty.card",
        ("program_id", "code", "points", "create_date", "expiration_date", "active"),
    ),
    "orders": ("member.order", ("date", "name", "company_id", "amount")),
    "tiers": (
        "member.tier.change",
        ("date", "previous_tier_id", "tier_id", "kind", "reason", "user_id"),
    ),
    "complaints": (
        "member.complaint",
        ("date", "source", "address", "campaign_id", "note"),
    ),
    "imports": (
        "member.import.line",
        ("import_id", "name", "phone", "email", "number", "cells", "action"),
    ),
}


class MemberProfile(models.Model):
    """A copy of everything that is kept about a member (GDPR 15 and 20, PIPL 45)."""

    _inherit = "member.profile"

    def action_download_copy(self):
        """Download everything that is kept about the member."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/member_messaging/member/{self.id}/copy",
            "target": "download",
        }

    def action_erase(self):
        """Open the dialog that erases the member."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_erase_action"
        )
        return {**action, "context": {"default_profile_id": self.id}}

    def _make_copy(self):
        """:returns: a workbook in the language of the member, and the number of rows
        :rtype: tuple[bytes, int]
        """
        self.ensure_one()
        self = self.with_context(
            lang=self.partner_id.lang or self.env.lang, active_test=False
        )
        sheets = [
            (self.env._("About This Copy"), self._describe_copy()),
            (self.env._("Contact"), self._list_values(self.partner_id, CONTACT_FIELDS)),
            (self.env._("Member"), self._list_values(self, MEMBER_FIELDS)),
            (self.env._("Tags and Segments"), self._list_groups()),
        ]
        titles = self._get_copy_titles()
        for key, domain in self._get_copy_domains().items():
            model, names = TABLES[key]
            records = self.env[model].search(domain, order="id")
            sheets.append((titles[key], self._list_records(records, names)))
        count = sum(len(rows) - 1 for _title, rows in sheets[1:])
        return write_workbook(sheets), count

    def _get_copy_titles(self):
        return {
            "consents": self.env._("Consent"),
            "messages": self.env._("Messages"),
            "events": self.env._("Events"),
            "replies": self.env._("Replies"),
            "answers": self.env._("Automatic Answers"),
            "other": self.env._("Other SMS"),
            "coupons": self.env._("Coupons and Points"),
            "orders": self.env._("Orders"),
            "tiers": self.env._("Tier History"),
            "complaints": self.env._("Complaints"),
            "imports": self.env._("Imported Lists"),
        }

    def _get_copy_domains(self):
        """:returns: key of :data:`TABLES` → condition on its rows about the member"""
        own = [("profile_id", "=", self.id)]
        contact = [("partner_id", "=", self.partner_id.id)]
        return {
            "consents": own,
            "messages": own,
            "events": [("message_id.profile_id", "=", self.id)],
            "replies": own,
            "answers": [("inbound_id.profile_id", "=", self.id)],
            "other": self._get_own_number_domain(),
            "coupons": contact,
            "orders": contact,
            "tiers": own,
            "complaints": own,
            "imports": contact,
        }

    def _get_own_number_domain(self):
        """SMS outside of campaigns know a number only. One that others have as well
        may tell what was written to them."""
        number = self.partner_id.phone_sanitized
        others = self.env["res.partner"].search_count(
            [("phone_sanitized", "=", number), ("id", "!=", self.partner_id.id)],
            limit=1,
        )
        if not number or others:
            return fields.Domain.FALSE
        return fields.Domain("address", "=", number)

    def _describe_copy(self):
        """What the law wants told beside the data (GDPR 15 (1))."""
        company = self.company_id or self.env.company
        policy = self.env["member.send.policy"]._get_for(company)
        gateways = self.env["member.message"].search([("profile_id", "=", self.id)])
        return [
            [self.env._("Data kept about member %s", self.number), ""],
            [self.env._("Kept by"), company.name],
            [self.env._("Made on"), self._show_value(self, fields.Datetime.now())],
            [
                self.env._("What for"),
                self.env._(
                    "The membership, offers and service messages as far as agreed to, "
                    "and the record of what was sent"
                ),
            ],
            [
                self.env._("Where it comes from"),
                self.env._(
                    "The member, their orders, and what they did with our messages"
                ),
            ],
            [
                self.env._("Who gets it"),
                ", ".join(sorted(set(gateways.gateway_id.mapped("name"))))
                or self.env._("Nobody so far"),
            ],
            [
                self.env._("How long it is kept"),
                self.env._(
                    "Texts and numbers of messages for %s months; the consents as long "
                    "as they are needed as a proof; the rest as long as the membership",
                    policy.retention_months,
                ),
            ],
            [
                self.env._("What is concluded from it"),
                self.env._(
                    "Tier, RFM scores, life cycle, engagement and best hour are "
                    "computed from orders and answers. They decide which offers are "
                    "made. See the sheets for the results"
                ),
            ],
            [
                self.env._("What the member may ask for"),
                self.env._(
                    "To correct, restrict or erase this data, to object to its use, to "
                    "take back a consent at any time, and to complain to the authority "
                    "for data protection"
                ),
            ],
            [
                self.env._("Whom to ask"),
                company.member_complaint_contact or company.name,
            ],
        ]

    def _list_values(self, record, names):
        fields_ = [record._fields[name] for name in names if name in record._fields]
        return [
            [self.env._("Field"), self.env._("Value")],
            *(
                [field._description_string(self.env), self._show(record, field)]
                for field in fields_
            ),
        ]

    def _list_groups(self):
        header = [self.env._("Kind"), self.env._("Name")]
        tags = [[self.env._("Tag"), tag.name] for tag in self.partner_id.category_id]
        return [
            header,
            *tags,
            *([self.env._("Segment"), name] for name in self._find_segments()),
            *(
                [self.env._("Former Number"), former.number]
                for former in self.former_number_ids
            ),
        ]

    def _find_segments(self):
        """:returns: names of the segments the member is in now"""
        names = []
        own = fields.Domain("id", "=", self.partner_id.id)
        segments = self.env["member.segment"].with_context(active_test=True)
        for segment in segments.search([("id", "!=", False)]):
            try:
                domain = segment._get_partner_domain()
            except UserError:
                # a broken segment holds nobody
                continue
            if self.env["res.partner"].search_count(domain & own, limit=1):
                names.append(segment.name)
        return names

    def _list_records(self, records, names):
        fields_ = [records._fields[name] for name in names]
        return [
            [field._description_string(self.env) for field in fields_],
            *([self._show(record, field) for field in fields_] for record in records),
        ]

    def _show(self, record, field):
        """:returns: a value as its reader would say it"""
        value = record[field.name]
        if field.type == "boolean":
            return self.env._("Yes") if value else self.env._("No")
        if field.type == "selection":
            return dict(field._description_selection(self.env)).get(value, "")
        if field.type == "html":
            return html2plaintext(value or "").strip()
        if field.type == "json":
            return json.dumps(value, ensure_ascii=False) if value else ""
        if field.relational:
            return ", ".join(filter(None, value.mapped("display_name")))
        if field.type in ("integer", "float", "monetary"):
            return str(round(value, 2))
        return self._show_value(record, value)

    def _show_value(self, record, value):
        if isinstance(value, datetime):
            zone = self.partner_id.tz or self.env.user.tz or "UTC"
            local = fields.Datetime.context_timestamp(
                record.with_context(tz=zone), value
            )
            return f"{local:%Y-%m-%d %H:%M:%S} ({zone})"
        return str(value) if value else ""


class ResPartner(models.Model):
    _inherit = "res.partner"

    def action_member_copy(self):
        self.ensure_one()
        return self.member_profile_id.action_download_copy()

    def action_member_erase(self):
        self.ensure_one()
        return self.member_profile_id.action_erase()
