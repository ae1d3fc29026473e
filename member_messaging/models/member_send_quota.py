from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL, format_date
from odoo.tools.misc import formatLang

from ..tools.quota import Quota, draw, find_shortage, get_least_rest
from .member_consent import ADVERTISING

#: Percent of a month's SMS that promotions leave to care, unless a policy says more.
CARE_RESERVE_RATE = 30
#: Parts of a long text: when messages wait and fewer SMS are left, that may be why.
LONG = 5


class MemberSendPolicy(models.Model):
    """The SMS a company buys for a month, and what of them is kept for care (C4)."""

    _inherit = "member.send.policy"

    month_quota = fields.Integer(
        string="SMS per Month",
        help="Of all gateways of the company together, counted as providers bill them: "
        "a long text is several SMS. Tests and the SMS of other applications count as "
        "well. What does not fit waits for the next month. 0: no limit.",
    )
    care_reserve_rate = fields.Float(
        string="Kept for Care (%)",
        default=CARE_RESERVE_RATE,
        digits=(5, 2),
        help="Promotions and content stop when they have used the rest of the month's "
        "SMS, of the company and of each gateway. Care, notices and the SMS of other "
        "applications may use all of them.",
    )
    month_usage = fields.Char(string="This Month", compute="_compute_month_usage")

    _quota_check = models.Constraint(
        "CHECK (month_quota >= 0 AND care_reserve_rate BETWEEN 0 AND 100)",
        "The SMS of a month are not negative, and from 0 to 100 % of them are kept for "
        "care.",
    )

    @api.depends("month_quota", "care_reserve_rate")
    @api.depends_context("lang")
    def _compute_month_usage(self):
        loads = self.env["member.gateway.load"]
        gateways = self.env["member.gateway"].with_context(active_test=False)
        for policy in self:
            # any of them: the month is the company's
            gateway = gateways.search(
                [("company_id", "=", policy.company_id._origin.id)], limit=1
            )
            rows = loads._read_months(gateway, whole_company=True) if gateway else []
            policy.month_usage = loads._describe_usage(
                loads._sum_up(rows, policy.month_quota, policy.care_reserve_rate)
            )

    def write(self, vals):
        result = super().write(vals)
        if {"month_quota", "care_reserve_rate"} & vals.keys():
            # what waits may leave now
            self.env["member.lane"]._wake()
        return result


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    month_quota = fields.Integer(
        string="SMS per Month",
        help="As the provider bills them: a long text is several SMS. What does not "
        "fit waits for the next month; promotions leave a part for care, see the "
        "sending policy. 0: no limit.",
    )
    month_usage = fields.Char(string="This Month", compute="_compute_month_usage")

    _quota_check = models.Constraint(
        "CHECK (month_quota >= 0)", "The SMS of a month are not negative."
    )

    @api.depends("month_quota")
    @api.depends_context("lang")
    def _compute_month_usage(self):
        loads = self.env["member.gateway.load"]
        for gateway in self:
            policy = self.env["member.send.policy"]._get_for(gateway.company_id)
            rows = loads._read_months(gateway._origin) if gateway._origin else []
            gateway.month_usage = loads._describe_usage(
                loads._sum_up(
                    [row for row in rows if row[0]],
                    gateway.month_quota,
                    policy.care_reserve_rate,
                )
            )

    def write(self, vals):
        result = super().write(vals)
        if "month_quota" in vals:
            # as for the policy
            self.env["member.lane"]._wake()
        return result

    def _get_month(self, moment=None):
        """:param datetime moment: naive UTC time; None: now
        :returns: first day of its month where the company is
        """
        return self._get_today(moment).replace(day=1)


class MemberGatewayLoad(models.Model):
    """What was used of the month's SMS. Senders draw on it between the claim, which
    says how many parts there are, and the call.

    What was drawn and has certainly not left is given back when the results are
    recorded, in the same transaction. Whoever dies before draws nothing, whoever dies
    later has perhaps sent it: nothing is used twice, and the limit is never passed.
    """

    _inherit = "member.gateway.load"

    month = fields.Date(help="First day of the month the SMS are counted for.")
    month_count = fields.Integer(string="SMS in That Month", default=0)
    month_advertising_count = fields.Integer(
        string="Of These Promotions and Content", default=0
    )

    # ------------------------------------------------------------------- reading

    @api.model
    def _get_quotas(self, gateway, month=None):
        """Read what the account and its company allow in a month and have used.

        :param datetime.date month: its first day; None: now
        :rtype: list[odoo.addons.member_messaging.tools.quota.Quota]
        """
        self.env.flush_all()
        return self._make_quotas(gateway, self._read_months(gateway, month))

    @api.model
    def _get_rest(self, gateway, is_advertising, month=None):
        """:returns: SMS such messages may still use; None: as many as they like"""
        return get_least_rest(self._get_quotas(gateway, month), is_advertising)

    def _read_months(self, gateway, month=None, whole_company=False, is_locked=False):
        """Read the counters that limit a gateway: its own, and those of its company if
        that has a limit.

        :returns: whether it is the gateway's own; its limit and that of the company;
            percent kept for care; parts of all messages and of promotions
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT g.id = %(gateway)s, COALESCE(g.month_quota, 0),
                       COALESCE(p.month_quota, 0),
                       COALESCE(p.care_reserve_rate, %(reserve)s)::float,
                       CASE WHEN l.month >= %(month)s THEN l.month_count ELSE 0 END,
                       CASE WHEN l.month >= %(month)s
                            THEN l.month_advertising_count ELSE 0 END
                  FROM member_gateway_load l
                  JOIN member_gateway g ON g.id = l.gateway_id
                  LEFT JOIN member_send_policy p ON p.company_id = g.company_id
                 WHERE g.company_id = %(company)s
                   AND (g.id = %(gateway)s OR p.month_quota > 0 OR %(whole)s)
              ORDER BY l.id %(lock)s
                """,
                gateway=gateway.id,
                company=gateway.company_id.id,
                reserve=CARE_RESERVE_RATE,
                month=month or gateway._get_month(),
                whole=whole_company,
                lock=SQL("FOR UPDATE OF l") if is_locked else SQL(),
            ),
            # who loses to another sender tries again
            log_exceptions=False,
        )
        return self.env.cr.fetchall()

    def _make_quotas(self, gateway, rows):
        own = [row for row in rows if row[0]]
        _is_own, limit, company_limit, reserve_rate, *_counts = (
            own[0] if own else (True, 0, 0, 0)
        )
        return [
            self._sum_up(own, limit, reserve_rate),
            self._sum_up(rows, company_limit, reserve_rate),
        ]

    @staticmethod
    def _sum_up(rows, limit, reserve_rate):
        return Quota(
            limit,
            reserve_rate,
            sum(row[-2] for row in rows),
            sum(row[-1] for row in rows),
        )

    def _describe_usage(self, quota):
        """:returns: a sentence on what was used in a month and what is left"""

        def number(value):
            return formatLang(self.env, value, digits=0)

        values = {
            "used": number(quota.used),
            "advertising": number(quota.used_advertising),
        }
        if not quota.limit:
            return self.env._(
                "%(used)s SMS, %(advertising)s of them promotions and content.",
                **values,
            )
        return self.env._(
            "%(used)s SMS, %(advertising)s of them promotions and content. Left: "
            "%(rest)s, of which promotions and content may use %(share)s.",
            rest=number(quota.get_rest(False)),
            share=number(quota.get_rest(True)),
            **values,
        )

    @api.model
    def _describe_wait(self, gateway, is_advertising, parts=1):
        """:param int parts: of a message
        :returns: why it waits for the next month, and what to do; False if it need not
        """
        shortage = find_shortage(self._get_quotas(gateway), is_advertising, parts)
        if not shortage:
            return False
        values = {
            "date": format_date(
                self.env, (gateway._get_month() + timedelta(days=31)).replace(day=1)
            )
        }
        if shortage == "share":
            return self.env._(
                "Promotions have used their share of this month's SMS, the rest is "
                "kept for care. They go on by themselves on %(date)s, or when a "
                "manager raises “SMS per Month” of the sending policy or the gateway.",
                **values,
            )
        return self.env._(
            "This month's SMS are used up. Messages go on by themselves on %(date)s, "
            "or when a manager raises “SMS per Month” of the sending policy or the "
            "gateway.",
            **values,
        )

    # ------------------------------------------------------------------- drawing

    @api.model
    def _draw(self, gateway, rows):
        """Let claimed messages draw on the SMS of the month, the budgets and the trial
        batches of their campaigns. All of it or nothing, and one UPDATE for a batch.

        :param list[dict] rows: claimed messages with ``parts``, and ``campaign_id`` if
            they have one; what they drew is noted there, for :meth:`_give_back`
        :returns: per message what it lacks: None, ``"sms"``, or a pair of ``"budget"``
            or ``"trial"`` and the id of the campaign
        """
        month = gateway._get_month()
        quotas = self._make_quotas(
            gateway, self._read_months(gateway, month, is_locked=True)
        )
        campaign_ids = {row["campaign_id"] for row in rows if row.get("campaign_id")}
        campaigns = self.env["member.campaign"].browse(campaign_ids)
        rests = self.env["member.campaign.load"]._lock_rests(campaign_ids)
        for place, is_advertising in (("sms", False), ("advertising", True)):
            rest = get_least_rest(quotas, is_advertising)
            if rest is not None:
                rests[place] = rest
        advertising = {c.id for c in campaigns if c.category in ADVERTISING}
        for row in rows:
            row.update(
                month=month,
                is_advertising=row.get("campaign_id") in advertising,
                drawn_cost=row["parts"] * gateway.price,
            )
        lacks = draw([self._get_draw(row) for row in rows], rests)
        drawn = [
            (row, row["parts"], row["drawn_cost"], 1)
            for row, lack in zip(rows, lacks, strict=True)
            if lack is None
        ]
        self._count(gateway, month, drawn)
        return ["sms" if lack == "advertising" else lack for lack in lacks]

    @staticmethod
    def _get_draw(row):
        amounts = {"sms": row["parts"]}
        if row["is_advertising"]:
            amounts["advertising"] = row["parts"]
        if campaign_id := row.get("campaign_id"):
            amounts["budget", campaign_id] = row["drawn_cost"]
            amounts["trial", campaign_id] = 1
        return amounts

    @api.model
    def _give_back(self, gateway, results):
        """Correct what messages drew by what they took.

        :param results: list of message of :meth:`_draw`, parts it was billed, and
            whether it waits again
        """
        changes = [
            (
                row,
                parts - row["parts"],
                parts * gateway.price - row["drawn_cost"],
                -int(is_waiting),
            )
            for row, parts, is_waiting in results
        ]
        changes = [change for change in changes if any(change[1:])]
        if not changes:
            return
        month = changes[0][0]["month"]
        # locked in the order of :meth:`_draw`
        self._read_months(gateway, month, is_locked=True)
        self.env["member.campaign.load"]._lock_rests(
            {row["campaign_id"] for row, *_amounts in changes if "campaign_id" in row}
        )
        self._count(gateway, month, changes)

    def _count(self, gateway, month, changes):
        """Add to the counters of a gateway and of campaigns.

        :param changes: list of message, parts, costs and messages
        """
        campaigns = {}
        for row, _parts, cost, count in changes:
            if campaign_id := row.get("campaign_id"):
                costs, counts = campaigns.get(campaign_id, (0, 0))
                campaigns[campaign_id] = (costs + cost, counts + count)
        self._execute(
            SQL(
                """
                WITH campaigns AS (%(campaigns)s)
                UPDATE member_gateway_load SET
                       month = GREATEST(month, %(month)s),
                       month_count = %(parts)s
                         + CASE WHEN month >= %(month)s THEN month_count ELSE 0 END,
                       month_advertising_count = %(advertising)s
                         + CASE WHEN month >= %(month)s
                                THEN month_advertising_count ELSE 0 END
                 WHERE gateway_id = %(gateway)s
                   -- what was drawn last month is of no use in this one
                   AND (month IS NULL OR month <= %(month)s OR %(is_more)s)
             RETURNING id
                """,
                campaigns=self.env["member.campaign.load"]._count_sql(campaigns),
                gateway=gateway.id,
                month=month,
                parts=sum(parts for _row, parts, *_rest in changes),
                advertising=sum(
                    parts for row, parts, *_rest in changes if row["is_advertising"]
                ),
                is_more=any(count > 0 for *_amounts, count in changes),
            )
        )
        self.env["member.campaign.load"].invalidate_model()
