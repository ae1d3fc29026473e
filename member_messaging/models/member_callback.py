import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial

import psycopg2

from odoo import api, fields, models
from odoo.service.model import retrying
from odoo.tools import SQL

from ..gateways.errors import GatewayError
from ..gateways.types import WebhookRequest
from ..tools.ranks import OWNED_STATES

_logger = logging.getLogger(__name__)

#: Most callbacks, and about as many bytes of their bodies, applied between two commits.
BATCH_SIZE = 1000
BATCH_BYTES = 1024 * 1024
#: A report whose message is not known yet is tried again for so long.
PATIENCE = timedelta(days=1)
#: The first pause between two tries. A pause is as long as all that was before it.
FIRST_PAUSE = timedelta(seconds=10)
#: A callback may come before the sender has written its result; that takes no longer.
EARLY = timedelta(minutes=30)
#: How long callbacks are kept: applied ones, and those somebody may want to look at.
KEEP_APPLIED = timedelta(days=30)
KEEP_OTHERS = timedelta(days=180)
#: Callbacks deleted between two commits.
PURGE_SIZE = 10_000
#: Longest list of references kept as an error, in characters.
ERROR_LENGTH = 1000

OWNED = tuple(sorted(OWNED_STATES))

#: The database's clock in naive UTC: servers may differ, and it does not stand still
#: during a transaction.
NOW = SQL("(statement_timestamp() AT TIME ZONE 'UTC')")


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a callback: a state, at once or, if it waits, when patience is
    at an end. ``waiting`` are the keys of the reports that wait for their message."""

    id: int
    state: str
    error: str | None = None
    waits: bool = False
    waiting: list[dict] | None = None


class MemberCallback(models.Model):
    """What a provider posted, kept as it came and applied afterwards.

    Providers give up within a second and repeat what was not acknowledged; so the
    request only stores the row, and a cron does the work. ``member_callback_report``
    says what reports and replies do, ``member_callback_query`` asks for them.

    Rows are written by set-based SQL only.
    """

    _name = "member.callback"
    _description = "Provider Callback"
    _order = "id"
    _rec_name = "gateway_id"

    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="gateway_id.company_id", store=True)
    date = fields.Datetime(
        string="Received", required=True, default=fields.Datetime.now
    )
    body = fields.Text(help="The request as it came.")
    query = fields.Json()
    state = fields.Selection(
        [
            ("new", "To Apply"),
            ("done", "Applied"),
            ("unmatched", "Message Unknown"),
            ("unreadable", "Unreadable"),
        ],
        required=True,
        default="new",
    )
    error = fields.Char()
    next_date = fields.Datetime(
        string="Next Try", required=True, default=fields.Datetime.now
    )
    # What finds the messages of the reports that wait for theirs, see _match.
    waiting = fields.Json()

    _due_idx = models.Index("(next_date, id) WHERE state = 'new'")
    _waiting_idx = models.Index("(date) WHERE state = 'new' AND waiting IS NOT NULL")
    _date_idx = models.Index("(date)")

    def init(self):
        # Providers repeat themselves, and wait; not every PostgreSQL has it.
        self.env.cr.execute(
            "SELECT FROM pg_settings"
            " WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
        )
        if self.env.cr.rowcount:
            self.env.cr.execute(
                "ALTER TABLE member_callback ALTER body SET COMPRESSION lz4"
            )

    # --------------------------------------------------------------------- store

    @api.model
    def _store(self, gateway, webhook, refusal=None):
        """Keep a verified request and wake the cron that applies it.

        :param str refusal: why the request is not going to be applied; its body is
            not kept
        """
        # One statement, without the users who would have to be looked up: providers
        # are in a hurry.
        [(is_awake,)] = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_callback (
                       gateway_id, company_id, date, next_date, body, query, state,
                       error, create_date, write_date)
                SELECT id, company_id, %(now)s, %(now)s, %(body)s, %(query)s, %(state)s,
                       %(refusal)s, %(now)s, %(now)s
                  FROM member_gateway WHERE id = %(gateway)s
             RETURNING %(is_awake)s
                """,
                gateway=gateway.id,
                now=NOW,
                # NUL cannot be stored in a text and means nothing to a provider
                body=None if refusal else webhook.text().replace("\0", ""),
                query=json.dumps(dict(webhook.query)).replace("\\u0000", ""),
                state="unreadable" if refusal else "new",
                refusal=refusal,
                is_awake=self._get_awake_sql(),
            )
        )
        if not (refusal or is_awake):
            self._wake()

    @api.model
    def _wake(self):
        """Let the cron apply callbacks now."""
        # sudo: who posts a callback, or sends, may not see crons
        self.env["ir.cron"].sudo().browse(self._get_cron_id())._trigger()

    def _get_awake_sql(self):
        """:returns: condition that the cron is going to run at once

        Thousands of callbacks a minute leave one trigger. One that is stored while a
        run ends is found by the run of the next minute.
        """
        return SQL(
            "EXISTS (SELECT FROM ir_cron_trigger WHERE cron_id = %s AND call_at <= %s)",
            self._get_cron_id(),
            NOW,
        )

    def _get_cron_id(self):
        return self.env["ir.model.data"]._xmlid_to_res_id(
            "member_messaging.ir_cron_member_messaging_apply", raise_if_not_found=True
        )

    # --------------------------------------------------------------------- apply

    @api.model
    def _cron_apply(self):
        """Apply what providers posted, and ask those that do not post."""
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=self._count_due())
        while (count := self._apply_next()) or self._recall_early():
            if not progress(count):
                return
        self._query_providers(checkpoint=progress)
        progress(remaining=0)

    def _count_due(self):
        [(count,)] = self.env.execute_query(
            SQL(
                "SELECT COUNT(*) FROM member_callback"
                " WHERE state = 'new' AND next_date <= %s",
                NOW,
            )
        )
        return count

    @api.model
    def _apply_next(self):
        """Apply the callbacks that are due next and commit: ``retrying`` does.

        :returns: how many there were, 0 at the end
        """
        batch = self.browse()

        def apply_due():
            nonlocal batch
            batch = self._lock_due()
            batch._apply()

        try:
            retrying(apply_due, self.env)
        except psycopg2.OperationalError:
            # The database's trouble, or others still change the same rows after some
            # tries; not the fault of a callback.
            raise
        except Exception as error:
            self.env.cr.rollback()
            _logger.info("callbacks are applied one by one: %s", error)
            batch._apply_each()
        return len(batch)

    def _lock_due(self):
        """:returns: the callbacks that are due next and no other run is working on"""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT s.id
                  FROM (SELECT l.id, SUM(l.size) OVER (ORDER BY l.next_date, l.id)
                                     - l.size AS size_before
                          FROM (SELECT id, next_date,
                                       COALESCE(octet_length(body), 0) AS size
                                  FROM member_callback
                                 WHERE state = 'new' AND next_date <= %(now)s
                              ORDER BY next_date, id
                                 LIMIT %(limit)s
                                   FOR UPDATE SKIP LOCKED) l) s
                 WHERE s.size_before < %(bytes)s
              ORDER BY s.id
                """,
                now=NOW,
                limit=BATCH_SIZE,
                bytes=BATCH_BYTES,
            )
        )
        return self.browse(row[0] for row in rows)

    def _apply_each(self):
        """Apply callbacks one by one, each in a transaction of its own.

        Whatever is wrong with one holds up no other. It is tried again: the fault may
        be ours, or pass.
        """
        for callback in self:
            try:
                retrying(callback._apply_unless_taken, self.env)
            except psycopg2.OperationalError:
                raise
            except Exception as error:
                self.env.cr.rollback()
                _logger.exception("callback %s cannot be applied", callback.id)
                ending = Ending(callback.id, "unreadable", str(error), waits=True)
                retrying(partial(callback._settle, [ending]), self.env)

    def _apply_unless_taken(self):
        self.try_lock_for_update().filtered(
            lambda callback: callback.state == "new"
        )._apply()

    def _apply(self):
        """Apply callbacks this transaction has locked, by the same few statements."""
        found, endings = self._parse()
        waiting = {}
        for position in self._apply_found(
            [(gateway, item) for _callback_id, gateway, item in found]
        ):
            callback_id, _gateway, report = found[position]
            waiting.setdefault(callback_id, []).append(report)
        for callback_id in set(self.ids) - {ending.id for ending in endings}:
            reports = waiting.get(callback_id)
            endings.append(
                self._get_waiting(callback_id, reports)
                if reports
                else Ending(callback_id, "done")
            )
        self._settle(endings)

    def _parse(self):
        """:returns: list of callback id, account and report or reply; list of
        ``Ending`` of those that cannot be read
        """
        found, endings = [], []
        get_adapter = cache(lambda gateway: gateway._get_adapter())
        for callback in self:
            gateway = callback.gateway_id
            request = WebhookRequest(
                body=(callback.body or "").encode(), query=callback.query or {}
            )
            try:
                items = get_adapter(gateway).parse(request)
            except Exception as error:
                # It reads no better tomorrow, and says nothing about the others.
                if not isinstance(error, GatewayError):
                    _logger.exception("callback %s cannot be read", callback.id)
                endings.append(Ending(callback.id, "unreadable", str(error)))
            else:
                found += [(callback.id, gateway, item) for item in items]
        return found, endings

    @staticmethod
    def _get_waiting(callback_id, reports):
        references = ", ".join(report.provider_ref or "" for report in reports)
        return Ending(
            callback_id,
            "unmatched",
            references[:ERROR_LENGTH],
            True,
            [
                {
                    "ref": report.provider_ref,
                    "own_ref": report.alternative_ref,
                    "address": report.address,
                }
                for report in reports
            ],
        )

    @api.model
    def _settle(self, endings):
        """Write what has become of callbacks, in one statement."""
        unreadable = [e.id for e in endings if e.state == "unreadable" and not e.waits]
        if unreadable:
            self.env["member.callback.rejection"]._count(
                [(c.gateway_id.id, "unreadable") for c in self.browse(unreadable)]
            )
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_callback c
                   SET state = CASE WHEN e.waits AND c.date > %(now)s - %(patience)s
                                    THEN 'new' ELSE e.state END,
                       error = e.error, waiting = e.waiting::jsonb,
                       next_date = LEAST(
                           %(now)s + GREATEST(%(now)s - c.date, %(first)s),
                           c.date + %(patience)s),
                       write_date = %(now)s
                  FROM unnest(%(ids)s::int[], %(states)s::varchar[],
                              %(errors)s::varchar[], %(waits)s::bool[],
                              %(waiting)s::varchar[])
                       AS e (id, state, error, waits, waiting)
                 WHERE e.id = c.id
                """,
                now=NOW,
                patience=PATIENCE,
                first=FIRST_PAUSE,
                ids=[ending.id for ending in endings],
                states=[ending.state for ending in endings],
                errors=[ending.error for ending in endings],
                waits=[ending.waits for ending in endings],
                waiting=[
                    json.dumps(ending.waiting) if ending.waiting else None
                    for ending in endings
                ],
            )
        )
        self.invalidate_model(flush=False)

    # --------------------------------------------------------------------- waiting

    @api.model
    def _recall_early(self):
        """Make callbacks due whose message has become known.

        A report may be quicker than the sender, who writes the provider's reference
        only when the whole call is over. Waiting ones are looked for by reference, so
        that they are neither read again in vain nor late.

        :returns: number of callbacks that are due now
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_callback SET next_date = %(now)s
                 WHERE id IN (
                       SELECT c.id FROM member_callback c
                        WHERE c.state = 'new' AND c.waiting IS NOT NULL
                          AND c.next_date > %(now)s AND c.date > %(now)s - %(early)s
                          AND EXISTS (
                              SELECT FROM jsonb_to_recordset(c.waiting)
                                       AS r (ref varchar, own_ref varchar,
                                             address varchar)
                               CROSS JOIN LATERAL (
                                     SELECT state FROM member_message
                                      WHERE gateway_id = c.gateway_id
                                        AND provider_ref IN (r.ref, r.own_ref)
                                        AND address = r.address
                                     OFFSET 0) m
                               WHERE m.state NOT IN %(owned)s)
                     ORDER BY c.id
                        LIMIT %(limit)s
                          FOR UPDATE OF c SKIP LOCKED)
                """,
                now=NOW,
                early=EARLY,
                owned=OWNED,
                limit=BATCH_SIZE,
            )
        )
        return self.env.cr.rowcount

    @api.model
    def _wake_early(self, gateway):
        """Wake the cron if callbacks wait for what a sender has just written."""
        if self.env.execute_query(
            SQL(
                """
                SELECT FROM member_callback
                 WHERE state = 'new' AND waiting IS NOT NULL AND gateway_id = %s
                   AND date > %s - %s AND NOT %s LIMIT 1
                """,
                gateway.id,
                NOW,
                EARLY,
                self._get_awake_sql(),
            )
        ):
            self._wake()

    # ----------------------------------------------------------------------- purge

    @api.autovacuum
    def _gc_callbacks(self):
        """Delete old callbacks. What they told stays, as events and replies."""
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM member_callback WHERE id IN (
                       SELECT id FROM member_callback
                        WHERE date < %(now)s - %(applied)s AND state = 'done'
                           OR date < %(now)s - %(others)s
                          AND state IN ('unmatched', 'unreadable')
                     ORDER BY date
                        LIMIT %(limit)s)
                """,
                now=NOW,
                applied=KEEP_APPLIED,
                others=KEEP_OTHERS,
                limit=PURGE_SIZE,
            )
        )
        count = self.env.cr.rowcount
        self.invalidate_model(flush=False)
        return count, int(count == PURGE_SIZE)
