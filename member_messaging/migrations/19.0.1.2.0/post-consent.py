from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Consents recorded so far were said when they were recorded, and are sealed."""
    cr.execute("UPDATE member_consent SET date = create_date WHERE seal IS NULL")
    api.Environment(cr, SUPERUSER_ID, {})["member.consent"]._seal_all()
