from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

CHANNELS = [("sms", "SMS")]
PURPOSES = [("promotion", "Promotions"), ("service", "Service Messages")]

# Promotions and content are advertising and need a grant; notices and care are part
# of the service and stop only at a refusal.
ADVERTISING = ("promotion", "content")


class MemberConsent(models.Model):
    """One grant or refusal. Rows are only ever added; the latest one is current."""

    _name = "member.consent"
    _description = "Member Consent"
    _order = "id desc"
    _rec_name = "profile_id"

    profile_id = fields.Many2one(
        "member.profile",
        string="Member",
        required=True,
        ondelete="restrict",
        index=True,
    )
    partner_id = fields.Many2one(related="profile_id.partner_id")
    company_id = fields.Many2one(related="profile_id.company_id", store=True)
    date = fields.Datetime(
        required=True,
        default=fields.Datetime.now,
        help="When the member said it. It may have been recorded later.",
    )
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    purpose = fields.Selection(PURPOSES, required=True, default="promotion")
    state = fields.Selection(
        [("granted", "Granted"), ("refused", "Refused")], required=True
    )
    source = fields.Selection(
        [
            ("staff", "Staff"),
            ("pos", "Point of Sale"),
            ("sale", "Sales Order"),
            ("web", "Website"),
            ("import", "Import"),
            ("reply", "Reply"),
            ("link", "Link in a Message"),
            ("double_opt_in", "Join Page, Confirmed by SMS"),
            ("complaint", "Complaint"),
        ],
        required=True,
    )
    basis = fields.Selection(
        [("express", "Said So"), ("implied", "Implied by a Purchase or Inquiry")],
        required=True,
        default="express",
        help="Some laws take a purchase or an inquiry for a consent that ends by "
        "itself. It never comes from a list and never undoes a refusal.",
    )
    evidence = fields.Char(
        help="What proves it: form, paper, recording, text of the reply …"
    )
    wording = fields.Text(help="The text the member agreed to.")
    expiry_date = fields.Date(help="The grant ends on this day. Empty: no end.")
    is_current = fields.Boolean(
        default=True, readonly=True, help="The latest word of the member counts."
    )

    _current_uniq = models.UniqueIndex(
        "(profile_id, channel, purpose) WHERE is_current",
        "A member has one current consent per channel and purpose.",
    )
    _implied_check = models.Constraint(
        "CHECK (basis = 'express' OR (state = 'granted' AND source != 'import'"
        " AND expiry_date IS NOT NULL))",
        "An implied consent has a day on which it ends, and does not come from a list.",
    )

    def init(self):
        """What sets of SQL need not write."""
        self.env.cr.execute(
            """
            ALTER TABLE member_consent
                  ALTER basis SET DEFAULT 'express',
                  ALTER date SET DEFAULT (now() AT TIME ZONE 'utc')
            """
        )
        return super().init()

    @api.model_create_multi
    def create(self, vals_list):
        keys = {
            (
                vals["profile_id"],
                vals.get("channel", "sms"),
                vals.get("purpose", "promotion"),
            )
            for vals in vals_list
        }
        if len(keys) < len(vals_list):
            raise UserError(
                self.env._("Record one grant or refusal per member at a time.")
            )
        if keys:
            self.flush_model()
            self._check_regained(vals_list)
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE member_consent c SET is_current = FALSE
                      FROM unnest(%s::int[], %s::varchar[], %s::varchar[])
                           AS k (profile_id, channel, purpose)
                     WHERE c.is_current AND c.profile_id = k.profile_id
                       AND c.channel = k.channel AND c.purpose = k.purpose
                    """,
                    *map(list, zip(*keys, strict=True)),
                )
            )
            self.invalidate_model(["is_current"])
        return super().create(vals_list)

    def _check_regained(self, vals_list):
        """Permission that was refused comes back by the member's own word only.

        :raises UserError: a grant after a refusal without evidence, or an implied one
        """
        given = [
            vals
            for vals in vals_list
            if vals["state"] == "granted"
            and (
                not (vals.get("evidence") or "").strip()
                or vals.get("basis") == "implied"
            )
        ]
        refused = {
            (consent.profile_id.id, consent.channel, consent.purpose): consent
            for consent in self.search(
                [
                    ("profile_id", "in", [vals["profile_id"] for vals in given]),
                    ("is_current", "=", True),
                    ("state", "=", "refused"),
                ]
            )
        }
        for vals in given:
            consent = refused.get(
                (
                    vals["profile_id"],
                    vals.get("channel", "sms"),
                    vals.get("purpose", "promotion"),
                )
            )
            if consent:
                raise UserError(
                    self.env._(
                        "%(member)s refused on %(date)s. Only the member can take "
                        "that back: say in the evidence when and how, and record it "
                        "as something they said. The refusal still stands.",
                        member=consent.profile_id.display_name,
                        date=fields.Datetime.context_timestamp(
                            self, consent.date
                        ).date(),
                    )
                )

    def write(self, vals):
        # The ledger is evidence: a change of mind is a new row.
        if vals:
            raise UserError(
                self.env._(
                    "A recorded consent cannot be changed. Record a new one instead."
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_ledger(self):
        raise UserError(
            self.env._("A recorded consent is evidence and cannot be deleted.")
        )

    @api.model
    def _refuse(self, profiles, channel, source, evidence, purpose="promotion"):
        """Record that members refuse messages of a kind on a channel.

        Repeating it records nothing, so that a callback may arrive twice.
        """
        return self._refuse_each(
            dict.fromkeys(profiles, evidence), channel, source, purpose
        )

    @api.model
    def _refuse_each(self, evidence, channel, source, purpose="promotion"):
        """As :meth:`_refuse`, with evidence of their own for each member.

        :param dict evidence: ``member.profile`` of one member → text
        """
        refusing = self.search(
            [
                ("profile_id", "in", [profile.id for profile in evidence]),
                ("channel", "=", channel),
                ("purpose", "=", purpose),
                ("state", "=", "refused"),
                ("is_current", "=", True),
            ]
        ).profile_id
        return self.create(
            [
                {
                    "profile_id": profile.id,
                    "channel": channel,
                    "purpose": purpose,
                    "state": "refused",
                    "source": source,
                    "evidence": text,
                }
                for profile, text in evidence.items()
                # a member may have left
                if profile and profile not in refusing
            ]
        )

    # What forbids writing to a member is asked at planning and again at the claim: once
    # for a million members, once for a few. Both join what these name, each in the way
    # that suits it.

    @staticmethod
    def _get_purpose_sql(category):
        """:param SQL category: expression of the campaign's category"""
        return SQL(
            "CASE WHEN %s IN %s THEN 'promotion' ELSE 'service' END",
            category,
            ADVERTISING,
        )

    @classmethod
    def _get_current_sql(cls, profile, channel, category):
        """:returns: condition on a row ``consent``: it is the member's word on such
        messages. At most one row of the table meets it.

        :param SQL profile: expression of the profile's id
        :param SQL channel: expression of the channel
        :param SQL category: expression of the campaign's category
        """
        return SQL(
            """
            consent.is_current AND consent.profile_id = %s
            AND consent.channel = %s AND consent.purpose = %s
            """,
            profile,
            channel,
            cls._get_purpose_sql(category),
        )

    @staticmethod
    def _get_refusal_sql(category):
        """:returns: expression giving the reason not to write to a member, or NULL if
        the member may be written to. It asks the row ``consent`` of
        :meth:`_get_current_sql`, ``listed``, the active row of ``phone_blacklist``
        with the number, and ``suppressed``, the row of ``member_suppression`` with its
        hash; each may be missing. What stops most comes first: everything to a number,
        then a channel, then a purpose.

        :param SQL category: expression of the campaign's category
        """
        return SQL(
            """
            CASE WHEN listed.number IS NOT NULL THEN 'blocked'
                 WHEN suppressed.address_hash IS NOT NULL THEN 'suppressed'
                 WHEN consent.state = 'refused' THEN 'refused'
                 WHEN %(category)s IN %(advertising)s AND NOT (
                          consent.state IS NOT NULL
                          AND COALESCE(consent.expiry_date, 'infinity') >= %(today)s)
                 THEN 'no_consent' END
            """,
            category=category,
            advertising=ADVERTISING,
            today=fields.Date.today(),
        )
