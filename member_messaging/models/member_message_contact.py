from odoo import fields, models
from odoo.tools import SQL


class MemberProfile(models.Model):
    """What becomes of messages when members are merged or deleted."""

    _inherit = "member.profile"

    def unlink(self):
        self.env["member.message"]._skip_queued(self)
        return super().unlink()

    def _resolve_conflicts(self, others):
        result = super()._resolve_conflicts(others)
        self.env["member.message"]._move_to(self, others)
        return result


class MemberMessage(models.Model):
    _inherit = "member.message"

    def _skip_queued(self, profiles):
        """Nothing is sent to a member who is deleted. What was sent stays on record."""
        self._drop("archived", SQL("m.profile_id = ANY(%s)", profiles.ids))

    def _move_to(self, profile, others):
        """Hand messages over to another member.

        Both rows stay if both got the same campaign. One that is still waiting is not
        sent when the other was, will be, or is in the control group.
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message
                   SET profile_id = %s,
                       merged_profile_ref = COALESCE(merged_profile_ref, profile_id)
                 WHERE profile_id = ANY(%s)
                """,
                profile.id,
                others.ids,
            )
        )
        self._drop(
            "duplicate_address",
            SQL(
                """
                m.profile_id = %s AND EXISTS (
                    SELECT FROM member_message other
                     WHERE other.profile_id = m.profile_id AND other.id != m.id
                       AND other.campaign_id = m.campaign_id
                       AND other.channel = m.channel
                       AND (other.state IN ('claimed', 'sent', 'delivered', 'uncertain')
                            OR other.reason = 'holdout'
                            OR other.state = 'queued'
                               AND (COALESCE(other.merged_profile_ref, 0), other.id)
                                   < (COALESCE(m.merged_profile_ref, 0), m.id)))
                """,
                profile.id,
            ),
        )

    def _drop(self, reason, condition):
        """End waiting messages; the coupon of an earlier attempt reached nobody.

        :param str reason: value of :attr:`reason`
        :param SQL condition: on the messages ``m``
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                WITH dropped AS (
                    UPDATE member_message m
                       SET state = 'skipped', reason = %(reason)s, write_date = %(now)s
                     WHERE m.state = 'queued' AND %(condition)s
                 RETURNING m.card_id)
                UPDATE loyalty_card card SET active = FALSE
                  FROM dropped WHERE dropped.card_id = card.id
                """,
                reason=reason,
                now=fields.Datetime.now(),
                condition=condition,
            )
        )
        self.env.invalidate_all(flush=False)
