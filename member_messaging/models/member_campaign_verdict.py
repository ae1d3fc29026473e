from odoo import api, fields, models
from odoo.tools import SQL

from ..tools.trial import Limits, Trial, find_faults
from ..transaction import commit_short
from .member_send_policy_safety import REFUSAL_MINIMUM


class MemberCampaign(models.Model):
    """Watches trial batches: the rest of a campaign leaves when they went well."""

    _inherit = "member.campaign"

    @api.model
    def _judge_trials(self):
        """Let campaigns go on, or stop, whose trial batch has been reported on, or has
        had its time."""
        for campaign_id, is_time_up, *counts in self._count_trials():
            campaign = self.browse(campaign_id)
            policy = self.env["member.send.policy"]._get_for(campaign.company_id)
            trial = Trial(*counts)
            faults = find_faults(trial, policy._get_trial_limits(), is_time_up)
            if faults is not None:
                commit_short(self.env, campaign._end_trial, trial, faults)

    def _count_trials(self):
        """:returns: per campaign whose trial batch waits: its id, whether the time is
        up, and the figures of ``Trial``
        """
        self.env.flush_all()
        return self.env.execute_query(
            SQL(
                """
                SELECT c.id,
                       l.trial_date + make_interval(mins => c.trial_minutes)
                           <= %(now)s,
                       m.delivered, m.failed, m.open,
                       (SELECT COUNT(*) FROM member_complaint complaint
                         WHERE complaint.campaign_id = c.id),
                       m.refused
                  FROM member_campaign_load l
                  JOIN member_campaign c ON c.id = l.campaign_id
                 CROSS JOIN LATERAL (
                       SELECT COUNT(*) FILTER (WHERE m.state = 'delivered')
                                  AS delivered,
                              COUNT(*) FILTER (WHERE m.state = 'failed') AS failed,
                              COUNT(*) FILTER (WHERE m.state IN (
                                  'claimed', 'sent', 'uncertain')) AS open,
                              COUNT(m.unsubscribed_date) AS refused
                         FROM member_message m
                        WHERE m.campaign_id = c.id
                          -- by the dates of sending few pages are read
                          AND m.claimed_date >= c.planned_date) m
                 WHERE l.trial_state = 'waiting' AND c.state = 'sending'
                """,
                now=fields.Datetime.now(),
            )
        )

    def _end_trial(self, trial, faults):
        """Go on or stop, once, whichever sender comes first."""
        self.invalidate_recordset()
        if self.state != "sending":
            # paused or cancelled meanwhile
            return
        self.env.cr.execute(
            SQL(
                "UPDATE member_campaign_load SET trial_state = %s"
                " WHERE campaign_id = %s AND trial_state = 'waiting'",
                "stopped" if faults else "passed",
                self.id,
            ),
            log_exceptions=False,
        )
        if not self.env.cr.rowcount:
            return
        self.env["member.campaign.load"].invalidate_model()
        [speaker] = self._speaking()
        figures = speaker._describe_trial(trial)
        if faults:
            speaker._stop_after_trial(figures, faults)
        else:
            self.message_post(
                body=speaker.env._(
                    "The trial batch went well, the rest leaves now. %s", figures
                )
            )
        self._notify_progress()

    def _describe_trial(self, trial):
        return self.env._(
            "Trial batch of %(total)s: %(delivered)s delivered, %(failed)s failed, "
            "%(open)s without report, %(complaints)s complaints, %(refusals)s "
            "refusals.",
            total=trial.total,
            delivered=trial.delivered,
            failed=trial.failed,
            open=trial.open,
            complaints=trial.complaints,
            refusals=trial.refusals,
        )

    def _stop_after_trial(self, figures, faults):
        checks = {
            "delivery": self.env._(
                "Too few were delivered: look at the failed messages and what the "
                "provider says about them, at the signature and the registered text, "
                "and at where the numbers come from."
            ),
            "complaints": self.env._(
                "Too many complained: how did these members agree, and does the text "
                "say who writes?"
            ),
            "refusals": self.env._(
                "Too many refused more: is it the right segment, and is the offer what "
                "the text promises?"
            ),
        }
        advice = " ".join(checks[fault] for fault in faults)
        reason = f"{figures} {advice}"
        self.write({"state": "paused", "pause_reason": reason})
        self.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=self.env._("Stopped after the trial batch"),
            note=self.env._(
                "%s The rest of the campaign waits. Resume sends it without another "
                "trial; otherwise cancel it.",
                reason,
            ),
            user_id=(self.user_id or self.env.user).id,
        )

    def action_resume(self):
        result = super().action_resume()
        # sudo: senders write there, nobody else does
        loads = self.load_ids.sudo()
        # who resumes has looked at what went wrong
        loads.filtered(lambda load: load.trial_state == "stopped").write(
            {"trial_state": "passed"}
        )
        return result


class MemberSendPolicy(models.Model):
    _inherit = "member.send.policy"

    def _get_trial_limits(self):
        return Limits(
            delivery_rate=self.trial_delivery_rate,
            complaint_rate=self.complaint_limit,
            complaint_minimum=self.complaint_minimum,
            refusal_rate=self.trial_refusal_rate,
            refusal_minimum=REFUSAL_MINIMUM,
        )


class MemberMessage(models.Model):
    _inherit = "member.message"

    def _send_due(self, lane):
        self.env["member.campaign"]._judge_trials()
        return super()._send_due(lane)
