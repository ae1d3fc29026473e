"""Kinds of fields Odoo does not have."""

from odoo import fields
from odoo.tools.sql import drop_constraint, get_foreign_keys


class KeylessMany2one(fields.Many2one):
    """A many2one without a foreign key.

    PostgreSQL checks a foreign key row by row, with a query and a lock for each. For
    columns that set-based SQL writes by the million these checks take longer than all
    the rest. Who deletes a record such a column points at has to clear the column.
    """

    def update_db_foreign_key(self, model, column):
        """Drop what an earlier version of the field may have left."""
        cr, comodel = model.env.cr, model.env[self.comodel_name]
        for ondelete in ("restrict", "set null", "cascade"):
            for name in get_foreign_keys(
                cr, model._table, self.name, comodel._table, "id", ondelete
            ):
                drop_constraint(cr, model._table, name)


class IntegerArray(fields.Text):
    """A column of numbers for set-based SQL, which alone reads and writes it."""

    _column_type = ("_int4", "int4[]")


class CharArray(fields.Text):
    """As :class:`IntegerArray`, for short texts."""

    _column_type = ("_varchar", "varchar[]")
