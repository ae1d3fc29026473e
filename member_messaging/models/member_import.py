import json
import logging
from itertools import islice

from odoo import Command, api, fields, models
from odoo.exceptions import UserError
from odoo.service.model import retrying
from odoo.tools import SQL

from ..tools.columns import guess, normalise
from ..tools.table import Table, TableError, write_csv
from .member_consent import CHANNELS

_logger = logging.getLogger(__name__)

#: Lines worked on at once, and committed in the background.
CHUNK_SIZE = 1000
#: Up to so many lines the button does the work itself.
DIRECT_SIZE = 2000
#: Rows shown of each column.
SAMPLE_SIZE = 3
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
MOVING_STATES = ("checking", "running")
#: A list is useless without one of these: nobody could be recognised again.
KEYS = ("number", "phone", "email")


class MemberImport(models.Model):
    """One member list somebody hands in.

    A file goes through four stages, line by line, so that it can be as long as it
    likes and a crash loses nothing: every chunk is one transaction.

    ``read``
        the cells, as they are in the file
    ``parsed``
        understood by itself: number, phone, e-mail, birthday …
    ``checked``
        compared with the other lines and the contacts; nothing was written there
    ``done``
        imported, or rejected on the way
    """

    _name = "member.import"
    _description = "Member Import"
    _order = "id desc"

    name = fields.Char(compute="_compute_name", store=True)
    state = fields.Selection(
        [
            ("draft", "File"),
            ("columns", "Columns"),
            ("checking", "Checking"),
            ("checked", "Checked"),
            ("running", "Importing"),
            ("done", "Imported"),
            ("failed", "Stopped"),
        ],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        default=lambda self: self.env.company,
        help="Only contacts of this company, and those shared by all companies, are "
        "recognised and completed.",
    )
    is_shared = fields.Boolean(
        string="Share New Contacts",
        default=True,
        help="New contacts can be seen by all companies, as usual in Odoo.",
    )
    file = fields.Binary(copy=False, help="A table as CSV or Excel (.xlsx).")
    file_name = fields.Char(copy=False)
    encoding = fields.Selection(
        [
            ("utf-8", "UTF-8"),
            ("utf-16", "UTF-16"),
            ("gb18030", "Chinese (GB18030, GBK)"),
            ("big5", "Chinese, traditional (Big5)"),
            ("windows-1252", "Western (Windows-1252)"),
        ],
        help="Of a CSV file. Empty: found out from the file. Choose one if the samples "
        "show strange characters.",
    )
    separator = fields.Selection(
        [
            ("comma", "Comma"),
            ("semicolon", "Semicolon"),
            ("tab", "Tab"),
            ("pipe", "Vertical Bar"),
        ],
        help="Of a CSV file. Empty: found out from the file.",
    )
    country_id = fields.Many2one(
        "res.country",
        default=lambda self: self.env.company.country_id,
        help="Phone numbers without a country code belong to this country. It is also "
        "the country of new contacts for which the file names none, and tells how "
        "days such as 02/01/1990 are read.",
    )
    tag_ids = fields.Many2many(
        "res.partner.category",
        string="Tags for Everyone",
        help="Every contact of the list gets these tags, besides those in the file.",
    )
    # No default: that somebody agreed is never assumed.
    consent_source = fields.Selection(
        [
            ("none", "No consent: they get no promotions"),
            ("paper", "They agreed on a paper form"),
            ("web", "They agreed on a website or in an app"),
            ("pos", "They agreed at the till"),
            ("phone", "They agreed on the telephone"),
        ],
        string="Consent to Promotions",
        required=True,
        help="How the people on this list agreed to receive promotions. Somebody who "
        "has refused before stays refused.",
    )
    consent_channel = fields.Selection(CHANNELS, string="Channel", default="sms")
    consent_wording = fields.Text(
        string="Wording", help="The words they agreed to. Kept with every consent."
    )
    consent_evidence = fields.Char(
        string="Evidence",
        help="Where the proof is kept: folder of forms, export of the website …",
    )
    column_ids = fields.One2many(
        "member.import.column", "import_id", string="Columns", copy=False
    )
    line_ids = fields.One2many("member.import.line", "import_id", copy=False)
    rejected_line_ids = fields.One2many(
        "member.import.line",
        compute="_compute_rejected_line_ids",
        string="First Rejected Rows",
    )
    error = fields.Text(readonly=True, copy=False)
    failed_state = fields.Char(readonly=True, copy=False)

    line_count = fields.Integer(string="Rows", compute="_compute_counts")
    create_count = fields.Integer(string="New Contacts", compute="_compute_counts")
    merge_count = fields.Integer(string="Completed", compute="_compute_counts")
    unchanged_count = fields.Integer(string="Nothing New", compute="_compute_counts")
    reject_count = fields.Integer(string="Rejected", compute="_compute_counts")
    progress = fields.Float(compute="_compute_counts", help="Of the current step.")

    @api.depends("file_name")
    def _compute_name(self):
        for job in self:
            job.name = job.file_name or self.env._("Member List")

    @api.depends("state")
    def _compute_counts(self):
        actions, stages = {}, {}
        # sudo: counters are for whoever sees the import
        for job, action, stage, count in (
            self.env["member.import.line"]
            .sudo()
            ._read_group(
                [("import_id", "in", self.ids)],
                ["import_id", "action", "stage"],
                ["__count"],
            )
        ):
            for counts, key in ((actions, action), (stages, stage)):
                counts[job.id, key] = counts.get((job.id, key), 0) + count
        for job in self:
            read, parsed, checked, done = (
                stages.get((job._origin.id, stage), 0)
                for stage in ("read", "parsed", "checked", "done")
            )
            total = read + parsed + checked + done
            job.line_count = total
            for action in ("create", "merge", "unchanged", "reject"):
                job[f"{action}_count"] = actions.get((job._origin.id, action), 0)
            passed = done if job.state == "running" else parsed / 2 + checked + done
            job.progress = 100 * passed / total if total else 0

    @api.depends("state")
    def _compute_rejected_line_ids(self):
        for job in self:
            job.rejected_line_ids = self.env["member.import.line"].search(
                [("import_id", "=", job._origin.id), ("action", "=", "reject")],
                limit=10,
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_moving(self):
        if any(job.state in MOVING_STATES for job in self):
            raise UserError(self.env._("Stop the import before you delete it."))

    @api.autovacuum
    def _gc_imports(self):
        """Forget imports after 30 days: their files and lines are personal data."""
        limit = fields.Datetime.subtract(fields.Datetime.now(), days=30)
        self.search(
            [("write_date", "<", limit), ("state", "not in", MOVING_STATES)]
        ).unlink()

    # ------------------------------------------------------------------- buttons

    def action_read(self):
        """Look into the file and propose what its columns hold."""
        self.ensure_one()
        if not self.file:
            raise UserError(self.env._("Choose a file first."))
        try:
            table = self._open_table()
            rows = list(islice(table, SAMPLE_SIZE))
        except TableError as error:
            raise UserError(self._explain(error)) from error
        if not rows:
            raise UserError(
                self.env._(
                    "There are names of columns in the file, but no rows below them. "
                    "Nothing was imported."
                )
            )
        self.write(
            {
                "state": "columns",
                "error": False,
                "column_ids": [
                    Command.clear(),
                    *(
                        Command.create(
                            {
                                "index": index,
                                "header": header,
                                "target": target,
                                "sample": " · ".join(
                                    filter(None, (row.cells[index] for row in rows))
                                )[:200],
                            }
                        )
                        for index, (header, target) in enumerate(
                            zip(
                                table.header,
                                self._propose_targets(table.header),
                                strict=True,
                            )
                        )
                    ),
                ],
            }
        )

    def action_back(self):
        """Go back to the file and its columns; what was checked is forgotten."""
        self.ensure_one()
        self._check_untouched()
        self._delete_lines()
        self.write({"state": "draft" if self.state == "columns" else "columns"})

    def action_check(self):
        """Find out what an import would do. Writes nothing but the lines."""
        self.ensure_one()
        self._check_settings()
        self._check_untouched()
        self._save_mapping()
        self._delete_lines()
        self._start("checking")

    def action_import(self):
        """Import what was checked, or what is left of it."""
        self.ensure_one()
        self.env["member.profile"].check_access("create")
        self._start("running")

    def action_resume(self):
        """Go on where an error stopped the work."""
        self.ensure_one()
        self._start(self.failed_state)

    def action_stop(self):
        """Stop after the rows that are being imported right now."""
        self.ensure_one()
        self.write({"state": "checked" if self.state == "running" else "columns"})

    def action_view_lines(self):
        """Open the lines, by default those with the action in the context."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_import_line_action"
        )
        kind = self.env.context.get("import_action")
        return {
            **action,
            "domain": [("import_id", "=", self.id)],
            "context": {f"search_default_{kind}": 1} if kind else {},
        }

    def action_download_rejected(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/member_messaging/import/{self.id}/rejected",
            "target": "download",
        }

    # ------------------------------------------------------------------- reading

    def _open_table(self):
        """:raises TableError: the file cannot be read"""
        self.ensure_one()
        # Not through the field: in base64 the file would be held three times. sudo:
        # the attachment of a record one may read
        attachment = (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_field", "=", "file"),
                    ("res_id", "=", self.id),
                ],
                limit=1,
            )
        )
        return Table(
            attachment.raw or b"",
            self.encoding or "",
            SEPARATORS.get(self.separator, ""),
        )

    def _explain(self, error):
        """:returns: text that tells what is wrong with the file and what to do"""
        details = error.details
        megabytes = {
            key: details[key] // 2**20 for key in ("size", "limit") if key in details
        }
        text = {
            "empty": lambda: self.env._("The file is empty."),
            "size": lambda: self.env._(
                "The file has %(size)s MB, more than the %(limit)s MB that can be "
                "imported at once. Split it.",
                **megabytes,
            ),
            "unpacked": lambda: self.env._(
                "The file unpacks to %(size)s MB, which no member list needs. Save the "
                "sheet with the members as CSV.",
                **megabytes,
            ),
            "format": lambda: self.env._(
                "This is not a table. Save it as Excel workbook (.xlsx) or as CSV."
            ),
            "xls": lambda: self.env._(
                "This is an old or protected Excel file. Save it without a password "
                "as Excel workbook (.xlsx) or as CSV."
            ),
            "damaged": lambda: self.env._(
                "The workbook is damaged (%s). Open it in Excel and save it again.",
                details.get("error", ""),
            ),
            "binary": lambda: self.env._(
                "The file contains characters no text contains. Save the table as "
                "Excel workbook (.xlsx) or as CSV."
            ),
            "encoding": lambda: self.env._(
                "The characters of the file cannot be told apart. Choose its encoding, "
                "or save it as “CSV UTF-8”."
            ),
            "encoding_wrong": lambda: self.env._(
                "The file is not encoded as %s. Leave the encoding empty or choose "
                "another one.",
                details["encoding"],
            ),
            "header": lambda: self.env._(
                "The names of the columns in row %s are too long or in broken "
                "quotation marks.",
                details["row"],
            ),
            "no_header": lambda: self.env._(
                "Row %s seems to be a member already. Put the names of the columns "
                "above the first member, such as Name, Mobile, E-mail.",
                details["row"],
            ),
            "duplicate": lambda: self.env._(
                "Several columns have the same name: %s. Rename or delete one of each.",
                ", ".join(details["names"]),
            ),
            "columns": lambda: self.env._(
                "The file has %(count)s columns, more than %(limit)s. Delete those "
                "that have nothing to do with members, or choose another separator.",
                **details,
            ),
            "rows": lambda: self.env._(
                "The file has more than %s rows. Split it and import one part after "
                "the other.",
                details["limit"],
            ),
        }[error.code]()
        nothing = self.env._("Nothing was imported.")
        return f"{text}\n{nothing}"

    def _propose_targets(self, headers):
        """What the columns hold: as last time, else by their names."""
        saved = self.env["member.import.mapping"]._get_targets(
            self.company_id, [normalise(header) for header in headers]
        )
        targets = []
        for header, guessed in zip(headers, guess(headers), strict=True):
            target = saved.get(normalise(header), guessed)
            targets.append(False if target in targets else target or False)
        return targets

    def _save_mapping(self):
        self.env["member.import.mapping"]._save(
            self.company_id,
            {
                normalise(column.header): column.target
                for column in self.column_ids
                if column.header
            },
        )

    def _check_settings(self):
        targets = self.column_ids.filtered("target").mapped("target")
        if twice := {target for target in targets if targets.count(target) > 1}:
            labels = dict(
                self.column_ids._fields["target"]._description_selection(self.env)
            )
            raise UserError(
                self.env._(
                    "Two columns are to become the same field: %s. Leave one of them "
                    "empty.",
                    ", ".join(labels[target] for target in twice),
                )
            )
        if not set(KEYS) & set(targets):
            raise UserError(
                self.env._(
                    "No column holds a phone number, an e-mail address or a member "
                    "number: nobody could be recognised the next time. Choose what the "
                    "columns hold. If there is only one column although the file has "
                    "several, go back and choose the separator."
                )
            )
        if self.consent_source != "none" and not (
            self.consent_evidence and self.consent_wording and self.consent_channel
        ):
            raise UserError(
                self.env._(
                    "A consent counts only with its proof: fill in the wording and "
                    "the evidence, or choose that there is no consent."
                )
            )

    def _check_untouched(self):
        if self._count_lines(["done"], [("action", "!=", "reject")], limit=1):
            raise UserError(
                self.env._(
                    "Some rows are imported already. Import the rest, or start a new "
                    "import: those that are there will be recognised."
                )
            )

    def _delete_lines(self):
        self.env.cr.execute(
            SQL("DELETE FROM member_import_line WHERE import_id = %s", self.id)
        )
        self.env["member.import.line"].invalidate_model()
        self.invalidate_recordset()

    # ------------------------------------------------------------------- working

    def _start(self, state):
        """Do the work now if the file is short, else let the cron do it."""
        self.write({"state": state, "error": False, "failed_state": False})
        if self._is_short():
            while self.state in MOVING_STATES:
                try:
                    self._step()
                except TableError as error:
                    raise UserError(self._explain(error)) from error
        else:
            # sudo: staff may wake the cron
            self.env.ref(
                "member_messaging.ir_cron_member_messaging_import"
            ).sudo()._trigger()

    def _is_short(self):
        if self.line_count:
            return self.line_count <= DIRECT_SIZE
        try:
            return not self._open_table().has_more_than(DIRECT_SIZE)
        except TableError as error:
            raise UserError(self._explain(error)) from error

    @api.model
    def _cron_import(self):
        """Work on long imports, chunk by chunk."""
        progress = self.env["ir.cron"]._commit_progress
        jobs = self.search([("state", "in", MOVING_STATES)], order="id")
        progress(remaining=sum(job._get_remaining() for job in jobs))
        for job in jobs:
            # As whoever started it: contacts tell who brought them, texts are in
            # the user's language.
            user = job.write_uid or job.create_uid
            job = (
                job.with_user(user)
                .with_company(job.company_id)
                .with_context(lang=user.lang, tz=user.tz)
            )
            while job.state in MOVING_STATES:
                count = job._try_step()
                if not progress(count, remaining=job._get_remaining()):
                    return

    def _get_remaining(self):
        """:returns: how many lines and steps are left, never 0 while it moves"""
        if self.state not in MOVING_STATES:
            return 0
        stages = {"checking": ("read", "parsed"), "running": ("checked",)}
        return 1 + self._count_lines(stages[self.state])

    def _count_lines(self, stages, domain=(), limit=None):
        """:returns: number of lines at these stages, without reading ``line_ids``,
        which would be all of them
        """
        # sudo: as in _compute_counts
        return (
            self.env["member.import.line"]
            .sudo()
            .search_count(
                [("import_id", "=", self.id), ("stage", "in", stages), *domain],
                limit=limit,
            )
        )

    def _try_step(self):
        """One step in a transaction of its own; an error stops this import only.

        :returns: number of lines that were worked on, at least 1
        """
        try:
            return retrying(self._step, self.env) or 1
        except Exception as error:
            self.env.cr.rollback()
            if isinstance(error, TableError):
                text = self._explain(error)
            elif isinstance(error, UserError):
                text = str(error)
            else:
                _logger.exception("import %s stopped", self.id)
                text = self.env._(
                    "An unexpected error stopped the work: %s\nWhat was imported "
                    "before stays. Press Continue to go on with the next row.",
                    error,
                )
            self.write({"failed_state": self.state, "state": "failed", "error": text})
            self._notify("danger", self.env._("The import of %s stopped.", self.name))
            return 1

    def _step(self):
        """The next piece of work.

        :returns: number of lines that were worked on
        """
        lines = self.env["member.import.line"].sudo()
        if self.state == "running":
            if batch := lines._get_next(self, "checked", CHUNK_SIZE):
                batch._import()
            else:
                self._finish("done", self.env._("%s is imported.", self.name))
        elif not lines.search_count([("import_id", "=", self.id)], limit=1):
            return self._read_lines()
        elif batch := lines._get_next(self, "read", CHUNK_SIZE):
            batch._parse()
            if not lines._get_next(self, "read", limit=1):
                lines._reject_duplicates(self)
        elif batch := lines._get_next(self, "parsed", CHUNK_SIZE):
            batch._check()
        else:
            self._finish("checked", self.env._("%s is checked.", self.name))
        self.invalidate_recordset(
            ["line_count", "progress", "rejected_line_ids"]
            + [f"{kind}_count" for kind in ("create", "merge", "unchanged", "reject")]
        )
        return len(batch)

    def _finish(self, state, message):
        self.write({"state": state})
        self._notify("success", message)

    def _notify(self, kind, message):
        if self.env.context.get("cron_id"):
            self.env.user._bus_send(
                "simple_notification", {"type": kind, "message": message}
            )

    def _read_lines(self):
        """Store the cells of the whole file, or nothing of it.

        :returns: number of lines
        :raises TableError: the file cannot be read to its end
        """
        rows = iter(self._open_table())
        count = 0
        while chunk := list(islice(rows, CHUNK_SIZE)):
            count += len(chunk)
            self.env.cr.execute(
                SQL(
                    """
                    INSERT INTO member_import_line
                           (import_id, row, cells, problems, stage)
                    SELECT %s, row, cells, problems, 'read'
                      FROM jsonb_to_recordset(%s)
                           AS r (row int, cells jsonb, problems jsonb)
                    """,
                    self.id,
                    json.dumps(
                        [
                            {
                                "row": row.number,
                                "cells": row.cells,
                                "problems": [
                                    [problem.code, problem.column, problem.detail]
                                    for problem in row.problems
                                ],
                            }
                            for row in chunk
                        ]
                    ),
                )
            )
        self.env["member.import.line"].invalidate_model()
        if not count:
            raise TableError("empty")
        # The cells are new to PostgreSQL, and many.
        self.env.cr.execute("ANALYZE member_import_line")
        return count

    # -------------------------------------------------------------------- files

    def _get_rejected_csv(self):
        """:returns: the rejected rows with their original cells and the reason
        :rtype: bytes
        """
        self.ensure_one()
        lines = self.env["member.import.line"]
        reasons = dict(lines._fields["reason"]._description_selection(self.env))
        header = [column.header for column in self.column_ids]
        rows = [
            [*header, self.env._("Row"), self.env._("Reason"), self.env._("Details")]
        ]
        for line in lines.search(
            [("import_id", "=", self.id), ("action", "=", "reject")]
        ):
            rows.append(
                [
                    *line.cells,
                    *[""] * (len(header) - len(line.cells)),
                    str(line.row),
                    reasons.get(line.reason, ""),
                    line.detail or "",
                ]
            )
        return write_csv(rows)
