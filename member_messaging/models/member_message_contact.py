from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

#: Campaigns that were written since are looked at for members who were deleted.
RECENT = timedelta(days=2)


class ResPartner(models.Model):
    _inherit = "res.partner"

    def unlink(self):
        result = super().unlink()
        # sudo: who may delete a contact may have no rights on messages
        self.env["member.message"].sudo()._forget("partner_id", self)
        return result


class MemberTier(models.Model):
    _inherit = "member.tier"

    def unlink(self):
        # sudo: messages are written by nobody, and those of every company count
        self.env["member.message"].sudo()._forget("tier_id", self)
        return super().unlink()


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def unlink(self):
        # sudo: who may delete a coupon may have no rights on messages
        self.env["member.message"].sudo()._forget("card_id", self)
        return super().unlink()


class MemberProfile(models.Model):
    """What becomes of messages when members are merged or deleted."""

    _inherit = "member.profile"

    def unlink(self):
        messages = self.env["member.message"]
        messages._skip_queued(self)
        messages._forget("profile_id", self)
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

    @api.model
    def _forget(self, column, targets):
        """Clear a column in which messages point at records that are deleted.

        :param str column: name of a many2one without foreign key
        """
        self._replace(column, targets, None)

    @api.model
    def _replace(self, column, targets, new):
        """Let messages that point at these records point at another, or at none."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE member_message SET %(column)s = %(new)s"
                " WHERE %(column)s = ANY(%(ids)s)",
                column=SQL.identifier(column),
                new=new and new.id,
                ids=targets.ids,
            )
        )
        self.invalidate_model([column])

    @api.autovacuum
    def _forget_deleted(self):
        """Clear what points at members and contacts who were deleted in the very moment
        in which a campaign was written. The claim has not sent them anything."""
        since = fields.Datetime.now() - RECENT
        for column, table in (
            ("profile_id", "member_profile"),
            ("partner_id", "res_partner"),
        ):
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE member_message m SET %(column)s = NULL
                      FROM member_campaign c
                     WHERE c.id = m.campaign_id
                       AND GREATEST(c.planned_date, c.frozen_date) > %(since)s
                       AND m.%(column)s IS NOT NULL AND NOT EXISTS (
                           SELECT FROM %(table)s t WHERE t.id = m.%(column)s)
                    """,
                    column=SQL.identifier(column),
                    table=SQL.identifier(table),
                    since=since,
                )
            )
        self.invalidate_model(["profile_id", "partner_id"])

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
                       SET state = 'skipped', reason = %(reason)s, gateway_id = NULL
                     WHERE m.state = 'queued' AND %(condition)s
                 RETURNING m.card_id)
                UPDATE loyalty_card card SET active = FALSE
                  FROM dropped WHERE dropped.card_id = card.id
                """,
                reason=reason,
                condition=condition,
            )
        )
        self.env.invalidate_all(flush=False)
