from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """What has left this month counts for the quota a manager may set."""
    api.Environment(cr, SUPERUSER_ID, {})["member.gateway.load"]._recount()
