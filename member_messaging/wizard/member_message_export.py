from datetime import datetime, time, timedelta

import pytz

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL, format_date

from ..tools.retention import mask

#: Most rows of one file. A spreadsheet shows 1,048,576.
MAX_ROWS = 1_000_000


class MemberMessageExport(models.TransientModel):
    """What an authority asks for: the records of messages of a time, to a member or a
    number, or of a campaign."""

    _name = "member.message.export"
    _description = "Export Records for an Authority"

    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        default=lambda self: self.env.company,
    )
    start_date = fields.Date(
        string="From Day",
        required=True,
        default=lambda self: (
            fields.Date.context_today(self).replace(day=1) - timedelta(days=1)
        ).replace(day=1),
    )
    end_date = fields.Date(
        string="To Day",
        required=True,
        default=lambda self: fields.Date.context_today(self),
    )
    profile_id = fields.Many2one("member.profile", string="Member")
    number = fields.Char(
        string="Phone Number",
        help="Finds members who were erased as well, as long as a law asks for it.",
    )
    campaign_id = fields.Many2one(
        "member.campaign",
        domain="[('company_id', '=', company_id), ('state', '!=', 'draft')]",
    )
    reason = fields.Char(
        string="Asked By",
        required=True,
        help="The authority and its file number. Kept in the privacy log.",
    )
    row_count = fields.Integer(string="Records", compute="_compute_row_count")

    @api.constrains("start_date", "end_date")
    def _check_dates(self):
        if any(export.start_date > export.end_date for export in self):
            raise UserError(self.env._("The period ends before it begins."))

    @api.depends("start_date", "end_date", "profile_id", "number", "campaign_id")
    def _compute_row_count(self):
        for export in self:
            export.row_count = export._is_complete() and export._count()

    def _is_complete(self):
        if not (self.start_date and self.end_date):
            return False
        return not self.number or bool(self._format_number())

    def _format_number(self):
        """:returns: the number in E.164, False if it is none"""
        return self.company_id._phone_format(
            number=self.number or "", country=self.company_id.country_id
        )

    def action_export(self):
        """Download the records."""
        self.ensure_one()
        if self.number and not self._format_number():
            raise UserError(
                self.env._(
                    "“%s” is no phone number. Write it with the country code, e.g. "
                    "+86 138 0013 8000.",
                    self.number,
                )
            )
        if not self.row_count:
            raise UserError(
                self.env._(
                    "Nothing was sent in this period that fits. Nothing was exported."
                )
            )
        if self.row_count > MAX_ROWS:
            raise UserError(
                self.env._(
                    "%(count)s records are too many for one file: choose a shorter "
                    "period, so that there are at most %(limit)s.",
                    count=self.row_count,
                    limit=MAX_ROWS,
                )
            )
        return {
            "type": "ir.actions.act_url",
            "url": f"/member_messaging/records/{self.id}",
            "target": "download",
        }

    # --------------------------------------------------------------------- records

    def _get_timezone(self):
        return self.env.user.tz or "UTC"

    def _get_period(self):
        """:returns: first moment of the period and the first one after it
        :rtype: tuple[datetime, datetime]
        """
        zone = pytz.timezone(self._get_timezone())
        return tuple(
            zone.localize(datetime.combine(day, time()))
            .astimezone(pytz.utc)
            .replace(tzinfo=None)
            for day in (self.start_date, self.end_date + timedelta(days=1))
        )

    def _get_sources(self):
        """:returns: table → condition on its rows ``m``
        :rtype: dict[str, SQL]
        """
        if self.company_id not in self.env.companies:
            raise AccessError(self.env._("These are records of another company."))
        self.env.flush_all()
        start, end = self._get_period()
        period = SQL(
            "m.company_id = %s AND m.claimed_date >= %s AND m.claimed_date < %s",
            self.company_id.id,
            start,
            end,
        )
        number = self._format_number()
        to_number = SQL("m.address = %s", number) if number else SQL("TRUE")
        sources = {"member_message": SQL(" AND ").join([period, *self._get_limits()])}
        if not (self.profile_id or self.campaign_id):
            sources["member_service_message"] = SQL("%s AND %s", period, to_number)
        return sources

    def _get_limits(self):
        """:returns: further conditions on messages ``m``"""
        limits = []
        if self.profile_id:
            limits.append(SQL("m.profile_id = %s", self.profile_id.id))
        if self.campaign_id:
            limits.append(SQL("m.campaign_id = %s", self.campaign_id.id))
        if number := self._format_number():
            # A number that was deleted leads to the member who has it, or had it.
            # sudo: whatever company the member is of, the messages are this one's
            profiles = self.env["member.inbound"].sudo()._find_profiles([number])
            erasures = self.env["member.privacy.log"].sudo()._find_erasures(number)
            limits.append(
                SQL(
                    """
                    (m.address = %s OR m.cleared_date IS NOT NULL
                     AND (m.erasure_id = ANY(%s) OR m.profile_id = ANY(%s)))
                    """,
                    number,
                    erasures.ids,
                    profiles.ids,
                )
            )
        return limits

    def _count(self):
        return sum(
            self.env.execute_query(
                SQL(
                    "SELECT COUNT(*) FROM %s m WHERE %s",
                    SQL.identifier(table),
                    condition,
                )
            )[0][0]
            for table, condition in self._get_sources().items()
        )

    def _find_ids(self):
        """:returns: table → ids of its rows, at most :data:`MAX_ROWS`"""
        return {
            table: self.env.execute_query(
                SQL(
                    """
                    SELECT COALESCE(array_agg(id ORDER BY id), '{}')
                      FROM (SELECT m.id FROM %s m WHERE %s
                          ORDER BY m.id LIMIT %s) chosen
                    """,
                    SQL.identifier(table),
                    condition,
                    MAX_ROWS,
                )
            )[0][0]
            for table, condition in self._get_sources().items()
        }

    def _iterate_rows(self):
        """Yield the header and the records, as texts."""
        timezone = self._get_timezone()
        messages = self.env["member.message"]
        yield list(messages._get_evidence_labels(timezone).values())
        for table, ids in self._find_ids().items():
            model = self.env[table.replace("_", ".")]
            yield from model._iterate_evidence(ids, timezone)

    def _describe(self):
        """:returns: what the export is limited to, without naming anybody"""
        parts = [
            f"{format_date(self.env, self.start_date)} – "
            f"{format_date(self.env, self.end_date)}",
            self.profile_id.number,
            self.number and mask(self._format_number()),
            self.campaign_id.name,
        ]
        return ", ".join(filter(None, parts))
