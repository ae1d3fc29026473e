from odoo import fields, models
from odoo.tools import SQL

from ..signed import read_signed, sign
from .member_consent import CHANNELS
from .member_segment_reach import PURPOSES

SCOPE = "member_messaging.preferences"
#: Hours for which a button of a preference page works.
VALIDITY = 24


class MemberMessage(models.Model):
    """What a member gets, seen and changed through the link of a message."""

    _inherit = "member.message"

    def _get_preferences(self):
        """:returns: ``channel``, ``purpose``, ``channel_label`` and ``reason`` of each
            kind of message the member could get. ``reason`` is why it would not leave,
            by the rules of the sender; None: the member gets it.
        :rtype: list[dict]
        """
        self.ensure_one()
        if not self.profile_id:
            return []
        fields_ = self.env["member.consent"]._fields
        channels = dict(fields_["channel"]._description_selection(self.env))
        return [
            {
                "channel": channel,
                "channel_label": channels[channel],
                "purpose": purpose,
                "reason": self._get_barrier(channel, category),
            }
            for channel, _label in CHANNELS
            for purpose, category in PURPOSES.items()
        ]

    def _get_barrier(self, channel, category):
        consents = self.env["member.consent"]
        suppressions = self.env["member.suppression"]
        channel, category = SQL("%s", channel), SQL("%s", category)
        self.env.flush_all()
        [(reason,)] = self.env.execute_query(
            SQL(
                """
                SELECT %(refusal)s
                  FROM member_profile p
                  JOIN res_partner pa ON pa.id = p.partner_id
                  LEFT JOIN member_consent consent ON %(current)s
                  LEFT JOIN phone_blacklist listed
                         ON listed.number = pa.phone_sanitized AND listed.active
                  LEFT JOIN LATERAL (SELECT s.address_hash FROM member_suppression s
                                      WHERE s.address_hash = %(hash)s AND %(suppresses)s
                                      LIMIT 1) suppressed ON TRUE
                 WHERE p.id = %(profile)s
                """,
                refusal=consents._get_refusal_sql(category),
                current=consents._get_current_sql(SQL("p.id"), channel, category),
                hash=suppressions._get_hash_sql(suppressions._get_address_sql(channel)),
                suppresses=suppressions._get_active_sql(
                    self.company_id, channel, category
                ),
                profile=self.profile_id.id,
            )
        )
        return reason

    # A button carries everything it does, signed: nobody can press what no page showed.

    def _sign_choice(self, channel, purpose, state):
        return sign(self.env, SCOPE, [self.token, channel, purpose, state], VALIDITY)

    def _read_choice(self, signed):
        """:returns: channel, purpose and state of a button; None if it is not one of
        this message's pages, or too old
        """
        values = read_signed(self.env, SCOPE, signed)
        return values[1:] if values and values[0] == self.token else None

    def _choose(self, channel, purpose, state):
        """Do what a button says; repeating it changes nothing."""
        self.ensure_one()
        evidence = f"/m/{self.token}/preferences"
        if state == "refused":
            self._stop(channel, purpose, evidence)
        elif self.profile_id and self._get_barrier(channel, PURPOSES[purpose]):
            wording = self.company_id._get_consent_wording()
            self.env["member.consent"].create(
                {
                    "profile_id": self.profile_id.id,
                    "channel": channel,
                    "purpose": purpose,
                    "state": "granted",
                    "source": "link",
                    "evidence": evidence,
                    "wording": purpose == "promotion" and wording,
                }
            )

    def _stop(self, channel, purpose, evidence):
        """Refuse for the member and for everybody else with the number; a number of
        which no member is left is suppressed."""
        profiles = self.env["member.inbound"]._find_profiles([self.address])
        self.env["member.consent"]._refuse(
            self.profile_id | profiles, channel, "link", evidence, purpose
        )
        if not (self.profile_id | profiles):
            self.env["member.suppression"]._add_address(
                self.address, self.company_id, channel, purpose, "refused"
            )
        if purpose == "promotion":
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
