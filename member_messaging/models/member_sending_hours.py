from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial

import pytz

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from ..tools.quiet import Hours, get_next_open, get_phone_place, is_zone
from ..tools.zones import get_country_zone

#: So much of a number tells its country, and in North America its area.
PREFIX_SIZE = 5
DAYS = ("week", "saturday", "sunday")


@dataclass(frozen=True)
class Place:
    """What is known of where somebody is; the number stands for all with its prefix."""

    zone: str | None
    country_id: int | None
    state_id: int | None
    number: str | None


class MemberSendingHours(models.Model):
    """Hours of a country or state at which promotions may reach members (C2).

    Several that apply to a member apply together. Notices and care are exempt: their
    category is for what members wait for.
    """

    _name = "member.sending.hours"
    _description = "Sending Hours"
    _order = "country_id, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", help="Leave empty to use them in every company."
    )
    country_id = fields.Many2one(
        "res.country",
        help="Of the member's address, else of the phone number. Empty: for countries "
        "without hours of their own.",
    )
    state_ids = fields.Many2many(
        "res.country.state",
        domain="[('country_id', '=', country_id)]",
        help="Empty: the whole country. Members of whom no state is known keep the "
        "hours of all states.",
    )
    week_from = fields.Float(string="Monday to Friday From", default=8)
    week_to = fields.Float(string="Monday to Friday To", default=21)
    saturday_from = fields.Float(default=8)
    saturday_to = fields.Float(default=21)
    sunday_from = fields.Float(default=8)
    sunday_to = fields.Float(
        default=21, help="The same hour twice: nothing is sent on that day."
    )
    is_open_on_holidays = fields.Boolean(
        string="On Public Holidays",
        default=True,
        help="Public holidays are those of the company's working schedule.",
    )
    note = fields.Char(string="Why", translate=True, help="Law or custom behind it.")

    @api.constrains(*(f"{day}_{end}" for day in DAYS for end in ("from", "to")))
    def _check_hours(self):
        for hours in self:
            if not all(
                0 <= hours[f"{day}_from"] <= hours[f"{day}_to"] <= 24 for day in DAYS
            ):
                raise ValidationError(
                    self.env._(
                        "%s: hours go from 0:00 to 24:00, the first one before the "
                        "last one.",
                        hours.name,
                    )
                )

    @api.constrains("country_id", "state_ids")
    def _check_states(self):
        for hours in self:
            if hours.state_ids.country_id - hours.country_id:
                raise ValidationError(
                    self.env._("%s: the states belong to another country.", hours.name)
                )

    # ------------------------------------------------------------------ reckoning

    @api.model
    def _get_next_open(self, company, moment, places):
        """Return when a promotion may reach members at different places.

        :param company: ``res.company`` that writes
        :param datetime moment: naive UTC
        :param places: iterable of :class:`Place`
        :returns: place → naive UTC time from the moment on; None where there is none
        :rtype: dict[Place, datetime | None]
        """
        # sudo: the hours hold whoever plans or sends
        rules = self.sudo().search([("company_id", "in", (False, company.id))])
        found, result = {}, {}
        get_holidays = cache(partial(self._get_holidays, company, moment))
        for place in places:
            country, zones = self._locate(company, place)
            chosen = rules._choose(country, place.state_id)
            key = zones, tuple(chosen.ids)
            if key not in found:
                found[key] = get_next_open(
                    moment, zones, [rule._get_hours(get_holidays) for rule in chosen]
                )
            result[place] = found[key]
        return result

    def _locate(self, company, place):
        """:returns: country and time zones: the contact's own, else those of its
        number, else those of its country, else that of the company
        """
        code, zones = get_phone_place(place.number)
        countries = self.env["res.country"].browse(place.country_id or ())
        if not countries and code:
            countries = countries.search([("code", "=", code)])
        if place.zone and is_zone(place.zone):
            zones = (place.zone,)
        elif not zones and countries:
            everywhere = pytz.country_timezones.get(countries.code, [])
            shared = get_country_zone(countries.code, everywhere)
            zones = (shared,) if shared else tuple(everywhere)
        return countries, zones or (company.partner_id.tz or "UTC",)

    def _choose(self, country, state_id):
        """:returns: those of the rules that hold for somebody"""
        own = self.filtered(lambda rule: rule.country_id == country)
        if not own or not country:
            return self.filtered(lambda rule: not rule.country_id)
        return own.filtered(
            lambda rule: (
                not rule.state_ids or not state_id or state_id in rule.state_ids.ids
            )
        )

    def _get_hours(self, get_holidays):
        """:param get_holidays: called if holidays matter
        :rtype: odoo.addons.member_messaging.tools.quiet.Hours"""
        week, saturday, sunday = (
            tuple(round(self[f"{day}_{end}"] * 60) for end in ("from", "to"))
            for day in DAYS
        )
        return Hours(
            (week,) * 5 + (saturday, sunday),
            frozenset() if self.is_open_on_holidays else get_holidays(),
        )

    def _get_holidays(self, company, moment):
        """:returns: public holidays in the working schedule of a company, as dates
        :rtype: frozenset[date]
        """
        zone = pytz.timezone(company.partner_id.tz or "UTC")
        # sudo: holidays are no secret, and senders belong to no staff
        leaves = (
            self.env["resource.calendar.leaves"]
            .sudo()
            .search(
                [
                    ("resource_id", "=", False),
                    ("company_id", "in", (False, company.id)),
                    ("calendar_id", "in", (False, company.resource_calendar_id.id)),
                    ("date_to", ">=", moment - timedelta(days=1)),
                    ("date_from", "<=", moment + timedelta(days=60)),
                ]
            )
        )
        days = set()
        for leave in leaves:
            day, last = (
                pytz.utc.localize(date).astimezone(zone).date()
                for date in (leave.date_from, leave.date_to)
            )
            while day <= last:
                days.add(day)
                day += timedelta(days=1)
        return frozenset(days)

    # ------------------------------------------------------------------------ SQL

    @api.model
    def _get_place_columns(self, address):
        """:returns: what :class:`Place` asks of a contact ``pa``, alike for all who
            share it, as SQL expressions that are never NULL

        :param SQL address: expression of the number
        """
        return (
            SQL("COALESCE(pa.tz, '')"),
            SQL("COALESCE(pa.country_id, 0)"),
            SQL("COALESCE(pa.state_id, 0)"),
            SQL("COALESCE(left(%s, %s), '')", address, PREFIX_SIZE),
        )

    @staticmethod
    def _make_place(zone, country_id, state_id, number):
        return Place(zone or None, country_id or None, state_id or None, number or None)
