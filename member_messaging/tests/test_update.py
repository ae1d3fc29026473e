import runpy
from pathlib import Path

from odoo.modules import Manifest
from odoo.tests import TransactionCase, tagged
from odoo.tools.convert import convert_file
from odoo.tools.sql import table_columns

ADDON = Path(__file__).parents[1]
#: What a shop gets to begin with, and may throw away.
DEFAULTS = (
    "member.tier",
    "member.rfm.segment",
    "member.rfm.scale",
    "member.tag.rule",
    "member.sending.hours",
    "member.keyword",
    "member.segment",
    "member.template",
    "member.gateway",
)


@tagged("post_install", "-at_install")
class TestUpdate(TransactionCase):
    """What an update of the addon does to a shop's data."""

    def find(self, model):
        return self.env[model].with_context(active_test=False).search([])

    def update(self):
        for name in Manifest.for_addon("member_messaging")["data"]:
            convert_file(self.env, "member_messaging", name, {})

    def migrate(self, name, version):
        script = runpy.run_path(str(ADDON / f"migrations/19.0.1.5.0/{name}.py"))
        script["migrate"](self.env.cr, version)
        self.env.invalidate_all()

    def test_deleted_defaults_stay_deleted(self):
        for model in DEFAULTS:
            self.find(model).unlink()
        # no default could come after it
        tier = self.env["member.tier"].create(
            {"name": "Own", "sequence": 35, "min_revenue": 9000, "min_orders": 9}
        )
        self.update()
        for model in DEFAULTS:
            own = tier if model == tier._name else self.env[model]
            self.assertEqual(self.find(model), own)

    def test_edited_defaults_stay_as_they_are(self):
        tier = self.env.ref("member_messaging.member_tier_gold")
        rule = self.env.ref("member_messaging.member_keyword_help")
        tier.min_revenue, rule.answer = 4000, "Come in"
        self.update()
        self.assertEqual((tier.min_revenue, rule.answer), (4000, "Come in"))

    def test_migration_creates_what_a_former_version_never_had(self):
        hours, rules = self.find("member.sending.hours"), self.find("member.keyword")
        names = {*hours.mapped("name"), *rules.mapped("name")}
        hours.unlink()
        rules.unlink()
        self.migrate("post-defaults", "19.0.1.4.0")
        self.assertFalse(self.find("member.sending.hours"))
        self.assertFalse(self.find("member.keyword"))
        self.migrate("post-defaults", "19.0.1.0.0")
        found = [
            *self.find("member.sending.hours").mapped("name"),
            *self.find("member.keyword").mapped("name"),
        ]
        self.assertEqual(set(found), names)

    def test_migration_drops_who_stored_an_event(self):
        cr = self.env.cr
        cr.execute("ALTER TABLE member_event ADD create_uid int REFERENCES res_users")
        for _again in range(2):
            self.migrate("post-events", "19.0.1.4.0")
        columns = table_columns(cr, "member_event")
        self.assertNotIn("create_uid", columns)
        self.assertIn("payload", columns)
