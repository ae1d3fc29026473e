from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

MONTHS = [
    ("this", "This Month"),
    ("next", "Next Month"),
    ("1", "January"),
    ("2", "February"),
    ("3", "March"),
    ("4", "April"),
    ("5", "May"),
    ("6", "June"),
    ("7", "July"),
    ("8", "August"),
    ("9", "September"),
    ("10", "October"),
    ("11", "November"),
    ("12", "December"),
]
#: Comparison → its SQL.
COMPARISONS = {operator: SQL(operator) for operator in ("<", "<=", ">", ">=")}


class ResPartner(models.Model):
    """What conditions of segments ask for beside the figures of the profile.

    Days are counted when the condition is looked up, so that a segment moves with
    the calendar.
    """

    _inherit = "res.partner"

    member_r_score = fields.Integer(
        related="member_profile_id.r_score", string="Member's Recency (1–5)"
    )
    member_f_score = fields.Integer(
        related="member_profile_id.f_score", string="Member's Frequency (1–5)"
    )
    member_m_score = fields.Integer(
        related="member_profile_id.m_score", string="Member's Spending (1–5)"
    )
    member_days_since_order = fields.Integer(
        string="Member: Days Since Last Order",
        compute="_compute_member_days_since_order",
        search="_search_member_days_since_order",
        help="Full days since the last order. Not set: never bought.",
    )
    member_birthday_month = fields.Selection(
        MONTHS,
        string="Member: Month of Birthday",
        compute="_compute_member_birthday",
        search="_search_member_birthday_month",
    )
    member_next_birthday_days = fields.Integer(
        string="Member: Days Until Birthday",
        compute="_compute_member_birthday",
        search="_search_member_next_birthday_days",
        help="0: today. Who was born on 29 February has the 28th in other years.",
    )

    @api.depends("member_last_order_date")
    def _compute_member_days_since_order(self):
        now = fields.Datetime.now()
        for partner in self:
            last = partner.member_last_order_date
            partner.member_days_since_order = (now - last).days if last else False

    @api.depends("member_birthday")
    def _compute_member_birthday(self):
        today = self._get_shop_today()
        for partner in self:
            birthday = partner.member_birthday
            if not birthday:
                partner.member_birthday_month = False
                partner.member_next_birthday_days = False
                continue
            partner.member_birthday_month = str(birthday.month)
            following = birthday + relativedelta(year=today.year)
            if following < today:
                following = birthday + relativedelta(year=today.year + 1)
            partner.member_next_birthday_days = (following - today).days

    def _search_member_days_since_order(self, operator, value):
        now = fields.Datetime.now()
        last = "member_profile_id.last_order_date"

        def since(days):
            return now - timedelta(days=days)

        if operator == "in":
            # False is “not set” and not 0, which it equals
            domains = [
                Domain(last, "=", False)
                if days is False
                else Domain(last, "<=", since(days))
                & Domain(last, ">", since(days + 1))
                for days in value
            ]
            return Domain.OR(domains)
        if operator not in COMPARISONS:
            return NotImplemented
        # full days: more than 3 of them are 4 or more
        return {
            ">=": lambda: Domain(last, "<=", since(value)),
            ">": lambda: Domain(last, "<=", since(value + 1)),
            "<": lambda: Domain(last, ">", since(value)),
            "<=": lambda: Domain(last, ">", since(value + 1)),
        }[operator]()

    def _search_member_birthday_month(self, operator, value):
        if operator != "in":
            return NotImplemented
        today = self._get_shop_today()
        following = today + relativedelta(months=1)
        named = {"this": today.month, "next": following.month}
        months = {named.get(month) or int(month) for month in value if month}
        domain = Domain(
            "member_profile_id", "any", [("birthday.month_number", "in", list(months))]
        )
        if not all(value):
            domain |= Domain("member_profile_id.birthday", "=", False)
        return domain

    def _search_member_next_birthday_days(self, operator, value):
        if operator == "in":
            numbers = [days for days in value if days is not False]
            condition = SQL("= ANY(%s)", numbers)
        elif operator in COMPARISONS:
            condition = SQL("%s %s", COMPARISONS[operator], value)
        else:
            return NotImplemented
        today = self._get_shop_today()

        def to_sql(model, alias, query):
            birthday = model._field_to_sql(alias, "birthday", query)
            return SQL("%s %s", self._get_birthday_days_sql(birthday, today), condition)

        domain = Domain("member_profile_id", "any", Domain.custom(to_sql=to_sql))
        if operator == "in" and len(numbers) < len(value):
            domain |= Domain("member_profile_id.birthday", "=", False)
        return domain

    @staticmethod
    def _get_birthday_days_sql(birthday, today: date):
        """:returns: expression of the days from today to the next birthday"""

        def in_year(year):
            # PostgreSQL, too, moves 29 February to the 28th
            return SQL(
                "(%(birthday)s + make_interval(years => "
                "%(year)s - date_part('year', %(birthday)s)::int))::date",
                birthday=birthday,
                year=year,
            )

        return SQL(
            "(CASE WHEN %(this)s >= %(today)s THEN %(this)s ELSE %(next)s END"
            " - %(today)s::date)",
            this=in_year(today.year),
            next=in_year(today.year + 1),
            today=today,
        )

    @api.model
    def _get_shop_today(self):
        """:returns: today where the company is, for staff and scheduler alike
        :rtype: datetime.date
        """
        zone = self.env.company.partner_id.tz or self.env.user.tz
        return fields.Date.context_today(self.with_context(tz=zone))
