import runpy
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tests import Form, HttpCase, freeze_time, tagged
from odoo.tools import mute_logger

from ..tools import ledger
from .common import MemberMessagingCommon


class PermissionCommon(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1, is_granted=False)

    def say(self, state, profile=None, **values):
        return self.env["member.consent"].create(
            {
                "profile_id": (profile or self.profile).id,
                "state": state,
                "source": "staff",
                "evidence": "Form",
                **values,
            }
        )

    def get_reason(self, profile=None, **values):
        """:returns: why the member would not get a promotion"""
        return self.launch(self.make_campaign(profile or self.profile, **values)).reason


@tagged("post_install", "-at_install")
class TestPermission(PermissionCommon):
    """What may be sent to whom; each test names the rule it proves."""

    def test_cn_1_promotion_needs_an_active_consent(self):
        self.assertEqual(self.get_reason(), "no_consent")
        self.say("granted")
        self.assertFalse(self.get_reason())

    def test_cn_2_refusal_stops_what_is_queued(self):
        self.say("granted")
        message = self.launch(self.make_campaign(self.profile))
        self.env["member.consent.record"].with_user(self.staff).create(
            {"profile_id": self.profile.id, "state": "refused"}
        ).action_record()
        self.assertFalse(self.send())
        self.assertRecordValues(message, [{"state": "skipped", "reason": "refused"}])

    def test_g_2_what_stops_most_comes_first(self):
        """Number > channel > purpose > missing consent > limit; lifted one by one."""
        number = self.profile.phone
        twin = self.make_members(1, phone=number)
        self.env["member.consent"]._refuse(twin, "sms", "complaint", "12321")
        self.say("refused")
        self.env["phone.blacklist"].add(number)
        self.assertEqual(self.get_reason(), "blocked")
        self.env["phone.blacklist"].remove(number)
        self.assertEqual(self.get_reason(), "suppressed")
        self.env["member.suppression"].search([]).sudo().unlink()
        self.assertEqual(self.get_reason(), "refused")
        yesterday = fields.Date.today() - timedelta(days=1)
        self.say("granted", expiry_date=yesterday)
        self.assertEqual(self.get_reason(), "no_consent")
        self.say("granted")
        self.launch(self.make_campaign(self.profile))
        self.policy.promotion_limit = 1
        self.assertEqual(self.get_reason(), "frequency_cap")
        self.policy.promotion_limit = 0
        self.assertFalse(self.get_reason())

    def test_permission_comes_back_with_evidence_only(self):
        self.say("refused")
        for evidence in (False, "", "  "):
            with (
                self.subTest(evidence=evidence),
                self.assertRaisesRegex(UserError, "The refusal still stands"),
            ):
                self.say("granted", evidence=evidence)
        with self.assertRaisesRegex(UserError, "The refusal still stands"):
            self.say(
                "granted",
                basis="implied",
                expiry_date=fields.Date.today() + timedelta(days=9),
            )
        self.assertEqual(self.get_reason(), "refused")
        self.say("granted", evidence="Came to the till and asked for offers")
        self.assertFalse(self.get_reason())

    def test_another_purpose_needs_no_evidence(self):
        self.say("refused", purpose="service")
        self.say("granted", evidence=False)
        self.assertFalse(self.get_reason())

    def test_ca_2_implied_consent_ends_on_its_day(self):
        self.sell(self.profile.partner_id)
        self.profile._refresh(self.profile.partner_id.ids)
        with Form(
            self.env["member.consent.record"]
            .with_user(self.staff)
            .with_context(default_profile_id=self.profile.id)
        ) as form:
            form.state = "granted"
            form.basis = "implied"
            form.evidence = "Bought at the till"
        dialog = form.record
        bought = self.profile.last_order_date.date()
        self.assertEqual(dialog.expiry_date, bought.replace(year=bought.year + 2))
        dialog.action_record()
        consent = self.profile.consent_ids[0]
        self.assertEqual(consent.basis, "implied")
        last = consent.expiry_date
        with freeze_time(last):
            self.assertFalse(self.get_reason())
        with freeze_time(last + timedelta(days=1)):
            self.assertEqual(self.get_reason(), "no_consent")

    def test_ca_2_inquiry_lasts_six_months(self):
        with freeze_time(date(2026, 3, 31)):
            dialog = self.env["member.consent.record"].create(
                {"profile_id": self.profile.id, "basis": "implied"}
            )
            self.assertEqual(dialog.expiry_date, date(2026, 9, 30))

    def test_eu_2_a_list_gives_no_implied_consent(self):
        later = fields.Date.today() + timedelta(days=9)
        for values in (
            {"source": "import", "expiry_date": later},
            {"expiry_date": False},
        ):
            with (
                self.subTest(**values),
                mute_logger("odoo.sql_db"),
                self.assertRaisesRegex(Exception, "implied_check"),
                self.cr.savepoint(),
            ):
                self.say("granted", basis="implied", **values)


@tagged("post_install", "-at_install")
class TestCapture(PermissionCommon):
    """The box on the contact, at the till as well."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cashier = cls.make_user(
            "cashier",
            "base.group_user,point_of_sale.group_pos_user,base.group_partner_manager",
        )

    def test_us_1_new_customer_at_the_till(self):
        partners = self.env["res.partner"].with_user(self.cashier)
        with Form(partners, view="base.view_partner_form") as form:
            form.name = "Amy"
            form.phone = "+8613912345678"
            self.assertFalse(form.member_agrees, "never ticked beforehand")
            shown = form.member_consent_wording
            form.member_agrees = True
        profile = form.record.member_profile_id.sudo()
        self.assertEqual(profile.source, "pos")
        self.assertRecordValues(
            profile.consent_ids,
            [{"state": "granted", "source": "pos", "wording": shown}],
        )
        self.assertIn(self.cashier.name, profile.consent_ids.evidence)
        self.assertFalse(self.get_reason(profile))

    def test_saving_without_the_box_records_nothing(self):
        partner = self.profile.partner_id.with_user(self.cashier)
        with Form(partner, view="base.view_partner_form") as form:
            form.name = "Another"
        self.assertFalse(self.profile.consent_ids)
        self.say("granted")
        partner.invalidate_recordset()
        with Form(partner, view="base.view_partner_form") as form:
            form.name = "A third one"
            self.assertTrue(form.member_agrees)
        self.assertEqual(len(self.profile.consent_ids), 1)

    def test_unticking_refuses(self):
        partner = self.profile.partner_id.with_user(self.cashier)
        partner.member_agrees = True
        partner.member_agrees = True
        self.assertTrue(partner.member_agrees)
        partner.member_agrees = False
        self.assertEqual(
            self.profile.consent_ids.mapped("state"), ["refused", "granted"]
        )
        self.assertTrue(partner.member_is_refusing)

    def test_who_refused_is_not_asked_again(self):
        self.say("refused")
        partner = self.profile.partner_id.with_user(self.cashier)
        with self.assertRaisesRegex(UserError, "refused offers"):
            partner.member_agrees = True
        self.assertEqual(self.get_reason(), "refused")

    def test_only_cashiers_and_staff(self):
        clerk = self.make_user("clerk", "base.group_partner_manager")
        with self.assertRaises(AccessError):
            self.make_partners(1).with_user(clerk).member_agrees = True


@tagged("post_install", "-at_install")
class TestCaptureOnOrder(PermissionCommon):
    """The box on a quotation, for customers whom nobody has asked."""

    def edit(self, order=None):
        orders = order or self.env["sale.order"]
        return Form(orders.with_user(self.salesperson), view="sale.view_order_form")

    def test_us_1_new_customer(self):
        partner = self.make_partners(1)
        with self.edit() as form:
            form.partner_id = partner
            self.assertFalse(form.member_agrees, "never ticked beforehand")
            self.assertFalse(form.member_word)
            shown = form.member_consent_wording
            form.member_agrees = True
        order = form.record
        profile = partner.member_profile_id
        self.assertEqual(profile.source, "staff")
        self.assertRecordValues(
            profile.consent_ids,
            [{"state": "granted", "source": "sale", "wording": shown}],
        )
        self.assertIn(order.name, profile.consent_ids.evidence)
        self.assertIn(self.salesperson.name, profile.consent_ids.evidence)
        self.assertEqual(order.member_word, "granted")
        self.assertFalse(self.get_reason(profile))

    def test_empty_box_says_nothing(self):
        partner = self.make_partners(1)
        with self.edit() as form:
            form.partner_id = partner
        self.assertFalse(partner.member_profile_id)
        self.say("granted")
        with self.edit() as form:
            form.partner_id = self.profile.partner_id
        form.record.member_agrees = False
        self.assertEqual(self.profile.consent_ids.mapped("state"), ["granted"])

    def test_another_customer_has_not_agreed(self):
        asked, other = self.make_partners(2)
        with self.edit() as form:
            form.partner_id = asked
            form.member_agrees = True
            form.partner_id = other
            self.assertFalse(form.member_agrees)
        self.assertFalse((asked | other).member_profile_id)

    def test_saved_twice_recorded_once(self):
        order = self.make_sale(self.profile.partner_id)
        for _press in range(2):
            order.member_agrees = True
        with self.edit(order) as form:
            form.client_order_ref = "X"
        self.assertEqual(len(self.profile.consent_ids), 1)

    def test_who_refused_is_not_asked_again(self):
        self.say("refused")
        order = self.make_sale(self.profile.partner_id)
        self.assertEqual(order.member_word, "refused")
        with self.assertRaisesRegex(UserError, "refused offers"):
            order.member_agrees = True
        self.assertEqual(self.get_reason(), "refused")

    def test_consent_that_ended_is_asked_for_again(self):
        self.say("granted", expiry_date=fields.Date.today() - timedelta(days=1))
        order = self.make_sale(self.profile.partner_id)
        self.assertFalse(order.member_word)
        order.member_agrees = True
        self.assertFalse(self.get_reason())

    def test_wording_of_the_company(self):
        self.company.member_join_wording = "Tea news, please"
        order = self.make_sale(self.profile.partner_id)
        self.assertEqual(order.member_consent_wording, "Tea news, please")
        order.member_agrees = True
        self.assertEqual(self.profile.consent_ids.wording, "Tea news, please")

    def test_not_who_only_writes_orders(self):
        """Say a customer on the portal, or code that runs for one."""
        order = self.make_sale(self.profile.partner_id)
        clerk = self.make_user("clerk", "base.group_user")
        with self.assertRaises(AccessError):
            order.with_user(clerk).member_agrees = True
        self.assertFalse(self.profile.consent_ids)


@tagged("post_install", "-at_install")
class TestExport(PermissionCommon, HttpCase):
    """Who may download what of the ledger."""

    def download(self, user, query=""):
        self.authenticate(user.login, user.login)
        return self.url_open(f"/member_messaging/consents{query}")

    def test_eu_3_one_member(self):
        self.say("granted", wording="Yes")
        response = self.download(self.staff, f"?profile_id={self.profile.id}")
        self.assertEqual(response.headers["Content-Type"], "text/csv; charset=utf-8")
        rows = ledger.read_export(response.content)
        self.assertEqual([row["wording"] for row in rows], ["Yes"])
        self.assertEqual(ledger.check(rows), (1, None))

    def test_all_of_a_company(self):
        other, stranger = self.make_other_company()
        self.profile.partner_id.company_id = self.company
        self.say("granted")
        rows = ledger.read_export(self.download(self.manager).content)
        self.assertIn(self.profile.number, {row["member"] for row in rows})
        rows = ledger.read_export(self.download(stranger).content)
        self.assertNotIn(self.profile.number, {row["member"] for row in rows})

    def test_nobody_else(self):
        _other, stranger = self.make_other_company()
        self.profile.partner_id.company_id = self.company
        one = f"?profile_id={self.profile.id}"
        for user, query in (
            (self.staff, ""),
            (self.salesperson, one),
            (stranger, one),
            (self.manager, "?profile_id=0"),
            (self.manager, "?profile_id=x"),
            (self.manager, "?profile_id=²"),
            (self.manager, f"?profile_id={10**12}"),
        ):
            with self.subTest(user=user.login, query=query):
                self.assertEqual(self.download(user, query).status_code, 404)


@tagged("post_install", "-at_install")
class TestLedger(PermissionCommon):
    """G-6: the ledger is append-only, and its export verifies."""

    def verify(self, profile=None):
        return self.env["member.consent"]._verify_ledger(self.company, profile)

    def export(self, profile=None):
        content = self.env["member.consent"]._export_ledger(self.company, profile)
        return ledger.read_export(content)

    def test_g_6_rows_continue_the_chain(self):
        self.say("granted", wording='Yes,\r\n"please"!', evidence="=1+1")
        self.say("refused", purpose="service", evidence="'=odd")
        self.say("refused", evidence="拒收")
        rows = self.export(self.profile)
        self.assertEqual(
            [(row["position"], row["state"], row["evidence"]) for row in rows],
            [
                ("1", "granted", "=1+1"),
                ("2", "refused", "'=odd"),
                ("3", "refused", "拒收"),
            ],
        )
        self.assertEqual(rows[0]["wording"], 'Yes,\r\n"please"!')
        self.assertEqual(ledger.check(rows), (3, None))
        self.assertEqual(self.verify(self.profile), (3, None))

    def test_g_6_tampering_is_found(self):
        consents = [self.say("refused"), self.say("granted"), self.say("refused")]
        for statement in (
            "UPDATE member_consent SET state = 'refused' WHERE id = %s",
            "UPDATE member_consent SET evidence = 'Other form' WHERE id = %s",
            "UPDATE member_consent SET date = date - interval '1 day' WHERE id = %s",
            "UPDATE member_consent SET create_uid = create_uid + 1 WHERE id = %s",
            "DELETE FROM member_consent WHERE id = %s",
        ):
            with self.subTest(statement), self.cr.savepoint() as savepoint:
                self.env.flush_all()
                self.cr.execute(statement, (consents[1].id,))
                count, broken = self.verify(self.profile)
                self.assertEqual(count, 1)
                self.assertEqual(broken["member"], self.profile.number)
                self.assertIn(broken["position"], ("2", "3"))
                action = (
                    self.env["member.consent"].with_user(self.manager).action_verify()
                )
                self.assertEqual(action["params"]["type"], "danger")
                self.assertIn(self.profile.number, action["params"]["message"])
                savepoint.rollback()
        self.env.invalidate_all()
        self.assertEqual(self.verify(self.profile), (3, None))

    def test_every_member_has_a_chain(self):
        others = self.make_members(3)
        self.say("granted")
        rows = self.export(None)
        chains = {row["chain"] for row in rows if row["position"] == "1"}
        self.assertLessEqual({str(p.id) for p in others | self.profile}, chains)
        self.assertEqual(ledger.check(rows), (len(rows), None))

    def test_two_rows_of_a_member_at_once(self):
        vals = {"profile_id": self.profile.id, "state": "granted", "source": "web"}
        self.env["member.consent"].create([vals, {**vals, "purpose": "service"}])
        self.assertEqual(self.verify(self.profile), (2, None))

    def test_rows_written_past_the_orm_are_sealed_later(self):
        self.env.cr.execute(
            """
            INSERT INTO member_consent (
                   profile_id, channel, purpose, state, source, is_current)
            VALUES (%s, 'sms', 'promotion', 'granted', 'import', TRUE)
            """,
            (self.profile.id,),
        )
        self.say("refused")
        self.assertEqual(
            [row["state"] for row in self.export(self.profile)], ["granted", "refused"]
        )
        self.assertEqual(self.verify(self.profile), (2, None))

    def test_migration_of_former_versions(self):
        """Their rows were said when they were recorded."""
        self.env.cr.execute(
            """
            INSERT INTO member_consent (
                   profile_id, channel, purpose, state, source, is_current, create_date)
            VALUES (%s, 'sms', 'promotion', 'granted', 'import', TRUE, '2024-02-29')
            """,
            (self.profile.id,),
        )
        path = Path(__file__).parents[1] / "migrations/19.0.1.2.0/post-consent.py"
        runpy.run_path(str(path))["migrate"](self.env.cr, "19.0.1.1.0")
        self.env.invalidate_all()
        consent = self.profile.consent_ids
        self.assertEqual(consent.date, datetime(2024, 2, 29))
        self.assertEqual((consent.chain, consent.position), (self.profile.id, 1))
        self.assertEqual(self.verify(self.profile), (1, None))

    def test_concurrent_rows_do_not_fork_the_chain(self):
        """Another transaction's row, which this one cannot see, makes it start over."""
        self.say("granted")
        with (
            patch.object(
                type(self.env["member.consent"]), "_get_heads", lambda *_args: {}
            ),
            self.assertRaises(ConcurrencyError),
            mute_logger("odoo.sql_db"),
        ):
            self.say("refused")

    def test_merge_keeps_the_chains(self):
        other = self.make_members(1)
        self.say("refused")
        number = other.number
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (self.profile | other).partner_id.ids, self.profile.partner_id
        )
        self.assertFalse(other.exists())
        self.say("granted", evidence="Asked for offers")
        rows = self.export(self.profile)
        self.assertEqual(ledger.check(rows), (3, None))
        self.assertEqual(len({row["chain"] for row in rows}), 2)
        self.assertIn(number, self.profile.former_number_ids.mapped("number"))

    def test_sealing_many_is_set_based(self):
        first, few, many = (self.make_partners(n) for n in (1, 10, 100))
        self.enrol(first | few | many, is_granted=False)

        def grant(partners):
            self.env["member.consent"].create(
                [
                    {
                        "profile_id": profile.id,
                        "state": "granted",
                        "source": "import",
                        "evidence": "List",
                    }
                    for profile in partners.member_profile_id
                ]
            )

        grant(first)  # fills caches
        self.assertEqual(
            self.count_queries(grant, few), self.count_queries(grant, many)
        )
