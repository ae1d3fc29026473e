from odoo import api, fields, models
from odoo.tools import SQL

from ..fields import KeylessMany2one
from ..tools.retention import (
    FLOOR_MONTHS,
    SETTLING,
    STATUTORY_COUNTRY,
    STATUTORY_PREFIX,
    months_before,
)

#: Rows between two commits.
PURGE_SIZE = 10_000

#: A message nothing happens to any more, for all the sender knows.
SETTLED = SQL("m.state NOT IN ('queued', 'claimed')")


class MemberMessageArchive(models.Model):
    """Text and number of a message to an erased member, as long as a law asks for them.

    Nobody reads them but the export for an authority.
    """

    _name = "member.message.archive"
    _description = "Record of a Message to an Erased Member"
    _log_access = False

    message_id = fields.Many2one("member.message", required=True, ondelete="cascade")
    address = fields.Char(index=True)
    body = fields.Text()
    provider_ref = fields.Char()
    until_date = fields.Datetime(required=True, index=True)

    _message_uniq = models.UniqueIndex("(message_id)")


class MemberCampaign(models.Model):
    _inherit = "member.campaign"

    purged_date = fields.Datetime(
        string="Texts and Numbers Deleted", readonly=True, copy=False
    )


class MemberMessage(models.Model):
    """The end of a record: text, number and the provider's reference go, the row with
    what became of the message stays, so that every figure stays what it is.

    The member, if there still is one, keeps the rows, and their links keep working:
    stopping messages must not become harder with time.

    Nothing says how far a run has come but the rows themselves: a run that dies is
    taken up by the next one.
    """

    _inherit = "member.message"

    cleared_date = fields.Datetime(
        string="Text and Number Deleted",
        help="The time records are kept was over, or the member was erased.",
    )
    erasure_id = KeylessMany2one(
        "member.privacy.log", string="Erased Member", index="btree_not_null"
    )

    @api.model
    def _cron_purge(self):
        for count in self._purge():
            if not self.env["ir.cron"]._commit_progress(count, remaining=1):
                return
        self.env["ir.cron"]._commit_progress(remaining=0)

    def _purge(self):
        """Blank or delete what is not kept any more. Later stages add their own.

        Yields the number of rows after each step, for the caller to commit.
        """
        for company in self.env["res.company"].search([("id", "!=", False)]):
            policy = self.env["member.send.policy"]._get_for(company)
            yield from self._purge_company(company, policy._get_retention_limit())
        yield from self._purge_erased()

    def _purge_company(self, company, limit):
        """As :meth:`_purge`, for what a company has kept from before ``limit``."""
        campaigns = self.env["member.campaign"].with_context(active_test=False)
        for campaign in campaigns.search(
            [
                ("company_id", "=", company.id),
                ("purged_date", "=", False),
                ("scheduled_date", "<", limit),
                ("state", "not in", ("draft", "review")),
            ],
            order="id",
        ):
            yield from self._purge_campaign(campaign, limit)
        yield from self.env["member.service.message"]._purge(company, limit)

    def _purge_campaign(self, campaign, limit):
        """Blank the messages of a campaign that left before ``limit``.

        They are found by the index over campaign and member, from member to member;
        those without a member at the end.
        """
        due = SQL(
            """
            m.campaign_id = %s AND m.cleared_date IS NULL AND %s
            AND COALESCE(m.claimed_date, m.due_date, '-infinity') < %s
            """,
            campaign.id,
            SETTLED,
            limit,
        )
        last = 0
        while rows := self._lock_purgeable(
            SQL("%s AND m.profile_id >= %s", due, last), SQL("m.profile_id")
        ):
            last = rows[-1][1]
            self._clear([message_id for message_id, _profile_id in rows])
            yield len(rows)
        while rows := self._lock_purgeable(SQL("%s AND m.profile_id IS NULL", due)):
            self._clear([message_id for message_id, _profile_id in rows])
            yield len(rows)
        if campaign.state in ("done", "cancelled") and not self.search_count(
            [("campaign_id", "=", campaign.id), ("cleared_date", "=", False)], limit=1
        ):
            campaign.purged_date = fields.Datetime.now()

    def _lock_purgeable(self, condition, order=None):
        """:returns: ids of messages nobody is working on, and of their members"""
        self.flush_model()
        return self.env.execute_query(
            SQL(
                """
                SELECT m.id, m.profile_id FROM member_message m
                 WHERE %s %s LIMIT %s FOR UPDATE SKIP LOCKED
                """,
                condition,
                SQL("ORDER BY %s", order) if order else SQL(),
                PURGE_SIZE,
            )
        )

    def _clear(self, message_ids):
        """Blank what tells who got a message and what it said."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message
                   SET address = NULL, body = NULL, provider_ref = NULL,
                       provider_message = NULL, cleared_date = %s
                 WHERE id = ANY(%s)
                """,
                fields.Datetime.now(),
                message_ids,
            )
        )
        self.invalidate_model()

    # -------------------------------------------------------------------- erasure

    def _purge_erased(self):
        """As :meth:`_purge`, for messages to erased members."""
        while rows := self._lock_purgeable(self._get_erased_sql()):
            self._clear_erased([message_id for message_id, _profile_id in rows])
            yield len(rows)
        self.env.cr.execute(
            SQL(
                "DELETE FROM member_message_archive WHERE until_date < %s",
                fields.Datetime.now(),
            )
        )
        yield self.env.cr.rowcount
        yield self.env["member.service.message"]._purge_erased()

    def _get_erased_sql(self):
        """:returns: condition on messages ``m`` to erased members that can be blanked:
        a report may still come for the others
        """
        return SQL(
            """
            m.erasure_id IS NOT NULL AND m.cleared_date IS NULL AND %s
            AND NOT (m.state IN ('sent', 'uncertain') AND m.claimed_date > %s)
            """,
            SETTLED,
            fields.Datetime.now() - SETTLING,
        )

    def _clear_erased(self, message_ids):
        """Blank messages; what a law asks for is kept apart as long as it does."""
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO member_message_archive (
                       message_id, address, body, provider_ref, until_date)
                SELECT m.id, m.address, m.body, m.provider_ref,
                       m.claimed_date + make_interval(months => %(months)s)
                  FROM member_message m
                  JOIN res_company company ON company.id = m.company_id
                  JOIN res_partner own ON own.id = company.partner_id
                  LEFT JOIN res_country country ON country.id = own.country_id
                 WHERE m.id = ANY(%(ids)s) AND m.claimed_date > %(limit)s
                   AND (starts_with(m.address, %(prefix)s)
                        OR country.code = %(country)s)
           ON CONFLICT DO NOTHING
                """,
                months=FLOOR_MONTHS,
                ids=message_ids,
                limit=months_before(fields.Datetime.now(), FLOOR_MONTHS),
                prefix=STATUTORY_PREFIX,
                country=STATUTORY_COUNTRY,
            )
        )
        self._clear(message_ids)

    def _detach(self, profile, erasure):
        """Take the member out of their messages."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message
                   SET profile_id = NULL, partner_id = NULL, card_id = NULL,
                       token = NULL, erasure_id = %s
                 WHERE profile_id = %s
                """,
                erasure.id,
                profile.id,
            )
        )
        while rows := self._lock_purgeable(
            SQL("%s AND m.erasure_id = %s", self._get_erased_sql(), erasure.id)
        ):
            self._clear_erased([message_id for message_id, _profile_id in rows])
        self.env.invalidate_all(flush=False)


class MemberServiceMessage(models.Model):
    _inherit = "member.service.message"

    erase_date = fields.Datetime(
        string="Deleted On",
        readonly=True,
        index="btree_not_null",
        help="The member with this number was erased; a law asks for the record until "
        "then.",
    )

    @api.model
    def _purge(self, company, limit):
        """Delete messages of a company from before ``limit``; no figure counts them.

        Yields the number of rows after each step.
        """
        last = 0
        while True:
            rows = self.env.execute_query(
                SQL(
                    """
                    DELETE FROM member_service_message WHERE id IN (
                           SELECT id FROM member_service_message
                            WHERE id > %s AND company_id = %s
                              AND COALESCE(claimed_date, due_date) < %s
                              AND state NOT IN ('queued', 'claimed')
                         ORDER BY id LIMIT %s)
                    RETURNING id
                    """,
                    last,
                    company.id,
                    limit,
                    PURGE_SIZE,
                )
            )
            if not rows:
                return
            last = max(message_id for (message_id,) in rows)
            self.invalidate_model()
            yield len(rows)

    @api.model
    def _purge_erased(self):
        """Delete messages to erased members that no law asks for any more."""
        self.flush_model()
        self.env.cr.execute(
            SQL(
                "DELETE FROM member_service_message WHERE erase_date < %s",
                fields.Datetime.now(),
            )
        )
        count = self.env.cr.rowcount
        self.invalidate_model()
        return count

    @api.model
    def _forget(self, number):
        """Delete the finished messages to a number: at once, or as soon as the law and
        their delivery reports allow."""
        self.flush_model()
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_service_message s
                   SET erase_date = COALESCE(s.claimed_date, s.due_date) + CASE
                       WHEN starts_with(s.address, %(prefix)s)
                            OR country.code = %(country)s
                       THEN make_interval(months => %(months)s)
                       ELSE %(settling)s END
                  FROM res_company company
                  JOIN res_partner own ON own.id = company.partner_id
                  LEFT JOIN res_country country ON country.id = own.country_id
                 WHERE company.id = s.company_id AND s.address = %(number)s
                   AND s.state NOT IN ('queued', 'claimed')
                """,
                prefix=STATUTORY_PREFIX,
                country=STATUTORY_COUNTRY,
                months=FLOOR_MONTHS,
                settling=SETTLING,
                number=number,
            )
        )
        self._purge_erased()


class MemberProfile(models.Model):
    _inherit = "member.profile"

    def _erase(self, erasure):
        # what waits is not sent, and its coupon withdrawn
        self.env["member.message"]._skip_queued(self)
        self.env["member.message"]._detach(self, erasure)
        return super()._erase(erasure)

    def _forget_elsewhere(self, partner, number):
        result = super()._forget_elsewhere(partner, number)
        # a number somebody else has as well tells nothing about whose messages they are
        if number and not self.env["res.partner"].sudo().search_count(  # sudo: anybody
            [("phone_sanitized", "=", number), ("id", "!=", partner.id)], limit=1
        ):
            self.env["member.service.message"]._forget(number)
        return result
