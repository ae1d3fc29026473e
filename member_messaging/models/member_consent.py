from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

CHANNELS = [("sms", "SMS")]

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
        "member.profile", string="Member", required=True, ondelete="cascade", index=True
    )
    partner_id = fields.Many2one(related="profile_id.partner_id")
    company_id = fields.Many2one(related="profile_id.company_id", store=True)
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    purpose = fields.Selection(
        [("promotion", "Promotions"), ("service", "Service Messages")],
        required=True,
        default="promotion",
    )
    state = fields.Selection(
        [("granted", "Granted"), ("refused", "Refused")], required=True
    )
    source = fields.Selection(
        [
            ("staff", "Staff"),
            ("pos", "Point of Sale"),
            ("web", "Website"),
            ("import", "Import"),
            ("reply", "Reply"),
            ("link", "Link in a Message"),
        ],
        required=True,
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
    def _refuse(self, profiles, channel, source, evidence):
        """Record that members refuse promotions on a channel.

        Repeating it records nothing, so that a callback may arrive twice.
        """
        refusing = self.search(
            [
                ("profile_id", "in", profiles.ids),
                ("channel", "=", channel),
                ("purpose", "=", "promotion"),
                ("state", "=", "refused"),
                ("is_current", "=", True),
            ]
        ).profile_id
        return self.create(
            [
                {
                    "profile_id": profile.id,
                    "channel": channel,
                    "purpose": "promotion",
                    "state": "refused",
                    "source": source,
                    "evidence": evidence,
                }
                for profile in profiles - refusing
            ]
        )

    # What forbids writing to a member is asked at planning and again at the claim: once
    # for a million members, once for a few. Both join what these two name, each in
    # the way that suits it.

    @staticmethod
    def _get_current_sql(profile, channel, category):
        """:returns: condition on a row ``consent``: it is the member's word on such
        messages. At most one row of the table meets it.

        :param SQL profile: expression of the profile's id
        :param SQL channel: expression of the channel
        :param SQL category: expression of the campaign's category
        """
        return SQL(
            """
            consent.is_current AND consent.profile_id = %(profile)s
            AND consent.channel = %(channel)s
            AND consent.purpose = CASE WHEN %(category)s IN %(advertising)s
                                       THEN 'promotion' ELSE 'service' END
            """,
            profile=profile,
            channel=channel,
            category=category,
            advertising=ADVERTISING,
        )

    @staticmethod
    def _get_refusal_sql(category):
        """:returns: expression giving the reason not to write to a member, or NULL if
        the member may be written to. It asks the row ``consent`` of
        :meth:`_get_current_sql`, and ``listed``, the active row of ``phone_blacklist``
        with the number; either may be missing.

        :param SQL category: expression of the campaign's category
        """
        return SQL(
            """
            CASE WHEN consent.state = 'refused' THEN 'refused'
                 WHEN %(category)s IN %(advertising)s AND NOT (
                          consent.state IS NOT NULL
                          AND COALESCE(consent.expiry_date, 'infinity') >= %(today)s)
                 THEN 'no_consent'
                 WHEN listed.number IS NOT NULL THEN 'blocked' END
            """,
            category=category,
            advertising=ADVERTISING,
            today=fields.Date.today(),
        )
