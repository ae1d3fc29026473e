import logging

from odoo import api, fields, models
from odoo.tools import SQL

from ..gateways.dispatch import CLOSED
from ..gateways.types import Outcome
from ..transaction import commit_short
from .member_message_record import FINAL, MAX_ATTEMPTS, RETRY_DELAY
from .member_message_send import STALE_CLAIM

_logger = logging.getLogger(__name__)

#: Reason of a failure → what Odoo's SMS calls it; others are of no kind it knows.
SMS_FAILURES = {
    "rejected_number": "invalid_destination",
    "refused": "not_allowed",
    "rejected_content": "rejected",
    "rejected_template": "rejected",
    "not_delivered": "not_delivered",
}
#: State → state of Odoo's SMS. There "pending" is sent and "sent" is delivered.
SMS_STATES = {"sent": "pending", "delivered": "sent", "failed": "error"}


class MemberServiceMessage(models.Model):
    """Sending, by the same rules as messages of campaigns: claim, commit, call, record,
    commit; what perhaps left is never sent again."""

    _inherit = "member.service.message"

    @api.model
    def _send_next(self, gateway, lane):
        """Send the next batch of a gateway.

        :returns: number of messages the provider was asked to take
        """
        if gateway not in self._find_busy():
            return 0
        messages = self.env["member.message"]
        size, is_probe = messages._get_claim_size(gateway)
        rest = self.env["member.gateway.load"]._get_rest(gateway, False)
        if rest is not None:
            size = min(size, rest)
        claimed = size and commit_short(self.env, self._claim, gateway, lane, size)
        if claimed:
            claimed = commit_short(self.env, self._reserve, gateway, claimed)
        if not claimed:
            return 0
        done = messages._call(gateway, claimed, is_probe)
        # a new snapshot: a report may have come during the call
        self.env.cr.commit()  # pylint: disable=invalid-commit
        commit_short(self.env, self._record, gateway, claimed, done, lane)
        return len(done.results)

    @api.model
    def _claim(self, gateway, lane, size):
        """:returns: claimed messages, as ``member.message._call`` takes them, with
        ``key``, ``kind`` and ``attempt_count``
        :rtype: list[dict]
        """
        self._skip_refused(gateway)
        self.env.cr.execute(
            SQL(
                """
                -- once: as a subquery it could be read anew for each row, and LIMIT
                -- would not hold
                WITH due AS MATERIALIZED (
                    SELECT s.id FROM member_service_message s
                      JOIN member_gateway g ON g.id = s.gateway_id
                     WHERE s.gateway_id = %(gateway)s AND %(due)s
                  ORDER BY s.due_date, s.id
                     LIMIT %(size)s FOR UPDATE OF s SKIP LOCKED)
                UPDATE member_service_message m
                   SET state = 'claimed', claimed_date = %(now)s, lane = %(lane)s,
                       attempt_count = m.attempt_count + 1
                  FROM due WHERE due.id = m.id
             RETURNING m.id, m.address, m.body, m.template_code, m.params, m.parts,
                       m.kind, m.attempt_count
                """,
                now=fields.Datetime.now(),
                lane=lane,
                gateway=gateway.id,
                due=self._get_due_sql(),
                size=size,
            ),
            log_exceptions=False,
        )
        rows = self.env.cr.dictfetchall()
        for row in rows:
            row["key"] = self.browse(row["id"])._get_key()
        self.invalidate_model()
        return rows

    def _skip_refused(self, gateway):
        """Answers do not leave to who wants nothing any more since they were written.

        Other applications decide themselves whom they have to tell something.
        """
        self.flush_model()
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_service_message m
                   SET state = 'skipped', reason = r.reason
                  FROM (SELECT s.id,
                               CASE WHEN EXISTS (
                                         SELECT FROM phone_blacklist listed
                                          WHERE listed.number = s.address
                                            AND listed.active)
                                    THEN 'blocked'
                                    WHEN EXISTS (
                                         SELECT FROM res_partner pa
                                           JOIN member_consent consent
                                             ON consent.profile_id
                                                = pa.member_profile_id
                                          WHERE pa.phone_sanitized = s.address
                                            AND consent.is_current
                                            AND consent.channel = %(channel)s
                                            AND consent.purpose = 'service'
                                            AND consent.state = 'refused')
                                    THEN 'refused' END AS reason
                          FROM member_service_message s
                          JOIN member_gateway g ON g.id = s.gateway_id
                         WHERE s.gateway_id = %(gateway)s AND s.kind = 'answer'
                           AND %(due)s FOR UPDATE OF s SKIP LOCKED) r
                 WHERE m.id = r.id AND r.reason IS NOT NULL
                """,
                gateway=gateway.id,
                channel=gateway.channel,
                due=self._get_due_sql(),
            ),
            log_exceptions=False,
        )

    @api.model
    def _reserve(self, gateway, claimed):
        """As for messages of campaigns: what does not fit into the month waits.

        :returns: messages that may leave
        """
        lacks = self.env["member.gateway.load"]._draw(gateway, claimed)
        for row, lack in zip(claimed, lacks, strict=True):
            if lack:
                self.browse(row["id"]).write(
                    {"state": "queued", "attempt_count": row["attempt_count"] - 1}
                )
        return [row for row, lack in zip(claimed, lacks, strict=True) if not lack]

    @api.model
    def _record(self, gateway, claimed, done, lane):
        """Store each recipient's own outcome; what was not tried waits again."""
        self.env["member.message"]._give_back(gateway, claimed, done)
        results = {result.key: result for result in done.results}
        now = fields.Datetime.now()
        recorded = self.browse()
        for row in claimed:
            message = self.browse(row["id"])
            # a sender that was thought dead may have been settled in the meantime
            if message.state != "claimed" or message.lane != lane:
                continue
            result = results.get(row["key"])
            message.write(
                self._prepare_ending(gateway, row, result, now)
                if result
                else {"state": "queued", "attempt_count": row["attempt_count"] - 1}
            )
            recorded |= message
        recorded._tell_odoo()
        self._refuse_opted_out(
            gateway,
            {
                row["address"]: results[row["key"]].provider_code
                for row in claimed
                if row["key"] in results
                and results[row["key"]].outcome is Outcome.OPTOUT
            },
        )
        self.env["member.message"]._note_health(gateway, done)
        self._stop_for(gateway, done.results)

    @api.model
    def _refuse_opted_out(self, gateway, codes):
        """A provider tells that numbers refuse: that holds for promotions, whatever
        message it was told about.

        :param dict codes: number → the provider's code
        """
        if not codes:
            return
        # everybody who uses one of the numbers
        profiles = self.env["member.profile"].search(
            [("partner_id.phone_sanitized", "in", list(codes))]
        )
        # sudo: the provider's word is recorded whoever runs the sender
        self.env["member.consent"].sudo()._refuse_each(
            {
                profile: f"{gateway.name}: {codes[profile.partner_id.phone_sanitized]}"
                for profile in profiles
            },
            gateway.channel,
            "reply",
        )

    def _prepare_ending(self, gateway, row, result, now):
        """:returns: values of a message its provider has answered about"""
        state, reason = self._get_ending(row, result)
        has_left = state in ("sent", "uncertain")
        parts = result.parts or row["parts"]
        return {
            "state": state,
            "reason": reason,
            "provider_ref": result.provider_ref,
            "provider_code": result.provider_code,
            "provider_message": result.provider_message,
            "parts": parts,
            "cost": parts * gateway.price if has_left else 0,
            "sent_date": has_left and now,
            "due_date": fields.Datetime.add(
                now,
                seconds=max(
                    result.retry_after or 0,
                    RETRY_DELAY * 2 ** min(row["attempt_count"] - 1, 8),
                ),
            ),
        }

    @staticmethod
    def _get_ending(row, result):
        """:returns: state and reason

        A test has one try: whoever makes it wants to see what is wrong. A closed
        account is nobody's failed attempt.
        """
        if result.outcome in FINAL:
            return FINAL[result.outcome]
        if result.outcome is Outcome.TEMPLATE:
            return "failed", "rejected_template"
        is_over = row["attempt_count"] >= MAX_ATTEMPTS and result.outcome not in CLOSED
        if row["kind"] == "test" or is_over:
            return "failed", "provider_error"
        return "queued", None

    def _stop_for(self, gateway, results):
        for result in results:
            if result.outcome in CLOSED and gateway.state == "active":
                [speaker] = gateway._speaking()
                gateway._pause(
                    speaker._explain(
                        result.provider_code, result.provider_message, result.outcome
                    )
                )

    @api.model
    def _settle(self, condition):
        """What a dead sender had claimed may have left: it is not sent again.

        :param SQL condition: which claimed messages ``s``
        """

        def update():
            self.env.cr.execute(
                SQL(
                    "UPDATE member_service_message s SET state = 'uncertain',"
                    " reason = 'answer_lost', sent_date = claimed_date"
                    " WHERE s.state = 'claimed' AND %s",
                    condition,
                ),
                log_exceptions=False,
            )
            return self.env.cr.rowcount

        if count := commit_short(self.env, update):
            _logger.info("%s service messages of a dead sender are uncertain", count)
            self.invalidate_model()

    def _tell_odoo(self):
        """Let the documents whose SMS these are show what has become of them."""
        told = self.filtered(lambda m: m.sms_uuid and m.state in SMS_STATES)
        uuids = told.mapped("sms_uuid")
        # sudo: Odoo keeps both to itself, and a sender is nobody in particular
        trackers = self.env["sms.tracker"].sudo().search([("sms_uuid", "in", uuids)])
        own = self.env["sms.sms"].sudo().search([("uuid", "in", uuids)])
        trackers, own = trackers.grouped("sms_uuid"), own.grouped("uuid")
        for message in told:
            state = SMS_STATES[message.state]
            if tracker := trackers.get(message.sms_uuid):
                message._tell_tracker(tracker, state)
            if record := own.get(message.sms_uuid):
                failure = state == "error" and "unknown"
                record.write({"state": state, "failure_type": failure})

    def _tell_tracker(self, tracker, state):
        if state != "error":
            tracker._action_update_from_sms_state(state)
            return
        [speaker] = self.gateway_id._speaking()
        reason = self.with_env(speaker.env)._describe()
        tracker.with_context(
            sms_known_failure_reason=reason
        )._action_update_from_provider_error(SMS_FAILURES.get(self.reason))


class MemberMessage(models.Model):
    """Senders take service messages along, and take them first: somebody waits."""

    _inherit = "member.message"

    @api.model
    def _send_batch(self, gateway, lane=1):
        count = self.env["member.service.message"]._send_next(gateway, lane)
        return count + super()._send_batch(gateway, lane)

    def _send_due(self, lane):
        services = self.env["member.service.message"]
        for gateway in services._find_busy():
            # a test of one that is not in use yet
            if gateway.state != "active":
                services._send_next(gateway, lane)
        return super()._send_due(lane)

    def _count_due(self):
        services = self.env["member.service.message"]
        return super()._count_due() + len(services._find_busy())

    @api.model
    def _settle_lane(self, lane):
        self.env["member.service.message"]._settle(SQL("s.lane = %s", lane))
        return super()._settle_lane(lane)

    @api.model
    def _settle_stale_claims(self):
        limit = fields.Datetime.now() - STALE_CLAIM
        self.env["member.service.message"]._settle(SQL("s.claimed_date < %s", limit))
        return super()._settle_stale_claims()
