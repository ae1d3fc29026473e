from datetime import date

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL


class MemberProfile(models.Model):
    """Merging contacts: one member goes on with what both had, nothing is lost.

    Later stages extend :meth:`_resolve_conflicts` for their own rows.
    """

    _inherit = "member.profile"
    _rec_names_search = ["partner_id", "number", "former_number_ids"]

    former_number_ids = fields.One2many(
        "member.former.number",
        "profile_id",
        string="Former Numbers",
        readonly=True,
        help="Numbers of members who were merged into this one. "
        "They still find the member.",
    )

    @api.constrains("number")
    def _check_number(self):
        # sudo: numbers are taken in every company
        taken = (
            self.sudo()
            .env["member.former.number"]
            .search([("number", "in", self.mapped("number"))], limit=1)
        )
        if taken:
            raise ValidationError(
                self.env._(
                    "%(number)s is a former number of member %(member)s.",
                    number=taken.number,
                    member=taken.profile_id.number,
                )
            )

    @api.model
    def _merge_partners(self, sources, destination):
        """Leave one member of contacts that are being merged.

        The member of the destination goes on; without one, whoever joined first. Its
        ``partner_id`` is left to the merge of the contacts.

        :param sources: ``res.partner`` that will be deleted
        :param destination: ``res.partner`` that stays
        """
        partners = sources | destination
        profiles = self.search([("partner_id", "in", partners.ids)])
        if not profiles:
            return
        if len(partners.company_id) > 1:
            # A grant was given to one company and says nothing about another.
            raise UserError(
                self.env._(
                    "Members of different companies cannot be merged: what they "
                    "agreed to concerns one company."
                )
            )
        survivor = (
            profiles.filtered(lambda p: p.partner_id == destination)
            or (profiles.sorted(lambda p: (p.joined_date, p.id))[0])
        )
        if others := profiles - survivor:
            survivor._absorb(others)

    def _absorb(self, others):
        """Take over everything of other members, who are deleted.

        :param others: ``member.profile`` of the same person
        """
        self.ensure_one()
        self._absorb_values(others)
        self._absorb_tier(others)
        self.env.flush_all()
        self._resolve_conflicts(others)
        self._absorb_references(others)
        numbers = others.mapped("number")
        others.unlink()
        self.env["member.former.number"].create(
            [{"profile_id": self.id, "number": number} for number in numbers]
        )

    def _absorb_values(self, others):
        first = min(self | others, key=lambda p: (p.joined_date, p.id))
        self.write(
            {
                "joined_date": first.joined_date,
                "source": first.source,
                "birthday": self.birthday or others.filtered("birthday")[:1].birthday,
            }
        )

    def _absorb_tier(self, others):
        """The higher tier counts until a refresh decides; a lock stays."""
        best = max(
            self | others,
            key=lambda p: (
                bool(p.tier_id),
                p.tier_id.sequence,
                p.tier_id.id,
                p.tier_review_date or date.min,
                p == self,
            ),
        )
        values = {}
        if best != self:
            values = {
                "tier_id": best.tier_id.id,
                "tier_date": best.tier_date,
                "tier_review_date": best.tier_review_date,
            }
        lock = max(
            (self | others).filtered("tier_locked"),
            key=lambda p: (p.tier_lock_end_date or date.max, p == self),
            default=self,
        )
        if lock != self:
            values.update(
                tier_locked=True,
                tier_lock_reason=lock.tier_lock_reason,
                tier_lock_end_date=lock.tier_lock_end_date,
            )
        known = self.tier_change_ids
        self.write(values)
        (self.tier_change_ids - known).reason = self.env._(
            "Merged with member %s", best.number
        )

    def _resolve_conflicts(self, others):
        """Prepare rows of which the database allows one per member.

        The latest word of all is current. A refusal beats a grant of the same second.
        Later stages add their own. Caches are invalidated afterwards.
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_consent c SET is_current = FALSE
                  FROM (SELECT id, row_number() OVER (
                                   PARTITION BY channel, purpose
                                   ORDER BY date DESC,
                                            state = 'refused' DESC, id DESC) AS place
                          FROM member_consent
                         WHERE is_current AND profile_id = ANY(%s)) word
                 WHERE word.id = c.id AND word.place > 1
                """,
                (self | others).ids,
            )
        )

    def _absorb_references(self, others):
        """Let every row of the database that points at the others point here.

        Unlike the merge of contacts it deletes nothing: a row that cannot be moved
        makes the merge fail.
        """
        wizard = self.env["base.partner.merge.automatic.wizard"]
        for table, column in wizard._get_fk_on(self._table):
            self.env.cr.execute(
                SQL(
                    "UPDATE %(table)s SET %(column)s = %(survivor)s"
                    " WHERE %(column)s = ANY(%(others)s)",
                    table=SQL.identifier(table),
                    column=SQL.identifier(column),
                    survivor=self.id,
                    others=others.ids,
                )
            )
        self.env.invalidate_all(flush=False)
        wizard._update_reference_fields_generic(self._name, others, self)
