import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial

from odoo import api, fields, models
from odoo.service.model import retrying
from odoo.tools import SQL

from ..gateways.types import Outbound, Outcome
from ..tools import template

_logger = logging.getLogger(__name__)

#: Rows claimed, sent and recorded between two commits.
CLAIM_SIZE = 500
#: After so many tries that provably sent nothing, a message has failed.
MAX_ATTEMPTS = 6
#: Seconds before the next try; doubles with each attempt.
RETRY_DELAY = 60
#: A claim older than this belongs to a process that died.
STALE_CLAIM = timedelta(minutes=15)

#: Outcome → state and reason of a message that is finished.
FINAL = {
    Outcome.OK: ("sent", None),
    Outcome.BADNUM: ("failed", "rejected_number"),
    Outcome.OPTOUT: ("failed", "refused"),
    Outcome.CONTENT: ("failed", "rejected_content"),
    Outcome.BUG: ("failed", "provider_error"),
    Outcome.AMBIGUOUS: ("uncertain", "answer_lost"),
}
#: The account cannot send; the whole gateway stops.
CLOSED = {Outcome.PAUSE, Outcome.TOKEN}
#: Nothing was sent and it was not the message's fault: it waits for its turn again.
POSTPONED = {
    Outcome.RETRY,
    Outcome.POSTPONE,
    Outcome.TOKEN,
    Outcome.TEMPLATE,
    Outcome.PAUSE,
}


class MemberMessage(models.Model):
    """Sending: claim, commit, call, record, commit. Never in a request."""

    _inherit = "member.message"

    @api.model
    def _cron_send(self):
        """Send what is due, batch by batch, until nothing is left or time is up."""
        self._settle_stale_claims()
        self._start_and_finish_campaigns()
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=self._count_due())
        for gateway in self.env["member.gateway"].search([("state", "=", "active")]):
            # Each step commits. The claim before anything leaves: whatever happens from
            # there on, no other run takes these rows. A pause or cancellation shows in
            # the next claim.
            while claimed := retrying(partial(self._claim, gateway), self.env):
                results = self._call(gateway, claimed)
                # A new snapshot: a member may have followed the link during the call.
                self.env.cr.commit()  # pylint: disable=invalid-commit
                retrying(partial(self._record, gateway, results), self.env)
                if not progress(len(claimed)):
                    return
        self._start_and_finish_campaigns()
        # What was due and did not leave was skipped, or is another sender's.
        progress(remaining=0)

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
    def _start_and_finish_campaigns(self):
        """Move campaigns on: due ones send, cancelled ones drop their rows, and those
        without an open row are done."""
        now = fields.Datetime.now()
        self.env.flush_all()
        for query in (
            SQL(
                """
                UPDATE member_campaign SET state = 'sending', write_date = %(now)s
                 WHERE state = 'scheduled' AND planned_date IS NOT NULL
                   AND scheduled_date <= %(now)s
                """,
                now=now,
            ),
            SQL(
                """
                UPDATE member_message m SET state = 'cancelled', write_date = %s
                  FROM member_campaign c
                 WHERE c.id = m.campaign_id AND c.state = 'cancelled'
                   AND m.state = 'queued'
                """,
                now,
            ),
            SQL(
                """
                UPDATE member_campaign c
                   SET state = 'done', done_date = %(now)s, write_date = %(now)s
                 WHERE c.state = 'sending' AND NOT EXISTS (
                       SELECT FROM member_message m WHERE m.campaign_id = c.id
                          AND m.state IN ('queued', 'claimed'))
                """,
                now=now,
            ),
        ):
            self.env.cr.execute(query)
        self.env.invalidate_all(flush=False)

    @api.model
    def _settle_stale_claims(self):
        """A process died after claiming: its messages may or may not have left.

        They are never sent again; a delivery report settles them.
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message
                   SET state = 'uncertain', reason = 'answer_lost',
                       sent_date = claimed_date
                 WHERE state = 'claimed' AND claimed_date < %s
                """,
                fields.Datetime.now() - STALE_CLAIM,
            )
        )
        if self.env.cr.rowcount:
            _logger.info(
                "%s messages of a dead sender are uncertain", self.env.cr.rowcount
            )

    # --------------------------------------------------------------------- claim

    @api.model
    def _claim(self, gateway):
        """Take the next due messages of a gateway and write their texts.

        Rows another sender holds are passed over. What has changed since planning is
        tested again: such rows end as ``skipped`` and are not returned.

        :returns: claimed messages, at most ``CLAIM_SIZE``
        """
        while rows := self._lock_due(gateway):
            self._skip([(row[0], row[1]) for row in rows if row[1]])
            claimed = self._follow_contacts([row for row in rows if not row[1]])
            if not claimed:
                # only refusals in this batch: look further
                continue
            self._write_claim(self._prepare_texts(claimed))
            self.invalidate_model()
            return self.browse(claimed)
        return self.browse()

    def _write_claim(self, rows):
        """Store texts and claim in one UPDATE: each costs an entry in every index.

        :param list[dict] rows: see :meth:`_prepare_texts`
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_message m
                   SET token = r.token, card_id = r.card_id, body = r.body,
                       parts = r.parts, state = 'claimed', claimed_date = %(now)s,
                       attempt_count = m.attempt_count + 1
                  FROM unnest(%(ids)s::int[], %(tokens)s::varchar[],
                              %(cards)s::int[], %(bodies)s::varchar[],
                              %(parts)s::int[])
                       AS r (id, token, card_id, body, parts)
                 WHERE r.id = m.id
                """,
                now=fields.Datetime.now(),
                ids=[row["id"] for row in rows],
                tokens=[row["token"] for row in rows],
                cards=[row["card_id"] for row in rows],
                bodies=[row["body"] for row in rows],
                parts=[row["parts"] for row in rows],
            )
        )

    def _lock_due(self, gateway):
        """:returns: id, reason not to send, and the number the contact has now"""
        consents = self.env["member.consent"]
        return self.env.execute_query(
            SQL(
                """
                SELECT m.id,
                       CASE WHEN c.not_after_date < %(now)s THEN 'expired'
                            WHEN m.profile_id IS NULL OR pa.active IS NOT TRUE
                            THEN 'archived'
                            WHEN COALESCE(pa.phone, '') = '' THEN 'no_address'
                            WHEN pa.phone_sanitized IS NULL THEN 'invalid_address'
                            ELSE %(refusal)s END,
                       NULLIF(pa.phone_sanitized, m.address)
                  FROM member_message m
                  JOIN member_campaign c ON c.id = m.campaign_id
                  JOIN member_gateway g ON g.id = m.gateway_id
                  LEFT JOIN res_partner pa ON pa.id = m.partner_id
                  -- LIMIT: looked up for these few, never read as a whole
                  LEFT JOIN LATERAL (SELECT consent.state, consent.expiry_date
                                       FROM member_consent consent
                                      WHERE %(current)s LIMIT 1) consent ON TRUE
                  LEFT JOIN phone_blacklist listed
                         ON listed.number = pa.phone_sanitized AND listed.active
                 WHERE m.state = 'queued' AND m.gateway_id = %(gateway)s
                   AND m.due_date <= %(now)s AND c.state = 'sending'
                   AND g.state = 'active'
              ORDER BY m.due_date, m.id
                 LIMIT %(limit)s
                   FOR UPDATE OF m SKIP LOCKED
                """,
                refusal=consents._get_refusal_sql(SQL("c.category")),
                current=consents._get_current_sql(
                    SQL("m.profile_id"), SQL("m.channel"), SQL("c.category")
                ),
                gateway=gateway.id,
                now=fields.Datetime.now(),
                limit=CLAIM_SIZE,
            )
        )

    def _follow_contacts(self, rows):
        """Messages go to the number a member has now, not to the one of the planning.

        :param rows: id, None and the new number, if there is one, of messages to claim
        :returns: ids of messages to claim; a number still gets a campaign once
        """
        moved = [
            (message_id, address) for message_id, _none, address in rows if address
        ]
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
                                  AND other.state != 'skipped')
                           OR row_number() OVER (
                               PARTITION BY m.campaign_id, m.channel, v.address
                               ORDER BY m.id) > 1 AS is_copy
                      FROM unnest(%(ids)s::int[], %(addresses)s::varchar[])
                           AS v (id, address)
                      JOIN member_message m ON m.id = v.id)
                UPDATE member_message m
                   SET address = v.address,
                       state = CASE WHEN v.is_copy THEN 'skipped' ELSE m.state END,
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
                UPDATE member_message m SET state = 'skipped', reason = t.reason
                  FROM unnest(%s::int[], %s::varchar[]) AS t (id, reason)
                 WHERE t.id = m.id
                """,
                [message_id for message_id, _reason in rows],
                [reason for _message_id, reason in rows],
            )
        )

    # ---------------------------------------------------------------------- call

    def _call(self, gateway, messages):
        """Hand messages to the provider.

        :returns: one result per message
        :rtype: list[odoo.addons.member_messaging.gateways.types.SendResult]
        """
        adapter = gateway._get_adapter()
        outbound = messages._prepare_outbound(adapter, gateway)
        results = []
        while batch := outbound[len(results) :][: adapter.batch_size]:
            results += adapter.send(batch)
            if results[-1].outcome in CLOSED:
                # The account is closed: the rest is not even tried.
                results += [
                    replace(results[-1], key=message.key)
                    for message in outbound[len(results) :]
                ]
        return results

    def _prepare_outbound(self, adapter, gateway):
        registrations = {
            registration.template_id: registration
            for registration in gateway.env["member.template.registration"].search(
                [("gateway_id", "=", gateway.id)]
            )
        }
        outbound = []
        for record, messages in self.grouped(
            lambda m: m.variant_id.template_id
        ).items():
            registration = registrations.get(record)
            if not (adapter.requires_registered_template and registration):
                outbound += [
                    Outbound(str(message.id), message.address, message.body)
                    for message in messages
                ]
                continue
            parameters = registration._get_parameter_map()
            # The provider keeps the text; it gets our values and their fallbacks.
            fallbacks = {
                variable.name: variable.fallback
                for variable in template.find_variables(record.body)
            }
            # filled as in a text: zero is a value
            fillers = {
                name: template.Template(
                    [template.Placeholder(variable, fallbacks.get(variable))]
                )
                for name, variable in parameters.items()
            }
            for values in self._get_variable_values(
                messages.ids, record, set(parameters.values())
            ):
                outbound.append(
                    Outbound(
                        str(values["id"]),
                        self.browse(values["id"]).address,
                        self.browse(values["id"]).body,
                        registration.code,
                        {
                            name: filler.render(values)
                            for name, filler in fillers.items()
                        },
                    )
                )
        return outbound

    # -------------------------------------------------------------------- record

    @api.model
    def _record(self, gateway, results):
        """Store each recipient's own outcome.

        Only rows that are still ``claimed`` change, so that recording twice does no
        harm.
        """
        final = [result for result in results if result.outcome in FINAL]
        postponed = [result for result in results if result.outcome in POSTPONED]
        self._record_final(gateway, final)
        self._record_postponed(postponed)
        self._void_coupons([int(result.key) for result in results])
        self.invalidate_model()
        self._refuse_opted_out(final)
        self._stop_for(gateway, results)
        _logger.info(
            "gateway %s: %s accepted, %s others of %s",
            gateway.id,
            sum(result.outcome is Outcome.OK for result in results),
            sum(result.outcome is not Outcome.OK for result in results),
            len(results),
        )

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
                       provider_message = r.message, write_date = %(now)s,
                       parts = COALESCE(r.parts, m.parts),
                       cost = CASE WHEN r.state = 'failed' THEN 0
                                   ELSE COALESCE(r.parts, m.parts) * %(price)s END,
                       sent_date = CASE WHEN r.state != 'failed' THEN %(now)s END
                  FROM unnest(%(ids)s::int[], %(states)s::varchar[],
                              %(reasons)s::varchar[],
                              %(refs)s::varchar[], %(codes)s::varchar[],
                              %(messages)s::varchar[], %(parts)s::int[])
                       AS r (id, state, reason, ref, code, message, parts)
                 WHERE r.id = m.id AND m.state = 'claimed'
                """,
                now=fields.Datetime.now(),
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
                       due_date = %(now)s + make_interval(secs => GREATEST(
                           COALESCE(r.delay, 0),
                           %(delay)s * 2 ^ LEAST(m.attempt_count - 1, 8))),
                       attempt_count = m.attempt_count - r.free::int,
                       provider_code = r.code, provider_message = r.message
                  FROM unnest(%(ids)s::int[], %(delays)s::int[], %(free)s::bool[],
                              %(codes)s::varchar[], %(messages)s::varchar[])
                       AS r (id, delay, free, code, message)
                 WHERE r.id = m.id AND m.state = 'claimed'
                """,
                max=MAX_ATTEMPTS,
                now=fields.Datetime.now(),
                delay=RETRY_DELAY,
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
        for result in results:
            reason = " ".join(
                filter(None, (result.provider_code, result.provider_message))
            )
            if result.outcome in CLOSED:
                gateway._pause(reason)
                return
            if result.outcome is Outcome.TEMPLATE:
                campaign = self.browse(int(result.key)).campaign_id
                if campaign.state == "sending":
                    campaign._pause_for_template(reason)
