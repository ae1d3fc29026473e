from ast import literal_eval

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

#: How deep segments may be built of segments, and of how many one may consist. Deeper
#: ones nobody understands, and the database needs long for them.
MAX_DEPTH = 5
MAX_SIZE = 50
#: A smaller group is not worth a segment; more of them would only fill the list.
SUGGEST_MEMBERS = 5
SUGGEST_LIMIT = 10


class MemberSegment(models.Model):
    """A saved audience: conditions, looked up anew each time."""

    _name = "member.segment"
    _description = "Member Segment"
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    description = fields.Char(
        translate=True, help="Who these members are and what to write them."
    )
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    domain = fields.Char(
        string="Members Who",
        required=True,
        default="[]",
        help="Conditions on the contact. Only members are ever selected. Days count "
        "from the day of sending: “no order for 60 days” stays true tomorrow.",
    )
    # An archived segment still counts where it is used: without it the others would
    # silently select more members.
    include_ids = fields.Many2many(
        "member.segment",
        "member_segment_include_rel",
        "segment_id",
        "include_id",
        string="And Belong to One Of",
        domain="[('id', '!=', id), ('company_id', '=', company_id)]",
        context={"active_test": False},
        check_company=True,
        help="Members must meet the conditions above and belong to at least one of "
        "these segments. Without conditions: everybody of these segments. "
        "Empty: the conditions alone decide.",
    )
    exclude_ids = fields.Many2many(
        "member.segment",
        "member_segment_exclude_rel",
        "segment_id",
        "exclude_id",
        string="Except Members Of",
        domain="[('id', '!=', id), ('company_id', '=', company_id)]",
        context={"active_test": False},
        check_company=True,
        help="Members of any of these segments are left out.",
    )
    holdout_rate = fields.Float(
        string="Control Group (%)",
        help="Part of the members that campaigns to this segment leave out by default, "
        "to see what they buy anyway.",
    )
    member_count = fields.Integer(
        string="Members",
        compute="_compute_member_count",
        help="Members who belong to the segment now.",
    )
    fixed_count = fields.Integer(
        string="Chosen by Hand",
        compute="_compute_fixed_count",
        help="Contacts on the list, if the segment is a list made by hand.",
    )
    error = fields.Text(
        string="Problem",
        compute="_compute_member_count",
        help="Why the segment cannot be used.",
    )

    _holdout_check = models.Constraint(
        "CHECK (holdout_rate >= 0 AND holdout_rate < 100)",
        "The control group is a part of the members: from 0 to below 100 %.",
    )

    @api.depends("domain", "include_ids", "exclude_ids", "company_id")
    def _compute_member_count(self):
        for segment in self:
            # While the conditions are being typed the form must stay usable.
            try:
                count = self.env["res.partner"].search_count(
                    segment._get_partner_domain()
                )
                segment.update({"member_count": count, "error": False})
            except UserError as error:
                segment.update({"member_count": 0, "error": str(error)})

    @api.depends("domain")
    def _compute_fixed_count(self):
        for segment in self:
            segment.fixed_count = len(segment._get_fixed_ids() or ())

    def _get_fixed_ids(self):
        """:returns: ids of the contacts if the conditions are such a list, else None"""
        self.ensure_one()
        try:
            [(name, operator, ids)] = literal_eval(self.domain or "[]")
        except (ValueError, SyntaxError, TypeError):
            return None
        if (name, operator) == ("id", "in") and isinstance(ids, list):
            return ids
        return None

    # -------------------------------------------------------------------- checks

    @api.constrains("domain")
    def _check_domain(self):
        for segment in self:
            segment._read_domain()

    @api.constrains("include_ids", "exclude_ids")
    def _check_nesting(self):
        """A segment is made of others, and never of itself."""
        parts, users = self._read_parts()
        pending, concerned = list(self.ids), set()
        while pending:
            segment_id = pending.pop()
            if segment_id not in concerned:
                concerned.add(segment_id)
                pending += users.get(segment_id, ())
        measures = {}
        for segment_id in concerned:
            depth, size = self._measure(segment_id, parts, (), measures)
            if depth > MAX_DEPTH or size > MAX_SIZE:
                raise ValidationError(
                    self.env._(
                        "Segment %(segment)s is made of too many others: at most "
                        "%(depth)s levels and %(size)s segments.",
                        segment=self.browse(segment_id).name,
                        depth=MAX_DEPTH,
                        size=MAX_SIZE,
                    )
                )

    def _read_parts(self):
        """:returns: ids of the segments each segment is made of, and the reverse
        :rtype: tuple[dict[int, list[int]], dict[int, list[int]]]
        """
        self.flush_model(["include_ids", "exclude_ids"])
        # SQL: a segment another user cannot see may be part of the circle as well
        rows = self.env.execute_query(
            SQL(
                """
                SELECT segment_id, include_id FROM member_segment_include_rel
                 UNION
                SELECT segment_id, exclude_id FROM member_segment_exclude_rel
                """
            )
        )
        parts, users = {}, {}
        for segment_id, part_id in rows:
            parts.setdefault(segment_id, []).append(part_id)
            users.setdefault(part_id, []).append(segment_id)
        return parts, users

    def _measure(self, segment_id, parts, path, measures):
        """:returns: levels and number of segments that a segment consists of
        :rtype: tuple[int, int]
        :raises ValidationError: it is part of itself
        """
        if segment_id in path:
            self._raise_circle([*path[path.index(segment_id) :], segment_id])
        if segment_id not in measures:
            inner = [
                self._measure(part_id, parts, (*path, segment_id), measures)
                for part_id in parts.get(segment_id, ())
            ]
            measures[segment_id] = (
                1 + max((depth for depth, _size in inner), default=0),
                1 + sum(size for _depth, size in inner),
            )
        return measures[segment_id]

    def _raise_circle(self, ids):
        raise ValidationError(
            self.env._(
                "A segment cannot be a part of itself: %s",
                # sudo: names only, and the user has just chosen one of them
                " → ".join(self.sudo().browse(ids).mapped("display_name")),
            )
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        _parts, users = self._read_parts()
        user_ids = {
            user_id for segment in self for user_id in users.get(segment.id, ())
        } - set(self.ids)
        if user_ids:
            raise UserError(
                self.env._(
                    "These segments would select other members without it: %s. "
                    "Change them first, or archive the segment.",
                    # sudo: names only, of segments that stand in the way
                    ", ".join(self.sudo().browse(user_ids).mapped("name")),
                )
            )

    # ------------------------------------------------------------------- members

    def _get_partner_domain(self, path=()):
        """Return the condition on ``res.partner`` that selects the segment's members.

        :param tuple path: ids of the segments this one is asked for
        :raises ValidationError: the stored domain cannot be read
        :rtype: Domain
        """
        self.ensure_one()
        segment_id = self._origin.id
        if segment_id and segment_id in path:
            # two people may have saved the halves of a circle at the same time
            self._raise_circle([*path, segment_id])
        path = (*path, segment_id)
        domain = self._read_domain()
        domain &= Domain("member_profile_id", "!=", False)
        domain &= Domain("active", "=", True)
        domain &= Domain("company_id", "in", [self.company_id.id, False])
        if self.include_ids:
            domain &= Domain.OR(
                included._get_partner_domain(path) for included in self.include_ids
            )
        for excluded in self.exclude_ids:
            domain &= ~excluded._get_partner_domain(path)
        return domain

    def _read_domain(self):
        try:
            if "member_reach" in (self.domain or ""):
                raise ValueError(
                    self.env._("who can be reached is decided at the time of sending")
                )
            domain = Domain(literal_eval(self.domain or "[]"))
            # builds the query as well: values of a wrong type show up only there
            self.env["res.partner"]._search(domain).select()
        except (
            ValueError,
            SyntaxError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
            MemoryError,
        ) as error:
            raise ValidationError(
                self.env._(
                    "The conditions of segment %(segment)s cannot be read: %(error)s\n"
                    "Correct them on the segment; nothing was sent.",
                    segment=self.name,
                    error=error,
                )
            ) from error
        return domain

    def action_view_members(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_action"
        )
        return {
            **action,
            "display_name": self.name,
            "domain": [("partner_id", "any", list(self._get_partner_domain()))],
            "context": {},
        }

    def action_view_problem(self):
        """Open the form, which says what is wrong."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
        }

    # ---------------------------------------------------------------- ready-made

    @api.model
    def action_suggest(self):
        """Make the segments by interest and by region that are still missing."""
        made = self._suggest(
            "member_favourite_category_id",
            self.env._("Interest: %s"),
            self.env._("They buy most often from this category."),
        ) | self._suggest(
            "state_id", self.env._("Region: %s"), self.env._("They live there.")
        )
        message = (
            self.env._("New segments: %s.", ", ".join(made.mapped("name")))
            if made
            else self.env._(
                "Every interest and region of at least %s members has its segment.",
                SUGGEST_MEMBERS,
            )
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if made else "info",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _suggest(self, field, name, description):
        """Make a segment for each of the most frequent values of a contact's field.

        :param str name: with ``%s`` for the value
        :returns: the new segments
        """
        company = self.env.company
        groups = self.env["res.partner"]._read_group(
            [
                ("member_profile_id", "!=", False),
                ("company_id", "in", [company.id, False]),
                (field, "!=", False),
            ],
            [field],
            having=[("__count", ">=", SUGGEST_MEMBERS)],
            order="__count DESC",
            limit=SUGGEST_LIMIT,
        )
        known = set(
            self.with_context(active_test=False)
            .search([("company_id", "=", company.id)])
            .mapped("domain")
        )
        return self.create(
            [
                {
                    "name": name % value.display_name,
                    "description": description,
                    "domain": domain,
                    "company_id": company.id,
                }
                for [value] in groups
                if (domain := str([(field, "=", value.id)])) not in known
            ]
        )
