from odoo import SUPERUSER_ID, api
from odoo.tools import parse_version
from odoo.tools.convert import convert_file

#: The last version whose updates created whatever was missing.
FORMER = "19.0.1.4.0"
#: What has come with it.
ADDED = ("member_sending_hours_data", "member_keyword_data")


def migrate(cr, version):
    """Updates create no defaults any more: a shop may have deleted them. Older
    databases still get those they never had."""
    if parse_version(version) >= parse_version(FORMER):
        return
    env = api.Environment(cr, SUPERUSER_ID, {})
    for name in ADDED:
        convert_file(
            env, "member_messaging", f"data/{name}.xml", {}, mode="init", noupdate=True
        )
