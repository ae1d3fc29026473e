from collections import Counter

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError
from odoo.tools import SQL

from ..tools import ledger
from ..tools.table import write_csv

#: Members whose rows are sealed at once, and rows read at once for an export.
BATCH = 10_000


class MemberConsent(models.Model):
    """The ledger as evidence: each member's rows are a chain of hashes.

    How and why stands in ``tools/ledger``. A row keeps its chain when its member is
    merged into another one, who then has several.
    """

    _inherit = "member.consent"

    chain = fields.Integer(
        readonly=True,
        aggregator=None,
        help="Rows of one chain are sealed one after the other. It is the id of the "
        "member at that time.",
    )
    position = fields.Integer(readonly=True, aggregator=None)
    seal = fields.Char(
        readonly=True, help="SHA-256 of the seal before it and of this row."
    )

    _chain_uniq = models.UniqueIndex("(chain, position) WHERE seal IS NOT NULL")
    _unsealed_idx = models.Index("(profile_id) WHERE seal IS NULL")

    @api.model_create_multi
    def create(self, vals_list):
        consents = super().create(vals_list)
        self._seal(consents.profile_id.ids)
        return consents

    @api.model
    def _seal(self, profile_ids):
        """Continue the chains of members with what was recorded since.

        :param list[int] profile_ids: members
        :raises ConcurrencyError: another transaction continued one of them meanwhile;
            Odoo then repeats the request
        """
        rows = self._read_ledger(
            SQL("c.seal IS NULL AND c.profile_id = ANY(%s)", profile_ids),
            SQL("c.profile_id, c.id"),
        )
        if not rows:
            return
        heads = self._get_heads(profile_ids)
        for row in rows:
            row["chain"] = str(row["profile_id"])
            position, previous = heads.get(row["chain"], (0, ""))
            row["position"] = str(position + 1)
            row["seal"] = ledger.seal(row, previous)
            heads[row["chain"]] = (position + 1, row["seal"])
        try:
            self._store_seals(rows)
        except psycopg2.errors.UniqueViolation as error:
            raise ConcurrencyError(str(error)) from error
        self.invalidate_model(["chain", "position", "seal"])

    def _get_heads(self, chains):
        """:returns: chain → position and seal of its last row"""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (chain) chain::text, position, seal
                  FROM member_consent
                 WHERE chain = ANY(%s) AND seal IS NOT NULL
              ORDER BY chain, position DESC
                """,
                chains,
            )
        )
        return {chain: (position, seal) for chain, position, seal in rows}

    def _store_seals(self, rows):
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_consent c
                   SET chain = r.chain, position = r.position, seal = r.seal
                  FROM unnest(%(id)s::int[], %(chain)s::int[], %(position)s::int[],
                              %(seal)s::varchar[]) AS r (id, chain, position, seal)
                 WHERE r.id = c.id
                """,
                **{
                    name: [row[name] for row in rows]
                    for name in ("id", "chain", "position", "seal")
                },
            ),
            log_exceptions=False,
        )

    @api.model
    def _seal_all(self):
        """Seal what was written past the ORM, such as rows of former versions."""
        last = 0
        while ids := [
            row[0]
            for row in self.env.execute_query(
                SQL(
                    """
                    SELECT DISTINCT profile_id FROM member_consent
                     WHERE seal IS NULL AND profile_id > %s
                  ORDER BY profile_id LIMIT %s
                    """,
                    last,
                    BATCH,
                )
            )
        ]:
            self._seal(ids)
            last = ids[-1]

    def _read_ledger(self, condition, order, limit=None):
        """:returns: rows as texts, see :data:`tools.ledger.COLUMNS`, with ``id`` and
        ``profile_id`` as numbers
        :rtype: list[dict]
        """
        self.flush_model()
        self.env.cr.execute(
            SQL(
                """
                SELECT c.id, c.profile_id,
                       COALESCE(p.number, '#' || c.erasure_id) AS member,
                       c.chain, c.position,
                       to_char(c.date, 'YYYY-MM-DD HH24:MI:SS') AS date,
                       to_char(c.create_date, 'YYYY-MM-DD HH24:MI:SS') AS recorded,
                       c.create_uid AS recorded_by, c.channel, c.purpose, c.state,
                       c.basis, c.source, c.evidence, c.wording,
                       to_char(c.expiry_date, 'YYYY-MM-DD') AS expiry_date, c.seal
                  FROM member_consent c
                  LEFT JOIN member_profile p ON p.id = c.profile_id
                 WHERE %s ORDER BY %s %s
                """,
                condition,
                order,
                SQL("LIMIT %s", limit) if limit else SQL(),
            )
        )
        rows = self.env.cr.dictfetchall()
        for row in rows:
            for name in ledger.COLUMNS:
                row[name] = "" if row[name] is None else str(row[name])
        return rows

    @api.model
    def _iterate_ledger(self, condition):
        """Yield the rows of whole chains, one after the other, as texts.

        :param SQL condition: on the rows ``c`` of members
        """
        self._seal_all()
        chain = position = 0
        while rows := self._read_ledger(
            SQL("%s AND (c.chain, c.position) > (%s, %s)", condition, chain, position),
            SQL("c.chain, c.position"),
            BATCH,
        ):
            yield from rows
            chain, position = int(rows[-1]["chain"]), int(rows[-1]["position"])

    @api.model
    def _get_ledger_sql(self, company, profile=None):
        """:returns: condition on the rows of one member, or of all of a company"""
        if profile:
            return SQL("c.profile_id = %s", profile.id)
        return SQL("(c.company_id IS NULL OR c.company_id = %s)", company.id)

    @api.model
    def _export_ledger(self, company, profile=None):
        """:returns: the ledger of a member, or of all members of a company, as a CSV
        file that ``tools/ledger`` checks
        :rtype: bytes
        """
        rows = self._iterate_ledger(self._get_ledger_sql(company, profile))
        return write_csv(
            [
                ledger.COLUMNS,
                *([row[name] for name in ledger.COLUMNS] for row in rows),
            ]
        )

    @api.model
    def _verify_ledger(self, company, profile=None):
        """Check all chains, see :func:`tools.ledger.check`."""
        return ledger.check(
            self._iterate_ledger(self._get_ledger_sql(company, profile))
        )

    @api.model
    def _judge_ledger(self, company):
        """:returns: number of rows that continue their chains, of those the erased
        ones, and the first row that does not
        """
        verdicts = Counter()
        for row, verdict in ledger.follow(
            self._iterate_ledger(self._get_ledger_sql(company))
        ):
            if verdict == "broken":
                return verdicts.total(), verdicts["erased"], row
            verdicts[verdict] += 1
        return verdicts.total(), verdicts["erased"], None

    def action_export(self):
        """Download the ledger of the current company."""
        return {
            "type": "ir.actions.act_url",
            "url": "/member_messaging/consents",
            "target": "download",
        }

    def action_verify(self):
        """Check the ledger of the current company and say what was found."""
        # sudo: every row has to be seen; what is shown is one member at most
        count, erased, broken = self.sudo()._judge_ledger(self.env.company)
        if broken:
            message = self.env._(
                "The ledger is broken at row %(position)s of member %(member)s, of "
                "%(date)s: it was changed past Odoo, or a row before it is missing. "
                "Compare it with the last export before you rely on it.",
                **{name: broken[name] for name in ("position", "member", "date")},
            )
        elif erased:
            message = self.env._(
                "The ledger is unbroken: %(count)s rows. The evidence of %(erased)s of "
                "them was erased with the member, which the ledger itself says.",
                count=count,
                erased=erased,
            )
        else:
            message = self.env._("The ledger is unbroken: %s rows.", count)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "danger" if broken else "success",
                "sticky": True,
                "message": message,
            },
        }
