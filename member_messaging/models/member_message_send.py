import logging
import time
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from math import ceil

from odoo import api, fields, models
from odoo.tools import SQL

from ..gateways import ADAPTERS
from ..tools.quota import get_least_rest
from ..tools.throttle import divide_rate
from ..transaction import commit_short
from .member_consent import ADVERTISING
from .member_message import CLAIMED, WAITS

_logger = logging.getLogger(__name__)

#: Rows claimed, sent and recorded between two commits, at most.
CLAIM_SIZE = 2500
#: A claim holds no more than the rate allows in so many seconds: the sooner the next
#: one, the sooner a pause or a refusal takes effect.
CLAIM_SECONDS = 2
#: A claim older than this belongs to a sender that was taken away and died.
STALE_CLAIM = timedelta(minutes=15)
#: Claims of several senders may overlap by so much …
OVERLAP = timedelta(seconds=10)
#: … and who gives way waits for so long.
GIVE_WAY = timedelta(seconds=15)
#: What a member who has had enough gets instead of a reason, if that may change.
LATER = "later"
#: As :data:`LATER`, while another message to the member leaves with this batch: it is
#: asked about again with the next one.
NEXT = "next"
#: Categories in the order in which they leave.
URGENCY = {"notice": 0, "care": 1, "content": 2, "promotion": 3}


class MemberMessage(models.Model):
    """Sending: claim, commit, call, record, commit. Never in a request.

    ``member_message_call`` and ``member_message_record`` are the last two.
    """

    _inherit = "member.message"

    @api.model
    def _cron_send(self, lane=1):
        """Send what is due, batch by batch, until nothing is left or time is up.

        :param int lane: number of the sender; each runs once at a time
        """
        with self._enter_lane(lane) as is_mine:
            if is_mine:
                self._settle_lane(lane)
                self._settle_stale_claims()
                self.env["member.campaign"]._stop_all_changed()
                self._move_campaigns_on()
                self._send_due(lane)

    def _send_due(self, lane):
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=self._count_due())
        gateways = self.env["member.gateway"].search([("state", "=", "active")])
        # Each sender begins with another gateway, and goes round.
        start = lane % len(gateways) if gateways else 0
        busy = [*gateways[start:], *gateways[:start]]
        while busy:
            for gateway in list(busy):
                # A pause or a cancellation shows in the next claim.
                count = self._send_batch(gateway, lane)
                if not count:
                    busy.remove(gateway)
                elif not progress(count):
                    return
        self._move_campaigns_on()
        # What was due and did not leave was skipped, or is another sender's.
        progress(remaining=0)

    @api.model
    def _send_batch(self, gateway, lane=1):
        """Claim, call and record one batch.

        The claim is committed before anything leaves: whatever happens from there on,
        no other sender takes these rows.

        :returns: number of messages dealt with
        """
        started = time.monotonic()
        size, is_probe = self._get_claim_size(gateway)
        if not size:
            return 0
        claimed, count = commit_short(self.env, self._claim, gateway, lane, size)
        claimed = claimed and self._settle_overlap(claimed, lane)
        left_out = len(claimed)
        if claimed:
            claimed = commit_short(self.env, self._reserve, gateway, claimed)
            left_out -= len(claimed)
        if not claimed:
            # what waits again was not dealt with: it is not tried until the next run
            return count - left_out
        done = self._call(gateway, claimed, is_probe)
        seconds = time.monotonic() - started
        self._record_results(gateway, claimed, done, lane, seconds)
        self._log_batch(gateway, claimed, done, lane, started)
        return count

    def _settle_overlap(self, claimed, lane):
        """Two senders at the same moment do not see each other's claims: to one member
        both might send as much as is allowed. So each looks again when its claim is
        committed, one after the other. The first one that sees the other's claim gives
        way, and then the other one does not see it any more: of two, one always sends
        and one always waits.

        :param list[dict] claimed: see :meth:`_claim`; all of one urgency
        :returns: those of them that may leave
        """
        if self.env["member.lane"]._get_count() < 2:
            return claimed
        # all of a claim are of the same category
        campaign = self.env["member.campaign"].browse(claimed[0]["campaign_id"])
        policy = self.env["member.send.policy"]._get_for(campaign.company_id)
        if not policy._get_caps(campaign.category):
            return claimed
        with self._take_turn():
            return commit_short(self.env, self._give_way, claimed, lane)

    @contextmanager
    def _take_turn(self):
        """Let one sender after the other do what is inside, each in a new transaction:
        it sees what those before it have committed. The lock ends with the process or
        its connection, however it ends."""
        key = SQL("hashtext('member_messaging.turn')")
        self.env.cr.execute(SQL("SELECT pg_advisory_lock(%s)", key))
        # the snapshot is older than the lock
        self.env.cr.commit()  # pylint: disable=invalid-commit
        try:
            yield
        except BaseException:
            if not self.env.cr.closed:
                # in a transaction that failed the lock could not be given back
                self.env.cr.rollback()
            raise
        finally:
            if not self.env.cr.closed:
                self.env.cr.execute(SQL("SELECT pg_advisory_unlock(%s)", key))
                # what follows sees what the others do meanwhile
                self.env.cr.commit()  # pylint: disable=invalid-commit

    def _give_way(self, claimed, lane):
        """Put back what another sender may be sending to the same members.

        :returns: those of the claimed messages that may leave
        """
        now = fields.Datetime.now()
        rows = self.env.execute_query(
            SQL(
                """
                UPDATE member_message m
                   SET state = 'queued', claimed_date = NULL, due_date = %(later)s,
                       attempt_count = m.attempt_count - 1
                  FROM member_campaign c
                 WHERE m.id = ANY(%(ids)s) AND %(claimed)s AND c.id = m.campaign_id
                   AND c.category IN %(advertising)s AND EXISTS (
                       SELECT FROM member_message other
                         JOIN member_campaign oc ON oc.id = other.campaign_id
                        WHERE other.profile_id = m.profile_id
                          AND other.campaign_id != m.campaign_id
                          AND other.lane != %(lane)s
                          AND other.claimed_date > %(since)s
                          AND oc.category IN %(advertising)s
                          AND other.state IN %(left)s)
             RETURNING m.id
                """,
                later=now + GIVE_WAY,
                ids=[row["id"] for row in claimed],
                claimed=CLAIMED,
                advertising=ADVERTISING,
                lane=lane,
                since=now - OVERLAP,
                left=("claimed", "sent", "delivered", "uncertain"),
            )
        )
        yielding = {message_id for (message_id,) in rows}
        self.invalidate_model()
        return [row for row in claimed if row["id"] not in yielding]

    @staticmethod
    def _log_batch(gateway, claimed, done, lane, started):
        outcomes = Counter(result.outcome.value for result in done.results)
        _logger.info(
            "lane=%s gateway=%s campaigns=%s batch=%s claimed=%s %s ms=%d",
            lane,
            gateway.id,
            ",".join(sorted({str(row["campaign_id"]) for row in claimed})),
            claimed[0]["id"],
            len(claimed),
            " ".join(f"{outcome}={count}" for outcome, count in outcomes.items()),
            (time.monotonic() - started) * 1000,
        )

    def _get_claim_size(self, gateway):
        """:returns: how many messages to claim for a gateway now, and whether they are
        to find out if a resting provider is back
        """
        loads = self.env["member.gateway.load"]
        batch_size = ADAPTERS[gateway.provider].batch_size
        call_size, _seconds = divide_rate(gateway.rate_per_second, batch_size)
        size = CLAIM_SIZE
        if gateway.rate_per_second:
            size = min(size, max(call_size, gateway.rate_per_second * CLAIM_SECONDS))
        rest = loads._get_day_rest(gateway)
        if rest is not None:
            size = min(size, rest)
        if gateway not in loads._get_resting():
            return size, False
        may_probe = size and commit_short(self.env, loads._try_probe, gateway)
        return (min(size, call_size) if may_probe else 0), True

    @contextmanager
    def _enter_lane(self, lane):
        """Yield whether no other process runs this lane. The lock ends with the
        process or its connection, however it ends."""
        key = SQL("hashtext('member_messaging.lane'), %s", lane)
        [(is_mine,)] = self.env.execute_query(
            SQL("SELECT pg_try_advisory_lock(%s)", key)
        )
        try:
            yield is_mine
        except BaseException:
            if not self.env.cr.closed:
                # in a transaction that failed the lock could not be given back
                self.env.cr.rollback()
            raise
        finally:
            if is_mine and not self.env.cr.closed:
                self.env.cr.execute(SQL("SELECT pg_advisory_unlock(%s)", key))

    def _count_due(self):
        return self.search_count(
            [
                ("state", "=", "queued"),
                ("due_date", "<=", fields.Datetime.now()),
                ("campaign_id.state", "=", "sending"),
                ("gateway_id.state", "=", "active"),
            ]
        )

    @api.model
    def _move_campaigns_on(self):
        """Due campaigns begin to send, cancelled ones drop their rows, rows whose offer
        has ended are skipped whatever they wait for, and campaigns without an open row
        are done."""
        now = fields.Datetime.now()
        self.env.flush_all()
        starting = SQL(
            """
            UPDATE member_campaign SET state = 'sending', write_date = %(now)s
             WHERE state = 'scheduled' AND planned_date IS NOT NULL
               AND scheduled_date <= %(now)s RETURNING id
            """,
            now=now,
        )
        dropping = SQL(
            """
            UPDATE member_message m SET state = 'cancelled'
              FROM member_campaign c
             WHERE c.id = m.campaign_id AND c.state = 'cancelled'
               AND %s RETURNING c.id
            """,
            WAITS,
        )
        forgetting = SQL(
            """
            DELETE FROM member_campaign_audience a USING member_campaign c
             WHERE c.id = a.campaign_id AND c.state = 'cancelled' RETURNING c.id
            """
        )
        expiring = SQL(
            """
            WITH expired AS (
                UPDATE member_message m
                   SET state = 'skipped', reason = 'expired', gateway_id = NULL
                  FROM member_campaign c
                 WHERE c.id = m.campaign_id AND c.state = 'sending'
                   AND c.not_after_date < %(now)s AND %(waits)s
             RETURNING c.id, m.card_id
            ), voided AS (
                -- the coupon of an earlier attempt reached nobody
                UPDATE loyalty_card card SET active = FALSE
                  FROM expired WHERE expired.card_id = card.id)
            SELECT id FROM expired
            """,
            now=now,
            waits=WAITS,
        )
        finishing = SQL(
            """
            UPDATE member_campaign c
               SET state = 'done', done_date = %(now)s, write_date = %(now)s
             WHERE c.state = 'sending'
               AND (c.has_late_joiners AND c.not_after_date > %(now)s) IS NOT TRUE
               AND NOT EXISTS (SELECT FROM member_message m
                                WHERE m.campaign_id = c.id AND %(waits)s)
               AND NOT EXISTS (SELECT FROM member_message m
                                WHERE m.campaign_id = c.id AND %(claimed)s)
         RETURNING c.id
            """,
            now=now,
            waits=WAITS,
            claimed=CLAIMED,
        )
        for query in (starting, dropping, forgetting, expiring, finishing):
            commit_short(self.env, self._move_campaigns, query)
        self.env.invalidate_all(flush=False)

    def _move_campaigns(self, query):
        self.env.cr.execute(query, log_exceptions=False)
        ids = {campaign_id for (campaign_id,) in self.env.cr.fetchall()}
        self.env["member.campaign"].browse(ids)._notify_progress()

    @api.model
    def _settle_lane(self, lane):
        """What this lane had claimed belongs to a run that died: it may have left.

        Such messages are never sent again; a delivery report settles them.
        """
        self._make_uncertain(SQL("lane = %s", lane))

    @api.model
    def _settle_stale_claims(self):
        """As :meth:`_settle_lane`, for lanes that do not run any more."""
        self._make_uncertain(
            SQL("claimed_date < %s", fields.Datetime.now() - STALE_CLAIM)
        )

    def _make_uncertain(self, condition):
        def update():
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE member_message m
                       SET state = 'uncertain', reason = 'answer_lost',
                           sent_date = claimed_date
                     WHERE %s AND %s
                    """,
                    CLAIMED,
                    condition,
                ),
                log_exceptions=False,
            )
            return self.env.cr.rowcount

        if count := commit_short(self.env, update):
            _logger.info("%s messages of a dead sender are uncertain", count)
            self.invalidate_model()

    # --------------------------------------------------------------------- claim

    @api.model
    def _claim(self, gateway, lane=1, size=CLAIM_SIZE):
        """Claim the next due messages of a gateway and write their texts.

        Rows another sender holds are passed over. What has changed since planning is
        tested again: such rows end as ``skipped``, and promotions wait for the morning.

        :returns: claimed messages, see :meth:`_prepare_texts`, at most ``size``; and
            the number of rows dealt with, which is 0 if nothing was due
        :rtype: tuple[list[dict], int]
        """
        rows = self._lock_due(gateway, size)
        count = len(rows)
        if skipped := [row[:2] for row in rows if row[1] not in (None, LATER, NEXT)]:
            self._skip(skipped)
        tomorrow = fields.Datetime.now() + timedelta(days=1)
        if capped := [(row[0], tomorrow) for row in rows if row[1] == LATER]:
            self._postpone(capped)
        rows = self._hold(gateway, [row for row in rows if not row[1]])
        claimed = self._follow_contacts(rows)
        if not claimed:
            return [], count
        texts = self._prepare_texts(gateway, claimed)
        self._write_claim(texts, gateway, lane)
        self.invalidate_model()
        return texts, count

    def _hold(self, gateway, rows):
        """Let promotions wait that may not arrive at this hour; those for which the
        right hour comes too late are skipped.

        :param rows: of :meth:`_lock_due`
        :returns: those that may leave now
        """
        now = fields.Datetime.now()
        hours = self.env["member.sending.hours"]
        # members of a place are many, and of each one number is enough
        places = {
            row[5:]: hours._make_place(*row[5:8], row[3]) for row in rows if row[4]
        }
        dues = hours._get_next_open(gateway.company_id, now, places.values())
        free, held, skipped = [], [], []
        for row in rows:
            due = dues[places[row[5:]]] if row[4] else now
            if due == now:
                free.append(row)
            elif due is None:
                skipped.append((row[0], "quiet_hours"))
            else:
                held.append((row[0], due))
        if held:
            self._postpone(held)
        if skipped:
            self._skip(skipped)
        return free

    def _postpone(self, rows):
        """Put off messages; one whose offer will have ended by then is skipped.

        :param rows: id and naive UTC time
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET due_date = t.due_date,
                       state = CASE WHEN t.due_date > c.not_after_date
                                    THEN 'skipped' ELSE m.state END,
                       reason = CASE WHEN t.due_date > c.not_after_date
                                     THEN 'expired' END,
                       gateway_id = CASE WHEN t.due_date > c.not_after_date
                                         THEN NULL ELSE m.gateway_id END
                  FROM unnest(%s::int[], %s::timestamp[]) AS t (id, due_date),
                       member_campaign c
                 WHERE m.id = t.id AND c.id = m.campaign_id
                """,
                *map(list, zip(*rows, strict=True)),
            )
        )

    def _write_claim(self, rows, gateway, lane):
        """Store texts and claim in one UPDATE: each costs an entry in every index.

        :param list[dict] rows: see :meth:`_prepare_texts`
        """
        columns = ("id", "token", "card_id", "body", "parts")
        now = fields.Datetime.now()
        for row in rows:
            row["claimed_date"] = now
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET token = r.token, card_id = r.card_id, body = r.body,
                       parts = r.parts, state = 'claimed', claimed_date = %(now)s,
                       gateway_id = %(gateway)s, lane = %(lane)s,
                       attempt_count = m.attempt_count + 1
                  FROM unnest(%(id)s::int[], %(token)s::varchar[],
                              %(card_id)s::int[], %(body)s::varchar[],
                              %(parts)s::int[])
                       AS r (id, token, card_id, body, parts)
                 WHERE r.id = m.id
                """,
                now=now,
                gateway=gateway.id,
                lane=lane,
                **{name: [row[name] for row in rows] for name in columns},
            )
        )

    def _find_sources(self, gateway):
        """Find where messages for a gateway wait: its own, and those of gateways it
        stands in for.

        :returns: campaign and gateway of the messages, and how many of them may leave
            now; only those of the most urgent category that waits, as all of them get
            an equal share
        :rtype: list[tuple[int, int, int]]
        """
        sources = self._find_room(gateway, self._read_sources(gateway))
        first = min((URGENCY[category] for category, *_rest in sources), default=None)
        return [
            tuple(source) for category, *source in sources if URGENCY[category] == first
        ]

    def _read_sources(self, gateway):
        """:returns: category, campaign and gateway of messages that are due and that a
        gateway serves, and the rest of the campaign's trial batch, or None
        :rtype: list[tuple[str, int, int, int | None]]
        """
        rows = self.env.execute_query(
            SQL(
                """
                SELECT c.category, c.id, g.id, %(trial_rest)s
                  FROM member_campaign c
                  JOIN member_gateway g ON g.company_id = c.company_id
                  LEFT JOIN member_campaign_load l ON l.campaign_id = c.id
                 WHERE c.state = 'sending' AND g.company_id = %(company)s
                   AND NOT EXISTS (SELECT FROM member_send_policy policy
                                    WHERE policy.company_id = c.company_id
                                      AND policy.is_stopped)
                   AND EXISTS (SELECT FROM member_message m
                                WHERE m.campaign_id = c.id AND m.gateway_id = g.id
                                  AND %(waits)s AND m.due_date <= %(now)s)
                   -- complaints stop promotions of an account, and nobody stands in
                   AND NOT (c.category IN %(advertising)s
                            AND EXISTS (SELECT FROM member_gateway stopped
                                         WHERE stopped.id IN (g.id, %(gateway)s)
                                           AND stopped.promotion_stop_date IS NOT NULL))
              ORDER BY c.scheduled_date, c.id
                """,
                company=gateway.company_id.id,
                waits=WAITS,
                now=fields.Datetime.now(),
                advertising=ADVERTISING,
                gateway=gateway.id,
                trial_rest=self.env["member.campaign.load"]._get_trial_rest_sql(),
            )
        )
        return [row for row in rows if self._is_served(gateway, *row[1:3])]

    def _find_room(self, gateway, rows):
        """Leave out campaigns that have to wait: for the next month, or for the reports
        of their trial batch.

        :param rows: see :meth:`_read_sources`
        :returns: category, campaign, gateway and number of messages that may leave
        """
        quotas = rows and self.env["member.gateway.load"]._get_quotas(gateway)
        sources = []
        for category, campaign_id, gateway_id, trial_rest in rows:
            rests = [trial_rest, get_least_rest(quotas, category in ADVERTISING)]
            room = min((r for r in rests if r is not None), default=CLAIM_SIZE)
            if room > 0:
                sources.append((category, campaign_id, gateway_id, room))
        return sources

    def _is_served(self, gateway, campaign_id, source_id):
        """:returns: whether ``gateway`` sends what waits for ``source_id``"""
        if gateway.id == source_id:
            return True
        if not gateway.is_stand_in:
            return False
        source = self.env["member.gateway"].browse(source_id)
        campaign = self.env["member.campaign"].browse(campaign_id)
        resting = self.env["member.gateway.load"]._get_resting()
        return (
            source.state == "paused" or source in resting
        ) and gateway in campaign._get_gateways()

    def _lock_due(self, gateway, size):
        """:returns: id, reason not to send, the number the contact has now if that is
        another one, the number, whether it is advertising, and four columns that
        say where the member is, see ``member.sending.hours``
        """
        sources = self._find_sources(gateway)
        if not sources:
            return []
        consents = self.env["member.consent"]
        policy = self.env["member.send.policy"]._get_for(gateway.company_id)
        suppressions = self.env["member.suppression"]
        campaigns, gateways, rooms = map(list, zip(*sources, strict=True))
        size = min(size, max(rooms))
        share = ceil(size / len(sources))
        self.env.cr.execute(
            SQL(
                """
                SELECT m.id,
                       CASE WHEN c.not_after_date < %(now)s THEN 'expired'
                            WHEN pa.active IS NOT TRUE OR NOT EXISTS (
                                 SELECT FROM member_profile p WHERE p.id = m.profile_id)
                            THEN 'archived'
                            WHEN COALESCE(pa.phone, '') = '' THEN 'no_address'
                            WHEN pa.phone_sanitized IS NULL THEN 'invalid_address'
                            WHEN %(refusal)s IS NOT NULL THEN %(refusal)s
                            WHEN %(full_up)s THEN %(capped)s
                            WHEN %(is_second)s THEN %(next)s END,
                       NULLIF(pa.phone_sanitized, m.address), pa.phone_sanitized,
                       c.category IN %(advertising)s, %(place)s
                  FROM unnest(%(campaigns)s::int[], %(gateways)s::int[],
                              %(shares)s::int[])
                       AS source (campaign_id, gateway_id, share)
                 CROSS JOIN LATERAL (
                       SELECT * FROM member_message m
                        WHERE m.campaign_id = source.campaign_id
                          AND m.gateway_id = source.gateway_id
                          AND %(waits)s AND m.due_date <= %(now)s
                          AND (m.gateway_id = %(gateway)s OR %(serves)s)
                     ORDER BY m.due_date, m.id
                        LIMIT source.share FOR UPDATE SKIP LOCKED) m
                  JOIN member_campaign c ON c.id = m.campaign_id
                  JOIN member_gateway g ON g.id = %(gateway)s AND g.state = 'active'
                  LEFT JOIN res_partner pa ON pa.id = m.partner_id
                  -- LIMIT: looked up for these few, never read as a whole
                  LEFT JOIN LATERAL (SELECT consent.state, consent.expiry_date
                                       FROM member_consent consent
                                      WHERE %(current)s LIMIT 1) consent ON TRUE
                  LEFT JOIN phone_blacklist listed
                         ON listed.number = pa.phone_sanitized AND listed.active
                  LEFT JOIN LATERAL (SELECT s.address_hash FROM member_suppression s
                                      WHERE s.address_hash = %(hash)s AND %(suppresses)s
                                      LIMIT 1) suppressed ON TRUE
                 LIMIT %(size)s
                """,
                now=fields.Datetime.now(),
                advertising=ADVERTISING,
                place=SQL(", ").join(
                    self.env["member.sending.hours"]._get_place_columns(
                        SQL("pa.phone_sanitized")
                    )
                ),
                refusal=consents._get_refusal_sql(SQL("c.category")),
                full_up=self._get_claim_cap_sql(policy),
                is_second=self._get_second_sql(policy, sources),
                next=NEXT,
                capped=(
                    SQL(
                        "CASE WHEN c.not_after_date IS NULL"
                        " THEN 'frequency_cap' ELSE %s END",
                        LATER,
                    )
                    if policy.capped_action == "postpone"
                    else SQL("'frequency_cap'")
                ),
                hash=suppressions._get_hash_sql(SQL("pa.phone_sanitized")),
                suppresses=suppressions._get_active_sql(
                    gateway.company_id, SQL("m.channel"), SQL("c.category")
                ),
                campaigns=campaigns,
                gateways=gateways,
                shares=[min(share, room) for room in rooms],
                gateway=gateway.id,
                serves=gateway._serves_sql(SQL("m.address")),
                waits=WAITS,
                current=consents._get_current_sql(
                    SQL("m.profile_id"), SQL("m.channel"), SQL("c.category")
                ),
                size=size,
            ),
            # who loses a row to another sender tries again
            log_exceptions=False,
        )
        return self.env.cr.fetchall()

    @staticmethod
    def _get_second_sql(policy, sources):
        """:returns: condition that a message ``m`` of campaign ``c`` is not the only
        advertising to its member among those that are due: they do not count yet for
        each other
        """
        if len(sources) < 2 or not any(map(policy._get_caps, ADVERTISING)):
            return SQL("FALSE")
        return SQL(
            """
            c.category IN %s AND row_number() OVER (
                PARTITION BY m.profile_id ORDER BY c.scheduled_date, m.id) > 1
            """,
            ADVERTISING,
        )

    def _get_claim_cap_sql(self, policy):
        """:returns: condition that the member of a message ``m`` of campaign ``c`` got
        as much advertising of other campaigns as the policy allows. What still waits
        does not count here: it is asked in its turn.
        """
        caps = {category: policy._get_caps(category) for category in ADVERTISING}
        if not any(caps.values()):
            return SQL("FALSE")
        now = fields.Datetime.now()
        return SQL(
            """
            (c.category IN %(advertising)s AND (
                SELECT CASE c.category %(cases)s END
                  FROM member_message other
                  JOIN member_campaign oc ON oc.id = other.campaign_id
                  JOIN member_profile mp ON mp.id = other.profile_id
                 WHERE other.profile_id = m.profile_id
                   AND other.campaign_id != m.campaign_id
                   AND oc.category IN %(advertising)s
                   AND other.state IN ('claimed', 'sent', 'delivered', 'uncertain')))
            """,
            advertising=ADVERTISING,
            cases=SQL(" ").join(
                SQL(
                    "WHEN %s THEN %s",
                    category,
                    SQL(" OR ").join(
                        SQL(
                            "COUNT(*) FILTER (WHERE oc.category IN %s"
                            " AND COALESCE(other.sent_date, other.claimed_date,"
                            " other.due_date) > %s"
                            " %s) >= %s",
                            cap.categories,
                            now - cap.period,
                            SQL("AND mp.engagement = %s", cap.engagement)
                            if cap.engagement
                            else SQL(),
                            cap.limit,
                        )
                        for cap in own
                    ),
                )
                for category, own in caps.items()
                if own
            ),
        )

    def _follow_contacts(self, rows):
        """Messages go to the number a member has now, not to the one of the planning.

        :param rows: of :meth:`_lock_due`, of messages to claim
        :returns: ids of messages to claim; a number still gets a campaign once
        """
        moved = [(row[0], row[2]) for row in rows if row[2]]
        if not moved:
            return [row[0] for row in rows]
        columns = dict(
            zip(("ids", "addresses"), map(list, zip(*moved, strict=True)), strict=True)
        )
        # Two members may have swapped numbers: first nobody has them.
        self.env.cr.execute(
            SQL(
                "UPDATE member_message SET address = NULL WHERE id = ANY(%s)",
                columns["ids"],
            )
        )
        self.env.cr.execute(
            SQL(
                """
                WITH moved AS (
                    SELECT m.id, v.address, EXISTS (
                               SELECT FROM member_message other
                                WHERE other.campaign_id = m.campaign_id
                                  AND other.channel = m.channel
                                  AND other.address = v.address
                                  AND other.gateway_id IS NOT NULL)
                           OR row_number() OVER (
                               PARTITION BY m.campaign_id, m.channel, v.address
                               ORDER BY m.id) > 1 AS is_copy
                      FROM unnest(%(ids)s::int[], %(addresses)s::varchar[])
                           AS v (id, address)
                      JOIN member_message m ON m.id = v.id)
                UPDATE member_message m
                   SET address = v.address,
                       state = CASE WHEN v.is_copy THEN 'skipped' ELSE m.state END,
                       gateway_id = CASE WHEN NOT v.is_copy THEN m.gateway_id END,
                       reason = CASE WHEN v.is_copy THEN 'duplicate_address' END
                  FROM moved v
                 WHERE v.id = m.id
             RETURNING m.id, v.is_copy
                """,
                **columns,
            )
        )
        copies = {
            message_id for message_id, is_copy in self.env.cr.fetchall() if is_copy
        }
        return [row[0] for row in rows if row[0] not in copies]

    def _skip(self, rows):
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET state = 'skipped', reason = t.reason, gateway_id = NULL
                  FROM unnest(%s::int[], %s::varchar[]) AS t (id, reason)
                 WHERE t.id = m.id
                """,
                [message_id for message_id, _reason in rows],
                [reason for _message_id, reason in rows],
            )
        )
