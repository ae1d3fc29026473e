import json
from collections import defaultdict

from odoo import Command, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, email_normalize, plaintext2html

from odoo.addons.phone_validation.tools import phone_validation

from ..tools.cells import (
    CellError,
    clean,
    clean_number,
    clean_phone,
    get_date_order,
    parse_date,
    split_tags,
)

ACTIONS = [
    ("create", "New Contact"),
    ("merge", "Completed"),
    ("unchanged", "Nothing New"),
    ("reject", "Rejected"),
]
REASONS = [
    ("quote", "Quotation marks do not match"),
    ("cells", "More cells than columns"),
    ("long", "A cell is too long"),
    ("formula", "A cell is a formula"),
    ("error", "A cell shows an error"),
    ("key", "No phone, e-mail or member number"),
    ("phone", "Phone number is not valid"),
    ("email", "E-mail address is not valid"),
    ("number", "Member number is not valid"),
    ("birthday", "Birthday is not valid"),
    ("joined_date", "Member Since is not valid"),
    ("duplicate", "Same as an earlier row"),
    ("ambiguous", "Several contacts match"),
    ("other_number", "Is a member with another number"),
    ("taken", "Member number is taken"),
    ("archived", "Contact is archived"),
]
#: Fields of the contact that are taken over as they are, and their length.
TEXTS = {"name": 250, "street": 250, "street2": 250, "zip": 24, "city": 120}
MAX_NUMBER = 64
MAX_TAG = 100
#: Contacts come by the thousand: no subscription, note or tracking for each of them,
#: and no look at parents and children they do not have.
QUIET = {
    "mail_create_nosubscribe": True,
    "mail_create_nolog": True,
    "mail_notrack": True,
    "tracking_disable": True,
    "_partners_skip_fields_sync": True,
}


class Rejection(Exception):
    """A row is not imported."""

    def __init__(self, reason, detail=""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class MemberImportLine(models.Model):
    """A row of a member list: its cells, what they mean and what becomes of them."""

    _name = "member.import.line"
    _description = "Row of a Member Import"
    _order = "row, id"
    _rec_name = "name"
    _log_access = False

    import_id = fields.Many2one(
        "member.import", required=True, ondelete="cascade", index=True, readonly=True
    )
    row = fields.Integer(
        readonly=True, aggregator=None, help="As a spreadsheet numbers it."
    )
    stage = fields.Selection(
        [
            ("read", "Read"),
            ("parsed", "Understood"),
            ("checked", "Checked"),
            ("done", "Done"),
        ],
        readonly=True,
    )
    cells = fields.Json(readonly=True)
    problems = fields.Json(readonly=True)
    # contact fields by name; birthday, joined_date, tags
    values = fields.Json(readonly=True)
    name = fields.Char(string="Full Name", readonly=True)
    phone = fields.Char(readonly=True)
    email = fields.Char(string="E-mail", readonly=True)
    number = fields.Char(string="Member Number", readonly=True)
    action = fields.Selection(ACTIONS, string="Result", readonly=True)
    reason = fields.Selection(REASONS, readonly=True)
    detail = fields.Char(string="Details", readonly=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )

    _stage_idx = models.Index("(import_id, stage, row)")

    @api.model
    def _get_next(self, job, stage, limit):
        """:returns: the next lines of an import at a stage"""
        return self.search(
            [("import_id", "=", job.id), ("stage", "=", stage)],
            limit=limit,
            order="row",
        )

    def _store(self, rows, columns):
        """Write computed columns of many lines in one statement.

        :param list[dict] rows: ``id`` and the columns
        :param dict columns: name → type in PostgreSQL
        """
        names = [SQL.identifier(name) for name in columns]
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_import_line l SET (%s) = ROW(%s)
                  FROM jsonb_to_recordset(%s) AS r (id int, %s)
                 WHERE r.id = l.id
                """,
                SQL(", ").join(names),
                SQL(", ").join(SQL("r.%s", name) for name in names),
                json.dumps(rows),
                SQL(", ").join(
                    SQL("%s %s", SQL.identifier(name), SQL(kind))
                    for name, kind in columns.items()
                ),
            )
        )
        self.invalidate_recordset(flush=False)

    # ------------------------------------------------------------------- parsing

    def _parse(self):
        """Understand the cells of lines of one import."""
        if not self:
            return
        job = self.import_id
        columns = [
            (column.index, column.target) for column in job.column_ids if column.target
        ]
        places = self._get_places(job)
        rows = []
        for line in self:
            cells = line.cells
            raw = {target: cells[index] for index, target in columns}
            row = {
                "id": line.id,
                "stage": "parsed",
                "action": None,
                "reason": None,
                "detail": None,
                "values": None,
                **{key: raw.get(key) for key in ("name", "phone", "email", "number")},
            }
            try:
                self._check_problems(line, dict(columns))
                row.update(self._parse_cells(raw, job, places))
            except Rejection as rejection:
                row.update(
                    stage="done",
                    action="reject",
                    reason=rejection.reason,
                    detail=rejection.detail,
                )
            for key in ("name", "phone", "email", "number"):
                row[key] = (row[key] or "")[:250] or None
            rows.append(row)
        self._store(
            rows,
            {
                **dict.fromkeys(("stage", "action", "reason", "detail"), "varchar"),
                **dict.fromkeys(("name", "phone", "email", "number"), "varchar"),
                "values": "jsonb",
            },
        )

    def _check_problems(self, line, targets):
        """:raises Rejection: the file is wrong in a place that is to be imported"""
        for code, column, detail in line.problems or ():
            if code in ("formula", "error"):
                if column not in targets:
                    continue
                detail = self._get_header(line, column)
            elif code == "long":
                detail = self.env._(
                    "%(column)s: %(length)s characters",
                    column=self._get_header(line, column),
                    length=detail,
                )
            elif code == "cells":
                detail = self.env._("%s cells", detail)
            elif code == "quote":
                detail = self.env._("Not imported: lines %s of the file", detail)
            raise Rejection(code, detail)

    def _get_header(self, line, index):
        for column in line.import_id.column_ids:
            if column.index == index:
                return column.header or self.env._("Column %s", index + 1)
        return self.env._("Column %s", index + 1)

    def _get_places(self, job):
        """:returns: countries and states by their names, in small letters

        Countries by code and by name in all languages; states by (country id, name).
        """
        countries, states = {}, {}
        for code, _name in self.env["res.lang"].get_installed():
            for country in (
                self.env["res.country"]
                .with_context(lang=code)
                .search([("code", "!=", False)])
            ):
                countries[country.name.casefold()] = country.id
                countries[country.code.casefold()] = country.id
        for state in self.env["res.country.state"].search([("name", "!=", False)]):
            for name in (state.name, state.code):
                states[state.country_id.id, name.casefold()] = state.id
        # 广东 is short for 广东省
        for (country, name), state in list(states.items()):
            for suffix in (
                "省",
                "市",
                "壮族自治区",
                "回族自治区",
                "维吾尔自治区",
                "自治区",
            ):
                if name.endswith(suffix):
                    states.setdefault((country, name.removesuffix(suffix)), state)
                    break
        return countries, states

    def _parse_cells(self, raw, job, places):
        """:param dict raw: field → cell
        :returns: values of the line
        :raises Rejection: a cell makes no sense
        """
        raw = {target: text for target, text in raw.items() if text}
        notes, values = [], {}
        for target, length in TEXTS.items():
            if text := raw.get(target):
                values[target] = self._cut(target, " ".join(text.split()), length)
        self._parse_places(raw, job, places, values, notes)
        if note := raw.get("note"):
            values["note"] = note
        if tags := split_tags(raw.get("tags", "")):
            values["tags"] = [self._cut("tags", tag, MAX_TAG) for tag in tags]
        order = get_date_order(job.country_id.code)
        for target in ("birthday", "joined_date"):
            if text := raw.get(target):
                values[target] = self._parse_day(target, text, order)
        country = self.env["res.country"].browse(values.get("country_id"))
        keys = {
            "number": self._parse_number(raw.get("number")),
            "phone": self._parse_phone(raw.get("phone"), country or job.country_id),
            "email": self._parse_email(raw.get("email")),
        }
        if not any(keys.values()):
            raise Rejection("key")
        name = values.setdefault("name", next(filter(None, keys.values())))
        if notes:
            values["notes"] = "; ".join(notes)
        return {**keys, "name": name, "values": values}

    def _cut(self, target, text, length):
        if len(text) > length:
            raise Rejection(
                "long",
                self.env._(
                    "%(column)s: %(length)s characters",
                    column=self._get_label(target),
                    length=len(text),
                ),
            )
        return text

    def _get_label(self, target):
        return dict(
            self.env["member.import.column"]
            ._fields["target"]
            ._description_selection(self.env)
        )[target]

    def _parse_places(self, raw, job, places, values, notes):
        countries, states = places
        country_id = job.country_id.id
        if text := raw.get("country"):
            found = countries.get(clean(text).casefold())
            if found:
                values["country_id"] = country_id = found
            else:
                notes.append(self.env._("Country not known: %s", text[:80]))
        if text := raw.get("state"):
            if state_id := states.get((country_id, clean(text).casefold())):
                values["state_id"] = state_id
            else:
                notes.append(self.env._("State not known: %s", text[:80]))

    def _parse_day(self, target, text, order):
        try:
            day = parse_date(text, order)
        except CellError as error:
            if error.code == "ambiguous":
                text = self.env._("%s may mean two days: write 1990-01-31", text)
            raise Rejection(target, text[:250]) from error
        if day > fields.Date.context_today(self):
            raise Rejection(target, self.env._("%s is in the future", day))
        if day.year < 1900:
            raise Rejection(target, self.env._("%s is before 1900", day))
        return day.isoformat()

    def _parse_number(self, text):
        try:
            number = clean_number(text or "")
        except CellError as error:
            raise Rejection("number", self._explain_rounded(text)) from error
        if len(number) > MAX_NUMBER:
            raise Rejection("number", number[:250])
        return number or None

    def _parse_phone(self, text, country):
        if not text:
            return None
        try:
            return phone_validation.phone_format(
                clean_phone(text),
                country.code,
                country.phone_code,
                force_format="E164",
            )
        except CellError as error:
            if error.code == "rounded":
                detail = self._explain_rounded(text)
            else:
                detail = self.env._("Several numbers in one cell: %s", text)
        except UserError as error:
            detail = str(error)
        raise Rejection("phone", detail[:250])

    def _explain_rounded(self, text):
        return self.env._(
            "%s: the spreadsheet has dropped digits. Format the column as text and "
            "enter the number again.",
            text,
        )

    def _parse_email(self, text):
        if not text:
            return None
        email = email_normalize(clean(text))
        # a domain without a dot is an address in somebody's own network, or a slip
        if not email or "." not in email.partition("@")[2] or len(email) > 250:
            raise Rejection("email", text[:250])
        return email

    # ------------------------------------------------------------------ checking

    @api.model
    def _reject_duplicates(self, job):
        """Reject lines with a number, phone or e-mail of an earlier one."""
        placeholder = "{row}"
        self.env.cr.execute(
            SQL(
                """
                WITH first AS (
                     SELECT id, row,
                            CASE WHEN number IS NOT NULL THEN
                                min(row) OVER (PARTITION BY number) END AS number,
                            CASE WHEN phone IS NOT NULL THEN
                                min(row) OVER (PARTITION BY phone) END AS phone,
                            CASE WHEN email IS NOT NULL THEN
                                min(row) OVER (PARTITION BY email) END AS email
                       FROM member_import_line
                      WHERE import_id = %(job)s AND stage = 'parsed')
                UPDATE member_import_line l
                   SET stage = 'done', action = 'reject', reason = 'duplicate',
                       detail = CASE
                           WHEN f.number < f.row
                           THEN replace(%(number)s, %(placeholder)s, f.number::text)
                           WHEN f.phone < f.row
                           THEN replace(%(phone)s, %(placeholder)s, f.phone::text)
                           ELSE replace(%(email)s, %(placeholder)s, f.email::text) END
                  FROM first f
                 WHERE f.id = l.id
                   AND (f.number < f.row OR f.phone < f.row OR f.email < f.row)
                """,
                job=job.id,
                placeholder=placeholder,
                number=self.env._("Member number of row %s", placeholder),
                phone=self.env._("Phone number of row %s", placeholder),
                email=self.env._("E-mail address of row %s", placeholder),
            )
        )
        self.invalidate_model(flush=False)

    def _check(self):
        """Find out what an import of these lines would do."""
        rows = []
        for line, plan in self._plan().items():
            rows.append(line._get_result(plan))
            if plan["action"] != "reject":
                rows[-1]["stage"] = "checked"
        self._store_results(rows)

    def _get_result(self, plan):
        details = (plan.get("detail"), plan.get("notes"))
        return {
            "id": self.id,
            "stage": "done",
            "action": plan["action"],
            "reason": plan.get("reason"),
            "detail": "; ".join(filter(None, details))[:250] or None,
            "partner_id": plan.get("partner_id"),
        }

    def _store_results(self, rows):
        self._store(
            rows,
            {
                **dict.fromkeys(("stage", "action", "reason", "detail"), "varchar"),
                "partner_id": "int",
            },
        )

    def _plan(self):
        """What to do with lines of one import, by the contacts as they are now.

        :returns: line → dict of ``action``, ``reason``, ``detail``, ``partner_id`` and
            what is to be written: ``partner`` (values), ``tags`` (names), ``profile``
            (values), ``enrol`` and ``consent`` (whether)
        """
        if not self:
            return {}
        job = self.import_id
        matches = self._match(job)
        plans, partner_ids = {}, {}
        for line in self:
            try:
                partner_ids[line] = line._choose(matches.get(line.id, {}))
            except Rejection as rejection:
                plans[line] = {
                    "action": "reject",
                    "reason": rejection.reason,
                    "detail": rejection.detail,
                }
        # sudo: what the import may fill in is read to see whether it is empty; staff
        # need no other right to contacts
        partners = (
            self.env["res.partner"]
            .sudo()
            .browse({partner_id for partner_id in partner_ids.values() if partner_id})
        )
        consented = self._get_consented(job, partners)
        suppressed = self._find_suppressed(job, partners)
        # not by browse(id), which would read each of them alone
        by_id = {partner.id: partner for partner in partners}
        for line, partner_id in partner_ids.items():
            # once: a Json field is copied each time it is read
            values = line.values
            partner = by_id.get(partner_id, partners.browse())
            is_suppressed = not suppressed.isdisjoint(
                (line.phone, partner.phone_sanitized)
            )
            may_consent = not is_suppressed and partner not in consented
            if partner:
                plans[line] = line._plan_merge(job, values, partner, may_consent)
            else:
                plans[line] = line._plan_create(job, values, may_consent)
            notes = [values.get("notes")]
            if is_suppressed:
                notes.append(
                    self.env._("Gets no promotions: the number refused or complained")
                )
            plans[line]["notes"] = "; ".join(filter(None, notes))
        return {line: plans[line] for line in self}

    def _match(self, job):
        """Look up the contacts that have a number, phone or e-mail of the lines.

        :returns: line id → kind of key → list of (contact id, is active, member number,
            belongs to the company)
        """
        found = defaultdict(lambda: defaultdict(list))
        is_ours = SQL(
            "(pa.company_id IS NULL OR pa.company_id = %s)", job.company_id.id
        )
        self.env["res.partner"].flush_model()
        self.env["member.profile"].flush_model()
        self.env["member.former.number"].flush_model()
        for line_id, kind, *hit in self.env.execute_query(
            SQL(
                """
                WITH l AS MATERIALIZED (
                     SELECT id, number, phone, email FROM member_import_line
                      WHERE id = ANY(%(ids)s)),
                hit AS (
                     SELECT l.id, 'number' AS kind, m.partner_id
                       FROM l JOIN member_profile m ON m.number = l.number
                  UNION -- the number on a card from before a merge
                     SELECT l.id, 'number', m.partner_id
                       FROM l JOIN member_former_number f ON f.number = l.number
                       JOIN member_profile m ON m.id = f.profile_id
                  UNION ALL
                     SELECT l.id, 'phone', pa.id
                       FROM l JOIN res_partner pa ON pa.phone_sanitized = l.phone
                      WHERE %(is_ours)s
                  UNION ALL
                     SELECT l.id, 'email', pa.id
                       FROM l JOIN res_partner pa ON pa.email_normalized = l.email
                      WHERE %(is_ours)s)
                SELECT hit.id, hit.kind, pa.id, pa.active, m.number, %(is_ours)s
                  FROM hit JOIN res_partner pa ON pa.id = hit.partner_id
                  LEFT JOIN member_profile m ON m.partner_id = pa.id
              ORDER BY hit.id, pa.id
                """,
                ids=self.ids,
                is_ours=is_ours,
            )
        ):
            found[line_id][kind].append(hit)
        return found

    def _choose(self, hits):
        """The contact a line is about. In doubt it is rejected, never guessed.

        :param dict hits: of :meth:`_match`
        :returns: id of a contact, or None if there is none yet
        :raises Rejection: several contacts, or one that must not be touched
        """
        for _id, is_active, _number, is_ours in hits.get("number", ()):
            if not (is_active and is_ours):
                raise Rejection(
                    "taken",
                    self.env._("By an archived contact")
                    if is_ours
                    else self.env._("In another company"),
                )
        active = {
            kind: {hit[0] for hit in of_kind if hit[1]}
            for kind, of_kind in hits.items()
        }
        numbers = {hit[0]: hit[2] for of_kind in hits.values() for hit in of_kind}
        left = None
        for kind in ("number", "phone", "email"):
            if ids := active.get(kind):
                left = ids if left is None else left & ids
        if left is None:
            if hits:
                raise Rejection(
                    "archived",
                    self.env._("Restore the contact, or take the row out of the list"),
                )
            return None
        if len(left) != 1:
            raise Rejection(
                "ambiguous", self._name_contacts(set().union(*active.values()))
            )
        [partner_id] = left
        if self.number and numbers[partner_id] and "number" not in active:
            raise Rejection("other_number", numbers[partner_id])
        return partner_id

    def _name_contacts(self, partner_ids):
        # sudo: the name only, of contacts of the import's company
        partners = self.env["res.partner"].sudo().browse(sorted(partner_ids)[:5])
        return ", ".join(
            f"{partner.name or partner.display_name} ({partner.id})"
            for partner in partners
        )

    def _get_consented(self, job, partners):
        """:returns: contacts who have said something about promotions already"""
        if job.consent_source == "none":
            return partners
        # sudo: the ledger of the contacts above
        return (
            self.env["member.consent"]
            .sudo()
            .search(
                [
                    ("profile_id.partner_id", "in", partners.ids),
                    ("channel", "=", job.consent_channel),
                    ("purpose", "=", "promotion"),
                    ("is_current", "=", True),
                ]
            )
            .profile_id.partner_id
        )

    def _find_suppressed(self, job, partners):
        """:returns: numbers, of the lines or the contacts, that get no promotions
        whatever a list says
        """
        # sudo: the numbers of this list only
        suppressions = self.env["member.suppression"].sudo()
        return suppressions._find(
            {*self.mapped("phone"), *partners.mapped("phone_sanitized")} - {False},
            job.company_id,
            "sms",
            "promotion",
        )

    def _prepare_partner(self, values):
        """:returns: values of the contact, as far as the line has them"""
        found = {
            key: value
            for key, value in values.items()
            if key in TEXTS or key in ("state_id", "country_id")
        }
        found |= {"phone": self.phone, "email": self.email}
        if note := values.get("note"):
            # a text, whatever it contains
            found["comment"] = plaintext2html(note)
        return {key: value for key, value in found.items() if value}

    def _prepare_profile(self, values):
        found = {
            key: values[key] for key in ("birthday", "joined_date") if key in values
        }
        return found | ({"number": self.number} if self.number else {})

    def _plan_create(self, job, values, may_consent):
        return {
            "action": "create",
            "partner_id": None,
            "partner": {
                "country_id": job.country_id.id,
                "company_id": not job.is_shared and job.company_id.id,
                **self._prepare_partner(values),
            },
            "tags": values.get("tags", []),
            "profile": self._prepare_profile(values),
            "enrol": True,
            "consent": may_consent and job.consent_source != "none",
        }

    def _plan_merge(self, job, values, partner, may_consent):
        """Fill in what is empty; what is there stays."""
        profile = partner.member_profile_id
        fill = {
            name: value
            for name, value in self._prepare_partner(values).items()
            if not partner[name]
        }
        if partner.with_context(active_test=False).user_ids:
            # Who can set the address of a login can reset its password.
            fill.pop("email", None)
        tags = [
            tag
            for tag in values.get("tags", [])
            if tag.casefold() not in {t.name.casefold() for t in partner.category_id}
        ]
        missing_tags = job.tag_ids - partner.category_id
        facts = self._prepare_profile(values)
        if profile:
            facts = {
                name: value
                for name, value in facts.items()
                if name == "birthday" and not profile.birthday
            }
        plan = {
            "partner_id": partner.id,
            "partner": fill,
            "tags": tags,
            "profile": facts,
            "enrol": not profile,
            "consent": may_consent,
        }
        added = [
            *(partner._fields[name]._description_string(self.env) for name in fill),
            *([self.env._("Tags")] if tags or missing_tags else []),
            *([self.env._("Membership")] if not profile else []),
            *([self.env._("Birthday")] if profile and facts else []),
            *([self.env._("Consent")] if plan["consent"] else []),
        ]
        return {
            **plan,
            "action": "merge" if added else "unchanged",
            "detail": added and self.env._("Adds: %s", ", ".join(added)),
        }

    # ----------------------------------------------------------------- importing

    def _import(self):
        """Import lines of one import, by the contacts as they are now."""
        if not self:
            return
        job = self.import_id
        plans = self._plan()
        tags = self._get_tags(plans)
        # sudo: staff bring members in without the right to edit contacts; what is
        # written are the fields the import knows, and of contacts only empty ones
        partners = self.env["res.partner"].sudo().with_context(**QUIET)
        new = [line for line, plan in plans.items() if plan["action"] == "create"]
        created = partners.create(
            [
                {
                    **plans[line]["partner"],
                    "category_id": [
                        Command.set(self._find_tags(job, plans[line], tags).ids)
                    ],
                }
                for line in new
            ]
        )
        for line, partner in zip(new, created, strict=True):
            plans[line]["partner_id"] = partner.id
        merged = [line for line, plan in plans.items() if plan["action"] == "merge"]
        # two lines may complete the same contact
        known = partners.browse({plans[line]["partner_id"] for line in merged})
        by_id = {partner.id: partner for partner in known}
        for line in merged:
            line._merge(by_id[plans[line]["partner_id"]], plans[line], tags)
        self._enrol(plans)
        self._record_consents(job, plans)
        self._store_results([line._get_result(plan) for line, plan in plans.items()])

    def _get_tags(self, plans):
        """:returns: name of a tag in small letters → tag, made if need be"""
        names = {
            name.casefold(): name
            for plan in plans.values()
            for name in plan.get("tags", ())
        }
        if not names:
            return {}
        # sudo: tags of the list come with it
        tags = self.env["res.partner.category"].sudo()
        found = {
            tag.name.casefold(): tag for tag in tags.search([("name", "!=", False)])
        }
        new = [name for key, name in names.items() if key not in found]
        found |= {
            tag.name.casefold(): tag
            for tag in tags.create([{"name": name} for name in new])
        }
        return found

    def _find_tags(self, job, plan, tags):
        found = job.tag_ids
        for name in plan["tags"]:
            found |= tags[name.casefold()]
        return found

    def _merge(self, partner, plan, tags):
        # Another line of this chunk may have filled a field meanwhile.
        values = {
            name: value for name, value in plan["partner"].items() if not partner[name]
        }
        if missing := self._find_tags(self.import_id, plan, tags) - partner.category_id:
            values["category_id"] = [Command.link(tag.id) for tag in missing]
        if values:
            partner.write(values)
        if plan["profile"] and not plan["enrol"]:
            # sudo: a birthday nobody knew, of a contact of this company
            partner.member_profile_id.sudo().write(plan["profile"])

    def _enrol(self, plans):
        """Make members of the contacts that are none."""
        values = {}
        for plan in plans.values():
            if plan.get("enrol"):
                known = values.setdefault(plan["partner_id"], {})
                known |= {k: v for k, v in plan["profile"].items() if k not in known}
        # sudo: whether somebody may enrol was asked when the import was started
        profiles = self.env["member.profile"].sudo().with_context(**QUIET)
        # Numbers of the list first: the others get some that are still free.
        for has_number in (True, False):
            profiles.create(
                [
                    {"partner_id": partner_id, "source": "import", **facts}
                    for partner_id, facts in values.items()
                    if ("number" in facts) == has_number
                ]
            )

    def _record_consents(self, job, plans):
        partner_ids = {
            plan["partner_id"] for plan in plans.values() if plan.get("consent")
        }
        if not partner_ids:
            return
        # sudo: to find the members they have become
        partners = self.env["res.partner"].sudo().browse(partner_ids)
        how = dict(job._fields["consent_source"]._description_selection(self.env))
        # sudo: the ledger is written by dialogs only, never by hand
        self.env["member.consent"].sudo().create(
            [
                {
                    "profile_id": partner.member_profile_id.id,
                    "channel": job.consent_channel,
                    "purpose": "promotion",
                    "state": "granted",
                    "source": "import",
                    "evidence": f"{how[job.consent_source]}: {job.consent_evidence}",
                    "wording": job.consent_wording,
                }
                for partner in partners
            ]
        )
