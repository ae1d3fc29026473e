from odoo import api, models
from odoo.tools import SQL

#: Rows read at once.
BATCH = 5000
#: What recipients saw as the sender, of an account ``g``.
SENDER = SQL(
    "COALESCE(NULLIF(g.signature, ''), g.twilio_sender, g.infobip_sender,"
    " g.tencent_sender_id)"
)


class MemberMessage(models.Model):
    """Messages as evidence: what was sent to whom, when, through whom, by whose order
    and with which consent."""

    _inherit = "member.message"

    @api.model
    def _get_evidence_labels(self, timezone):
        """:returns: column → its name in the language of the user
        :rtype: dict[str, str]
        """
        times = {"zone": timezone}
        return {
            "id": self.env._("Record Number"),
            "kind": self.env._("Kind"),
            "campaign": self.env._("Campaign"),
            "company": self.env._("Company"),
            "signature": self.env._("Signature or Sender"),
            "gateway": self.env._("Gateway"),
            "provider": self.env._("Provider"),
            "address": self.env._("Number"),
            "member": self.env._("Member Number"),
            "body": self.env._("Text"),
            "parts": self.env._("Billed SMS"),
            "state": self.env._("Outcome"),
            "reason": self.env._("Reason"),
            "provider_ref": self.env._("Provider Reference"),
            "provider_code": self.env._("Provider Answer"),
            "claimed_date": self.env._("Handed Over (%(zone)s)", **times),
            "sent_date": self.env._("Accepted (%(zone)s)", **times),
            "delivered_date": self.env._("Delivered (%(zone)s)", **times),
            "replied_date": self.env._("Replied (%(zone)s)", **times),
            "unsubscribed_date": self.env._("Unsubscribed (%(zone)s)", **times),
            "cleared_date": self.env._("Text and Number Deleted (%(zone)s)", **times),
            "submitter": self.env._("Submitted By"),
            "approver": self.env._("Approved and Launched By"),
            "approved_date": self.env._("Approved (%(zone)s)", **times),
            "consent_state": self.env._("Consent Then"),
            "consent_source": self.env._("Given Through"),
            "consent_basis": self.env._("Basis"),
            "consent_date": self.env._("Given (%(zone)s)", **times),
            "consent_evidence": self.env._("Evidence"),
            "consent_wording": self.env._("Wording"),
            "consent_seal": self.env._("Seal in the Ledger"),
        }

    @api.model
    def _iterate_evidence(self, message_ids, timezone):
        """Yield the rows of messages that have left, as texts.

        :param list[int] message_ids: in the order of the rows
        :param str timezone: of the times
        :rtype: Iterator[list[str | None]]
        """
        columns = list(self._get_evidence_labels(timezone))
        for start in range(0, len(message_ids), BATCH):
            self.env.cr.execute(
                self._get_evidence_sql(message_ids[start : start + BATCH], timezone)
            )
            yield from self._describe_evidence(self.env.cr.dictfetchall(), columns)

    def _describe_evidence(self, rows, columns):
        """:returns: iterator over rows of a query, with the words of the user"""
        words = self._get_evidence_words()
        for row in rows:
            yield [
                words.get(name, {}).get(row.get(name), row.get(name))
                for name in columns
            ]

    def _get_evidence_words(self):
        """:returns: column → value → label"""

        def labels(model, name):
            field = self.env[model]._fields[name]
            return dict(field._description_selection(self.env))

        return {
            "kind": {
                **labels("member.campaign", "category"),
                **labels("member.service.message", "kind"),
            },
            "provider": labels("member.gateway", "provider"),
            "state": labels("member.message", "state"),
            "reason": labels("member.message", "reason"),
            "consent_state": labels("member.consent", "state"),
            "consent_source": labels("member.consent", "source"),
            "consent_basis": labels("member.consent", "basis"),
        }

    @staticmethod
    def _get_time_sql(column, timezone):
        return SQL(
            "to_char(%s AT TIME ZONE 'UTC' AT TIME ZONE %s, 'YYYY-MM-DD HH24:MI:SS')",
            column,
            timezone,
        )

    def _get_gateway_name_sql(self):
        """:returns: expression of the name of an account ``g``"""
        return SQL("COALESCE(g.name->>%s, g.name->>'en_US')", self.env.lang or "en_US")

    def _get_evidence_sql(self, message_ids, timezone):
        """The consent is the member's last word recorded before the message was handed
        over: it is what let the message leave."""
        times = SQL(", ").join(
            SQL(
                "%s AS %s",
                self._get_time_sql(SQL("%s.%s", SQL(table), SQL(name)), timezone),
                SQL(name),
            )
            for table, name in (
                ("m", "claimed_date"),
                ("m", "sent_date"),
                ("m", "delivered_date"),
                ("m", "replied_date"),
                ("m", "unsubscribed_date"),
                ("m", "cleared_date"),
                ("c", "approved_date"),
            )
        )
        purpose = self.env["member.consent"]._get_purpose_sql(SQL("c.category"))
        return SQL(
            """
            SELECT m.id::text, c.category AS kind, c.name AS campaign,
                   company.name AS company, %(sender)s AS signature,
                   %(gateway)s AS gateway, g.provider,
                   COALESCE(m.address, a.address) AS address,
                   COALESCE(p.number, '#' || m.erasure_id) AS member,
                   COALESCE(m.body, a.body) AS body, m.parts::text, m.state, m.reason,
                   COALESCE(m.provider_ref, a.provider_ref) AS provider_ref,
                   m.provider_code, %(times)s,
                   submitter.name AS submitter, approver.name AS approver,
                   word.state AS consent_state, word.source AS consent_source,
                   word.basis AS consent_basis, %(date)s AS consent_date,
                   word.evidence AS consent_evidence, word.wording AS consent_wording,
                   word.seal AS consent_seal
              FROM unnest(%(ids)s::int[]) WITH ORDINALITY AS chosen (id, place)
              JOIN member_message m ON m.id = chosen.id
              JOIN member_campaign c ON c.id = m.campaign_id
              JOIN res_company company ON company.id = m.company_id
              LEFT JOIN member_gateway g ON g.id = m.gateway_id
              LEFT JOIN member_message_archive a ON a.message_id = m.id
              LEFT JOIN member_profile p ON p.id = m.profile_id
              LEFT JOIN res_users su ON su.id = c.submitter_id
              LEFT JOIN res_partner submitter ON submitter.id = su.partner_id
              LEFT JOIN res_users au ON au.id = c.approver_id
              LEFT JOIN res_partner approver ON approver.id = au.partner_id
              LEFT JOIN LATERAL (
                   SELECT w.*
                     FROM (SELECT * FROM member_consent
                            WHERE profile_id = m.profile_id
                        UNION ALL
                           SELECT * FROM member_consent
                            WHERE erasure_id = m.erasure_id) w
                    WHERE w.channel = m.channel AND w.purpose = %(purpose)s
                      AND w.source != 'erasure'
                      -- a claim is noted in whole seconds
                      AND date_trunc('second', w.create_date) <= m.claimed_date
                 ORDER BY w.id DESC LIMIT 1) word ON TRUE
          ORDER BY chosen.place
            """,
            times=times,
            sender=SENDER,
            gateway=self._get_gateway_name_sql(),
            date=self._get_time_sql(SQL("word.date"), timezone),
            ids=message_ids,
            purpose=purpose,
        )


class MemberServiceMessage(models.Model):
    _inherit = "member.service.message"

    @api.model
    def _iterate_evidence(self, message_ids, timezone):
        """As that of ``member.message``: tests, answers and SMS of other applications
        need no consent to promotions and belong to no campaign."""
        messages = self.env["member.message"]
        columns = list(messages._get_evidence_labels(timezone))
        for start in range(0, len(message_ids), BATCH):
            self.env.cr.execute(
                self._get_evidence_sql(message_ids[start : start + BATCH], timezone)
            )
            yield from messages._describe_evidence(self.env.cr.dictfetchall(), columns)

    def _get_evidence_sql(self, message_ids, timezone):
        times = SQL(", ").join(
            SQL(
                "%s AS %s",
                self.env["member.message"]._get_time_sql(
                    SQL("s.%s", SQL(name)), timezone
                ),
                SQL(name),
            )
            for name in ("claimed_date", "sent_date", "delivered_date")
        )
        return SQL(
            """
            SELECT 'S' || s.id AS id, s.kind, company.name AS company, %s AS signature,
                   %s AS gateway, g.provider, s.address, s.body, s.parts::text,
                   s.state, s.reason, s.provider_ref, s.provider_code, %s,
                   author.name AS submitter
              FROM unnest(%s::int[]) WITH ORDINALITY AS chosen (id, place)
              JOIN member_service_message s ON s.id = chosen.id
              JOIN res_company company ON company.id = s.company_id
              LEFT JOIN member_gateway g ON g.id = s.gateway_id
              LEFT JOIN res_users u ON u.id = s.create_uid
              LEFT JOIN res_partner author ON author.id = u.partner_id
          ORDER BY chosen.place
            """,
            SENDER,
            self.env["member.message"]._get_gateway_name_sql(),
            times,
            message_ids,
        )
