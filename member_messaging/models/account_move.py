from odoo import models
from odoo.tools import SQL


class AccountMove(models.Model):
    _inherit = "account.move"

    def _post(self, soft=True):
        posted = super()._post(soft)
        posted._refresh_credited_members()
        return posted

    def button_draft(self):
        result = super().button_draft()
        self._refresh_credited_members()
        return result

    def button_cancel(self):
        result = super().button_cancel()
        self._refresh_credited_members()
        return result

    def _refresh_credited_members(self):
        """Bring members up to date whose sales orders were credited by these moves.

        An invoice matters too if something of its order was credited: it may be the
        corrected one.
        """
        moves = self.filtered(
            lambda move: move.move_type in ("out_invoice", "out_refund")
        )
        if not moves:
            return
        moves.flush_recordset(["move_type"])
        partners = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT so.partner_id
                  FROM account_move_line aml
                  JOIN sale_order_line_invoice_rel rel ON rel.invoice_line_id = aml.id
                  JOIN sale_order_line l ON l.id = rel.order_line_id
                  JOIN sale_order so ON so.id = l.order_id
                 WHERE aml.move_id = ANY(%s) AND EXISTS (
                       SELECT FROM sale_order_line l2
                         JOIN sale_order_line_invoice_rel rel2
                           ON rel2.order_line_id = l2.id
                         JOIN account_move_line aml2 ON aml2.id = rel2.invoice_line_id
                         JOIN account_move am2 ON am2.id = aml2.move_id
                        WHERE l2.order_id = so.id AND am2.move_type = 'out_refund')
                """,
                moves.ids,
            )
        )
        if partners:
            # sudo: accountants have no right to write members
            self.env["member.profile"].sudo()._refresh(
                self.env["member.order"]._map_partners(
                    [partner_id for (partner_id,) in partners]
                )
            )
