from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL, format_date

from ..tools import safety
from .member_consent import ADVERTISING

#: Refusals of a campaign are compared with those of so long before.
HISTORY = timedelta(days=90)
#: Only campaigns with a refusal in this time are looked at.
RECENT = timedelta(days=1)
#: Fewer refusals are never unusual.
REFUSAL_MINIMUM = 5


class MemberSendPolicy(models.Model):
    """The safety catch: too many complaints stop promotions, too many refusals slow
    them down.
    """

    _inherit = "member.send.policy"

    complaint_limit = fields.Float(
        string="Complaints at Most (%)",
        default=0.1,
        digits=(5, 2),
        help="Above it promotions through the account stop by themselves. Complaints "
        "are compared with all that left, notices, care and SMS of other applications "
        "as well. Notices and care go on. 0: never.",
    )
    complaint_window_days = fields.Integer(
        string="Within Days of Complaints", default=7, required=True
    )
    complaint_minimum = fields.Integer(
        string="But Not Below",
        default=3,
        required=True,
        help="So few complaints never stop anything: one of ten messages says nothing.",
    )
    unsubscribe_factor = fields.Float(
        string="Refusals Compared with Before",
        default=3,
        digits=(5, 1),
        help="A campaign after which so many times more members than usual refuse "
        "lowers the limit of promotions per member for a while. 0: never.",
    )
    lowered_until_date = fields.Date(
        string="Limit Lowered Until",
        help="Until this day a member gets one promotion less than the limit, but at "
        "least one.",
    )

    _complaint_check = models.Constraint(
        "CHECK (complaint_limit BETWEEN 0 AND 100 AND complaint_minimum >= 1"
        " AND complaint_window_days BETWEEN 1 AND 366 AND unsubscribe_factor >= 0)",
        "Complaints are counted over 1 to 366 days, from 1 on; the limit is a part of "
        "all messages, from 0 to 100 %.",
    )

    # ---------------------------------------------------------------- complaints

    @api.model
    def _check_complaints(self, complaints):
        """Stop promotions where new complaints exceed the limit.

        Counted are those about an account, about its campaigns, and of the members who
        agreed by the same way: addresses from a bad source complain wherever they are
        written to.
        """
        for company, group in complaints.grouped("company_id").items():
            policy = self._get_for(company)
            if not policy.complaint_limit:
                continue
            # sudo: whoever records a complaint may stop what it is about
            for gateway in group.gateway_id.sudo()._speaking():
                if not gateway.promotion_stop_date:
                    speaking = policy.with_context(lang=gateway.env.lang)
                    speaking._check_gateway(gateway, group.sudo())

    def _check_gateway(self, gateway, complaints):
        complaints = complaints.filtered(lambda c: c.gateway_id == gateway)
        since = max(
            fields.Datetime.now() - timedelta(days=self.complaint_window_days),
            gateway.complaint_since_date or fields.Datetime.now() - timedelta(days=366),
        )
        subjects = [(gateway.name, "gateway_id", gateway.id)]
        subjects += [(c.name, "campaign_id", c.id) for c in complaints.campaign_id]
        labels = dict(
            complaints._fields["consent_source"]._description_selection(self.env)
        )
        subjects += [
            (self.env._("agreed by “%s”", labels[source]), "consent_source", source)
            for source in sorted(set(complaints.mapped("consent_source")) - {False})
        ]
        over = []
        for label, name, value in subjects:
            counts = self._count(gateway, since, name, value)
            if safety.is_over(*counts, self.complaint_limit, self.complaint_minimum):
                over.append((label, *counts, name, value))
        if over:
            self._stop(gateway, over, since)

    def _count(self, gateway, since, name, value):
        """:returns: complaints and messages since a moment, of an account, a campaign,
        or a way of agreeing
        """
        complaints = (
            self.env["member.complaint"]
            .sudo()
            .search_count(
                [
                    ("company_id", "=", gateway.company_id.id),
                    ("date", ">", since),
                    (name, "=", value),
                ]
            )
        )
        return complaints, self._count_left(gateway.company_id, since, name, value)

    def _count_left(self, company, since, name, value):
        """:returns: messages of a subject of :meth:`_count` that left since a moment,
        of whatever kind: people complain about notices as well
        """
        self.env.flush_all()
        gateway = SQL("m.gateway_id = %s", value)
        source = SQL(
            "(SELECT consent.source FROM member_consent consent"
            " WHERE consent.profile_id = p.id AND consent.state = 'granted'"
            " AND consent.purpose = 'promotion' ORDER BY consent.id DESC LIMIT 1) = %s",
            value,
        )
        conditions = {
            "gateway_id": gateway,
            "campaign_id": SQL("m.campaign_id = %s", value),
            "consent_source": SQL(
                "EXISTS (SELECT FROM member_profile p WHERE p.id = m.profile_id"
                " AND %s)",
                source,
            ),
        }
        # they have no campaign, and a number instead of a member
        service_conditions = {
            "gateway_id": gateway,
            "campaign_id": SQL("FALSE"),
            "consent_source": SQL(
                "EXISTS (SELECT FROM res_partner pa"
                " JOIN member_profile p ON p.partner_id = pa.id"
                " WHERE pa.phone_sanitized = m.address AND %s)",
                source,
            ),
        }
        left = SQL(
            "m.claimed_date >= %s AND m.company_id = %s"
            " AND m.state IN ('sent', 'delivered', 'uncertain')",
            since,
            company.id,
        )
        [(messages,)] = self.env.execute_query(
            SQL(
                """
                SELECT (SELECT COUNT(*) FROM member_message m
                         WHERE %(left)s AND %(condition)s)
                     + (SELECT COUNT(*) FROM member_service_message m
                         WHERE %(left)s AND %(service_condition)s)
                """,
                left=left,
                condition=conditions[name],
                service_condition=service_conditions[name],
            )
        )
        return messages

    def _stop(self, gateway, over, since):
        """:param over: label, complaints, messages, field and value of what is over"""
        label, complaints, messages, _name, _value = over[0]
        reason = self.env._(
            "%(label)s: %(complaints)s complaints about %(messages)s messages since "
            "%(since)s, limit %(limit)s %%.",
            label=label,
            complaints=complaints,
            messages=messages,
            since=format_date(self.env, since),
            limit=self.complaint_limit,
        )
        if not gateway._stop_promotions(reason):
            return
        campaigns = self.env["member.campaign"].sudo()
        for *_counts, name, value in over:
            if name == "campaign_id":
                campaigns |= campaigns.browse(value)
        campaigns.filtered(lambda c: c.state in ("scheduled", "sending")).write(
            {"state": "paused", "pause_reason": reason}
        )
        gateway.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=self.env._("Promotions through %s are stopped", gateway.name),
            note=self._describe_stop(gateway, over, campaigns),
            user_id=(gateway.user_id or self.env.user).id,
        )

    def _describe_stop(self, gateway, over, campaigns):
        """:returns: what was stopped and what to check, as HTML"""
        sending = campaigns.search(
            [
                ("gateway_id", "=", gateway.id),
                ("category", "in", ADVERTISING),
                ("state", "in", ("scheduled", "sending", "paused")),
            ]
        )
        figures = [
            self.env._(
                "%(label)s: %(complaints)s of %(messages)s messages",
                label=label,
                complaints=complaints,
                messages=messages,
            )
            for label, complaints, messages, *_subject in over
        ]
        checks = [
            self.env._(
                "Stopped: %s. Notices and care go on.",
                ", ".join(sending.mapped("name"))
                or self.env._("all promotions through this account"),
            ),
            self.env._(
                "Sources: how did those who complain agree? Import, form, till?"
            ),
            self.env._("Block list: are all who refused on it, also at the provider?"),
            self.env._("Template: who writes, why, and how to refuse: is it clear?"),
            self.env._("Then press “Allow Promotions Again” on the gateway."),
        ]
        return Markup("<p>%s</p><ul>%s</ul>") % (
            Markup("<br/>").join(figures),
            Markup().join(Markup("<li>%s</li>") % check for check in checks),
        )

    # ------------------------------------------------------------------ refusals

    @api.model
    def _cron_watch(self):
        """Compare refusals of recent campaigns with those before, once per campaign."""
        progress = self.env["ir.cron"]._commit_progress
        campaigns = self._find_refused_campaigns()
        progress(remaining=len(campaigns))
        for campaign in campaigns:
            policy = self._get_for(campaign.company_id)
            if policy._is_unusual(campaign):
                policy._lower(campaign)
            progress(1)

    @api.model
    def _find_refused_campaigns(self):
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT m.campaign_id
                  FROM member_event e
                  JOIN member_message m ON m.id = e.message_id
                  JOIN member_campaign c ON c.id = m.campaign_id
                 WHERE e.type = 'unsubscribed' AND NOT e.is_bot AND e.date > %s
                   AND c.category IN %s AND c.unsubscribe_warned_date IS NULL
              ORDER BY 1
                """,
                fields.Datetime.now() - RECENT,
                ADVERTISING,
            )
        )
        return self.env["member.campaign"].browse(row[0] for row in rows)

    def _is_unusual(self, campaign):
        if not self.unsubscribe_factor:
            return False
        start = campaign.scheduled_date or campaign.create_date
        [(count, total, past_count, past_total)] = self.env.execute_query(
            SQL(
                """
                SELECT COUNT(m.unsubscribed_date) FILTER (WHERE %(is_own)s),
                       COUNT(*) FILTER (WHERE %(is_own)s),
                       COUNT(m.unsubscribed_date) FILTER (WHERE NOT %(is_own)s),
                       COUNT(*) FILTER (WHERE NOT %(is_own)s)
                  FROM member_message m
                  JOIN member_campaign c ON c.id = m.campaign_id
                 WHERE m.claimed_date > %(since)s AND m.company_id = %(company)s
                   AND m.channel = %(channel)s AND c.category IN %(advertising)s
                   AND m.state IN ('sent', 'delivered', 'uncertain')
                   AND (%(is_own)s OR m.claimed_date < %(start)s)
                """,
                is_own=SQL("(m.campaign_id = %s)", campaign.id),
                since=start - HISTORY,
                start=start,
                company=campaign.company_id.id,
                channel=campaign.channel,
                advertising=ADVERTISING,
            )
        )
        return safety.is_unusual(
            count,
            total,
            past_count,
            past_total,
            self.unsubscribe_factor,
            REFUSAL_MINIMUM,
        )

    def _lower(self, campaign):
        """Lower the limit for one stretch of it, and tell the manager why."""
        policy = self._origin or self.create({"company_id": campaign.company_id.id})
        until = fields.Date.today() + timedelta(days=policy.promotion_days)
        policy.lowered_until_date = max(until, policy.lowered_until_date or until)
        campaign.unsubscribe_warned_date = fields.Datetime.now()
        user = campaign.user_id or campaign.gateway_id.user_id or self.env.user
        campaign.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=self.env._("Far more refusals than usual"),
            note=self.env._(
                "More than %(factor)s times as many members as after earlier campaigns "
                "refused further promotions. Until %(date)s members get one promotion "
                "less than the limit. Check who was written to, how often, and what "
                "the text promised.",
                factor=policy.unsubscribe_factor,
                date=format_date(self.env, policy.lowered_until_date),
            ),
            user_id=user.id,
        )
