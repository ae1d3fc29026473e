import csv
import hashlib
import io
import zipfile
from datetime import timedelta
from unittest.mock import patch

from openpyxl import load_workbook

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged

from ..controllers import records
from ..gateways.types import InboundMessage
from ..tools import ledger
from ..tools.table import unescape
from .common import MemberMessagingCommon


class PrivacyCommon(MemberMessagingCommon):
    def get_log(self, kind):
        return self.env["member.privacy.log"].search([("kind", "=", kind)], limit=1)

    def receive(self, message, text):
        self.env["member.inbound"]._receive(
            self.gateway,
            [InboundMessage(address=message.address, text=text, event_ref=text)],
        )


@tagged("post_install", "-at_install")
class TestAuthority(PrivacyCommon, HttpCase):
    """P5: what was sent, by whose order and with which consent, as a file."""

    def make_export(self, user=None, **values):
        return (
            self.env["member.message.export"]
            .with_user(user or self.manager)
            .create({"reason": "File 1", **values})
        )

    def download(self, export, user=None):
        user = user or self.manager
        self.authenticate(user.login, user.login)
        return self.url_open(f"/member_messaging/records/{export.id}")

    def parse(self, export):
        """:returns: rows by the names of their columns"""
        content = self.download(export).content.decode("utf-8-sig")
        return [
            {name: unescape(cell) for name, cell in row.items()}
            for row in csv.DictReader(io.StringIO(content, newline=""))
        ]

    def test_one_message(self):
        self.gateway.signature = "Tea House"
        profile = self.make_members(1)
        [message] = self.make_sent(profile)
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "delivered",
                    "date": fields.Datetime.now(),
                }
            ]
        )
        # said later: it is not what let the message leave
        self.env["member.consent"]._refuse(profile, "sms", "staff", "By phone")
        self.env.cr.execute(
            "UPDATE member_consent SET create_date = create_date + interval '1 hour'"
            " WHERE profile_id = %s AND state = 'refused'",
            (profile.id,),
        )
        consent = profile.consent_ids.filtered(lambda c: c.state == "granted")
        [row] = self.parse(self.make_export(campaign_id=message.campaign_id.id))
        self.assertEqual(
            {name: row[name] for name in row if name in row and "(" not in name} | {},
            {
                "Record Number": str(message.id),
                "Kind": "Promotion",
                "Campaign": "Campaign",
                "Company": self.company.name,
                "Signature or Sender": "Tea House",
                "Gateway": "Test Account",
                "Provider": row["Provider"],
                "Number": message.address,
                "Member Number": profile.number,
                "Text": message.body,
                "Billed SMS": str(message.parts),
                "Outcome": "Delivered",
                "Reason": "",
                "Provider Reference": message.provider_ref,
                "Provider Answer": message.provider_code or "",
                "Submitted By": self.staff.name,
                "Approved and Launched By": self.manager.name,
                "Consent Then": "Granted",
                "Given Through": "Staff",
                "Basis": "Said So",
                "Evidence": "Paper form",
                "Wording": consent.wording,
                "Seal in the Ledger": consent.seal,
            },
        )
        local = fields.Datetime.context_timestamp(
            message.with_context(tz="Asia/Shanghai"), message.sent_date
        )
        self.assertEqual(row["Accepted (Asia/Shanghai)"], f"{local:%Y-%m-%d %H:%M:%S}")
        self.assertTrue(row["Delivered (Asia/Shanghai)"])

    def test_by_member_number_and_period(self):
        first, second = self.make_members(2)
        self.make_sent(first | second)
        service = self.env["member.service.message"].create(
            {
                "gateway_id": self.gateway.id,
                "kind": "test",
                "address": second.phone,
                "body": "A test",
                "state": "sent",
                "claimed_date": fields.Datetime.now(),
            }
        )
        self.assertEqual(
            [
                r["Member Number"]
                for r in self.parse(self.make_export(profile_id=first.id))
            ],
            [first.number],
        )
        export = self.make_export(number=second.phone)
        self.assertEqual(export.row_count, 2)
        rows = self.parse(export)
        self.assertEqual(
            [(row["Number"], row["Kind"]) for row in rows],
            [(service.address, "Promotion"), (service.address, "Test")],
        )
        long_ago = fields.Date.today() - timedelta(days=900)
        with self.assertRaisesRegex(UserError, "Nothing was exported"):
            self.make_export(start_date=long_ago, end_date=long_ago).action_export()
        with self.assertRaisesRegex(UserError, "no phone number"):
            self.make_export(number="12").action_export()

    def test_no_formula_runs(self):
        partner = self.make_partners(1, name="=1+1")
        profile = self.enrol(partner)
        template = self.make_template("{{ member_name }} {{ unsubscribe_link }}")
        messages = self.make_sent(profile, templates=template, program_id=False)
        content = self.download(
            self.make_export(campaign_id=messages.campaign_id.id)
        ).content.decode("utf-8-sig")
        self.assertIn("'=1+1", content)
        self.assertNotIn(",=1+1", content)

    def test_it_is_noted(self):
        profile = self.make_members(1)
        self.make_sent(profile)
        export = self.make_export(number=profile.phone)
        response = self.download(export)
        log = self.get_log("export")
        self.assertRecordValues(
            log,
            [
                {
                    "user_id": self.manager.id,
                    "reason": "File 1",
                    "row_count": 1,
                    "file_hash": hashlib.sha256(response.content).hexdigest(),
                    "company_id": self.company.id,
                }
            ],
        )
        self.assertNotIn(profile.phone, log.reference)
        with self.assertRaisesRegex(UserError, "cannot be changed"):
            log.with_user(self.manager).write({"reason": "Other"})
        with self.assertRaises(AccessError):
            log.with_user(self.manager).unlink()
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            log.unlink()

    def test_many_rows_are_packed(self):
        messages = self.make_sent(self.make_members(3))
        with patch.object(records, "ZIP_ROWS", 2):
            response = self.download(
                self.make_export(campaign_id=messages.campaign_id.id)
            )
        self.assertEqual(response.headers["Content-Type"], "application/zip")
        with zipfile.ZipFile(io.BytesIO(response.content)) as package:
            [name] = package.namelist()
            self.assertEqual(package.read(name).decode("utf-8-sig").count("Paper"), 3)

    def test_rows_are_read_in_steps(self):
        """As many statements as steps, however many rows a step has."""
        few, many = (
            self.make_sent(self.make_members(2)),
            self.make_sent(self.make_members(30)),
        )
        messages = self.env["member.message"]

        def read(ids):
            self.assertEqual(
                len(list(messages._iterate_evidence(ids, "UTC"))), len(ids)
            )

        read(few.ids)
        self.assertEqual(
            self.count_queries(read, few.ids), self.count_queries(read, many.ids)
        )

    def test_nobody_else(self):
        self.make_sent(self.make_members(1))
        export = self.make_export()
        other, stranger = self.make_other_company()
        for user in (self.staff, stranger, self.salesperson):
            with self.subTest(user=user.login):
                self.assertEqual(self.download(export, user).status_code, 404)
                self.assertFalse(self.get_log("export"))
        with self.assertRaises(AccessError):
            self.make_export(stranger, company_id=self.company.id).action_export()


@tagged("post_install", "-at_install")
class TestCopy(PrivacyCommon, HttpCase):
    """CN-22, EU-7: a member gets a copy of everything."""

    def download(self, profile, user=None):
        user = user or self.manager
        self.authenticate(user.login, user.login)
        return self.url_open(f"/member_messaging/member/{profile.id}/copy")

    def test_everything_is_in_it(self):
        partner = self.make_partners(1, city="Hangzhou", lang="en_US")
        profile = self.enrol(partner)
        partner.category_id = self.env["res.partner.category"].create({"name": "Tea"})
        [message] = self.make_sent(profile)
        self.receive(message, "=Hello")
        self.env["member.complaint"].create(
            {"address": message.address, "note": "Too loud"}
        )
        self.sell(partner)
        message._record_visit(is_machine=False)
        response = self.download(profile)
        book = load_workbook(io.BytesIO(response.content))
        texts = {
            sheet.title: "\n".join(
                str(cell.value) for row in sheet for cell in row if cell.value
            )
            for sheet in book
        }
        for sheet, text in (
            ("About This Copy", self.company.name),
            ("Contact", "Hangzhou"),
            ("Member", profile.number),
            ("Tags and Segments", "Tea"),
            ("Tags and Segments", "Chosen"),
            ("Consent", "Paper form"),
            ("Messages", message.body),
            ("Events", "Clicked"),
            ("Replies", "=Hello"),
            ("Coupons and Points", message.card_id.code),
            ("Orders", "100"),
            ("Complaints", "Too loud"),
        ):
            self.assertIn(text, texts[sheet], sheet)
        self.assertFalse(
            [cell for sheet in book for row in sheet for cell in row]
            and any(
                cell.data_type == "f" for sheet in book for row in sheet for cell in row
            )
        )
        log = self.get_log("access")
        self.assertEqual(log.reference, profile.number)
        self.assertEqual(log.user_id, self.manager)
        self.assertEqual(log.file_hash, hashlib.sha256(response.content).hexdigest())

    def test_nothing_of_others(self):
        first, second = self.make_members(2)
        messages = self.make_sent(first | second)
        content = self.download(first).content
        book = load_workbook(io.BytesIO(content))
        values = {cell.value for sheet in book for row in sheet for cell in row}
        self.assertIn(messages[0].body, values)
        self.assertNotIn(messages[1].body, values)
        self.assertNotIn(second.number, values)

    def test_in_the_language_of_the_member(self):
        profile = self.make_members(1, lang="en_US")
        self.manager.lang = "zh_CN"
        book = load_workbook(io.BytesIO(self.download(profile).content))
        self.assertIn("Consent", book.sheetnames)

    def test_nobody_else(self):
        _company, stranger = self.make_other_company()
        profile = self.make_members(1, company_id=self.company.id)
        for user in (self.staff, self.salesperson, stranger):
            with self.subTest(user=user.login):
                self.assertEqual(self.download(profile, user).status_code, 404)


@tagged("post_install", "-at_install")
class TestErasure(PrivacyCommon):
    """CN-22, EU-7, US-14: a member is forgotten; what has to stay leads to nobody."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.us = cls.env.ref("base.us")

    def make_erase(self, profile, user=None, **values):
        return (
            self.env["member.profile.erase"]
            .with_user(user or self.manager)
            .create(
                {
                    "profile_id": profile.id,
                    "reason": "By e-mail, called back",
                    "confirmation": profile.number,
                    **values,
                }
            )
        )

    def erase(self, profile, **values):
        """:returns: the row of the privacy log"""
        self.make_erase(profile, **values).action_erase()
        self.env.invalidate_all()
        return self.get_log("erasure")

    def make_american(self, **values):
        """A member no Chinese law asks for."""
        number = f"+1202555{next(self.numbers):04d}"
        return self.make_members(1, phone=number, country_id=self.us.id, **values)

    def verify(self):
        return self.env["member.consent"]._verify_ledger(self.company)

    # ------------------------------------------------------------------- messages

    def test_messages_lose_the_member(self):
        profile = self.make_american()
        [message] = self.make_sent(profile)
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "delivered",
                    "date": fields.Datetime.now(),
                    "ref": "r",
                }
            ]
        )
        cost = message.cost
        log = self.erase(profile)
        self.assertFalse(profile.exists())
        self.assertRecordValues(
            message,
            [
                {
                    "profile_id": False,
                    "partner_id": False,
                    "address": False,
                    "body": False,
                    "token": False,
                    "card_id": False,
                    "provider_ref": False,
                    "state": "delivered",
                    "cost": cost,
                    "erasure_id": log.id,
                }
            ],
        )
        self.assertFalse(message.event_ids.provider_event_ref)
        self.assertFalse(self.env["member.message.archive"].search([]))

    def test_a_message_whose_report_may_come_keeps_its_number_for_a_week(self):
        profile = self.make_american()
        [message] = self.make_sent(profile)
        self.erase(profile)
        self.assertTrue(message.address)
        self.assertFalse(message.profile_id)
        self.env.cr.execute(
            "UPDATE member_message SET claimed_date = claimed_date - interval '8 days'"
            " WHERE id = %s",
            (message.id,),
        )
        self.run_cron("purge")
        self.assertFalse(message.address)
        self.assertFalse(self.env["member.message.archive"].search([]))

    def test_cn_8_chinese_law_asks_for_the_record(self):
        profile = self.make_members(1)
        [message] = self.make_sent(profile)
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "delivered",
                    "date": fields.Datetime.now(),
                }
            ]
        )
        number, body = message.address, message.body
        self.erase(profile)
        self.assertFalse(message.address)
        archive = self.env["member.message.archive"].search([])
        self.assertRecordValues(archive, [{"address": number, "body": body}])
        days = (archive.until_date - message.claimed_date).days
        self.assertTrue(181 <= days <= 184, days)
        # an authority that knows the number finds it
        export = (
            self.env["member.message.export"]
            .with_user(self.manager)
            .create({"reason": "File", "number": number})
        )
        _header, row = export._iterate_rows()
        self.assertIn(body, row)
        self.assertIn("Granted", row, "with the consent it was sent by")
        self.env.cr.execute(
            "UPDATE member_message_archive SET until_date = now() - interval '1 day'"
        )
        self.run_cron("purge")
        self.assertFalse(archive.exists())

    def test_what_waits_is_not_sent(self):
        profile = self.make_members(1)
        message = self.launch(self.make_campaign(profile))
        self.erase(profile)
        self.assertFalse(self.send())
        self.assertEqual(message.state, "skipped")
        self.assertFalse(message.address)

    def test_replies_complaints_and_other_messages(self):
        profile = self.make_american()
        [message] = self.make_sent(profile)
        self.receive(message, "Hello")
        complaint = self.env["member.complaint"].create(
            {"address": message.address, "note": "Amy called"}
        )
        service = self.env["member.service.message"].create(
            {
                "gateway_id": self.gateway.id,
                "kind": "odoo",
                "address": message.address,
                "body": "Dear Amy",
                "state": "delivered",
                "claimed_date": fields.Datetime.now() - timedelta(days=30),
            }
        )
        self.erase(profile)
        self.assertFalse(self.env["member.inbound"].search([("text", "=", "Hello")]))
        self.assertRecordValues(
            complaint, [{"address": "*", "note": False, "profile_id": False}]
        )
        self.assertEqual(complaint.campaign_id, message.campaign_id)
        self.assertFalse(service.exists())

    def test_orders_are_not_a_way_back(self):
        profile = self.make_american()
        partner = profile.partner_id
        [message] = self.make_sent(profile)
        order = self.make_sale(partner)
        status = order._try_apply_code(message.card_id.code)
        order._apply_program_reward(status[message.card_id], message.card_id)
        order.action_confirm()
        credit = self.env["member.attribution"].search(
            [("message_id", "=", message.id)]
        )
        amount = credit.amount
        self.assertTrue(amount)
        self.erase(profile)
        self.assertEqual(credit.amount, amount)
        self.assertLess(credit.order_id, 0)
        self.assertFalse(message.event_ids.filtered("provider_event_ref"))
        self.assertEqual(order.partner_id, partner, "the order is the shop's record")

    # -------------------------------------------------------------------- consent

    def test_g_6_the_ledger_says_erased_and_not_broken(self):
        profile = self.make_members(1)
        self.env["member.consent"]._refuse(profile, "sms", "reply", "Amy says stop")
        consents = profile.consent_ids
        count, broken = self.verify()
        self.assertFalse(broken)
        log = self.erase(profile)
        self.assertEqual(self.verify(), (count + 1, None))
        self.assertEqual(set(consents.mapped("evidence")), {ledger.ERASED})
        self.assertEqual(consents.erasure_id, log)
        self.assertFalse(consents.profile_id)
        self.assertFalse(any(consents.mapped("is_current")))
        self.assertTrue(consents[-1].wording, "what was agreed to can be shown")
        action = self.env["member.consent"].with_user(self.manager).action_verify()
        self.assertEqual(action["params"]["type"], "success")
        self.assertIn("2 of them was erased", action["params"]["message"])
        rows = ledger.read_export(
            self.env["member.consent"]._export_ledger(self.company)
        )
        self.assertEqual(ledger.check(rows), (count + 1, None))
        for statement in (
            "UPDATE member_consent SET state = 'refused' WHERE id = %s",
            "UPDATE member_consent SET wording = 'Everything' WHERE id = %s",
            "DELETE FROM member_consent WHERE id = %s",
        ):
            with self.subTest(statement), self.cr.savepoint() as savepoint:
                self.cr.execute(statement, (consents[-1].id,))
                self.assertTrue(self.verify()[1])
                savepoint.rollback()

    def test_merged_members_have_several_chains(self):
        profile, other = self.make_members(2)
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (profile | other).partner_id.ids, profile.partner_id
        )
        count, _broken = self.verify()
        self.erase(profile)
        self.assertEqual(self.verify(), (count + 2, None))

    def test_a_member_without_consent(self):
        profile = self.make_members(1, is_granted=False)
        count, _broken = self.verify()
        self.erase(profile)
        self.assertEqual(self.verify(), (count, None))

    # --------------------------------------------------------------- coming back

    def test_us_14_the_number_stays_silent(self):
        profile = self.make_members(1)
        number = profile.phone
        self.erase(profile)
        suppressions = self.env["member.suppression"].search(
            [("reason", "=", "erased")]
        )
        self.assertEqual(set(suppressions.mapped("purpose")), {"promotion", "service"})
        self.assertNotIn(number, str(suppressions.read()))
        again = self.make_members(1, phone=number, is_granted=False)
        text = self.make_template("Happy birthday!", category="care")
        care = self.make_campaign(again, text, category="care", program_id=False)
        self.assertEqual(self.launch(care).reason, "suppressed")

    def test_whoever_comes_back_gets_messages_again(self):
        profile = self.make_members(1)
        partner = profile.partner_id
        self.erase(profile)
        again = self.enrol(partner)
        self.assertTrue(again)
        self.assertNotEqual(again, profile)
        message = self.launch(self.make_campaign(again))
        self.assertFalse(message.reason)
        self.assertFalse(
            self.env["member.suppression"].search(
                [("reason", "=", "erased"), ("lifted_date", "=", False)]
            )
        )

    def test_another_member_with_the_number_who_agreed(self):
        profile = self.make_members(1)
        twin = self.make_members(1, phone=profile.phone)
        self.erase(profile)
        self.assertFalse(self.launch(self.make_campaign(twin)).reason)

    def test_no_rule_makes_a_member_of_them_again(self):
        self.company.member_auto_enrol = True
        partner = self.make_partners(1)
        self.sell(partner)
        self.assertTrue(partner.member_profile_id)
        self.erase(partner.member_profile_id)
        self.sell(partner)
        self.run_cron("refresh")
        self.assertFalse(partner.member_profile_id)

    # ------------------------------------------------------- coupons and contact

    def test_coupons_stay_or_go(self):
        for action, is_active in (("keep", True), ("void", False)):
            with self.subTest(action):
                profile = self.make_members(1)
                [message] = self.make_sent(profile)
                card = message.card_id
                self.erase(profile, coupon_action=action)
                self.assertEqual(card.active, is_active)
                self.assertEqual(
                    bool(
                        self.env["loyalty.card"]._explain_refusal(
                            card.code, card.partner_id
                        )
                    ),
                    not is_active,
                )

    def test_the_contact_stays(self):
        profile = self.make_members(1)
        partner = profile.partner_id
        name = partner.name
        self.erase(profile)
        self.assertRecordValues(
            partner,
            [{"name": name, "active": True, "member_profile_id": False}],
        )

    def test_the_contact_goes(self):
        self.manager.group_ids += self.env.ref("base.group_partner_manager")
        profile = self.make_members(1, city="Hangzhou", comment="Likes green tea")
        partner = profile.partner_id
        [message] = self.make_sent(profile)
        card = message.card_id
        partner.message_post(body="Amy called")
        self.erase(profile, contact_action="anonymise")
        self.assertFalse(partner.active)
        self.assertNotIn("Member", partner.name)
        for name in ("phone", "phone_sanitized", "city", "comment"):
            self.assertFalse(partner[name], name)
        self.assertFalse(partner.message_ids)
        self.assertFalse(card.partner_id, "whoever has the code may use it")

    def test_a_contact_that_has_to_stay(self):
        profile = self.make_members(1)
        with self.assertRaisesRegex(UserError, "no right to change contacts"):
            self.erase(profile, contact_action="anonymise")
        self.assertTrue(profile.exists())
        self.manager.group_ids += self.env.ref("base.group_partner_manager")
        self.make_user("amy", "base.group_portal").partner_id = profile.partner_id
        with self.assertRaisesRegex(UserError, "a user who can log in"):
            self.erase(profile, contact_action="anonymise")

    def test_tags_and_imports(self):
        profile = self.make_members(1)
        partner = profile.partner_id
        by_rule, by_hand = self.env["res.partner.category"].create(
            [{"name": "Rule"}, {"name": "Hand"}]
        )
        partner.category_id = by_hand
        self.env["member.tag.rule"].create(
            {"category_id": by_rule.id, "kind": "domain", "domain": "[]"}
        ).action_apply()
        self.assertIn(by_rule, partner.category_id)
        request = self.env["member.join"].create(
            {
                "company_id": self.company.id,
                "name": "Amy",
                "phone": partner.phone_sanitized,
                "lang": "en_US",
                "token": "x",
            }
        )
        self.erase(profile)
        self.assertEqual(partner.category_id, by_hand)
        self.assertFalse(request.exists())

    # ---------------------------------------------------------------- second look

    def test_it_asks_twice(self):
        profile = self.make_members(1)
        for confirmation in (False, "", "M1"):
            with self.assertRaisesRegex(UserError, "Nothing was erased"):
                self.erase(profile, confirmation=confirmation)
        self.assertTrue(profile.exists())

    def test_it_is_noted_and_can_be_pressed_twice(self):
        profile = self.make_members(1)
        number = profile.number
        dialog = self.make_erase(profile)
        self.assertIn("What became of each message", dialog.kept_summary)
        dialog.action_erase()
        action = dialog.action_erase()
        self.assertIn("already", action["params"]["message"])
        log = self.env["member.privacy.log"].search([("kind", "=", "erasure")])
        self.assertRecordValues(
            log,
            [
                {
                    "reference": number,
                    "user_id": self.manager.id,
                    "reason": "By e-mail, called back",
                }
            ],
        )

    def test_nobody_else(self):
        profile = self.make_members(1, company_id=self.company.id)
        _company, stranger = self.make_other_company()
        with self.assertRaises(AccessError):
            self.make_erase(profile, self.staff)
        with self.assertRaises(AccessError):
            self.make_erase(profile, stranger).action_erase()
        self.assertTrue(profile.exists())
