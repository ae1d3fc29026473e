import io
import re
from collections import Counter
from pathlib import Path

import polib

from odoo.tests import TransactionCase, tagged
from odoo.tools.translate import trans_export

I18N = Path(__file__).parents[1] / "i18n"
#: What a translation has to keep, in any order: values to fill in, variables of a
#: message, tags.
FIXED = re.compile(r"%\(\w+\)[.\d]*[sdf]|%[sd%]|\{\{\s*\w+|</?\w+")


@tagged("post_install", "-at_install")
class TestTranslation(TransactionCase):
    """``scripts/i18n`` has been run and what it listed has been translated."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with io.BytesIO() as buffer:
            trans_export(None, ["member_messaging"], buffer, "po", cls.env)
            exported = polib.pofile(buffer.getvalue().decode())
        cls.terms = {entry.msgid: entry for entry in exported}
        cls.template = polib.pofile(str(I18N / "member_messaging.pot"))
        cls.catalogue = polib.pofile(str(I18N / "zh_CN.po"))

    def test_terms_of_every_kind_are_exported(self):
        kinds = {
            "models": "“Not after” has passed already.",
            "views": "Submit for Review",
            "data": "Ordinary",
            "static": "%(count)s of %(base)s",
        }
        self.assertEqual({k: t in self.terms for k, t in kinds.items()}, dict.fromkeys(kinds, True))

    def test_files_hold_the_terms_of_the_addon(self):
        for path, entries in (("pot", self.template), ("po", self.catalogue)):
            with self.subTest(path):
                found = {entry.msgid for entry in entries}
                self.assertFalse(set(self.terms) - found, "missing: run scripts/i18n")
                self.assertFalse(found - set(self.terms), "unused: run scripts/i18n")

    def test_every_term_is_translated(self):
        missing = [e.msgid for e in self.catalogue.untranslated_entries()]
        self.assertFalse(missing)
        self.assertFalse([e.msgid for e in self.catalogue if e.fuzzy])

    def test_translations_keep_values_variables_and_tags(self):
        for entry in self.catalogue:
            with self.subTest(entry.msgid):
                self.assertEqual(
                    Counter(FIXED.findall(entry.msgstr)),
                    Counter(FIXED.findall(entry.msgid)),
                )
