import logging
from datetime import timedelta

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .member_consent import ADVERTISING
from .member_message import COUNTED_STATES, WAITS

_logger = logging.getLogger(__name__)

#: Rows written between two commits.
PLAN_SIZE = 20_000
WORK_MEM = "128MB"
#: The arrays of ``member.campaign.audience``, and what an entry of each is.
PIECES = {
    "profile_ids": "profile_id",
    "partner_ids": "partner_id",
    "tier_ids": "tier_id",
    "addresses": "address",
    "reasons": "reason",
    "gateway_ids": "gateway_id",
    "variant_ids": "variant_id",
}
#: When a message ``m`` left, or will leave.
_MOMENT = SQL("COALESCE(m.sent_date, m.due_date)")
#: How long a number that could not be reached is remembered.
BAD_NUMBER_PERIOD = timedelta(days=180)


class MemberMessage(models.Model):
    """Planning: a campaign's audience becomes outbox rows.

    The audience is decided about once, in one snapshot, and kept in
    ``member.campaign.audience``; from there it is written in pieces that are committed
    one by one. Whatever dies on the way is taken up where it stopped, and who joins a
    segment meanwhile is not added.
    """

    _inherit = "member.message"

    @api.model
    def _cron_plan(self):
        """Turn launched campaigns into outbox rows, and add late joiners."""
        waiting = self._find_unplanned()
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=len(waiting))
        for campaign in waiting:
            if not self._plan(campaign, progress):
                return
            self.env["member.lane"]._wake()
        progress(remaining=0)

    @api.model
    def _find_unplanned(self):
        """:returns: campaigns to plan, and those that take in late joiners"""
        now = fields.Datetime.now()
        campaigns = self.env["member.campaign"]
        return campaigns.search(
            [("state", "=", "scheduled"), ("planned_date", "=", False)]
        ) | campaigns.search(
            [
                ("state", "in", ("scheduled", "sending")),
                ("planned_date", "!=", False),
                ("has_late_joiners", "=", True),
                ("not_after_date", ">", now),
            ]
        )

    @api.model
    def _plan(self, campaign, progress=None):
        """Write one row per member of the campaign's audience.

        Members who cannot be reached get a ``skipped`` row with the reason, so that
        the rows always add up to the audience. Planning again adds nothing.

        :param progress: called with 1 after each step, commits it and gives the time
            that is left; None: all steps are one transaction of the caller
        :returns: whether the campaign is done with
        """
        try:
            if not campaign.frozen_date or (
                campaign.planned_date and not self._has_pieces(campaign)
            ):
                self._freeze_audience(campaign)
        except UserError as error:
            # A segment broken since approval stops this campaign only.
            campaign.write({"state": "paused", "pause_reason": str(error)})
            return True
        dues = self._get_later_dues(campaign)
        while self._plan_step(campaign, dues):
            if progress and not progress(1):
                return False
            if campaign.state not in ("scheduled", "sending"):
                # paused or cancelled meanwhile
                return True
        if not campaign.planned_date:
            campaign.planned_date = fields.Datetime.now()
            self._begin_trial(campaign)
        return True

    def _has_pieces(self, campaign):
        """:returns: whether a planner died before all that is decided was written"""
        pieces = self.env["member.campaign.audience"]
        return bool(pieces.search_count([("campaign_id", "=", campaign.id)], limit=1))

    def _begin_trial(self, campaign):
        if not campaign.trial_size:
            return
        self.env.flush_all()
        [(count,)] = self.env.execute_query(
            SQL(
                "SELECT COUNT(*) FROM member_message m WHERE m.campaign_id = %s AND %s",
                campaign.id,
                WAITS,
            )
        )
        campaign._begin_trial(count)

    def _freeze_audience(self, campaign):
        """Decide about every member of the audience, in one snapshot."""
        self.env.flush_all()
        self.env.cr.execute(SQL("SET LOCAL work_mem = %s", WORK_MEM))
        self.env.cr.execute(SQL("SET LOCAL jit = off"))  # costs more than it saves
        columns = SQL(
            "campaign_id, position, size, %s",
            SQL(", ").join(map(SQL.identifier, PIECES)),
        )
        # PostgreSQL decides with several processes only if it makes a table of it.
        self.env.cr.execute(
            SQL(
                "CREATE TEMP TABLE member_campaign_piece (%s) ON COMMIT DROP AS %s",
                columns,
                self._get_pieces_sql(campaign),
            )
        )
        [(count,)] = self.env.execute_query(
            SQL(
                """
                WITH frozen AS (
                    INSERT INTO member_campaign_audience (%s)
                    SELECT * FROM member_campaign_piece RETURNING size)
                SELECT COALESCE(SUM(size), 0) FROM frozen
                """,
                columns,
            )
        )
        self.env.cr.execute("DROP TABLE member_campaign_piece")
        campaign.write(
            {
                "frozen_count": campaign.frozen_count + count,
                "frozen_date": fields.Datetime.now(),
            }
        )

    def _get_pieces_sql(self, campaign):
        """:returns: SELECT of ``campaign_id``, ``position``, ``size`` and the arrays of
        :data:`PIECES`: the decision about a campaign's members in pieces
        """
        return SQL(
            """
            SELECT %(campaign)s, %(start)s + MIN(d.position), COUNT(*)::int,
                   array_agg(d.profile_id), array_agg(d.partner_id),
                   array_agg(d.tier_id), array_agg(d.address),
                   array_agg(d.reason::varchar), array_agg(%(gateway)s),
                   array_agg(%(variant)s)
              FROM (SELECT d.*, row_number() OVER (ORDER BY d.profile_id) AS position
                      FROM (%(decided)s) d WHERE %(wanted)s) d
          GROUP BY (d.position - 1) / %(size)s
            """,
            campaign=campaign.id,
            start=campaign.frozen_count,
            gateway=self._get_gateway_sql(campaign),
            variant=self._get_variant_sql(campaign),
            decided=self._get_campaign_decision_sql(campaign),
            wanted=self._get_newcomer_sql(campaign),
            size=PLAN_SIZE,
        )

    @staticmethod
    def _unnest(*columns):
        """:returns: rows ``a`` of the members in pieces ``piece`` of an audience, with
        these columns of :data:`PIECES`
        """
        return SQL(
            "unnest(%s) AS a (%s)",
            SQL(", ").join(SQL.identifier("piece", name) for name in columns),
            SQL(", ").join(SQL.identifier(PIECES[name]) for name in columns),
        )

    def _get_later_dues(self, campaign):
        """Find for whom the campaign's hour is not one at which promotions may arrive.

        :returns: rows of zone, country, state and prefix of the number, as
            ``member.sending.hours`` puts places into columns, and the first time the
            message may be sent; None if there is none
        :rtype: list[tuple]
        """
        if campaign.category not in ADVERTISING:
            return []
        hours = self.env["member.sending.hours"]
        # In effect a JOIN: PostgreSQL takes the members in arrays for a few and would
        # look for their contacts one by one; this join can only be done by hashing.
        rows = self.env.execute_query(
            SQL(
                """
                SELECT %s, MIN(a.address)
                  FROM (SELECT a.partner_id, a.address
                          FROM member_campaign_audience piece, %s
                         WHERE piece.campaign_id = %s AND a.reason IS NULL) a
                  FULL JOIN res_partner pa ON pa.id = a.partner_id
                 WHERE COALESCE(a.partner_id, 0) != 0 AND COALESCE(pa.id, 0) != 0
              GROUP BY 1, 2, 3, 4
                """,
                SQL(", ").join(hours._get_place_columns(SQL("a.address"))),
                self._unnest("partner_ids", "addresses", "reasons"),
                campaign.id,
            )
        )
        moment = max(campaign.scheduled_date, fields.Datetime.now())
        places = {
            row[:4]: hours._make_place(*row[:3], row[4]) for row in map(tuple, rows)
        }
        dues = hours._get_next_open(campaign.company_id, moment, places.values())
        return [
            (*key, dues[place])
            for key, place in places.items()
            if dues[place] != moment
        ]

    def _plan_step(self, campaign, dues=()):
        """Move the next rows of the frozen audience to the outbox.

        :param dues: see :meth:`_get_later_dues`
        :returns: whether there were any
        """
        rows = self._move_audience(campaign, dues)
        if rows:
            campaign.written_count += rows
            campaign._notify_progress()
            _logger.info(
                "campaign=%s planned=%s of=%s",
                campaign.id,
                campaign.written_count,
                campaign.frozen_count,
            )
        self.invalidate_model()
        return rows

    def _move_audience(self, campaign, dues):
        """:returns: number of members in the piece that is now in the outbox"""
        self.env.flush_all()
        try:
            with self.env.cr.savepoint(flush=False):
                return self._move_piece(campaign, dues)
        except psycopg2.errors.UniqueViolation:
            # Somebody is in the outbox already, say with a number that was another
            # member's. To ask about each row costs a third more, and is hardly ever
            # of use.
            return self._move_piece(campaign, dues, SQL("ON CONFLICT DO NOTHING"))

    def _move_piece(self, campaign, dues, conflicts=None):
        step, due = SQL("step"), SQL("%s", campaign.scheduled_date)
        if dues:
            step = self._add_dues_sql(dues)
            due = SQL("COALESCE(s.later_date, %s)", due)
        self.env.cr.execute(
            SQL(
                """
                WITH piece AS (
                    DELETE FROM member_campaign_audience WHERE id = (
                           SELECT id FROM member_campaign_audience
                            WHERE campaign_id = %(campaign)s
                         ORDER BY position LIMIT 1)
                 RETURNING *
                ), step AS (
                    SELECT piece.campaign_id, a.* FROM piece, %(members)s
                ), planned AS (
                    INSERT INTO member_message (
                           campaign_id, variant_id, company_id, profile_id, partner_id,
                           tier_id, channel, gateway_id, address, state, reason,
                           due_date, attempt_count)
                    SELECT s.campaign_id, s.variant_id, %(company)s, s.profile_id,
                           s.partner_id, tier.id, %(channel)s,
                           CASE WHEN s.reason IS NULL THEN s.gateway_id END, s.address,
                           CASE WHEN s.reason IS NULL THEN 'queued' ELSE 'skipped' END,
                           s.reason, %(due)s, 0
                      FROM %(step)s s
                      -- not deleted since, nor merged into another
                      JOIN member_profile p
                        ON p.id = s.profile_id AND p.partner_id = s.partner_id
                      LEFT JOIN member_tier tier ON tier.id = s.tier_id
                     ORDER BY s.profile_id
               %(conflicts)s
                )
                SELECT size FROM piece
                """,
                campaign=campaign.id,
                members=self._unnest(*PIECES),
                company=campaign.company_id.id,
                channel=campaign.channel,
                step=step,
                due=due,
                conflicts=conflicts or SQL(),
            ),
            log_exceptions=False,
        )
        return sum(size for (size,) in self.env.cr.fetchall())

    def _add_dues_sql(self, dues):
        """:returns: the rows of ``step`` with ``later_date``; who may not be written to
        at any hour gets a reason
        """
        hours = self.env["member.sending.hours"]
        columns = [list(column) for column in zip(*dues, strict=True)]
        return SQL(
            """
            (SELECT s.campaign_id, s.variant_id, s.profile_id, s.partner_id, s.tier_id,
                    s.gateway_id, s.address, later.date AS later_date,
                    CASE WHEN s.reason IS NULL AND later.zone IS NOT NULL
                              AND later.date IS NULL
                         THEN 'quiet_hours' ELSE s.reason END AS reason
               FROM step s
               JOIN res_partner pa ON pa.id = s.partner_id
               LEFT JOIN unnest(%(zones)s::varchar[], %(countries)s::int[],
                                %(states)s::int[], %(prefixes)s::varchar[],
                                %(dates)s::timestamp[])
                    AS later (zone, country_id, state_id, prefix, date)
                 ON (later.zone, later.country_id, later.state_id, later.prefix)
                    = (%(keys)s))
            """,
            **dict(
                zip(
                    ("zones", "countries", "states", "prefixes", "dates"),
                    columns,
                    strict=True,
                )
            ),
            keys=SQL(", ").join(hours._get_place_columns(SQL("s.address"))),
        )

    # ------------------------------------------------------------------ decisions

    @api.model
    def _get_campaign_decision_sql(self, campaign):
        """:returns: the decision, see :meth:`_get_decision_sql`, for a campaign"""
        return self._get_decision_sql(
            campaign._get_audience_domain(),
            campaign.company_id,
            campaign.channel,
            campaign.category,
            campaign,
            campaign.scheduled_date,
        )

    @staticmethod
    def _get_newcomer_sql(campaign):
        """:returns: condition that the campaign has not been planned for a member"""
        if not campaign.planned_date:
            return SQL("TRUE")
        return SQL(
            "NOT EXISTS (SELECT FROM member_message m WHERE m.campaign_id = %s"
            " AND m.profile_id = d.profile_id)",
            campaign.id,
        )

    @staticmethod
    def _get_gateway_sql(campaign):
        """:returns: expression of the first of the campaign's gateways that serves the
        member's number; one that nobody serves stays with the chosen gateway
        """
        cases = [
            SQL("WHEN %s THEN %s", gateway._serves_sql(SQL("d.address")), gateway.id)
            for gateway in campaign._get_gateways()
            if gateway == campaign.gateway_id or gateway._get_prefixes()
        ]
        return SQL("CASE %s ELSE %s END", SQL(" ").join(cases), campaign.gateway_id.id)

    @staticmethod
    def _get_variant_sql(campaign):
        *shared, last = campaign.variant_ids
        cases, upper = [], 0
        for variant in shared:
            upper += variant.share_rate
            cases.append(
                SQL("WHEN d.variant_point < %s THEN %s", round(upper * 100), variant.id)
            )
        if not cases:
            return SQL("%s", last.id)
        return SQL("CASE %s ELSE %s END", SQL(" ").join(cases), last.id)

    @api.model
    def _get_decision_sql(
        self, audience, company, channel, category, campaign=None, date=None
    ):
        """Decide for every member of an audience whether a message may go out.

        Planning, forecast and the reach of a segment all ask here. A member gets the
        first reason that fits, in the order of ``REASONS``.

        :param Domain audience: condition on ``res.partner`` that selects members only
        :param company: ``res.company`` that writes
        :param str channel: of ``CHANNELS``
        :param str category: of the message, see ``member.template``
        :param campaign: ``member.campaign`` that is planned, for its control group
            and variants; its own messages do not count towards the limit
        :param datetime date: naive UTC time of sending; None: now
        :returns: SELECT of one row per member of the audience: ``profile_id``,
            ``partner_id``, ``tier_id``, ``address``, ``variant_point`` and
            ``reason``, NULL for those who get the message
        :rtype: SQL
        """
        consents = self.env["member.consent"]
        return SQL(
            """
            SELECT c.profile_id, c.partner_id, c.tier_id, c.address,
                   %(variant_point)s AS variant_point,
                   CASE WHEN c.barrier IS NOT NULL THEN c.barrier
                        WHEN c.copy > 1 THEN 'duplicate_address'
                        -- behind the copies: the number, too, has got enough
                        WHEN full_up.profile_id IS NOT NULL THEN 'frequency_cap'
                        WHEN %(holdout_point)s < %(holdout)s THEN 'holdout'
                        END AS reason
              FROM (SELECT j.*, row_number() OVER (
                               PARTITION BY j.address, j.barrier IS NULL
                               ORDER BY j.profile_id) AS copy
                      FROM (SELECT a.*,
                                   CASE WHEN COALESCE(a.phone, '') = ''
                                        THEN 'no_address'
                                        WHEN a.address IS NULL THEN 'invalid_address'
                                        WHEN dead.address IS NOT NULL
                                        THEN 'bad_number'
                                        ELSE %(refusal)s END AS barrier
                              FROM (%(audience)s) a
                              LEFT JOIN member_consent consent ON %(current)s
                              LEFT JOIN phone_blacklist listed
                                     ON listed.number = a.address AND listed.active
                              LEFT JOIN %(suppressed)s
                              LEFT JOIN (%(dead)s) dead ON dead.address = a.address
                           ) j) c
              -- In effect a LEFT JOIN. Right after planning nobody knows how many
              -- have got enough: taken for few, they would be compared one by one.
              -- This join can only be done by hashing or sorting.
              FULL JOIN (%(full_up)s) full_up ON full_up.profile_id = c.profile_id
             WHERE COALESCE(c.profile_id, 0) != 0
            """,
            holdout_point=self._get_point_sql(
                campaign if campaign and campaign.holdout_rate else None, "holdout"
            ),
            variant_point=self._get_point_sql(
                campaign if campaign and len(campaign.variant_ids) > 1 else None,
                "variant",
            ),
            audience=self._get_audience_sql(audience),
            refusal=consents._get_refusal_sql(SQL("%s", category)),
            current=consents._get_current_sql(
                SQL("a.profile_id"), SQL("%s", channel), SQL("%s", category)
            ),
            suppressed=self._get_suppressed_sql(company, channel, category),
            dead=self._get_dead_sql(company),
            full_up=self._get_full_up_sql(company, category, campaign, date),
            holdout=round(campaign.holdout_rate * 100) if campaign else 0,
        )

    def _get_audience_sql(self, audience):
        """:returns: SELECT of what a decision needs of the members"""
        query = self.env["res.partner"]._search(audience)
        # the order of contacts is of no use here, and costs a sort
        query.order = None
        # where the tier is not asked for PostgreSQL leaves the join out
        query.add_join(
            "LEFT JOIN",
            "p",
            SQL("member_profile"),
            SQL("p.id = res_partner.member_profile_id"),
        )
        return query.select(
            "res_partner.member_profile_id AS profile_id",
            "res_partner.id AS partner_id",
            "p.tier_id",
            "res_partner.phone",
            "res_partner.phone_sanitized AS address",
        )

    def _get_suppressed_sql(self, company, channel, category):
        """:returns: ``suppressed``, rows with ``address_hash`` of who gets no such
        messages, and how they are joined to an audience ``a``
        """
        suppressions = self.env["member.suppression"]
        active = suppressions._get_active_sql(
            company, SQL("%s", channel), SQL("%s", category)
        )
        [(is_empty,)] = self.env.execute_query(
            SQL("SELECT NOT EXISTS (SELECT FROM member_suppression s WHERE %s)", active)
        )
        return SQL(
            "(SELECT DISTINCT s.address_hash FROM member_suppression s WHERE %s)"
            " suppressed ON %s",
            active,
            # PostgreSQL then leaves the join out, and hashes no address
            SQL("FALSE")
            if is_empty
            else SQL(
                "suppressed.address_hash = %s",
                suppressions._get_hash_sql(SQL("a.address")),
            ),
        )

    def _get_dead_sql(self, company):
        """:returns: SELECT of ``address``: numbers that several campaigns found to be
        out of reach for good. They get another chance after half a year.
        """
        limit = self.env["member.send.policy"]._get_for(company).bad_number_limit
        return SQL(
            """
            SELECT address FROM member_message
             WHERE reason = 'rejected_number' AND due_date > %s AND %s
          GROUP BY address HAVING COUNT(DISTINCT campaign_id) >= %s
            """,
            fields.Datetime.now() - BAD_NUMBER_PERIOD,
            SQL("TRUE") if limit else SQL("FALSE"),
            limit,
        )

    def _get_full_up_sql(self, company, category, campaign, date):
        """:returns: SELECT of ``profile_id`` of the members who got, or will get, as
        much advertising around the date as the company's policy allows
        """
        policy = self.env["member.send.policy"]._get_for(company)
        caps = policy._get_caps(category)
        if not caps or (campaign and campaign._tries_capped_again()):
            return SQL("SELECT NULL::int AS profile_id WHERE FALSE")
        date = date or fields.Datetime.now()
        longest = max(cap.period for cap in caps)
        counted = [
            (SQL.identifier(f"count_{number}"), cap) for number, cap in enumerate(caps)
        ]
        # Members are looked up once they are counted, not for every message.
        return SQL(
            """
            SELECT got.profile_id
              FROM (SELECT m.profile_id, %(counts)s
                      FROM member_message m
                      JOIN member_campaign mc ON mc.id = m.campaign_id
                     WHERE mc.company_id = %(company)s
                       AND mc.category IN %(advertising)s AND mc.id != %(campaign)s
                       -- nothing has left a campaign after its end: old ones are not
                       -- read
                       AND (mc.done_date IS NULL OR mc.done_date > %(since)s)
                       AND m.state IN %(counted)s
                       AND %(moment)s > %(since)s AND %(moment)s < %(until)s
                  GROUP BY m.profile_id) got
              %(engagement_join)s
             WHERE %(full_up)s
            """,
            counts=SQL(", ").join(
                SQL(
                    "COUNT(*) FILTER (WHERE mc.category IN %s"
                    " AND %s > %s AND %s < %s) AS %s",
                    cap.categories,
                    _MOMENT,
                    date - cap.period,
                    _MOMENT,
                    date + cap.period,
                    count,
                )
                for count, cap in counted
            ),
            engagement_join=(
                SQL("JOIN member_profile mp ON mp.id = got.profile_id")
                if any(cap.engagement for cap in caps)
                else SQL()
            ),
            company=company.id,
            advertising=ADVERTISING,
            campaign=(campaign and campaign._origin.id) or 0,
            counted=COUNTED_STATES,
            moment=_MOMENT,
            since=date - longest,
            until=date + longest,
            full_up=SQL(" OR ").join(
                SQL(
                    "(got.%s >= %s AND %s)",
                    count,
                    cap.limit,
                    SQL("mp.engagement = %s", cap.engagement)
                    if cap.engagement
                    else SQL("TRUE"),
                )
                for count, cap in counted
            ),
        )

    @api.model
    def _count_reach(self, decision):
        """Count members as planning would decide, without writing anything.

        :param SQL decision: see :meth:`_get_decision_sql`
        :returns: reason → number of members; None stands for those who get the message
        :rtype: dict[str | None, int]
        """
        self.env.flush_all()
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT d.reason, COUNT(*) FROM (%s) d GROUP BY d.reason",
                    decision,
                )
            )
        )

    @staticmethod
    def _get_point_sql(campaign, purpose):
        """A number of a member ``c`` from 0 to 9,999, in hundredths of a percent, that
        stays the same for member and campaign."""
        if not campaign:
            return SQL("NULL::int")
        return SQL(
            "('x' || substr(md5(%s || c.profile_id::text), 1, 7))::bit(28)::int"
            " %% 10000",
            f"{purpose}:{campaign._origin.id}:",
        )
