import logging
import time
from dataclasses import replace

import psycopg2

from odoo import api, fields, models
from odoo.tools import SQL

from ..gateways.dispatch import CLOSED
from ..gateways.types import Outcome
from ..transaction import commit_short

_logger = logging.getLogger(__name__)

#: After so many tries that provably sent nothing, a message has failed.
MAX_ATTEMPTS = 6
#: Seconds before the next try; doubles with each attempt, up to 2^8 times as long …
RETRY_DELAY = 60
#: … and by up to a fifth more, so that not all come back in the same second.
JITTER = 0.2
#: How often, and with how many seconds between, results are recorded again when the
#: database is away: who sent what is known here only.
RECORD_TRIES = 30
RECORD_PAUSE = 2

#: Without a policy, so many days are waited for an outcome.
UNCERTAIN_DAYS = 3
#: Longest time in seconds a provider may make all senders wait.
MAX_PATIENCE = 300
#: Condition on a message ``m`` whose outcome is not known yet.
OPEN = SQL("(m.state = 'claimed' OR m.state = 'uncertain' AND m.provider_ref IS NULL)")
#: The message of a result ``r``, if it is open. Looked up by its key whatever
#: PostgreSQL believes: of a campaign that was planned a moment ago it knows no waiting
#: and no claimed message, and would compare all results with all messages.
OPEN_OF_RESULT = SQL(
    "SELECT m.id FROM member_message m WHERE m.id = r.id AND %s OFFSET 0", OPEN
)

#: Outcome → state and reason of a message that is finished.
FINAL = {
    Outcome.OK: ("sent", None),
    Outcome.BADNUM: ("failed", "rejected_number"),
    Outcome.OPTOUT: ("failed", "refused"),
    Outcome.CONTENT: ("failed", "rejected_content"),
    Outcome.BUG: ("failed", "provider_error"),
    Outcome.AMBIGUOUS: ("uncertain", "answer_lost"),
}
#: Reasons of failures that another try may mend.
RETRIABLE = ("provider_error", "rejected_content", "rejected_template")
#: Nothing was sent and it was not the message's fault: it waits for its turn again.
POSTPONED = {
    Outcome.RETRY,
    Outcome.POSTPONE,
    Outcome.TOKEN,
    Outcome.TEMPLATE,
    Outcome.PAUSE,
}


class MemberMessage(models.Model):
    """Recording what became of claimed messages."""

    _inherit = "member.message"

    def _record_results(self, gateway, claimed, done, lane, seconds):
        """Store the outcomes of a batch, and commit.

        :param list[dict] claimed: the messages of the batch
        :param done: ``Dispatched``; claimed messages it has no result for have not left
        :param int lane: number of the sender
        :param float seconds: how long the batch took
        """
        batch = gateway, claimed, done, lane, seconds
        # A new snapshot: a member may have followed the link during the call.
        try:
            self.env.cr.commit()  # pylint: disable=invalid-commit
            commit_short(self.env, self._record_batch, *batch)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            if not self.env.cr._cnx.closed:
                raise
            self._record_elsewhere(*batch)
            # this cursor is of no use any more: the cron begins again
            raise

    def _record_batch(self, gateway, claimed, done, lane, seconds):
        tried = {result.key for result in done.results}
        self._record(gateway, done.results)
        self._release([row["id"] for row in claimed if str(row["id"]) not in tried])
        self._note_health(gateway, done)
        self.env["member.lane"]._note_batch(lane, gateway, len(done.results), seconds)
        campaign_ids = {row["campaign_id"] for row in claimed}
        self.env["member.campaign"].browse(campaign_ids)._notify_progress()

    def _record_elsewhere(self, gateway, claimed, done, lane, seconds):
        """The connection is gone, say because PostgreSQL was restarted.

        Perhaps it went in the commit, which may have taken place: then what is back in
        the queue may be another sender's by now, and is none of ours.
        """
        for left in reversed(range(RECORD_TRIES)):
            try:
                with self.env.registry.cursor() as cr:
                    messages = self.with_env(self.env(cr=cr))
                    own = messages._lock_own(claimed, lane)
                    keys = {str(row["id"]) for row in own}
                    results = [result for result in done.results if result.key in keys]
                    messages._record_batch(
                        gateway.with_env(messages.env),
                        own,
                        replace(done, results=results),
                        lane,
                        seconds,
                    )
                return
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                if not left:
                    raise
                time.sleep(RECORD_PAUSE)

    def _lock_own(self, claimed, lane):
        """:returns: those of a batch that nobody has claimed since"""
        rows = {row["id"]: row for row in claimed}
        self.env.cr.execute(
            SQL(
                """
                SELECT m.id
                  FROM unnest(%s::int[], %s::timestamp[]) AS r (id, date)
                  JOIN member_message m ON m.id = r.id
                 WHERE %s AND m.lane = %s AND m.claimed_date = r.date
              ORDER BY m.id FOR UPDATE OF m
                """,
                list(rows),
                [row["claimed_date"] for row in claimed],
                OPEN,
                lane,
            )
        )
        return [rows[message_id] for (message_id,) in self.env.cr.fetchall()]

    @api.model
    def _record(self, gateway, results):
        """Store each recipient's own outcome.

        Only rows that are still ``claimed`` change, or that were thought to be lost
        with their sender, so that recording twice does no harm.
        """
        final = [result for result in results if result.outcome in FINAL]
        postponed = [result for result in results if result.outcome in POSTPONED]
        if final:
            self._record_final(gateway, final)
        if postponed:
            self._record_postponed(postponed)
        lost = [result for result in results if result.outcome is not Outcome.OK]
        if lost:
            self._void_coupons([int(result.key) for result in lost])
        self.invalidate_model()
        self._refuse_opted_out(final)
        self._stop_for(gateway, lost)

    @api.model
    def _release(self, message_ids):
        """Back into the queue: these have not left, and it was no attempt of theirs."""
        if not message_ids:
            return
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m SET state = 'queued', reason = NULL,
                       claimed_date = NULL, sent_date = NULL,
                       attempt_count = attempt_count - 1
                 WHERE id = ANY(%s) AND %s
                """,
                message_ids,
                OPEN,
            )
        )
        self.invalidate_model()

    @api.autovacuum
    def _close_uncertain(self):
        """Give up on messages whose outcome nobody has told for days. They stay
        uncertain, visible and counted, and are never sent again."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m SET reason = 'never_settled'
                  FROM member_gateway g
                  LEFT JOIN member_send_policy p ON p.company_id = g.company_id
                 WHERE g.id = m.gateway_id AND m.state = 'uncertain'
                   AND m.reason = 'answer_lost'
                   AND m.sent_date < %s - make_interval(
                           days => COALESCE(p.uncertain_days, %s))
                """,
                fields.Datetime.now(),
                UNCERTAIN_DAYS,
            )
        )
        self.invalidate_model(["reason"])

    @api.model
    def _get_retriable(self):
        """:returns: conditions of messages that have provably not left and that another
        try may bring through
        :rtype: list
        """
        return [
            ("state", "=", "failed"),
            ("reason", "in", RETRIABLE),
            ("sent_date", "=", False),
        ]

    @api.model
    def _retry_failed(self, campaigns):
        """Queue again what has provably not left, with the coupon it had.

        Not those whose number or text was refused for good, and nothing that may have
        left.

        :returns: number of messages
        """
        self.env.cr.execute(
            SQL(
                """
                WITH again AS (
                    UPDATE member_message
                       SET state = 'queued', reason = NULL, attempt_count = 0,
                           claimed_date = NULL,
                           due_date = %s
                     WHERE campaign_id = ANY(%s) AND state = 'failed'
                       AND reason IN %s AND sent_date IS NULL
                       AND cleared_date IS NULL
                 RETURNING card_id
                ), revived AS (
                    UPDATE loyalty_card card SET active = TRUE
                      FROM again WHERE card.id = again.card_id
                )
                SELECT COUNT(*) FROM again
                """,
                fields.Datetime.now(),
                campaigns.ids,
                RETRIABLE,
            )
        )
        [(count,)] = self.env.cr.fetchall()
        self.invalidate_model()
        self.env["loyalty.card"].invalidate_model(["active"])
        return count

    def _note_health(self, gateway, done):
        loads = self.env["member.gateway.load"]
        loads._note_calls(gateway, done.failures, done.successes, done.error)
        if done.patience:
            loads._hold_back(gateway, min(done.patience, MAX_PATIENCE))

    def _record_final(self, gateway, results):
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   -- a link that was followed during the call has arrived
                   SET state = CASE WHEN r.state = 'failed' OR m.clicked_date IS NULL
                                    THEN r.state ELSE 'delivered' END,
                       reason = CASE WHEN r.state = 'failed' OR m.clicked_date IS NULL
                                     THEN r.reason END,
                       provider_ref = r.ref, provider_code = r.code,
                       provider_message = r.message,
                       parts = COALESCE(r.parts, m.parts),
                       cost = CASE WHEN r.state = 'failed' THEN 0
                                   ELSE COALESCE(r.parts, m.parts) * %(price)s END,
                       sent_date = CASE WHEN r.state != 'failed' THEN %(now)s END
                  FROM unnest(%(ids)s::int[], %(states)s::varchar[],
                              %(reasons)s::varchar[],
                              %(refs)s::varchar[], %(codes)s::varchar[],
                              %(messages)s::varchar[], %(parts)s::int[])
                       AS r (id, state, reason, ref, code, message, parts)
                 CROSS JOIN LATERAL (%(open)s) o
                 WHERE m.id = o.id
                """,
                now=fields.Datetime.now(),
                open=OPEN_OF_RESULT,
                price=gateway.price,
                ids=[int(result.key) for result in results],
                states=[FINAL[result.outcome][0] for result in results],
                reasons=[FINAL[result.outcome][1] for result in results],
                refs=[result.provider_ref for result in results],
                codes=[result.provider_code for result in results],
                messages=[result.provider_message for result in results],
                parts=[result.parts for result in results],
            )
        )

    def _record_postponed(self, results):
        """Back into the queue, later each time; given up after ``MAX_ATTEMPTS``."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET state = CASE WHEN m.attempt_count < %(max)s OR r.free
                                    THEN 'queued' ELSE 'failed' END,
                       reason = CASE WHEN m.attempt_count < %(max)s OR r.free
                                     THEN NULL ELSE 'provider_error' END,
                       due_date = %(now)s + (1 + %(jitter)s * random())
                           * make_interval(secs => GREATEST(COALESCE(r.delay, 0),
                               %(delay)s * 2 ^ LEAST(m.attempt_count - 1, 8))),
                       sent_date = NULL,
                       claimed_date = CASE WHEN m.attempt_count >= %(max)s
                                           AND NOT r.free THEN m.claimed_date END,
                       attempt_count = m.attempt_count - r.free::int,
                       provider_code = r.code, provider_message = r.message
                  FROM unnest(%(ids)s::int[], %(delays)s::int[], %(free)s::bool[],
                              %(codes)s::varchar[], %(messages)s::varchar[])
                       AS r (id, delay, free, code, message)
                 CROSS JOIN LATERAL (%(open)s) o
                 WHERE m.id = o.id
                """,
                max=MAX_ATTEMPTS,
                now=fields.Datetime.now(),
                delay=RETRY_DELAY,
                jitter=JITTER,
                open=OPEN_OF_RESULT,
                ids=[int(result.key) for result in results],
                delays=[result.retry_after for result in results],
                # a paused gateway or campaign is nobody's failed attempt
                free=[
                    result.outcome in (Outcome.PAUSE, Outcome.TEMPLATE)
                    for result in results
                ],
                codes=[result.provider_code for result in results],
                messages=[result.provider_message for result in results],
            )
        )

    @api.model
    def _void_coupons(self, message_ids):
        """Nobody holds the coupon of a message that has failed for good."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE loyalty_card card SET active = FALSE
                  FROM member_message m
                 WHERE m.id = ANY(%s) AND m.state = 'failed' AND card.id = m.card_id
                   AND m.redeemed_date IS NULL
                """,
                message_ids,
            )
        )
        self.env["loyalty.card"].invalidate_model(["active"])

    def _refuse_opted_out(self, results):
        for result in results:
            if result.outcome is Outcome.OPTOUT:
                message = self.browse(int(result.key))
                # sudo: the provider's word is recorded whoever runs the sender
                self.env["member.consent"].sudo()._refuse(
                    message.profile_id,
                    message.channel,
                    "reply",
                    f"{message.gateway_id.name}: {result.provider_code}",
                )

    def _stop_for(self, gateway, results):
        """Stop what cannot go on without a person: the account or the campaign."""
        [speaker] = gateway._speaking()
        for result in results:
            reason = speaker._explain(
                result.provider_code, result.provider_message, result.outcome
            )
            if result.outcome in CLOSED:
                gateway._pause(reason)
                return
            if result.outcome is Outcome.TEMPLATE:
                campaign = self.browse(int(result.key)).campaign_id
                if campaign.state == "sending":
                    campaign._pause_for_template(reason)
