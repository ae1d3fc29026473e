from datetime import date
from unittest.mock import patch

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import MemberMessagingCommon
from .test_pos import MemberPosCommon


@tagged("post_install", "-at_install")
class TestEnrolment(MemberMessagingCommon):
    def enrol_as(self, user, partners, source="staff"):
        profiles = self.env["member.profile"].with_user(user)
        return profiles._enrol(partners.ids, source)

    # -------------------------------------------------------------------- by hand

    def test_new_members(self):
        partners = self.make_partners(3)
        self.sell(partners[1])
        profiles = self.enrol_as(self.staff, partners, "import")
        self.assertRecordValues(
            profiles,
            [
                {
                    "partner_id": partner.id,
                    "source": "import",
                    "joined_date": fields.Date.context_today(profiles),
                    "order_count": orders,
                    "lifecycle": lifecycle,
                    "create_uid": self.staff.id,
                }
                for partner, orders, lifecycle in zip(
                    partners,
                    (0, 1, 0),
                    ("prospect", "new", "prospect"),
                    strict=True,
                )
            ],
        )
        self.assertEqual(partners.member_profile_id, profiles)
        numbers = profiles.mapped("number")
        self.assertEqual(len(set(numbers)), 3)
        self.assertEqual(numbers, sorted(numbers))
        self.assertFalse(profiles.consent_ids)

    def test_as_the_form_creates_them(self):
        """Whatever has a default has it here as well."""
        profiles = self.env["member.profile"].with_context(tz=self.staff.tz)
        created = profiles.create({"partner_id": self.make_partners(1).id})
        enrolled = self.enrol_as(self.staff, self.make_partners(1))
        ignored = {"id", "partner_id", "number", "create_uid", "write_uid"}
        names = [
            name
            for name, field in created._fields.items()
            if field.store and field.column_type and name not in ignored
        ]
        self.assertEqual(
            *(
                {
                    name: value
                    for name, value in profile.read(names, load=False)[0].items()
                    if name not in ("id", "create_date", "write_date")
                }
                for profile in (created, enrolled.with_env(self.env))
            )
        )

    @freeze_time("2026-11-25 16:30:00")
    def test_today_has_begun_where_the_member_joins(self):
        """In Shanghai it is the 26th; the scheduler, on UTC, may still edit."""
        profile = self.enrol_as(self.staff, self.make_partners(1)).with_env(self.env)
        self.assertEqual(profile.joined_date, date(2026, 11, 26))
        profile.birthday = date(1990, 5, 1)
        self.assertEqual(profile.birthday, date(1990, 5, 1))

    def test_members_stay_as_they_are(self):
        partners = self.make_partners(2)
        old = self.enrol_as(self.staff, partners[0], "pos")
        number = old.number
        old.birthday = "1990-05-01"
        profiles = self.enrol_as(self.staff, partners + partners, "web")
        self.assertEqual(len(profiles), 2)
        self.assertRecordValues(
            old, [{"number": number, "source": "pos", "birthday": date(1990, 5, 1)}]
        )
        versions = self.get_row_versions(partners)
        self.enrol_as(self.staff, partners)
        self.assertEqual(self.get_row_versions(partners), versions)

    def test_two_at_once(self):
        """Somebody else enrols the contact while we do."""
        partner = self.make_partners(1)
        profiles = self.env["member.profile"]
        draw = type(profiles)._draw_numbers

        def draw_late(records, amount):
            other.stop()
            records._enrol(partner.ids, "pos")
            return draw(records, amount)

        other = patch.object(type(profiles), "_draw_numbers", draw_late)
        other.start()
        found = profiles._enrol(partner.ids, "staff")
        self.assertEqual(found.source, "pos")
        self.assertEqual(profiles.search_count([("partner_id", "=", partner.id)]), 1)
        self.assertEqual(partner.member_profile_id, found)

    def test_numbers_that_are_taken(self):
        """An import brought the next numbers of the sequence."""
        number = self.make_members(1).number
        prefix, digits = number[:1], number[1:]
        taken = [f"{prefix}{int(digits) + step:0{len(digits)}d}" for step in (1, 2)]
        partners = self.make_partners(2)
        for partner, name in zip(partners, taken, strict=True):
            self.env["member.profile"].create(
                {"partner_id": partner.id, "number": name}
            )
        self.assertNotIn(self.make_members(1).number, taken)

    def test_thousands_at_once(self):
        """The number of statements does not grow with the number of members."""
        counts = [
            self.count_queries(
                self.env["member.profile"]._enrol, self.make_partners(size).ids, "web"
            )
            for size in (2, 2, 60)
        ]
        self.assertEqual(*counts[1:], "the first time fills caches")

    def test_rights(self):
        partner = self.make_partners(1, company_id=self.company.id)
        with self.assertRaises(AccessError):
            self.enrol_as(self.salesperson, partner)
        _company, stranger = self.make_other_company()
        with self.assertRaises(AccessError):
            self.enrol_as(stranger, partner)
        self.assertFalse(partner.member_profile_id)

    def test_box_on_the_contact(self):
        editor = self.make_user(
            "editor",
            "member_messaging.group_member_messaging_user,base.group_partner_manager",
        )
        partner = self.make_partners(1)
        partner.with_user(editor).is_member = True
        profile = partner.member_profile_id
        self.assertEqual(profile.source, "staff")
        # It enrols and does nothing else.
        partner.with_user(editor).is_member = False
        self.assertEqual(partner.member_profile_id, profile)
        stranger = self.make_partners(1)
        self.assertFalse(stranger.is_member)
        found = partner.search([("is_member", "=", True)])
        self.assertIn(partner, found)
        self.assertNotIn(stranger, found)
        clerk = self.make_user("clerk", "base.group_partner_manager")
        with self.assertRaises(AccessError):
            stranger.with_user(clerk).is_member = True

    # -------------------------------------------------------------------- by rule

    def test_rule_is_off(self):
        partner = self.make_partners(1)
        self.sell(partner)
        self.run_cron("refresh")
        self.assertFalse(partner.member_profile_id)

    def test_sales_order(self):
        self.company.member_auto_enrol = True
        partner = self.make_partners(1)
        order = self.make_sale(partner)
        self.assertFalse(partner.member_profile_id, "a quotation is no purchase")
        order.action_confirm()
        self.assertRecordValues(
            partner.member_profile_id,
            [{"source": "staff", "order_count": 1, "revenue": 100}],
        )
        self.assertFalse(partner.member_profile_id.consent_ids)

    def test_who_is_not_enrolled(self):
        self.company.member_auto_enrol = True
        self.product.type = "service"
        for name, partner, price in (
            ("no phone", self.make_partners(1, phone=False), 100),
            ("no valid phone", self.make_partners(1, phone="12"), 100),
            ("nothing paid", self.make_partners(1), 0),
            ("our own company", self.company.partner_id, 100),
        ):
            if name == "our own company":
                partner.write({"phone": "+8613800008888"})
            with self.subTest(name):
                self.sell(partner, price)
                self.assertFalse(partner.member_profile_id)
        self.run_cron("refresh")
        self.assertFalse(self.company.partner_id.member_profile_id)

    def test_rule_of_another_company(self):
        company, _stranger = self.make_other_company()
        company.member_auto_enrol = True
        partner = self.make_partners(1)
        self.sell(partner)
        self.run_cron("refresh")
        self.assertFalse(partner.member_profile_id)

    def test_customers_so_far(self):
        """Switched on later, and a phone number that comes after the order."""
        past, late, never = self.make_partners(3)
        late.phone = False
        self.sell(past, 50)
        self.company.member_auto_enrol = True
        self.sell(late)
        self.assertFalse(late.member_profile_id)
        late.phone = "+8613900001234"
        self.run_cron("refresh")
        self.assertRecordValues(
            past.member_profile_id, [{"order_count": 1, "revenue": 50}]
        )
        self.assertRecordValues(
            late.member_profile_id, [{"order_count": 1, "revenue": 100}]
        )
        self.assertFalse(never.member_profile_id)
        self.assertFalse((past | late).member_profile_id.consent_ids)

    def test_orders_that_count_for_the_company(self):
        self.env["ir.config_parameter"].set_param(
            "member_messaging.commercial_partner", "True"
        )
        self.company.member_auto_enrol = True
        firm = self.make_partners(1, is_company=True)
        clerk = self.make_partners(1, parent_id=firm.id)
        self.sell(clerk)
        self.assertEqual(firm.member_profile_id.order_count, 1)
        self.assertFalse(clerk.member_profile_id)


@tagged("post_install", "-at_install")
class TestEnrolmentAtTheTill(MemberPosCommon):
    def enrol_at_till(self, partner, user=None):
        customers = partner.with_user(user or self.cashier)
        [values] = customers.pos_enrol_member(self.main_pos_config.id)["res.partner"]
        return values

    def find_at_till(self, number):
        """What the till asks when somebody scans a card or types its number."""
        found = (
            self.env["res.partner"]
            .with_user(self.cashier)
            .get_new_partner(
                self.main_pos_config.id,
                ["|", ("name", "ilike", number), ("barcode", "ilike", number)],
                0,
            )
        )
        return [values["id"] for values in found["res.partner"]]

    def test_paid_order(self):
        self.company.member_auto_enrol = True
        partner = self.make_partners(1)
        self.sell_at_till(partner, [{}])
        self.assertRecordValues(
            partner.member_profile_id,
            [{"source": "pos", "order_count": 1, "revenue": 100}],
        )
        self.assertFalse(partner.member_profile_id.consent_ids)

    def test_rule_is_off(self):
        partner = self.make_partners(1)
        self.sell_at_till(partner, [{}])
        self.assertFalse(partner.member_profile_id)

    def test_walk_in_and_refund(self):
        self.company.member_auto_enrol = True
        partner = self.make_partners(1)
        self.sell_at_till(None, [{}])
        self.sell_at_till(partner, [{"qty": -1}])
        self.assertFalse(partner.member_profile_id)

    def test_cashier_enrols(self):
        tier = self.env["member.tier"].create([{"name": "Ordinary"}])
        partner = self.make_partners(1)
        values = self.enrol_at_till(partner)
        profile = partner.member_profile_id
        self.assertEqual(values["member_number"], profile.number)
        self.assertEqual(values["member_tier_name"], tier.name)
        self.assertRecordValues(profile, [{"source": "pos", "tier_id": tier.id}])
        self.assertFalse(profile.consent_ids)
        self.assertEqual(self.enrol_at_till(partner)["member_number"], profile.number)

    def test_only_cashiers_and_staff(self):
        clerk = self.make_user("clerk", "base.group_user")
        partner = self.make_partners(1)
        with self.assertRaises(AccessError):
            self.enrol_at_till(partner, clerk)
        self.assertFalse(partner.member_profile_id)

    def test_box_on_a_new_customer(self):
        cashier = self.make_user(
            "pos_editor", "point_of_sale.group_pos_user,base.group_partner_manager"
        )
        partner = (
            self.env["res.partner"]
            .with_user(cashier)
            .create({"name": "Amy", "phone": "+8613912345678", "is_member": True})
        )
        self.assertTrue(partner.member_number)
        self.assertEqual(partner.phone, "+8613912345678")

    def test_number_finds_the_member(self):
        first, second = self.make_members(2)
        self.assertEqual(self.find_at_till(first.number), first.partner_id.ids)
        self.assertEqual(
            self.find_at_till(f"{second.number.lower()}%"), second.partner_id.ids
        )
        self.assertEqual(self.find_at_till("M99999999%"), [])
        self.env["member.former.number"].create(
            {"profile_id": first.id, "number": "OLD-7"}
        )
        self.assertEqual(self.find_at_till("OLD-7"), first.partner_id.ids)

    def load_partners(self, since=None):
        partners = self.env["res.partner"].with_user(self.cashier)
        if since:
            partners = partners.with_context(pos_last_server_date=str(since))
        rows = partners._load_pos_data_search_read(
            {"pos.order": []}, self.main_pos_config
        )
        return {row["id"]: row for row in rows}

    def test_new_tier_reaches_the_till(self):
        """The till keeps its customers from one day to the next."""
        self.env["ir.config_parameter"].set_param(
            "point_of_sale.limited_customer_count", 1000
        )
        tier = self.env["member.tier"].create({"name": "Gold"})
        other, profile = self.make_members(2)
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = write_date - interval '1 day'"
        )
        since = fields.Datetime.subtract(fields.Datetime.now(), hours=1)
        self.env["member.tier.change"].search([]).date = fields.Datetime.subtract(
            since, days=1
        )
        self.env.invalidate_all()
        self.assertNotIn(profile.partner_id.id, self.load_partners(since))
        self.env["member.tier.change"].create(
            {"profile_id": profile.id, "tier_id": tier.id, "kind": "manual"}
        )
        loaded = self.load_partners(since)
        self.assertIn(profile.partner_id.id, loaded)
        self.assertNotIn(other.partner_id.id, loaded)

    def test_opening_costs_the_same(self):
        """What the till loads of members takes no statement more for more members."""
        self.env["member.tier"].create({"name": "Ordinary"})
        added = ["member_number", "member_tier_name"]
        config = self.main_pos_config.with_user(self.cashier)
        loaded = self.env["res.partner"]._load_pos_data_fields(config)
        self.assertEqual([name for name in loaded if "member" in name], added)
        few, many = (
            self.env["res.partner"]
            .with_user(self.cashier)
            .browse(self.make_members(size).partner_id.ids)
            for size in (2, 30)
        )
        few.read(added)
        self.assertEqual(
            *(self.count_queries(partners.read, added) for partners in (few, many))
        )

    def test_cashier_sees_no_more(self):
        """Number and tier, by name: nothing else of a member."""
        partner = self.make_members(1).partner_id.with_user(self.cashier)
        self.assertTrue(partner.member_number)
        with self.assertRaises(AccessError):
            partner.read(["member_timeline_count"])
        arch = partner.get_view(self.env.ref("base.view_partner_form").id, "form")[
            "arch"
        ]
        self.assertNotIn('name="member_timeline_ids"', arch)
        self.assertNotIn("action_view_member_orders", arch)
        self.assertIn('name="member_number"', arch)
        [values] = partner.web_read({"member_number": {}, "member_tier_name": {}})
        self.assertEqual(values["member_number"], partner.member_number)
