from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL

#: Contacts whom somebody else holds join later: no sale waits for an enrolment.
WAIT, SKIP = SQL("FOR NO KEY UPDATE"), SQL("FOR NO KEY UPDATE SKIP LOCKED")


class MemberProfile(models.Model):
    """How customers become members: by hand, at the till, by a rule, by the thousand.

    Enrolment is a service relation. It never says that somebody agreed to promotions.
    """

    _inherit = "member.profile"

    @api.model
    def _enrol(self, partner_ids, source):
        """Make members of contacts; those who are members already stay as they are.

        One statement, whatever the number of contacts. When two transactions enrol
        the same contact, the second one finds the member of the first.

        :param list[int] partner_ids: contacts
        :param str source: value of :attr:`source` for the new members
        :returns: profiles of these contacts, new and old, in the order of the contacts
        :raise AccessError: the user may not create members or not see a contact
        """
        partners = self.env["res.partner"].browse(dict.fromkeys(partner_ids))
        self.browse().check_access("create")
        partners.check_access("read")
        self._refresh_new(
            self._insert_members(SQL("SELECT unnest(%s::int[])", partners.ids), source)
        )
        return partners.member_profile_id

    def _refresh_new(self, partner_ids):
        if partner_ids:
            self._refresh(partner_ids)

    @api.model
    def _insert_members(self, candidates, source, lock=WAIT):
        """Insert the missing members without refreshing their figures.

        :param SQL candidates: SELECT of ids of contacts, repetitions allowed
        :param SQL lock: what becomes of contacts somebody else holds
        :returns: ids of the contacts who became members
        :rtype: list[int]
        """
        self.env.flush_all()
        missing = self.env.execute_query(
            SQL(
                """
                SELECT pa.id FROM res_partner pa
                 WHERE pa.id IN (%s)
                   AND NOT EXISTS (SELECT FROM member_profile p
                                    WHERE p.partner_id = pa.id)
              ORDER BY pa.id %s
                """,
                candidates,
                lock,
            )
        )
        if not missing:
            return []
        values = self._get_column_defaults(source)
        rows = self.env.execute_query(
            SQL(
                """
                INSERT INTO member_profile (partner_id, number, %(columns)s)
                SELECT c.partner_id, c.number, %(values)s
                  FROM unnest(%(partners)s::int[], %(numbers)s::varchar[])
                       AS c (partner_id, number)
           ON CONFLICT (partner_id) DO NOTHING
             RETURNING id, partner_id
                """,
                columns=SQL(", ").join(map(SQL.identifier, values)),
                values=SQL(", ").join(SQL("%s", value) for value in values.values()),
                partners=[partner_id for (partner_id,) in missing],
                numbers=self._draw_numbers(len(missing)),
            )
        )
        # The only time enrolment touches a contact; its new date tells the tills.
        self.env.cr.execute(
            SQL(
                """
                UPDATE res_partner pa
                   SET member_profile_id = n.id, write_uid = %s, write_date = %s
                  FROM unnest(%s::int[], %s::int[]) AS n (id, partner_id)
                 WHERE n.partner_id = pa.id
                """,
                self.env.uid,
                fields.Datetime.now(),
                [profile_id for profile_id, _partner_id in rows],
                [partner_id for _profile_id, partner_id in rows],
            )
        )
        self.env.invalidate_all(flush=False)
        return [partner_id for _profile_id, partner_id in rows]

    def _get_column_defaults(self, source):
        """:returns: column → value of a new member, as :meth:`create` would store it
        :rtype: dict[str, object]
        """
        now = fields.Datetime.now()
        stored = [
            name
            for name, field in self._fields.items()
            if field.store and field.column_type
        ]
        values = {**self.default_get(stored), "source": source}
        return {
            **{
                name: self._fields[name].convert_to_column_insert(value, self)
                for name, value in values.items()
                if name in stored
            },
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }

    def _draw_numbers(self, amount):
        """Draw numbers nobody has: an import may have brought some of the next ones.

        :rtype: list[str]
        """
        numbers = []
        while missing := amount - len(numbers):
            drawn = self._get_next_numbers(missing)
            taken = {
                number
                for (number,) in self.env.execute_query(
                    SQL(
                        """
                        SELECT number FROM member_profile WHERE number = ANY(%(drawn)s)
                     UNION
                        SELECT number FROM member_former_number
                         WHERE number = ANY(%(drawn)s)
                        """,
                        drawn=drawn,
                    )
                )
            }
            numbers += [number for number in drawn if number not in taken]
        return numbers

    # ------------------------------------------------------------------- by rule

    @api.model
    def _enrol_customers(self, orders, source):
        """The rule: whoever buys and has a phone number becomes a member.

        Only where the company of the order wants it.

        :param orders: paid POS orders or confirmed sales orders
        """
        buying = orders.filtered(
            lambda order: order.company_id.member_auto_enrol and order.amount_total > 0
        )
        if not buying.partner_id:
            return
        ids = self.env["member.order"]._map_partners(buying.partner_id.ids)
        customers = (
            self.env["res.partner"]
            .browse(ids)
            .filtered_domain(self._get_enrolment_domain())
        )
        if customers:
            self._refresh_new(
                self._insert_members(
                    SQL("SELECT unnest(%s::int[])", customers.ids), source, SKIP
                )
            )

    @api.model
    def _get_enrolment_domain(self):
        """:returns: contacts whom the rule may enrol: people with a phone number"""
        return (
            Domain("member_profile_id", "=", False)
            & Domain("phone_sanitized", "!=", False)
            & Domain("active", "=", True)
            # who asked to be forgotten comes back by their own word only
            & Domain("member_erased_date", "=", False)
            # nobody's own company
            & Domain("ref_company_ids", "=", False)
        )

    @api.model
    def _enrol_past_customers(self):
        """Enrol whom the rule missed: customers from before it was switched on, and
        those who left their phone number after the order.

        :returns: ids of the contacts who became members
        :rtype: list[int]
        """
        # sudo: a run of the night concerns every company
        companies = (
            self.env["res.company"].sudo().search([("member_auto_enrol", "=", True)])
        )
        if not companies:
            return []
        self.env.flush_all()
        customers = self.env["res.partner"]._search(self._get_enrolment_domain())
        orders = self.env["member.order"]._get_order_sql()
        return [
            partner_id
            for order_model, source in (("pos.order", "pos"), ("sale.order", "staff"))
            for partner_id in self._insert_members(
                SQL(
                    """
                    SELECT o.partner_id FROM (%s) o
                     WHERE o.order_model = %s AND o.company_id = ANY(%s)
                       AND o.amount > 0 AND o.partner_id IN %s
                    """,
                    orders,
                    order_model,
                    companies.ids,
                    customers.subselect(),
                ),
                source,
                SKIP,
            )
        ]

    @api.model
    def _cron_refresh(self):
        # First, so that the new members get their figures by the same refresh, which
        # then holds no contact: until it ends somebody may want to edit one.
        if self._enrol_past_customers():
            self.env["ir.cron"]._commit_progress()
        return super()._cron_refresh()


class PosOrder(models.Model):
    _inherit = "pos.order"

    def action_pos_order_paid(self):
        result = super().action_pos_order_paid()
        # sudo: a cashier has no right to write members
        self.env["member.profile"].sudo()._enrol_customers(self, "pos")
        return result


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def action_confirm(self):
        result = super().action_confirm()
        # sudo: salespeople have no right to write members
        self.env["member.profile"].sudo()._enrol_customers(
            self.filtered(lambda order: order.state == "sale"), "staff"
        )
        return result


class ResPartner(models.Model):
    _inherit = "res.partner"

    member_tier_name = fields.Char(
        related="member_profile_id.tier_id.name", string="Tier"
    )

    is_member = fields.Boolean(
        string="Enrol as Member",
        compute="_compute_is_member",
        inverse="_inverse_is_member",
        search="_search_is_member",
        help="Members get a number, a tier and points. It is no consent to promotions.",
    )

    @api.depends("member_profile_id")
    def _compute_is_member(self):
        for partner in self:
            partner.is_member = bool(partner.member_profile_id)

    def _inverse_is_member(self):
        if joining := self.filtered(
            lambda partner: partner.is_member and not partner.member_profile_id
        ):
            joining._enrol_by_hand()

    def _search_is_member(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain("member_profile_id", "!=", False)

    def _enrol_by_hand(self):
        """What a cashier does at the till, and staff on the contact."""
        user = self.env.user
        is_cashier = user.has_group("point_of_sale.group_pos_user")
        if not is_cashier and not user.has_group(
            "member_messaging.group_member_messaging_user"
        ):
            raise AccessError(self.env._("Only cashiers and staff may enrol members."))
        self.check_access("read")
        # sudo: a cashier has no right to write members
        self.env["member.profile"].sudo()._enrol(
            self.ids, "pos" if is_cashier else "staff"
        )

    # ------------------------------------------------------------------ at the till

    def pos_enrol_member(self, config_id):
        """Called by the till: make this customer a member.

        :param int config_id: the till
        :returns: what the till knows of the customer, as ``get_new_partner``
        :rtype: dict
        """
        self.ensure_one()
        self._enrol_by_hand()
        config = self.env["pos.config"].browse(config_id)
        return {"res.partner": self._load_pos_data_read(self, config)}

    @api.model
    def _load_pos_data_fields(self, config):
        return [
            *super()._load_pos_data_fields(config),
            "member_number",
            "member_tier_name",
        ]

    @api.model
    def _server_date_to_domain(self, domain):
        """The till keeps what it loaded last time and asks for changed contacts only,
        but a new tier does not change the contact."""
        limited = super()._server_date_to_domain(domain)
        since = self.env.context.get("pos_last_server_date")
        if not domain or limited == domain or not since:
            return limited
        # sudo: a cashier sees no tier history, only the name of the tier
        changed = self.sudo().search(
            Domain(domain)
            & Domain("member_profile_id.tier_change_ids.date", ">", since)
        )
        return Domain.OR([limited, Domain("id", "in", changed.ids)])

    @api.model
    def get_new_partner(self, config_id, domain, offset):
        """Find members by their number wherever the till searches by barcode."""
        if domain:
            domain = list(Domain(domain).map_conditions(self._add_member_number))
        return super().get_new_partner(config_id, domain, offset)

    def _add_member_number(self, leaf):
        if leaf.field_expr != "barcode" or not isinstance(leaf.value, str):
            return leaf
        # Whole numbers only: that is an index, beginnings would read every member.
        number = leaf.value.rstrip("%").strip()
        numbers = [number, number.upper()]
        # sudo: a cashier may read no members, but knows the number of this one
        profiles = self.env["member.profile"].sudo()
        members = profiles.search([("number", "in", numbers)]) or profiles.search(
            [("former_number_ids.number", "in", numbers)]
        )
        return leaf | Domain("id", "in", members.partner_id.ids)
