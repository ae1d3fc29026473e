import logging
import re
from ast import literal_eval
from datetime import timedelta

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError, ValidationError
from odoo.fields import Domain
from odoo.service.model import retrying
from odoo.tools import SQL, format_list

_logger = logging.getLogger(__name__)

#: The fields a kind of rule is made of.
CONDITIONS = {
    "category": ("product_category_id", "min_purchases", "days"),
    "region": ("country_ids", "state_ids", "cities"),
    "frequency": ("min_orders", "max_orders", "days"),
    "basket": ("min_amount", "max_amount", "days"),
    "domain": ("domain",),
}
CONDITION_FIELDS = sorted({name for names in CONDITIONS.values() for name in names})
MAX_DAYS = 36500
#: From so many rows on, statistics are worth their while.
MANY = 1000


class MemberTagRule(models.Model):
    """Keeps a native contact tag on the members who meet a condition.

    A rule adds and removes only what it owns (``member.tag.assignment``): a tag set by
    hand stays, and a tag several rules want stays as long as one of them does. Only
    the relation between contacts and tags is written, never a contact.
    """

    _name = "member.tag.rule"
    _description = "Tag Rule"
    _order = "category_id, id"
    _rec_name = "category_id"

    category_id = fields.Many2one(
        "res.partner.category",
        string="Tag",
        required=True,
        ondelete="restrict",
        index=True,
        help="The rule puts this tag on the members who meet its condition, and takes "
        "it away from those who no longer do. Tags set by hand stay. Taken away by "
        "hand, the tag comes back with the next run, while the condition is met.",
    )
    active = fields.Boolean(
        default=True, help="Archiving a rule takes away the tags it has set."
    )
    company_id = fields.Many2one(
        "res.company",
        ondelete="restrict",
        index="btree_not_null",
        help="Only orders of this company count, and only its contacts and those "
        "without company get the tag. Empty: all companies.",
    )
    currency_id = fields.Many2one("res.currency", compute="_compute_currency_id")
    kind = fields.Selection(
        [
            ("category", "What they buy"),
            ("frequency", "How often they buy"),
            ("basket", "How much they spend per order"),
            ("region", "Where they live"),
            ("domain", "Any filter"),
        ],
        string="Condition",
        required=True,
        default="category",
    )
    product_category_id = fields.Many2one(
        "product.category",
        ondelete="restrict",
        index="btree_not_null",
        help="Categories below it count as well.",
    )
    min_purchases = fields.Integer(
        string="Times",
        default=3,
        help="Number of orders that hold a product of the category. Returned products "
        "do not count.",
    )
    days = fields.Integer(
        default=365, help="How far back orders count, from the moment the rule runs."
    )
    min_orders = fields.Integer(
        string="Orders From", default=2, help="0: no lower limit."
    )
    max_orders = fields.Integer(string="Orders To", help="0: no upper limit.")
    min_amount = fields.Monetary(
        string="Average Order From",
        help="What the member paid on average, taxes included, net of refunds. "
        "0: no lower limit.",
    )
    max_amount = fields.Monetary(string="Average Order To", help="0: no upper limit.")
    country_ids = fields.Many2many(
        "res.country", string="Countries", help="Empty: any country."
    )
    state_ids = fields.Many2many(
        "res.country.state",
        string="States or Provinces",
        help="Empty: any. Filled: the contact must be in one of them, and in one of "
        "the countries.",
    )
    cities = fields.Text(
        help="Separated by commas or one per line; capital letters and the ending 市 "
        "make no difference. Empty: any city."
    )
    domain = fields.Char(
        string="Filter",
        default="[]",
        help="Conditions on the contact. Only members are ever tagged.",
    )
    description = fields.Char(string="Rule", compute="_compute_description")
    match_count = fields.Integer(
        string="Members Now",
        compute="_compute_match_count",
        help="Members who meet the condition now, as it stands on the screen.",
    )
    tagged_count = fields.Integer(
        string="Tagged Members",
        compute="_compute_tagged_count",
        help="Members who have the tag because of this rule. Those who had it before, "
        "set by hand, are not among them.",
    )
    applied_date = fields.Datetime(string="Last Run", readonly=True, copy=False)
    error = fields.Char(
        string="Problem",
        readonly=True,
        copy=False,
        help="Why the last run left the tags as they were.",
    )

    # ------------------------------------------------------------------- computed

    @api.depends("company_id")
    def _compute_currency_id(self):
        main_company = self.env["res.company"]._get_main_company()
        for rule in self:
            rule.currency_id = (rule.company_id or main_company).currency_id

    @api.depends("category_id", "description")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for rule in self:
            tag = rule.category_id.name
            rule.display_name = tag and self.env._(
                "%(tag)s (%(rule)s)", tag=tag, rule=rule.description
            )

    @api.depends("kind", "currency_id", *CONDITION_FIELDS)
    @api.depends_context("lang")
    def _compute_description(self):
        for rule in self:
            rule.description = (
                getattr(rule, f"_describe_{rule.kind}")() if rule.kind else ""
            )

    @api.depends("kind", "company_id", "category_id", *CONDITION_FIELDS)
    @api.depends_context("uid")
    def _compute_match_count(self):
        for rule in self:
            # While the condition is being entered the form must stay usable.
            rule.match_count = 0 if rule._get_problem() else rule._count_matches()

    @api.depends_context("uid", "allowed_company_ids")
    def _compute_tagged_count(self):
        counts = dict(
            self.env["member.tag.assignment"]._read_group(
                [("rule_id", "in", self.ids)], ["rule_id"], ["__count"]
            )
        )
        for rule in self:
            rule.tagged_count = counts.get(rule._origin, 0)

    # ---------------------------------------------------------------- description

    def _describe_period(self):
        if self.days == 1:
            return self.env._("last 24 hours")
        return self.env._("last %s days", self.days)

    def _describe_range(self, least, most):
        """:param str least: lower limit as it reads, or empty; ``most`` likewise"""
        if least and most:
            return self.env._("%(least)s to %(most)s", least=least, most=most)
        if most:
            return self.env._("at most %s", most)
        return self.env._("at least %s", least)

    def _describe_category(self):
        values = {
            "category": self.product_category_id.name or "…",
            "period": self._describe_period(),
        }
        if self.min_purchases == 1:
            return self.env._("Bought %(category)s in the %(period)s", **values)
        return self.env._(
            "Bought %(category)s at least %(times)s times in the %(period)s",
            times=self.min_purchases,
            **values,
        )

    def _describe_frequency(self):
        return self.env._(
            "Orders in the %(period)s: %(range)s",
            period=self._describe_period(),
            range=self._describe_range(
                str(self.min_orders or ""), str(self.max_orders or "")
            ),
        )

    def _describe_basket(self):
        return self.env._(
            "Average order in the %(period)s: %(range)s",
            period=self._describe_period(),
            range=self._describe_range(
                *(
                    amount and self.currency_id.format(amount)
                    for amount in (self.min_amount, self.max_amount)
                )
            ),
        )

    def _describe_region(self):
        places = [
            format_list(self.env, names, "or")
            for names in (
                self._split_cities(),
                self.state_ids.mapped("name"),
                self.country_ids.mapped("name"),
            )
            if names
        ]
        return self.env._("Address in %s", " · ".join(places) or "…")

    def _describe_domain(self):
        try:
            conditions = list(self._parse_domain().iter_conditions())
        except ValidationError:
            return self.env._("A filter that cannot be read")
        if not conditions:
            return self.env._("Every member")
        names = [condition.field_expr.split(".")[0] for condition in conditions]
        labels = self.env["res.partner"].fields_get(names, ["string"])
        return self.env._(
            "Filter on %s",
            [labels.get(name, {}).get("string", name) for name in dict.fromkeys(names)],
        )

    # ---------------------------------------------------------------- constraints

    @api.constrains("kind", "category_id", "company_id", *CONDITION_FIELDS)
    def _check_condition(self):
        for rule in self:
            if problem := rule._get_problem():
                raise ValidationError(problem)
            if rule.kind == "domain":
                # Constraints run with all rights, as the rule will.
                rule.sudo(False)._check_rights()

    def _check_rights(self):
        """Nobody filters by what they may not read: the tags would tell them."""
        try:
            self.env["res.partner"].search(self._get_partner_domain(), limit=1)
        except (ValueError, TypeError) as error:
            raise ValidationError(self._get_domain_problem(error)) from error

    def _get_problem(self):
        """:returns: what must be corrected before the rule can run, or nothing"""
        self.ensure_one()
        if not self.kind:
            return self.env._("Choose the condition of the rule.")
        if "days" in CONDITIONS[self.kind] and not 1 <= self.days <= MAX_DAYS:
            return self.env._("The number of days must be between 1 and %s.", MAX_DAYS)
        return getattr(self, f"_get_{self.kind}_problem")()

    def _get_category_problem(self):
        if not self.product_category_id:
            return self.env._("Choose the product category members buy from.")
        if self.min_purchases < 1:
            return self.env._("Members must have bought at least 1 time.")
        return None

    def _get_frequency_problem(self):
        return self._get_range_problem(self.min_orders, self.max_orders)

    def _get_basket_problem(self):
        return self._get_range_problem(self.min_amount, self.max_amount)

    def _get_range_problem(self, least, most):
        if least < 0 or most < 0:
            return self.env._("The limits of a rule cannot be negative.")
        if not least and not most:
            return self.env._("Set a lower limit, an upper limit or both.")
        if most and least > most:
            return self.env._("The lower limit is above the upper limit.")
        return None

    def _get_region_problem(self):
        countries, states = self.country_ids, self.state_ids
        if not (countries or states or self._split_cities()):
            return self.env._("Choose a country, a state or a city.")
        if strange := countries and states.filtered(
            lambda state: state.country_id not in countries
        ):
            return self.env._(
                "%s: not in one of the countries of the rule.",
                strange.mapped("name"),
            )
        return None

    def _get_domain_problem(self, error=None):
        try:
            domain = self._parse_domain()
        except ValidationError as problem:
            return problem.args[0]
        if error:
            return self.env._("The filter cannot be used: %s", error)
        if self._is_circular(domain):
            return self.env._(
                "The filter looks at the tag the rule itself sets, which would come "
                "and go. Name other tags in it, one by one."
            )
        return None

    def _is_circular(self, domain):
        """Whether a filter depends on what the rule does."""
        own_id = self.category_id._origin.id
        for condition in domain.iter_conditions():
            path = condition.field_expr.split(".")
            if "member_tag_assignment_ids" in path:
                return True
            if path[0] != "category_id":
                continue
            value = condition.value
            tag_ids = [value] if isinstance(value, int) else value
            if (
                len(path) > 1
                or condition.operator not in ("=", "!=", "in", "not in")
                or isinstance(tag_ids, str)
                or not all(tag_id and isinstance(tag_id, int) for tag_id in tag_ids)
                or own_id in tag_ids
            ):
                return True
        return False

    # ----------------------------------------------------------------------- CRUD

    def write(self, vals):
        if not vals.keys().isdisjoint({"kind", "company_id", *CONDITION_FIELDS}):
            vals = {"error": False, **vals}
        retagged = self.filtered(
            lambda rule: (
                rule.category_id.id != vals.get("category_id", rule.category_id.id)
            )
        )
        result = super().write(vals)
        ended = self if not vals.get("active", True) else retagged
        for rule in ended:
            rule._release()
        return result

    def unlink(self):
        self.check_access("unlink")
        for rule in self:
            rule._release()
        return super().unlink()

    # -------------------------------------------------------------------- actions

    def action_apply(self):
        """Let these rules add and remove their tags now instead of tonight."""
        self.check_access("write")
        # sudo: a rule of all companies concerns contacts its manager does not see
        rules = self.sudo().filtered("active")
        added = removed = 0
        for rule in rules:
            counts = rule._apply_or_explain()
            added, removed = added + counts[0], removed + counts[1]
        broken = rules.filtered("error")
        message = self.env._(
            "Tags added: %(added)s. Tags removed: %(removed)s.",
            added=added,
            removed=removed,
        )
        if broken:
            message = "\n".join([message, *broken.mapped("error")])
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if broken else "success",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_view_partners(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "contacts.action_contacts"
        )
        return {
            **action,
            "display_name": self.category_id.name,
            "domain": [("member_tag_assignment_ids.rule_id", "=", self.id)],
            "context": {},
        }

    # -------------------------------------------------------------------- running

    @api.model
    def _cron_apply(self):
        rules = self.search([("active", "=", True)])
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=len(rules))
        for rule in rules:
            try:
                retrying(rule._apply_or_explain, self.env)
            except LockError:
                _logger.info("tag rule %s is being applied elsewhere", rule.id)
            progress(1)

    def _apply_or_explain(self):
        """Apply one rule; what is wrong with it is shown on it and stops no other.

        :returns: number of tags added, number of tags removed
        :rtype: tuple[int, int]
        :raises LockError: the rule is being applied by somebody else
        """
        try:
            with self.env.cr.savepoint():
                return self._apply()
        except (psycopg2.OperationalError, LockError):
            # somebody else is at work on the same rows: no fault of the rule
            raise
        except Exception as error:
            if not isinstance(error, UserError):
                _logger.exception("tag rule %s cannot be applied", self.id)
            self.error = str(error)
            return 0, 0

    def _apply(self):
        """Make the tags of one rule what its condition says now.

        Only differences are written: running it twice changes nothing.

        :returns: number of tags added, number of tags removed
        :rtype: tuple[int, int]
        :raises UserError: the rule is incomplete or broken; nothing is changed
        """
        self.ensure_one()
        if problem := self._get_problem():
            raise UserError(problem)
        self._lock()
        wanted = self._store_wanted(fields.Datetime.now())
        removed = self._remove_except(wanted)
        added = self._add(wanted)
        self._invalidate_tags()
        self.write({"applied_date": fields.Datetime.now(), "error": False})
        return added, removed

    def _release(self):
        """Take away what one rule has set and no other rule wants."""
        # sudo: as in action_apply; the caller has checked the right to end the rule
        rule = self.sudo()
        rule._lock()
        rule._remove_except(SQL("(SELECT NULL::int4 AS partner_id WHERE FALSE)"))
        rule._invalidate_tags()

    def _lock(self):
        """Rules of one tag look at one another: they are applied one at a time."""
        self.env.flush_all()
        owned = self.env["member.tag.assignment"].search(
            [("rule_id", "=", self.id)], limit=1
        )
        tags = self.category_id | owned.category_id
        rules = self.with_context(active_test=False).search(
            [("category_id", "in", tags.ids)]
        )
        try:
            rules.lock_for_update(allow_referencing=True)
        except LockError as error:
            raise LockError(
                self.env._(
                    "The tags of this rule are being set at this moment. "
                    "Try again in a minute."
                )
            ) from error

    def _store_wanted(self, now):
        """Put the contacts who meet the condition into a temporary table.

        PostgreSQL takes what is left of a condition for a handful of rows, and would
        compare each of a million contacts with each other one.

        :param datetime now: as of :meth:`_get_wanted_sql`
        :returns: name of the table: ``partner_id`` and ``is_added``, not yet set
        :rtype: SQL
        """
        table = SQL("member_tag_wanted")
        self.env.cr.execute(SQL("DROP TABLE IF EXISTS %s", table))
        self.env.cr.execute(
            SQL(
                """
                CREATE TEMP TABLE %s (
                    partner_id int4 PRIMARY KEY, is_added bool) ON COMMIT DROP
                """,
                table,
            )
        )
        self.env.cr.execute(
            SQL("INSERT INTO %s (partner_id) %s", table, self._get_wanted_sql(now))
        )
        self.env.cr.execute(SQL("ANALYZE %s", table))
        return table

    def _remove_except(self, wanted):
        """Take the tag of one rule from those who no longer meet the condition.

        :param SQL wanted: table or subquery with ``partner_id`` of those who do
        :returns: number of tags removed
        """
        [(count,)] = self.env.execute_query(
            SQL(
                """
                WITH lost AS (
                    DELETE FROM member_tag_assignment a
                     WHERE a.rule_id = %(rule)s AND NOT EXISTS (
                           SELECT FROM %(wanted)s w
                            WHERE w.partner_id = a.partner_id)
                 RETURNING a.category_id, a.partner_id),
                removed AS (
                    DELETE FROM res_partner_res_partner_category_rel r
                     USING lost l
                     WHERE r.category_id = l.category_id
                       AND r.partner_id = l.partner_id
                       AND NOT EXISTS ( -- another rule keeps it
                           SELECT FROM member_tag_assignment o
                            WHERE o.partner_id = l.partner_id
                              AND o.category_id = l.category_id
                              AND o.rule_id != %(rule)s)
                 RETURNING r.partner_id)
                SELECT COUNT(*) FROM removed
                """,
                rule=self.id,
                wanted=wanted,
            )
        )
        return count

    def _add(self, wanted):
        """Put the tag of one rule on those who have it neither by rule nor by hand.

        :param SQL wanted: table of :meth:`_store_wanted`
        :returns: number of tags added
        """
        values = {
            "rule": self.id,
            "category": self.category_id.id,
            "wanted": wanted,
            "is_new": SQL(
                """
                NOT EXISTS (
                    SELECT FROM member_tag_assignment a
                     WHERE a.partner_id = w.partner_id AND a.rule_id = %s)
                """,
                self.id,
            ),
        }
        self.env.cr.execute(
            SQL(
                """
                WITH added AS (
                    INSERT INTO res_partner_res_partner_category_rel
                                (category_id, partner_id)
                    SELECT %(category)s, w.partner_id FROM %(wanted)s w WHERE %(is_new)s
                        ON CONFLICT DO NOTHING
                 RETURNING partner_id)
                UPDATE %(wanted)s w SET is_added = TRUE
                  FROM added WHERE added.partner_id = w.partner_id
                """,
                **values,
            )
        )
        count = self.env.cr.rowcount
        self._tell_size("res_partner_res_partner_category_rel")
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO member_tag_assignment (rule_id, category_id, partner_id)
                SELECT %(rule)s, %(category)s, w.partner_id
                  FROM %(wanted)s w
                 WHERE %(is_new)s AND (
                       w.is_added OR EXISTS ( -- set by another rule, not by hand
                           SELECT FROM member_tag_assignment o
                            WHERE o.partner_id = w.partner_id
                              AND o.category_id = %(category)s))
                """,
                **values,
            )
        )
        self._tell_size("member_tag_assignment")
        return count

    def _tell_size(self, table):
        """Let PostgreSQL know of a table into which many rows have just been put.

        It keeps the plans by which it checks and follows foreign keys: one made for a
        handful of rows would read the whole table for each of a million.
        """
        if self.env.cr.rowcount > MANY:
            self.env.cr.execute(SQL("ANALYZE %s", SQL.identifier(table)))

    def _invalidate_tags(self):
        self.env["res.partner"].invalidate_model(
            ["category_id", "member_tag_assignment_ids"]
        )
        self.env["res.partner.category"].invalidate_model(["partner_ids"])
        self.env["member.tag.assignment"].invalidate_model()
        self.invalidate_model(["tagged_count"])

    # ------------------------------------------------------------------ condition

    def _count_matches(self):
        self.env.flush_all()
        [(count,)] = self.env.execute_query(
            SQL(
                "SELECT COUNT(*) FROM (%s) w",
                self._get_wanted_sql(fields.Datetime.now()),
            )
        )
        return count

    def _get_wanted_sql(self, now):
        """Return who meets the condition.

        :param datetime now: naive UTC time from which days are counted back
        :returns: SELECT of one column ``partner_id``, without duplicates
        :rtype: SQL
        """
        self.ensure_one()
        since = now - timedelta(days=self.days)
        return getattr(self, f"_get_{self.kind}_sql")(since)

    def _get_member_sql(self, condition, join=None):
        """:returns: SELECT of members ``p`` and contacts ``pa`` under a condition"""
        return SQL(
            """
            SELECT p.partner_id
              FROM member_profile p
              JOIN res_partner pa ON pa.id = p.partner_id
                   %s
             WHERE pa.active AND %s AND %s
            """,
            join or SQL(""),
            SQL("(pa.company_id IS NULL OR pa.company_id = %s)", self.company_id.id)
            if self.company_id
            else SQL("TRUE"),
            condition,
        )

    def _get_order_company_sql(self):
        if not self.company_id:
            return SQL("TRUE")
        return SQL("o.company_id = %s", self.company_id.id)

    def _get_category_sql(self, since):
        bought = SQL(
            """
            JOIN (SELECT o.partner_id
                    FROM (%s) o
                    JOIN product_product pp ON pp.id = o.product_id
                    JOIN product_template pt ON pt.id = pp.product_tmpl_id
                    JOIN product_category pc ON pc.id = pt.categ_id
                   WHERE o.date >= %s AND %s AND pc.parent_path LIKE %s
                GROUP BY o.partner_id
                  HAVING COUNT(DISTINCT o.order_key) >= %s
                 ) b ON b.partner_id = p.partner_id
            """,
            self.env["member.order"]._get_line_sql(),
            since,
            self._get_order_company_sql(),
            f"{self.product_category_id.parent_path}%",
            self.min_purchases,
        )
        return self._get_member_sql(SQL("TRUE"), bought)

    def _get_order_total_sql(self, since):
        """:returns: JOIN of ``t``: ``orders`` and ``total`` per member"""
        return SQL(
            """
            LEFT JOIN (SELECT o.partner_id, SUM(o.order_count) AS orders,
                              SUM(%s)::numeric AS total
                         FROM (%s) o
                        WHERE o.date >= %s AND %s
                     GROUP BY o.partner_id
                      ) t ON t.partner_id = p.partner_id
            """,
            # Orders of one company are in its currency, others in the member's.
            SQL.identifier("o", "amount" if self.company_id else "member_amount"),
            self.env["member.order"]._get_order_sql(),
            since,
            self._get_order_company_sql(),
        )

    def _get_range_sql(self, value, least, most):
        return SQL(
            "%s AND %s",
            SQL("%s >= %s", value, least) if least else SQL("TRUE"),
            SQL("%s <= %s", value, most) if most else SQL("TRUE"),
        )

    def _get_frequency_sql(self, since):
        # Somebody without orders has 0 of them, which an upper limit alone allows.
        orders = SQL("t.orders") if self.min_orders else SQL("COALESCE(t.orders, 0)")
        return self._get_member_sql(
            self._get_range_sql(orders, self.min_orders, self.max_orders),
            self._get_order_total_sql(since),
        )

    def _get_basket_sql(self, since):
        average = SQL("ROUND(t.total / t.orders, 2)")
        return self._get_member_sql(
            SQL(
                "CASE WHEN t.orders > 0 THEN %s ELSE FALSE END",
                self._get_range_sql(average, self.min_amount, self.max_amount),
            ),
            self._get_order_total_sql(since),
        )

    def _split_cities(self):
        """:rtype: list[str]"""
        names = re.split(r"[,;\n\uff0c\uff1b\u3001]", self.cities or "")
        return [name.strip() for name in names if name.strip()]

    def _get_region_sql(self, _since):
        conditions = [SQL("TRUE")]
        if self.country_ids:
            conditions.append(
                SQL("pa.country_id = ANY(%s)", self.country_ids._origin.ids)
            )
        if self.state_ids:
            conditions.append(SQL("pa.state_id = ANY(%s)", self.state_ids._origin.ids))
        if cities := self._split_cities():
            conditions.append(
                SQL(
                    "regexp_replace(lower(trim(pa.city)), '市$', '') = ANY(%s)",
                    [re.sub("市$", "", city.lower()) for city in cities],
                )
            )
        return self._get_member_sql(SQL(" AND ").join(conditions))

    def _parse_domain(self):
        """:raises ValidationError: the filter cannot be read
        :rtype: Domain
        """
        try:
            domain = Domain(literal_eval(self.domain or "[]"))
            domain.validate(self.env["res.partner"])
        except (ValueError, SyntaxError, TypeError) as error:
            raise ValidationError(
                self.env._("The filter cannot be read: %s", error)
            ) from error
        return domain

    def _get_partner_domain(self):
        """Return the filter, for members of the rule's company only.

        :raises ValidationError: the filter cannot be read
        :rtype: Domain
        """
        domain = self._parse_domain() & Domain("member_profile_id", "!=", False)
        if self.company_id:
            domain &= Domain("company_id", "in", [self.company_id.id, False])
        return domain

    def _get_domain_sql(self, _since):
        query = self.env["res.partner"]._search(self._get_partner_domain())
        return query.select(
            SQL("%s AS partner_id", SQL.identifier("res_partner", "id"))
        )
