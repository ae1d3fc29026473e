from markupsafe import Markup

from odoo import fields, models
from odoo.tools import SQL, format_datetime
from odoo.tools.misc import formatLang

from ..tools.quota import find_shortage
from ..transaction import commit_short
from .member_consent import ADVERTISING
from .member_message import WAITS
from .member_send_quota import LONG


class MemberGatewayLoad(models.Model):
    _inherit = "member.gateway.load"

    told_shortage = fields.Char(
        help="Month and limit that somebody has been told is used up."
    )

    def _note_shortage(self, gateway, told, is_of_company):
        """Note that somebody is told about the SMS of a month.

        :param str told: month, limit and what of it is used up
        :param bool is_of_company: it concerns all gateways of the company
        :returns: whether nobody has noted it yet, such as another sender
        """
        # locked in the order of those who draw
        self._read_months(gateway, whole_company=is_of_company, is_locked=True)
        rows = self._execute(
            SQL(
                """
                UPDATE member_gateway_load l SET told_shortage = %(told)s
                  FROM member_gateway g
                 WHERE g.id = l.gateway_id AND g.company_id = %(company)s
                   AND (g.id = %(gateway)s OR %(is_of_company)s)
                   AND l.told_shortage IS DISTINCT FROM %(told)s
             RETURNING g.id
                """,
                told=told,
                company=gateway.company_id.id,
                gateway=gateway.id,
                is_of_company=is_of_company,
            )
        )
        return (gateway.id,) in rows


class MemberGateway(models.Model):
    """Who is responsible hears of it when messages wait for the SMS of the next month.

    Once per month and limit, and not while nothing waits. If promotions have used their
    share first, and later the rest is used up as well, that is told once more: then
    notices and birthdays wait, too.
    """

    _inherit = "member.gateway"

    def _tell_shortage(self):
        """Raise an activity if something that is due waits for the next month."""
        self.ensure_one()
        quotas = self.env["member.gateway.load"]._get_quotas(self)
        if not any(quota.limit for quota in quotas):
            return
        waiting = [
            *self._find_waiting_campaigns(quotas),
            *self._find_waiting_services(quotas),
        ]
        # that all is used up says more than that the share of promotions is
        for kind in ("all", "share"):
            for _name, _count, is_advertising, parts in waiting:
                if find_shortage(quotas, is_advertising, parts) == kind:
                    shortage = quotas, is_advertising, parts
                    commit_short(self.env, self._tell_once, shortage, waiting)
                    return

    def _find_waiting_campaigns(self, quotas):
        """:returns: what waits, number of messages, whether it is advertising, and SMS
        that one of them needs; of campaigns that nobody has been told about
        """
        messages = self.env["member.message"]
        waiting = []
        for category, campaign_id, gateway_id, trial in messages._read_sources(self):
            is_advertising = category in ADVERTISING
            # some texts are longer than the sample: look at those only if need be
            if trial == 0 or not find_shortage(quotas, is_advertising, LONG):
                continue
            campaign = self.env["member.campaign"].browse(campaign_id)
            parts = max(1, campaign._get_parts())
            if self._was_told(quotas, is_advertising, parts):
                continue
            [(count, longest)] = self.env.execute_query(
                SQL(
                    """
                    SELECT COUNT(*), COALESCE(MAX(m.parts), 0) FROM member_message m
                     WHERE m.campaign_id = %s AND m.gateway_id = %s AND %s
                    """,
                    campaign_id,
                    gateway_id,
                    WAITS,
                )
            )
            parts = max(parts, longest)
            if find_shortage(quotas, is_advertising, parts):
                waiting.append((campaign, count, is_advertising, parts))
        return waiting

    def _find_waiting_services(self, quotas):
        """As :meth:`_find_waiting_campaigns`, for the SMS of other applications."""
        services = self.env["member.service.message"]
        services.flush_model()
        [(count, parts)] = self.env.execute_query(
            SQL(
                """
                SELECT COUNT(*), MAX(s.parts) FROM member_service_message s
                  JOIN member_gateway g ON g.id = s.gateway_id
                 WHERE s.gateway_id = %s AND %s
                """,
                self.id,
                services._get_due_sql(),
            )
        )
        is_news = count and not self._was_told(quotas, False, parts)
        if is_news and find_shortage(quotas, False, parts):
            return [(None, count, False, parts)]
        return []

    def _get_told(self, quotas, is_advertising, parts, kind=None):
        """:returns: what :attr:`~.told_shortage` says when such messages wait, and
        whether it concerns all gateways of the company
        """
        own, company = quotas
        is_of_company = bool(find_shortage([company], is_advertising, parts))
        whose, quota = ("company", company) if is_of_company else ("gateway", own)
        kind = kind or find_shortage(quotas, is_advertising, parts)
        # somebody who has raised the limit wants to know when that is used up
        limit = f"{whose} {quota.limit} {quota.reserve_rate:g}"
        return f"{self._get_month()} {limit} {kind}", is_of_company

    def _was_told(self, quotas, is_advertising, parts):
        return self.load_ids.told_shortage in {
            self._get_told(quotas, is_advertising, parts, kind)[0]
            for kind in (None, "all")
        }

    def _tell_once(self, shortage, waiting):
        """:param shortage: quotas, whether it is advertising that is short of them, and
            SMS of one message
        :param waiting: see :meth:`_find_waiting_campaigns`
        """
        quotas, is_advertising, parts = shortage
        if self._was_told(*shortage):
            return
        loads = self.env["member.gateway.load"]
        if not loads._note_shortage(self, *self._get_told(*shortage)):
            return
        [speaker] = self._speaking()
        is_all = find_shortage(quotas, is_advertising, parts) == "all"
        speaker.activity_schedule(
            "mail.mail_activity_data_warning",
            summary=(
                speaker.env._("The month's SMS are used up, messages wait")
                if is_all
                else speaker.env._("Promotions have used their SMS and wait")
            ),
            note=Markup("<p>%s</p><p>%s</p><ul>%s</ul>")
            % (
                loads.with_env(speaker.env)._describe_wait(
                    speaker, is_advertising, parts
                ),
                speaker.env._("What waits for %s:", speaker.name),
                Markup().join(
                    Markup("<li>%s</li>") % speaker._describe_waiting(*line[:2])
                    for line in waiting
                ),
            ),
            user_id=(speaker.user_id or self.env.user).id,
        )

    def _describe_waiting(self, campaign, count):
        """:param campaign: ``member.campaign``; None: SMS of other applications
        :returns: what waits, how many of it, and when it is of no use any more
        """
        values = {"count": formatLang(self.env, count, digits=0)}
        if not campaign:
            return self.env._(
                "Tests and SMS of other applications: %(count)s", **values
            )
        values["campaign"] = campaign.with_env(self.env).name
        if not campaign.not_after_date:
            return self.env._("%(campaign)s: %(count)s messages", **values)
        return self.env._(
            "%(campaign)s: %(count)s messages, dropped if not sent by %(end)s",
            end=format_datetime(
                self.env,
                campaign.not_after_date,
                tz=self.user_id.tz or self.company_id.partner_id.tz or "UTC",
                dt_format="short",
            ),
            **values,
        )


class MemberMessage(models.Model):
    _inherit = "member.message"

    def _send_due(self, lane):
        result = super()._send_due(lane)
        for gateway in self.env["member.gateway"].search([("state", "=", "active")]):
            gateway._tell_shortage()
        return result
