import io
import re
from collections import Counter
from pathlib import Path

import polib

from odoo.tests import TransactionCase, tagged
from odoo.tools.translate import trans_export

I18N = Path(__file__).parents[1] / "i18n"
#: What a translation keeps, in whatever order: values to fill in, variables of a
#: message, tags.
KEPT = re.compile(r"%\(\w+\)[.\d]*[sdf]|%[sd%]|\{\{\s*\w+|</?\w+")


@tagged("post_install", "-at_install")
class TestTranslation(TransactionCase):
    """``scripts/i18n`` has been run, and what it listed has been translated."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with io.BytesIO() as buffer:
            trans_export(None, ["member_messaging"], buffer, "po", cls.env)
            exported = polib.pofile(buffer.getvalue().decode())
        cls.terms = {entry.msgid for entry in exported}
        cls.template = polib.pofile(str(I18N / "member_messaging.pot"))
        cls.catalogue = polib.pofile(str(I18N / "zh_CN.po"))

    def test_terms_of_every_kind_are_exported(self):
        for kind, term in (
            ("Python", "“Not after” has passed already."),
            ("field", "Redemption Rate (%)"),
            ("view", "Submit for Review"),
            ("public page", "Your personal coupon"),
            ("record", "Ordinary"),
            ("JavaScript", "%(count)s of %(base)s"),
        ):
            with self.subTest(kind):
                self.assertIn(term, self.terms)

    def test_files_hold_the_terms_of_the_addon(self):
        for name, entries in (("template", self.template), ("zh_CN", self.catalogue)):
            with self.subTest(name):
                found = {entry.msgid for entry in entries if not entry.obsolete}
                self.assertFalse(self.terms - found, "New: run scripts/i18n")
                self.assertFalse(found - self.terms, "Gone: run scripts/i18n")

    def test_every_term_is_translated(self):
        for entry in self.catalogue:
            with self.subTest(entry.msgid):
                self.assertTrue(entry.msgstr.strip())
                self.assertFalse(entry.fuzzy)

    def test_translations_keep_values_variables_and_tags(self):
        for entry in self.catalogue:
            with self.subTest(entry.msgid):
                self.assertEqual(
                    Counter(KEPT.findall(entry.msgstr)),
                    Counter(KEPT.findall(entry.msgid)),
                )
