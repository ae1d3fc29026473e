import base64
import csv
import io
from datetime import date, timedelta
from unittest.mock import patch

from openpyxl import Workbook

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.sql_db import Cursor
from odoo.tests import HttpCase, tagged
from odoo.tools import SQL, mute_logger

from ..models import member_import
from .common import MemberMessagingCommon

HEADER = "Name,Mobile,E-mail,Member Number,Birthday,Tags,City"
LI = "Li Na,138 0013 8000,Li@Example.com,C1,1990-01-31,VIP;Tea,北京"
WANG = "Wang Wei,+86 139 0013 9000,,C2,,,"


class ImportCommon(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.china = cls.env.ref("base.cn")
        cls.company.country_id = cls.china

    # ------------------------------------------------------------------- helpers

    def make_import(self, *rows, data=None, name="members.csv", **values):
        """A member list of staff.

        :param rows: lines of a CSV file, the names of the columns first
        :param bytes data: or the whole file
        """
        data = data if data is not None else "\r\n".join(rows).encode()
        return (
            self.env["member.import"]
            .with_user(self.staff)
            .create(
                {
                    "file": base64.b64encode(data),
                    "file_name": name,
                    "consent_source": "none",
                    **values,
                }
            )
        )

    def check(self, *rows, **values):
        """:returns: an import up to the table of what will happen"""
        job = self.make_import(*rows, **values)
        job.action_read()
        job.action_check()
        self.assertEqual(job.state, "checked")
        return job

    def do_import(self, *rows, **values):
        """:returns: an import that is done"""
        job = self.check(*rows, **values)
        job.action_import()
        self.assertEqual(job.state, "done")
        return job

    def consent(self):
        return {
            "consent_source": "paper",
            "consent_wording": "Send me offers by SMS.",
            "consent_evidence": "folder 12",
        }

    def get_results(self, job):
        """:returns: (row, result, reason) of each line"""
        return [(line.row, line.action, line.reason) for line in job.line_ids]

    def get_counts(self, job):
        return (
            job.create_count,
            job.merge_count,
            job.unchanged_count,
            job.reject_count,
        )

    def find(self, **values):
        """:returns: members with these values"""
        return self.env["member.profile"].search(
            [(name, "=", value) for name, value in values.items()]
        )

    def count_everything(self):
        """:returns: number of rows of what an import writes"""
        return [
            self.env[model].with_context(active_test=False).search_count([])
            for model in (
                "res.partner",
                "member.profile",
                "member.consent",
                "res.partner.category",
            )
        ]

    def refuse(self, data, message, **values):
        """Reading or checking the file ends with this message, and changes nothing."""
        before = self.count_everything()
        with self.assertRaisesRegex(UserError, message):
            self.check(data=data, **values)
        self.assertEqual(self.count_everything(), before)


@tagged("post_install", "-at_install")
class TestImport(ImportCommon):
    # --------------------------------------------------------------------- rows

    def test_new_members(self):
        job = self.do_import(HEADER, LI, WANG, **self.consent())
        self.assertEqual(self.get_counts(job), (2, 0, 0, 0))
        li, wang = self.find(number="C1"), self.find(number="C2")
        self.assertRecordValues(
            li,
            [
                {
                    "source": "import",
                    "birthday": date(1990, 1, 31),
                    "company_id": False,
                }
            ],
        )
        self.assertRecordValues(
            li.partner_id,
            [
                {
                    "name": "Li Na",
                    "phone": "+8613800138000",
                    "phone_sanitized": "+8613800138000",
                    "email": "li@example.com",
                    "city": "北京",
                    "country_id": self.china.id,
                    "create_uid": self.staff.id,
                }
            ],
        )
        self.assertEqual(set(li.partner_id.category_id.mapped("name")), {"VIP", "Tea"})
        self.assertFalse(li.partner_id.message_follower_ids)
        self.assertEqual(wang.partner_id.phone_sanitized, "+8613900139000")
        self.assertEqual(job.line_ids.partner_id, (li | wang).partner_id)

    def test_member_number_is_made_up_if_there_is_none(self):
        self.do_import("姓名,手机号", "李娜,13800138000", "王伟,13900139000")
        profiles = self.find(source="import")
        self.assertEqual(len(profiles), 2)
        self.assertEqual(len(set(profiles.mapped("number"))), 2)

    def test_check_writes_nothing(self):
        before = self.count_everything()
        job = self.check(HEADER, LI, WANG, "Bad,123,,,,,", **self.consent())
        self.assertEqual(self.get_counts(job), (2, 0, 0, 1))
        self.assertEqual(job.rejected_line_ids.reason, "phone")
        self.assertEqual(self.count_everything(), before)

    def test_all_fields(self):
        texas = self.env.ref("base.state_us_44")
        self.do_import(
            "name,phone,street,street 2,zip,city,state,country,note,joined",
            'Tom,2025550123,Main St 1,Floor 2,75001,Dallas,texas,USA,"1 < 2\nb",'
            "2020/5/6",
            country_id=self.env.ref("base.us").id,
        )
        job = self.env["member.import"].search([], limit=1)
        self.assertEqual(job.line_ids.detail, "Country not known: USA")
        profile = self.find(source="import")
        self.assertRecordValues(
            profile.partner_id,
            [
                {
                    "street": "Main St 1",
                    "street2": "Floor 2",
                    "zip": "75001",
                    "city": "Dallas",
                    "state_id": texas.id,
                    "country_id": self.env.ref("base.us").id,
                    "phone": "+12025550123",
                }
            ],
        )
        self.assertEqual(str(profile.joined_date), "2020-05-06")
        self.assertIn("1 &lt; 2<br", profile.partner_id.comment)

    def test_country_of_the_row(self):
        """It is also the one of the phone number."""
        self.do_import("name,phone,country,state", "Tom,06 12345678,nl,", "Li,,CN,广东")
        [line] = self.find(source="import").partner_id
        self.assertEqual(line.phone, "+31612345678")
        job = self.env["member.import"].search([], limit=1)
        self.assertEqual(self.get_results(job)[1], (3, "reject", "key"))

    def test_chinese_provinces(self):
        self.do_import(
            "姓名,手机,省份", "李娜,13800138000,广东", "王伟,13900139000,广西"
        )
        self.assertEqual(
            set(self.find(source="import").partner_id.state_id.mapped("name")),
            {"广东省", "广西壮族自治区"},
        )

    def test_tags_for_everyone(self):
        tag = self.env["res.partner.category"].create({"name": "Fair"})
        self.env["res.partner.category"].create({"name": "vip"})
        self.do_import(HEADER, LI, WANG, tag_ids=[Command.set(tag.ids)])
        li, wang = self.find(number="C1"), self.find(number="C2")
        self.assertEqual(
            set(li.partner_id.category_id.mapped("name")), {"Fair", "vip", "Tea"}
        )
        self.assertEqual(wang.partner_id.category_id, tag)

    def test_rejected_rows(self):
        tomorrow = fields.Date.today() + timedelta(days=2)
        job = self.check(
            "name,phone,email,number,birthday,joined",
            "a,12345,,,,",
            "b,1.38E+10,,,,",
            "c,13800138000/13900139000,,,,",
            "d,,not an address,,,",
            "e,,a@b.cn;c@d.cn,,,",
            f"f,13800000001,,,{tomorrow},",
            "g,13800000002,,,1899-12-31,",
            "h,13800000003,,,31.02.1990,",
            "i,13800000004,,,02/01/1990,",
            f"j,13800000005,,,,{tomorrow}",
            "k,,,,,",
            "l,,,6.2E+18,,",
            "m,,,1,2,3,4,5",
            f"{'n' * 251},13800000006,,,,",
            '"o"p,13800000007,,,,',
            "q,010-12345678,,,1990-01-31,2020-01-01",
            "r,,r@example,,,",
        )
        reasons = {line.row: line.reason for line in job.line_ids}
        self.assertEqual(
            list(reasons.values()),
            ["phone", "phone", "phone", "email", "email"]
            + ["birthday"] * 4
            + [
                "joined_date",
                "key",
                "number",
                "cells",
                "long",
                "quote",
                False,
                "email",
            ],
        )
        self.assertEqual(list(reasons), list(range(2, 19)))
        details = dict(zip("abcdefghijklmnopqr", job.line_ids, strict=False))
        self.assertIn("dropped digits", details["b"].detail)
        self.assertIn("in the future", details["f"].detail)
        self.assertIn("before 1900", details["g"].detail)
        self.assertIn("two days", details["i"].detail)

    def test_huge_cell(self):
        job = self.check(
            "name,phone", f"{'x' * 10 * 2**20},13800138000", "b,13900139000"
        )
        self.assertEqual(
            self.get_results(job), [(2, "reject", "long"), (3, "create", False)]
        )

    def test_formula_injection(self):
        """On a contact it is a text; in a file for a spreadsheet it is defused."""
        job = self.check(
            "name,phone,city",
            "=1+1,13800138000,@x",
            "=HYPERLINK(1),12345,-2+3",
        )
        job.action_import()
        partner = self.find(source="import").partner_id
        self.assertEqual((partner.name, partner.city), ("=1+1", "@x"))
        rejected = job._get_rejected_csv().decode("utf-8-sig")
        [_header, row] = csv.reader(io.StringIO(rejected))
        self.assertEqual(row[:3], ["'=HYPERLINK(1)", "12345", "'-2+3"])

    def test_rejected_rows_can_be_corrected_and_imported(self):
        job = self.do_import(HEADER, LI, "=Wang,139 0013 900,,C2,,,")
        data = job._get_rejected_csv().replace(b"139 0013 900", b"139 0013 9000")
        self.assertEqual(self.get_counts(self.do_import(data=data)), (1, 0, 0, 0))
        self.assertEqual(self.find(number="C2").partner_id.name, "=Wang")

    # --------------------------------------------------------------------- XLSX

    def make_xlsx(self, *rows):
        book = Workbook()
        for row in rows:
            book.active.append(row)
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()

    def test_workbook(self):
        job = self.do_import(
            data=self.make_xlsx(
                ["姓名", "手机号", "生日", "会员号", "积分"],
                [
                    "李娜",
                    13800138000.0,
                    date(1990, 1, 31),
                    1001,
                    "=1+1",
                ],
                ["王伟", "=A1", None, 1002, 1],
                ["张敏", None, "#REF!", 1003, 1],
                ["刘洋", None, None, 6228480402564890018, 1],
            ),
            name="members.xlsx",
        )
        self.assertEqual(
            self.get_results(job),
            [
                (2, "create", False),
                (3, "reject", "formula"),
                (4, "reject", "error"),
                (5, "reject", "number"),
            ],
        )
        self.assertEqual(job.line_ids[1].detail, "手机号")
        li = self.find(number="1001")
        self.assertEqual(li.partner_id.phone, "+8613800138000")
        self.assertEqual(str(li.birthday), "1990-01-31")

    # -------------------------------------------------------------- whole files

    def test_files_that_are_refused(self):
        for data, message in (
            (b"", "Choose a file first|empty"),
            (b"\r\n\r\n", "The file is empty"),
            (b"name,phone\r\n", "no rows below"),
            (b"\x89PNG\r\n\x1a\n\0\0", "not a table"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old or protected Excel"),
            (b"PK\x03\x04xx", "workbook is damaged"),
            (b"name,phone\r\n\x01\x02,1\r\n", "no text contains"),
            ("Name,Stadt\r\nJörg,Köln".encode("cp1252"), "Choose its encoding"),
            (b"Tom,13800138000\r\n", "a member already"),
            (b"phone,Phone\r\n1,2\r\n", "same name: phone"),
            (b"name,points\r\nTom,2\r\n", "No column holds a phone"),
            (b"name~phone\r\nTom~13800138000\r\n", "choose the separator"),
        ):
            with self.subTest(message=message):
                self.refuse(data, message)

    def test_wrong_choice_of_encoding(self):
        data = "姓名,手机\r\n李娜,13800138000".encode("gb18030")
        self.refuse(data, "not encoded as utf-8", encoding="utf-8")
        self.assertEqual(self.do_import(data=data).create_count, 1)
        self.assertEqual(self.find(source="import").partner_id.name, "李娜")

    def test_too_many_rows(self):
        rows = "\r\n".join(["name,phone", *("x,1" for _index in range(4))])
        with patch("odoo.addons.member_messaging.tools.table.MAX_ROWS", 3):
            self.refuse(rows.encode(), "more than 3 rows")

    # ------------------------------------------------------------------ columns

    def test_own_mapping_is_proposed_again(self):
        rows = ["Nick,Phone,Tel,Points", "Li,13800138000,010-12345678,5"]
        job = self.make_import(*rows)
        job.action_read()
        self.assertEqual(
            job.column_ids.mapped("target"), [False, "phone", False, False]
        )
        self.assertEqual(job.column_ids[2].sample, "010-12345678")
        job.column_ids[0].target = "name"
        job.column_ids[1].target = False
        job.column_ids[2].target = "phone"
        job.action_check()
        again = self.make_import("TEL,Phone,nick ,x", "1,2,3,4")
        again.action_read()
        self.assertEqual(
            again.column_ids.mapped("target"), ["phone", False, "name", False]
        )
        _company, stranger = self.make_other_company()
        other = (
            self.env["member.import"]
            .with_user(stranger)
            .create(
                {
                    "file": base64.b64encode("\n".join(rows).encode()),
                    "consent_source": "none",
                }
            )
        )
        other.action_read()
        self.assertEqual(
            other.column_ids.mapped("target"), [False, "phone", False, False]
        )

    def test_two_columns_for_one_field(self):
        job = self.make_import("Name,Phone,Tel", "Li,13800138000,")
        job.action_read()
        job.column_ids[2].target = "phone"
        with self.assertRaisesRegex(UserError, "Two columns .* Phone"):
            job.action_check()

    def test_going_back(self):
        job = self.check(HEADER, LI, "Bad,123,,,,,")
        job.action_back()
        self.assertEqual((job.state, job.line_count), ("columns", 0))
        job.column_ids[1].target = False
        job.action_check()
        self.assertEqual(
            self.get_results(job), [(2, "create", False), (3, "reject", "key")]
        )
        job.action_import()
        self.assertFalse(self.find(number="C1").partner_id.phone)

    # --------------------------------------------------------------- duplicates

    def test_duplicates_in_the_file(self):
        """The first row counts; one that is rejected itself is nobody's double."""
        job = self.do_import(
            "name,phone,email,number,birthday",
            "a,13800138000,,N1,2999-01-01",
            "b,138-0013-8000,b@x.cn,N1,",
            "c,+8613800138000,,,",
            "d,,B@X.CN,,",
            "e,,,N1,",
            "f,,f@x.cn,,",
        )
        self.assertEqual(
            [(line.row, line.action, line.detail) for line in job.line_ids[1:]],
            [
                (3, "create", False),
                (4, "reject", "Phone number of row 3"),
                (5, "reject", "E-mail address of row 3"),
                (6, "reject", "Member number of row 3"),
                (7, "create", False),
            ],
        )
        self.assertEqual(job.line_ids[0].reason, "birthday")

    def test_known_by_number_phone_and_email(self):
        by_number, by_phone, by_email = self.make_partners(3, phone=False)
        self.enrol(by_number).number = "N1"
        by_phone.phone = "138 0013 8000"
        by_email.email = '"Li" <LI@example.com>'
        before = self.count_everything()[0]
        job = self.do_import(
            "name,phone,email,number",
            "a,13900139000,,N1",
            "b,+8613800138000,,",
            "c,,li@example.com,N3",
        )
        self.assertEqual(
            job.line_ids.mapped("partner_id.id"),
            [by_number.id, by_phone.id, by_email.id],
        )
        self.assertEqual(self.get_counts(job), (0, 3, 0, 0))
        self.assertEqual(self.count_everything()[0], before)
        self.assertEqual(by_number.phone, "+8613900139000")
        self.assertEqual(by_email.member_profile_id.number, "N3")

    def test_merge_fills_only_what_is_empty(self):
        partner = self.make_partners(1, phone="+8613800138000", city="上海")
        tag = self.env["res.partner.category"].create({"name": "Old"})
        partner.category_id = tag
        profile = self.enrol(partner, is_granted=False)
        number = profile.number
        row = "Li,13800138000,li@x.cn,1990-01-31,北京,New"
        job = self.check("name,phone,email,birthday,city,tags", row)
        self.assertEqual(
            job.line_ids.detail.split(": ")[1].split(", "),
            ["Email", "Tags", "Birthday"],
        )
        job.action_import()
        self.assertRecordValues(
            partner,
            [{"name": partner.name, "city": "上海", "email": "li@x.cn"}],
        )
        self.assertEqual(set(partner.category_id.mapped("name")), {"Old", "New"})
        self.assertEqual(
            (profile.number, str(profile.birthday)), (number, "1990-01-31")
        )
        self.assertEqual(profile.source, "staff")
        again = self.do_import("name,phone,birthday", "X,13800138000,1980-01-01")
        self.assertEqual(self.get_counts(again), (0, 0, 1, 0))
        self.assertEqual(str(profile.birthday), "1990-01-31")

    def test_ambiguous(self):
        one, two = self.make_partners(2, phone="+8613800138000")
        three = self.make_partners(1, phone="+8613900139000")
        two.email = "two@x.cn"
        self.enrol(one).number = "N1"
        job = self.check(
            "name,phone,email,number",
            "a,13800138000,,",
            "b,13900139000,two@x.cn,",
        )
        self.assertEqual(set(job.line_ids.mapped("reason")), {"ambiguous"})
        for partner in (one, two):
            self.assertIn(f"{partner.name} ({partner.id})", job.line_ids[0].detail)
        # the number, or the address, tells which of the two
        for row, partner in (
            ("a,13800138000,,N1", one),
            ("b,13800138000,two@x.cn,", two),
            ("c,13900139000,,", three),
        ):
            job = self.check("name,phone,email,number", row)
            self.assertEqual(job.line_ids.partner_id, partner)

    def test_number_of_somebody_else(self):
        known = self.make_partners(1, phone="+8613800138000")
        self.enrol(known).number = "N1"
        archived = self.make_partners(1, phone="+8613900139000")
        self.enrol(archived).number = "N2"
        archived.active = False
        company, _stranger = self.make_other_company()
        foreign = self.make_partners(1, company_id=company.id, email="f@x.cn")
        self.env["member.profile"].create({"partner_id": foreign.id, "number": "N3"})
        job = self.check(
            "name,phone,email,number",
            "a,13800138000,,N9",
            "b,,,N2",
            "c,13900139000,,",
            "d,,,N3",
            "e,,f@x.cn,",
        )
        self.assertEqual(
            [(line.action, line.reason) for line in job.line_ids],
            [
                ("reject", "other_number"),
                ("reject", "taken"),
                ("reject", "archived"),
                ("reject", "taken"),
                ("create", False),
            ],
        )
        self.assertNotIn(foreign.name, job.line_ids[3].detail)

    def test_number_from_before_a_merge(self):
        profile = self.make_members(1, phone="+8613800138000", is_granted=False)
        self.env["member.former.number"].create(
            {"profile_id": profile.id, "number": "OLD"}
        )
        number = profile.number
        job = self.do_import("name,phone,number", "x,13800138000,OLD")
        self.assertEqual(self.get_counts(job), (0, 0, 1, 0))
        self.assertEqual(profile.number, number)

    def test_address_of_a_login_is_not_filled_in(self):
        """Who could set it could reset the password."""
        user = self.make_user("boss", "base.group_system")
        user.partner_id.write({"phone": "+8613800138000", "email": False})
        self.do_import("name,phone,email", "x,13800138000,mine@x.cn")
        self.assertFalse(user.partner_id.email)
        self.assertTrue(user.partner_id.member_profile_id)

    def test_companies(self):
        company = {"company_id": self.company.id, "is_shared": False}
        self.do_import(HEADER, LI, **company)
        self.assertEqual(self.find(number="C1").company_id, self.company)
        _company, stranger = self.make_other_company()
        job = self.env["member.import"].search([], limit=1)
        for records in (job, job.line_ids, job.column_ids):
            with self.assertRaises(AccessError):
                records.with_user(stranger).read()

    # ------------------------------------------------------------------ consent

    def test_consent(self):
        job = self.do_import(HEADER, LI, WANG, **self.consent())
        consents = (
            self.find(number="C1").consent_ids | self.find(number="C2").consent_ids
        )
        self.assertRecordValues(
            consents,
            [
                {
                    "state": "granted",
                    "purpose": "promotion",
                    "channel": "sms",
                    "source": "import",
                    "wording": "Send me offers by SMS.",
                    "evidence": "They agreed on a paper form: folder 12",
                }
            ]
            * 2,
        )
        self.assertEqual(job.state, "done")

    def test_no_consent(self):
        self.do_import(HEADER, LI)
        self.assertFalse(self.find(number="C1").consent_ids)

    def test_consent_needs_its_proof(self):
        job = self.make_import(HEADER, LI, consent_source="paper")
        job.action_read()
        with self.assertRaisesRegex(UserError, "only with its proof"):
            job.action_check()

    def test_refusal_stays(self):
        profile = self.make_members(1, is_granted=False)
        profile.number = "C1"
        self.env["member.consent"]._refuse(profile, "sms", "reply", "TD")
        self.do_import("name,number", "Li,C1", **self.consent())
        self.assertEqual(profile.consent_ids.mapped("state"), ["refused"])

    def test_g_9_suppressed_number_is_loaded_without_consent(self):
        gone = self.make_members(1)
        number = gone.phone
        self.env["member.consent"]._refuse(gone, "sms", "reply", "TD")
        gone.partner_id.unlink()
        job = self.check(
            "name,number,phone",
            f"Li,C1,{number}",
            "Wang,C2,+8613912340000",
            **self.consent(),
        )
        for step in ("checked", "done"):
            if step == "done":
                job.action_import()
            with self.subTest(step):
                details = job.line_ids.sorted("row").mapped("detail")
                self.assertIn("the number refused or complained", details[0])
                self.assertNotIn("refused", details[1] or "")
        li, wang = (self.find(number=number) for number in ("C1", "C2"))
        self.assertFalse(li.consent_ids)
        self.assertTrue(wang.consent_ids)
        self.assertEqual(self.launch(self.make_campaign(li)).reason, "suppressed")

    def test_consent_of_a_known_member(self):
        profile = self.make_members(1, is_granted=False)
        profile.number = "C1"
        job = self.do_import("name,number", "Li,C1", **self.consent())
        self.assertEqual(job.merge_count, 1)
        self.assertEqual(profile.consent_ids.mapped("state"), ["granted"])

    # -------------------------------------------------------------- idempotence

    def test_same_file_twice(self):
        rows = (HEADER, LI, WANG, "Mail,,m@x.cn,,,Tea,", "Bad,123,,,,,")
        tag = self.env["res.partner.category"].create({"name": "Fair"})
        values = {**self.consent(), "tag_ids": [Command.set(tag.ids)]}
        first = self.do_import(*rows, **values)
        self.assertEqual(self.get_counts(first), (3, 0, 0, 1))
        before = self.count_everything()
        versions = self.get_row_versions(first.line_ids.partner_id)
        second = self.do_import(*rows, **values)
        self.assertEqual(self.get_counts(second), (0, 0, 3, 1))
        self.assertEqual(self.count_everything(), before)
        self.assertEqual(self.get_row_versions(first.line_ids.partner_id), versions)

    def test_known_contacts_are_read_together(self):
        """Finding out that nothing is new takes as many queries for ten as for two."""

        def count(amount):
            rows = ["name,phone,tags"] + [
                f"{partner.name},{partner.phone},Tea"
                for partner in self.make_partners(amount)
            ]
            self.do_import(*rows, **self.consent())
            job = self.make_import(*rows, **self.consent())
            job.action_read()
            counted = [
                self.count_queries(job.action_check),
                self.count_queries(job.action_import),
            ]
            self.assertEqual(self.get_counts(job), (0, 0, amount, 0))
            return counted

        count(1)
        self.assertEqual(count(10), count(2))

    def test_contacts_that_appeared_after_the_check(self):
        job = self.check(HEADER, LI, WANG)
        self.make_partners(1, phone="+8613800138000")
        self.make_partners(2, phone="+8613900139000")
        job.action_import()
        self.assertEqual(
            self.get_results(job), [(2, "merge", False), (3, "reject", "ambiguous")]
        )

    def test_imported_rows_are_not_forgotten(self):
        job = self.do_import(HEADER, LI)
        for action in (job.action_back, job.action_check):
            with self.assertRaisesRegex(UserError, "imported already"):
                action()
        before = self.count_everything()
        job.action_import()
        self.assertEqual(self.count_everything(), before)

    # --------------------------------------------------------------- background

    def start_long(self, count=5):
        """A list that is long enough for the background, worked on two at a time."""
        for name, value in (("DIRECT_SIZE", 2), ("CHUNK_SIZE", 2)):
            patcher = patch.object(member_import, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)
        job = self.make_import(
            "name,phone",
            *(f"m{index},1380000{index:04d}" for index in range(count)),
            **self.consent(),
        )
        job.action_read()
        job.action_check()
        return job

    def test_background(self):
        job = self.start_long()
        self.assertEqual((job.state, job.line_count), ("checking", 0))
        self.run_cron("import")
        self.assertEqual(job.state, "checked")
        self.assertEqual(self.get_counts(job), (5, 0, 0, 0))
        job.action_import()
        self.assertEqual((job.state, job.progress), ("running", 0))
        self.run_cron("import")
        self.assertEqual((job.state, job.progress), ("done", 100))
        partners = self.find(source="import").partner_id
        self.assertEqual(set(partners.mapped("name")), {f"m{n}" for n in range(5)})
        self.assertEqual(partners.create_uid, self.staff)
        self.assertEqual(len(self.find(source="import").consent_ids), 5)

    def test_every_chunk_reads_its_own_lines_only(self):
        """Else a list ten times as long takes a hundred times as long."""
        job = self.start_long(7)
        queries, execute = [], Cursor.execute

        def note(cursor, query, *args, **kwargs):
            queries.append(query.code if isinstance(query, SQL) else query)
            return execute(cursor, query, *args, **kwargs)

        with patch.object(Cursor, "execute", note):
            self.run_cron("import")
            job.with_user(self.staff).action_import()
            self.run_cron("import")
        self.assertEqual(job.state, "done")
        lists = [
            query
            for query in queries
            if 'FROM "member_import_line"' in query
            and not any(word in query for word in ("COUNT(*)", "LIMIT", '"id" IN'))
        ]
        self.assertFalse(lists)

    def test_crash_in_the_middle(self):
        """What was imported stays; the rest follows, and nobody comes twice."""
        job = self.start_long()
        self.run_cron("import")
        job.action_import()
        model = type(self.env["member.import.line"])
        original = model._record_consents
        calls = []

        def crash(lines, *args):
            calls.append(lines)
            if len(calls) == 2:
                raise RuntimeError("power cut")
            return original(lines, *args)

        with (
            patch.object(model, "_record_consents", crash),
            mute_logger("odoo.addons.member_messaging.models.member_import"),
        ):
            self.run_cron("import")
        self.assertEqual(job.state, "failed")
        self.assertIn("power cut", job.error)
        profiles = self.find(source="import")
        self.assertEqual(len(profiles), 2)
        self.assertEqual(len(profiles.consent_ids), 2)
        job.with_user(self.staff).action_resume()
        self.run_cron("import")
        self.assertEqual((job.state, job.error), ("done", False))
        self.assertEqual(self.get_counts(job), (5, 0, 0, 0))
        profiles = self.find(source="import")
        self.assertEqual(len(profiles), 5)
        self.assertEqual(len(profiles.consent_ids), 5)
        self.assertEqual(len(set(profiles.partner_id.mapped("phone"))), 5)

    def test_stop_and_go_on(self):
        job = self.start_long()
        self.run_cron("import")
        job.action_import()
        with self.assertRaisesRegex(UserError, "Stop the import"):
            job.unlink()
        job.action_stop()
        self.run_cron("import")
        self.assertEqual(job.state, "checked")
        self.assertFalse(self.find(source="import"))
        job.action_import()
        self.run_cron("import")
        self.assertEqual(len(self.find(source="import")), 5)

    def test_file_that_cannot_be_read_to_its_end(self):
        job = self.start_long()
        with patch("odoo.addons.member_messaging.tools.table.MAX_ROWS", 3):
            self.run_cron("import")
        self.assertEqual((job.state, job.line_count), ("failed", 0))
        self.assertIn("more than 3 rows", job.error)

    def test_old_imports_are_forgotten(self):
        old, new = self.do_import(HEADER, LI), self.do_import(HEADER, WANG)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE member_import SET write_date = write_date - interval '31 days' "
            "WHERE id = %s",
            (old.id,),
        )
        lines = old.line_ids
        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", "member.import"), ("res_id", "=", old.id)]
            + [("res_field", "=", "file")]
        )
        self.assertTrue(attachment)
        self.env.invalidate_all()
        self.env["member.import"]._gc_imports()
        self.assertFalse(old.exists() or lines.exists() or attachment.exists())
        self.assertTrue(new.exists())
        self.assertTrue(self.find(number="C1"))

    # ------------------------------------------------------------------- rights

    def test_staff_need_no_right_to_contacts(self):
        partner = self.make_partners(1).with_user(self.staff)
        self.assertFalse(partner.has_access("write"))
        self.assertFalse(partner.has_access("create"))
        self.do_import(HEADER, LI)

    def test_cashiers_cannot_import(self):
        cashier = self.make_user("cashier", "point_of_sale.group_pos_user")
        job = self.check(HEADER, LI)
        for model in (job, job.line_ids, job.column_ids):
            for operation in ("read", "write", "create"):
                self.assertFalse(model.with_user(cashier).has_access(operation))
        with self.assertRaises(AccessError):
            job.with_user(cashier).action_import()

    def test_lines_open_by_result(self):
        job = self.check(HEADER, LI, "Bad,123,,,,,").with_context(
            import_action="reject"
        )
        action = job.action_view_lines()
        lines = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(lines, job.line_ids)
        self.assertEqual(action["context"], {"search_default_reject": 1})


@tagged("post_install", "-at_install")
class TestImportFiles(ImportCommon, HttpCase):
    def test_sample(self):
        self.staff.lang = "zh_CN"
        self.authenticate("staff", "staff")
        response = self.url_open("/member_messaging/import/sample")
        self.assertIn("姓名", response.content.decode("utf-8-sig"))
        self.assertEqual(
            self.get_counts(self.check(data=response.content)), (2, 0, 0, 0)
        )
        self.staff.lang = "en_US"
        response = self.url_open("/member_messaging/import/sample")
        self.assertIn("Mobile", response.content.decode("utf-8-sig"))

    def test_rejected_rows(self):
        job = self.check(HEADER, LI, "坏,123,,,,,")
        url = job.action_download_rejected()["url"]
        self.authenticate("staff", "staff")
        response = self.url_open(url)
        self.assertTrue(response.content.startswith(b"\xef\xbb\xbf"))
        header, row = csv.reader(io.StringIO(response.content.decode("utf-8-sig")))
        self.assertEqual(header, [*HEADER.split(","), "Row", "Reason", "Details"])
        self.assertEqual(row[:2], ["坏", "123"])
        self.assertEqual(row[7:9], ["3", "Phone number is not valid"])
        self.make_other_company()
        for login in ("stranger", "salesperson"):
            self.authenticate(login, login)
            self.assertEqual(self.url_open(url).status_code, 404, login)
