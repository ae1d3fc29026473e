from collections import Counter, defaultdict
from datetime import timedelta

import pytz

from odoo import api, fields, models
from odoo.tools import SQL

from ..tools import hours
from ..tools.zones import get_country_zone, get_phone_zones
from .member_consent import CHANNELS

#: Days back in which actions make the engagement …
ENGAGEMENT_DAYS = 30
#: … purchases and answers make the best hour …
HOUR_DAYS = 365
#: … and answers make the best channel.
CHANNEL_DAYS = 180
#: So many facts of similar members make an hour of theirs worth proposing.
MIN_GROUP_FACTS = 50
#: A purchase says when somebody has time for the shop. So does an answer, unless it
#: comes so soon after the message that it says as much about when we wrote.
FULL_WEIGHT, PROMPT_WEIGHT = 2, 1
PROMPT_MINUTES = 60
#: Members written in one transaction.
CHUNK = 10_000

#: What a member does with a message. An opened one may have been clicked as well.
ACTIONS = ("opened", "clicked", "replied", "redeemed")
#: Those that tell when a member has time. A reply is mostly a reflex.
TIMED_ACTIONS = ("opened", "clicked", "redeemed")
REACHED_STATES = ("sent", "delivered")

COLUMNS = (
    "engagement",
    "engagement_count",
    "preferred_hour",
    "preferred_hour_count",
    "preferred_hour_source",
    "preferred_channel",
    "preferred_channel_count",
)
#: Columns of the weights of the 24 hours.
HISTOGRAM = tuple(f"hour_{hour}" for hour in range(24))
# Temporary tables of a run.
ZONES = SQL("member_engagement_zone")
FACTS = SQL("member_engagement_fact")
CHANGES = SQL("member_engagement_change")


class MemberProfile(models.Model):
    """What members do with messages, folded into their profile every night.

    The one arrow from events back to the profile. Everything is computed for all
    members at once into a temporary table of what is to change, which takes no lock;
    the changes are then written in short transactions.
    """

    _inherit = "member.profile"

    @api.model
    def _cron_fold_engagement(self):
        """Bring engagement, best hour and best channel of all members up to date.

        Nothing is computed twice in a run, so the time budget of a cron does not end
        it: what is written stays written if something else does.
        """
        progress = self.env["ir.cron"]._commit_progress
        total = self._compute_engagement_changes(fields.Datetime.now())
        progress(remaining=total)
        for start in range(0, total, CHUNK):
            self._write_engagement_changes(start)
            progress(min(CHUNK, total - start))
        self._drop_engagement_tables()

    @api.model
    def _fold_engagement(self, now=None):
        """Do what the cron does in the transaction of the caller.

        :param datetime now: naive UTC time by which ages are judged
        :returns: number of members whose figures changed
        :rtype: int
        """
        total = self._compute_engagement_changes(now or fields.Datetime.now())
        for start in range(0, total, CHUNK):
            self._write_engagement_changes(start)
        self._drop_engagement_tables()
        return total

    def _compute_engagement_changes(self, now):
        """Put the new figures of the members they change for into a table.

        :returns: number of these members
        :rtype: int
        """
        self.env.flush_all()
        # A run that failed may have left its tables to this connection.
        self._drop_engagement_tables()
        # Compiling these statements takes longer than what it saves.
        self.env.cr.execute(SQL("SET LOCAL jit = off"))
        self._store_engagement_table(ZONES, self._get_zone_sql())
        self._store_engagement_table(FACTS, self._get_hour_fact_sql(now))
        self._store_engagement_table(CHANGES, self._get_engagement_change_sql(now))
        self.env.cr.execute(SQL("CREATE INDEX ON %s (position)", CHANGES))
        [(total,)] = self.env.execute_query(SQL("SELECT COUNT(*) FROM %s", CHANGES))
        return total

    def _store_engagement_table(self, table, rows):
        self.env.cr.execute(SQL("CREATE TEMP TABLE %s AS %s", table, rows))
        # PostgreSQL knows nothing of a new table.
        self.env.cr.execute(SQL("ANALYZE %s", table))

    def _drop_engagement_tables(self):
        self.env.cr.execute(
            SQL("DROP TABLE IF EXISTS %s, %s, %s", ZONES, FACTS, CHANGES)
        )

    def _write_engagement_changes(self, start):
        """Write the changes of up to ``CHUNK`` members from a position on.

        A member somebody else is writing at this moment waits for the next night.
        """
        self.env.cr.execute(
            SQL(
                """
                WITH free AS (
                    SELECT p.id, %(new)s
                      FROM member_profile p
                      JOIN %(changes)s n ON n.id = p.id
                     WHERE n.position >= %(start)s AND n.position < %(end)s
                       FOR NO KEY UPDATE OF p SKIP LOCKED
                )
                UPDATE member_profile p SET (%(targets)s) = ROW(%(new)s)
                  FROM free n
                 WHERE n.id = p.id
                """,
                targets=SQL(", ").join(map(SQL.identifier, COLUMNS)),
                new=self._get_engagement_columns("n"),
                changes=CHANGES,
                start=start,
                end=start + CHUNK,
            )
        )
        self.env.invalidate_all(flush=False)

    @staticmethod
    def _get_engagement_columns(alias):
        return SQL(", ").join(SQL.identifier(alias, column) for column in COLUMNS)

    def _get_engagement_change_sql(self, now):
        """:returns: SELECT of ``id``, ``position`` from 0 on and the new figures of
        the members whose figures change
        """
        return SQL(
            """
            SELECT n.*, row_number() OVER (ORDER BY n.id) - 1 AS position
              FROM (
                SELECT p.id, %(engagement)s AS engagement,
                       COALESCE(act.count, 0) AS engagement_count,
                       h.hour AS preferred_hour, h.count AS preferred_hour_count,
                       h.source AS preferred_hour_source,
                       c.channel AS preferred_channel,
                       COALESCE(c.count, 0) AS preferred_channel_count
                  FROM member_profile p
                  LEFT JOIN (%(acted)s) act ON act.id = p.id
                  LEFT JOIN (%(reached)s) reached ON reached.id = p.id
                  LEFT JOIN (%(hours)s) h ON h.id = p.id
                  LEFT JOIN (%(channels)s) c ON c.id = p.id
              ) n
              JOIN member_profile p ON p.id = n.id
             WHERE (%(new)s) IS DISTINCT FROM (%(old)s)
            """,
            engagement=SQL(
                """CASE WHEN act.count >= 2 THEN 'high'
                        WHEN act.count = 1 THEN 'medium'
                        WHEN reached.id IS NOT NULL THEN 'low' END"""
            ),
            acted=self._get_action_sql(now),
            reached=SQL(
                "SELECT DISTINCT profile_id AS id FROM member_message"
                " WHERE sent_date >= %s AND state IN %s",
                now - timedelta(days=ENGAGEMENT_DAYS),
                REACHED_STATES,
            ),
            hours=self._get_hour_sql(),
            channels=self._get_channel_sql(now),
            new=self._get_engagement_columns("n"),
            old=self._get_engagement_columns("p"),
        )

    # ---------------------------------------------------------------- engagement

    def _get_human_event_sql(self, types, days, now):
        """:returns: SELECT of what people, not machines, did: ``message_id``, ``type``
        and ``date``. A reply that asks us to stop is no answer.
        """
        return SQL(
            """
            SELECT e.message_id, e.type, e.date
              FROM member_event e
             WHERE e.type IN %(types)s AND NOT e.is_bot
               AND e.date >= %(since)s AND e.date <= %(now)s
               AND NOT (e.type = 'replied' AND EXISTS (
                       SELECT FROM member_event s
                        WHERE s.message_id = e.message_id AND s.type = 'unsubscribed'
                          AND s.provider_event_ref = e.provider_event_ref))
            """,
            types=types,
            since=now - timedelta(days=days),
            now=now,
        )

    def _get_action_sql(self, now):
        """:returns: SELECT of ``id`` and ``count`` of the actions of the members who
        did something; whoever clicks a message has opened it, which adds nothing
        """
        return SQL(
            """
            SELECT a.id, SUM(a.count)::int AS count
              FROM (SELECT m.profile_id AS id, GREATEST(
                               1, COUNT(*) FILTER (WHERE e.type != 'opened')) AS count
                      FROM (%s) e
                      JOIN member_message m ON m.id = e.message_id
                  GROUP BY m.profile_id, m.id) a
          GROUP BY a.id
            """,
            self._get_human_event_sql(ACTIONS, ENGAGEMENT_DAYS, now),
        )

    # ---------------------------------------------------------------------- zone

    def _get_zone_sql(self):
        """:returns: SELECT of ``id``, ``partner_id`` and ``zone`` of every member: the
        contact's own, else that of the country or of the telephone number where these
        have one only, else that of the company. Zones the database does not know are
        passed over.
        """
        known = {
            name
            for (name,) in self.env.execute_query(
                SQL("SELECT name FROM pg_timezone_names")
            )
        }
        phones = {
            digits: zone for digits, zone in get_phone_zones().items() if zone in known
        }
        sizes = sorted(set(map(len, phones)))
        return SQL(
            """
            SELECT p.id, p.partner_id,
                   COALESCE(own.zone, country.zone, %(phone_zones)s, company.zone,
                            'UTC') AS zone
              FROM member_profile p
              JOIN res_partner pa ON pa.id = p.partner_id
              LEFT JOIN %(own)s ON own.zone = pa.tz
              LEFT JOIN %(country)s ON country.id = pa.country_id
              %(phone_joins)s
              LEFT JOIN %(company)s ON company.id = %(company_id)s
            """,
            phone_zones=SQL(", ").join(
                SQL.identifier(f"phone_{size}", "zone") for size in sizes
            ),
            own=SQL("unnest(%s::varchar[]) AS own (zone)", sorted(known)),
            country=self._get_map_sql("country", "int", self._get_country_zones(known)),
            phone_joins=SQL(" ").join(
                SQL(
                    "LEFT JOIN %s ON %s = substr(pa.phone_sanitized, 2, %s)",
                    self._get_map_sql(
                        f"phone_{size}",
                        "varchar",
                        {key: zone for key, zone in phones.items() if len(key) == size},
                    ),
                    SQL.identifier(f"phone_{size}", "id"),
                    size,
                )
                for size in sizes
            ),
            company=self._get_map_sql("company", "int", self._get_company_zones(known)),
            company_id=self._get_member_company_sql(),
        )

    @staticmethod
    def _get_map_sql(alias, key_type, zones):
        return SQL(
            "unnest(%s::%s[], %s::varchar[]) AS %s (id, zone)",
            list(zones),
            SQL(key_type),
            list(zones.values()),
            SQL.identifier(alias),
        )

    def _get_country_zones(self, known):
        # sudo: countries hold nothing secret, and the run concerns all of them
        countries = self.env["res.country"].sudo().search([("code", "!=", False)])
        zones = {
            country.id: get_country_zone(
                country.code, pytz.country_timezones.get(country.code, [])
            )
            for country in countries
        }
        return {country: zone for country, zone in zones.items() if zone in known}

    def _get_company_zones(self, known):
        zones = {
            company.id: company.partner_id.tz
            for company in self._get_engagement_companies()
        }
        return {company: zone for company, zone in zones.items() if zone in known}

    def _get_engagement_companies(self):
        # sudo: the run concerns the members of every company, archived ones included
        return self.env["res.company"].sudo().search([("active", "in", [True, False])])

    def _get_member_company_sql(self):
        """The company of a contact ``pa``; the main one for those of all companies."""
        main_company = self.env["res.company"]._get_main_company()
        return SQL("COALESCE(pa.company_id, %s)", main_company.id)

    # ---------------------------------------------------------------------- hour

    def _get_hour_fact_sql(self, now):
        """Purchases, and what people did with messages, by the member's own clock.

        All a member does within one hour is one fact: an offer is opened, clicked and
        redeemed at the same till. Our own sending makes people act at certain hours,
        so that an hour we never tried looks worse than it is; an answer that comes at
        once weighs half for this reason, purchases without a message weigh in full.

        :returns: SELECT of ``id``, ``count`` of the facts and their weight in each hour
            (columns ``HISTOGRAM``) of the members who have some
        """
        return SQL(
            """
            WITH happened AS (
                SELECT m.id, m.zone, o.date, %(full)s AS weight
                  FROM (%(orders)s) o
                  JOIN %(zones)s m ON m.partner_id = o.partner_id
                 WHERE o.order_count > 0 AND o.date >= %(since)s AND o.date <= %(now)s
             UNION ALL
                SELECT m.id, m.zone, e.date,
                       CASE WHEN e.date < s.sent_date + %(prompt)s
                            THEN %(part)s ELSE %(full)s END
                  FROM (%(events)s) e
                  JOIN member_message s ON s.id = e.message_id
                  JOIN %(zones)s m ON m.id = s.profile_id
            ),
            fact AS (
                SELECT h.id, date_trunc('hour', h.date AT TIME ZONE 'UTC'
                                                AT TIME ZONE h.zone) AS date,
                       MAX(h.weight) AS weight
                  FROM happened h
              GROUP BY 1, 2
            )
            SELECT f.id, COUNT(*)::int AS count, %(histogram)s
              FROM (SELECT id, extract(hour FROM date) AS hour, weight FROM fact) f
          GROUP BY f.id
            """,
            histogram=SQL(", ").join(
                SQL(
                    "COALESCE(SUM(f.weight) FILTER (WHERE f.hour = %s), 0)::int AS %s",
                    hour,
                    SQL.identifier(column),
                )
                for hour, column in enumerate(HISTOGRAM)
            ),
            zones=ZONES,
            orders=self.env["member.order"]._get_order_sql(),
            events=self._get_human_event_sql(TIMED_ACTIONS, HOUR_DAYS, now),
            since=now - timedelta(days=HOUR_DAYS),
            now=now,
            full=FULL_WEIGHT,
            part=PROMPT_WEIGHT,
            prompt=timedelta(minutes=PROMPT_MINUTES),
        )

    @api.model
    def _get_min_hour_facts(self):
        """:returns: facts a member needs for an hour of their own
        :rtype: int
        """
        # sudo: parameters are readable by administrators only
        get_param = self.env["ir.config_parameter"].sudo().get_param
        return max(1, int(get_param("member_messaging.hour_facts", 5)))

    def _get_hour_sql(self):
        """Choose each member's own hour, else fall back.

        :returns: SELECT of ``id``, ``hour``, ``count`` and ``source`` of every member
        """
        segments, lifecycles = self._get_group_hours()
        companies = [
            (company.id, company.member_industry or hours.DEFAULT_INDUSTRY)
            for company in self._get_engagement_companies()
        ]
        return SQL(
            """
            SELECT m.id,
                   COALESCE(m.hour, segment.hour, lifecycle.hour,
                            m.preset_hour) AS hour,
                   CASE WHEN m.hour IS NULL THEN 0 ELSE m.count END AS count,
                   CASE WHEN m.hour IS NOT NULL THEN 'own'
                        WHEN COALESCE(segment.hour, lifecycle.hour) IS NOT NULL
                        THEN 'segment' ELSE 'industry' END AS source
              FROM (SELECT p.id, p.rfm_segment_id, p.lifecycle,
                           company.id AS company_id, company.hour AS preset_hour,
                           f.count, %(own_hour)s AS hour
                      FROM member_profile p
                      JOIN res_partner pa ON pa.id = p.partner_id
                      JOIN unnest(%(companies)s::int[], %(industries)s::varchar[],
                                  %(presets)s::int[]) AS company (id, industry, hour)
                        ON company.id = %(company_id)s
                      LEFT JOIN %(facts)s f ON f.id = p.id AND f.count >= %(least)s) m
              LEFT JOIN %(segments)s AS segment (company_id, key, hour)
                ON segment.company_id = m.company_id
                   AND segment.key = m.rfm_segment_id
              LEFT JOIN %(lifecycles)s AS lifecycle (company_id, key, hour)
                ON lifecycle.company_id = m.company_id AND lifecycle.key = m.lifecycle
            """,
            own_hour=SQL(
                "CASE company.industry %s END",
                SQL(" ").join(
                    SQL("WHEN %s THEN %s", code, self._get_pick_sql(industry.hours))
                    for code, industry in hours.INDUSTRIES.items()
                ),
            ),
            companies=[company_id for company_id, _code in companies],
            industries=[code for _company_id, code in companies],
            presets=[hours.INDUSTRIES[code].hour for _company_id, code in companies],
            company_id=self._get_member_company_sql(),
            facts=FACTS,
            least=self._get_min_hour_facts(),
            segments=self._get_row_sql("int", segments),
            lifecycles=self._get_row_sql("varchar", lifecycles),
        )

    @staticmethod
    def _get_pick_sql(choices):
        """Do what :func:`..tools.hours.pick` does, with the histogram of a fact ``f``.

        Each hour becomes a number: its smoothed weight, its place among the choices
        and the hour itself. The largest number says the hour; nothing around an hour
        is NULL, which is never the largest.
        """
        numbers = (
            SQL(
                "10000 * NULLIF(%s, 0)::bigint + %s",
                SQL(" + ").join(
                    SQL(
                        "%s * f.%s",
                        weight,
                        SQL.identifier(HISTOGRAM[(hour + step) % 24]),
                    )
                    for step, weight in hours.KERNEL
                ),
                (99 - place) * 100 + hour,
            )
            for place, hour in enumerate(choices)
        )
        return SQL("(GREATEST(%s) %% 100)::int", SQL(", ").join(numbers))

    @staticmethod
    def _get_row_sql(key_type, rows):
        """:returns: the rows of ``(company, group, hour)`` as a table"""
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        return SQL(
            "unnest(%s::int[], %s::%s[], %s::int[])",
            columns[0],
            columns[1],
            SQL(key_type),
            columns[2],
        )

    @staticmethod
    def _get_industry(company):
        return hours.INDUSTRIES[company.member_industry or hours.DEFAULT_INDUSTRY]

    def _get_group_hours(self):
        """Learn the hours of the members of an RFM segment, and of a life cycle.

        :returns: two lists of ``(company, segment or life cycle, hour)``; groups that
            did too little are left out
        :rtype: tuple[list, list]
        """
        rows = self.env.execute_query(
            SQL(
                """
                SELECT %s, p.rfm_segment_id, p.lifecycle, SUM(f.count)::int, %s
                  FROM %s f
                  JOIN member_profile p ON p.id = f.id
                  JOIN res_partner pa ON pa.id = p.partner_id
              GROUP BY 1, 2, 3
                """,
                self._get_member_company_sql(),
                SQL(", ").join(
                    SQL("SUM(f.%s)::bigint", SQL.identifier(column))
                    for column in HISTOGRAM
                ),
                FACTS,
            )
        )
        histograms = defaultdict(lambda: [0] * 24)
        counts = Counter()
        for company_id, segment_id, lifecycle, count, *histogram in rows:
            for kind, key in ("segment", segment_id), ("lifecycle", lifecycle):
                group = company_id, kind, key
                counts[group] += count
                histograms[group] = list(
                    map(sum, zip(histograms[group], histogram, strict=True))
                )
        choices = {
            company.id: self._get_industry(company).hours
            for company in self._get_engagement_companies()
        }
        found = {"segment": [], "lifecycle": []}
        for group, histogram in histograms.items():
            company_id, kind, key = group
            hour = hours.pick(histogram, choices[company_id])
            if key and hour is not None and counts[group] >= MIN_GROUP_FACTS:
                found[kind].append((company_id, key, hour))
        return found["segment"], found["lifecycle"]

    # ------------------------------------------------------------------- channel

    @api.model
    def _get_channel_address_sql(self, channel):
        """:returns: expression over the contact ``pa`` for the address of a channel,
        NULL for a member without one
        :rtype: SQL
        """
        columns = {"sms": "phone_sanitized", "email": "email_normalized"}
        if channel not in columns:
            return SQL("NULL")
        return SQL("NULLIF(%s, '')", SQL.identifier("pa", columns[channel]))

    def _get_channel_sql(self, now):
        """The channel whose messages are answered most, else the only one possible.

        The share of messages answered is taken as if one more had been answered and
        one not, so that a single lucky message does not win. A member must have agreed
        to promotions there. Nothing answered: the only channel with an address on
        which the member did not refuse them; of several, none is said to be best.

        :returns: SELECT of ``id``, ``channel`` and ``count``, the messages answered,
            of the members with a best channel
        """
        return SQL(
            """
            WITH usable AS (%(usable)s),
            tried AS (
                SELECT m.profile_id AS id, m.channel, COUNT(*) AS count,
                       COUNT(e.message_id)::int AS answered
                  FROM member_message m
                  LEFT JOIN (SELECT DISTINCT message_id FROM (%(events)s) f) e
                    ON e.message_id = m.id
                 WHERE m.sent_date >= %(since)s AND m.state IN %(states)s
              GROUP BY 1, 2
            ),
            learnt AS (
                SELECT DISTINCT ON (u.id) u.id, u.channel, t.answered AS count
                  FROM usable u
                  JOIN tried t ON t.id = u.id AND t.channel = u.channel
                 WHERE u.is_granted AND t.answered > 0
              ORDER BY u.id, (t.answered + 1.0) / (t.count + 2) DESC, u.position
            ),
            single AS (
                SELECT u.id, MIN(u.channel) AS channel
                  FROM usable u
              GROUP BY u.id HAVING COUNT(*) = 1
            )
            SELECT id, COALESCE(l.channel, s.channel) AS channel,
                   COALESCE(l.count, 0) AS count
              FROM single s FULL JOIN learnt l USING (id)
            """,
            usable=self._get_usable_channel_sql(now),
            events=self._get_human_event_sql(ACTIONS, CHANNEL_DAYS, now),
            since=now - timedelta(days=CHANNEL_DAYS),
            states=REACHED_STATES,
        )

    def _get_usable_channel_sql(self, now):
        """:returns: SELECT of ``id``, ``channel``, ``position`` and ``is_granted`` per
        member and channel with an address where promotions were not refused
        """
        return SQL(" UNION ALL ").join(
            SQL(
                """
                SELECT p.id, %(channel)s::varchar AS channel, %(position)s AS position,
                       c.state = 'granted' AND (c.expiry_date IS NULL
                           OR c.expiry_date >= %(today)s) IS TRUE AS is_granted
                  FROM member_profile p
                  JOIN res_partner pa ON pa.id = p.partner_id
                  LEFT JOIN member_consent c ON c.profile_id = p.id AND c.is_current
                       AND c.channel = %(channel)s AND c.purpose = 'promotion'
                 WHERE %(address)s IS NOT NULL
                   AND c.state IS DISTINCT FROM 'refused'
                """,
                channel=channel,
                position=position,
                today=now.date(),
                address=self._get_channel_address_sql(channel),
            )
            for position, (channel, _label) in enumerate(CHANNELS)
        )
