from unittest.mock import patch

from psycopg2.errors import ForeignKeyViolation

from odoo import Command, fields
from odoo.exceptions import AccessError, LockError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..models import member_tag_rule
from .common import MemberMessagingCommon


class TagRuleCommon(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["member.tag.rule"].search([]).active = False
        cls.tag, cls.other_tag = cls.env["res.partner.category"].create(
            [{"name": "Coffee Lover"}, {"name": "Big Spender"}]
        )
        cls.china = cls.env.ref("base.cn")
        cls.editor = cls.make_user(
            "editor", "base.group_user,base.group_partner_manager"
        )

    @classmethod
    def make_contacts(cls, amount, **values):
        """:returns: contacts who are members"""
        return cls.make_members(amount, **values).partner_id

    def make_rule(self, kind, **values):
        """A rule as a manager sets it up."""
        return (
            self.env["member.tag.rule"]
            .with_user(self.manager)
            .create({"category_id": self.tag.id, "kind": kind, **values})
        )

    def make_city_rule(self, city="Hangzhou", **values):
        return self.make_rule("region", cities=city, **values)

    def apply(self, rule):
        """Press the button.

        :returns: the message shown
        """
        message = rule.with_user(self.manager).action_apply()["params"]["message"]
        self.env.invalidate_all()
        return message

    def get_tagged(self, tag=None):
        """:returns: contacts with a tag"""
        return self.env["res.partner"].search(
            [("category_id", "in", (tag or self.tag).ids)], order="id"
        )

    def assertTagged(self, partners, tag=None):
        self.assertEqual(self.get_tagged(tag), partners.sorted("id"))

    def assertWanted(self, rule, partners):
        """The rule announces these members, and tags them."""
        rule.invalidate_recordset()
        self.assertEqual(rule.match_count, len(partners))
        self.apply(rule)
        self.assertFalse(rule.error)
        self.assertTagged(partners)

    def set_by_hand(self, partners, tag=None):
        partners.with_user(self.editor).category_id = [
            Command.link((tag or self.tag).id)
        ]

    def remove_by_hand(self, partners):
        partners.with_user(self.editor).category_id = [Command.unlink(self.tag.id)]


@tagged("post_install", "-at_install")
class TestTagRuleCondition(TagRuleCommon):
    def make_sold_product(self, name, category):
        product = self.make_product(name)
        product.categ_id = category
        return product

    def buy(self, partner, products, days=0):
        """A sales order of these products confirmed some days ago."""
        order = self.make_sale(
            partner,
            order_line=[
                Command.create({"product_id": product.id}) for product in products
            ],
        )
        order.action_confirm()
        order.date_order = fields.Datetime.subtract(order.date_order, days=days)
        return order

    def test_bought_from_a_category(self):
        drinks = self.env["product.category"].create({"name": "Drinks"})
        coffee = drinks.create({"name": "Coffee", "parent_id": drinks.id})
        espresso = self.make_sold_product("Espresso", coffee)
        tea = self.make_sold_product("Tea", drinks)
        regular, old, once, drinker, nobody = self.make_contacts(5)
        for days in (1, 5, 89):
            self.buy(regular, [espresso], days)
            self.buy(drinker, [tea], days)
        for days in (1, 5, 91):
            self.buy(old, [espresso], days)
        self.buy(once, [espresso, espresso, espresso])
        self.make_sale(nobody)  # a quotation is no purchase
        rule = self.make_rule(
            "category", product_category_id=coffee.id, min_purchases=3, days=90
        )
        self.assertWanted(rule, regular)
        rule.product_category_id = drinks
        self.assertWanted(rule, regular | drinker)
        rule.min_purchases = 1
        self.assertWanted(rule, regular | drinker | old | once)
        order = self.env["sale.order"].search([("partner_id", "=", once.id)])
        order.with_user(self.salesperson)._action_cancel()
        self.assertWanted(rule, regular | drinker | old)

    def test_number_of_orders(self):
        contacts = none, one, two, three, _old = self.make_contacts(5)
        for partner, days in zip(
            contacts, ((), (1,), (1, 2), (1, 2, 3), (31,)), strict=True
        ):
            for day in days:
                self.sell(partner, days=day)
        rule = self.make_rule("frequency", min_orders=2, max_orders=0, days=30)
        self.assertWanted(rule, two | three)
        rule.write({"min_orders": 1, "max_orders": 2})
        self.assertWanted(rule, one | two)
        rule.write({"min_orders": 2, "max_orders": 2})
        self.assertWanted(rule, two)
        rule.days = 1000
        rule.write({"min_orders": 0, "max_orders": 2})
        self.assertEqual(none, contacts[0])
        members = self.env["member.profile"].search([]).partner_id
        self.assertWanted(rule, members.filtered("active") - three)

    def test_average_order(self):
        small, exact, big, _nobody = self.make_contacts(4)
        for partner, prices in (
            (small, (100, 399.98)),
            (exact, (100, 400)),
            (big, (900,)),
        ):
            for price in prices:
                self.sell(partner, price)
        self.sell(small, 5000, days=31)
        rule = self.make_rule("basket", min_amount=250, days=30)
        self.assertWanted(rule, exact | big)
        rule.max_amount = 899.99
        self.assertWanted(rule, exact)
        rule.min_amount = 0
        self.assertWanted(rule, small | exact)

    def test_region(self):
        zhejiang, jiangsu = self.env["res.country.state"].search(
            [("country_id", "=", self.china.id)], limit=2
        )
        hangzhou = self.make_contacts(1, city=" hangZhou ", state_id=zhejiang.id)
        ningbo = self.make_contacts(1, city="宁波市", state_id=zhejiang.id)
        suzhou = self.make_contacts(1, city="苏州")
        nanjing = self.make_contacts(1, city="Nanjing", state_id=jiangsu.id)
        paris = self.make_contacts(
            1, city="Paris", country_id=self.env.ref("base.fr").id, phone="+33612345678"
        )
        self.make_partners(1, city="Hangzhou")  # no member
        rule = self.make_city_rule("Hangzhou，宁波, paris\n苏州市")
        self.assertWanted(rule, hangzhou | ningbo | suzhou | paris)
        rule.country_ids = self.china
        self.assertWanted(rule, hangzhou | ningbo | suzhou)
        rule.cities = False
        rule.state_ids = jiangsu
        self.assertWanted(rule, nanjing)
        rule.state_ids |= zhejiang
        self.assertWanted(rule, hangzhou | ningbo | nanjing)

    def test_filter(self):
        golds = self.make_contacts(2, city="Gold")
        self.make_contacts(1, city="Silver")
        self.make_partners(1, city="Gold")  # no member
        rule = self.make_rule("domain", domain="[('city', '=', 'Gold')]")
        self.assertWanted(rule, golds)
        golds[0].active = False
        self.assertWanted(rule, golds[1])

    def test_filter_on_other_tags(self):
        first, second = self.make_contacts(2)
        self.set_by_hand(first, self.other_tag)
        rule = self.make_rule(
            "domain", domain=f"[('category_id', 'in', [{self.other_tag.id}])]"
        )
        self.assertWanted(rule, first)
        self.assertNotIn(second, self.get_tagged())

    def test_filter_on_its_own_tag_is_refused(self):
        """Who has the tag would lose it in one run and get it back in the next."""
        for domain in (
            [("category_id", "not in", [self.tag.id])],
            [("category_id", "=", self.tag.id)],
            [("category_id", "=", False)],
            [("category_id", "child_of", self.other_tag.id)],
            [("category_id.name", "=", "Coffee Lover")],
            [("category_id", "ilike", "coffee")],
            [("member_tag_assignment_ids", "!=", False)],
            ["!", "&", ("city", "=", "X"), ("category_id", "in", [self.tag.id])],
        ):
            with (
                self.subTest(domain=domain),
                self.assertRaisesRegex(ValidationError, "the rule itself sets"),
            ):
                self.make_rule("domain", domain=str(domain))
        rule = self.make_rule(
            "domain", domain=str([("category_id", "in", self.other_tag.ids)])
        )
        with self.assertRaisesRegex(ValidationError, "the rule itself sets"):
            rule.category_id = self.other_tag

    def test_filter_by_what_its_author_may_not_read(self):
        """Rules run with all rights: a tag would tell what a field holds."""
        domain = "[('credit_limit', '>', 1000)]"
        with self.assertRaises(AccessError):
            self.make_rule("domain", domain=domain)
        self.manager.group_ids += self.env.ref("account.group_account_invoice")
        self.make_rule("domain", domain=domain)

    def test_bad_input_is_refused(self):
        category = self.env["product.category"].create({"name": "Coffee"})
        france = self.env.ref("base.fr")
        state = self.env["res.country.state"].search(
            [("country_id", "=", self.china.id)], limit=1
        )
        bought = {"product_category_id": category.id}
        for kind, values, message in (
            ("category", {}, "Choose the product category"),
            ("category", {**bought, "min_purchases": 0}, "at least 1 time"),
            ("category", {**bought, "min_purchases": -1}, "at least 1 time"),
            ("category", {**bought, "days": 0}, "between 1 and 36500"),
            ("frequency", {"days": -1}, "between 1 and 36500"),
            ("basket", {"min_amount": 1, "days": 36501}, "between 1 and 36500"),
            ("frequency", {"min_orders": -1}, "negative"),
            ("frequency", {"max_orders": -1}, "negative"),
            ("frequency", {"min_orders": 3, "max_orders": 2}, "above the upper"),
            ("frequency", {"min_orders": 0, "max_orders": 0}, "Set a lower limit"),
            ("basket", {"min_amount": -0.01}, "negative"),
            ("basket", {"min_amount": 2, "max_amount": 1}, "above the upper"),
            ("basket", {}, "Set a lower limit"),
            ("region", {}, "Choose a country"),
            ("region", {"cities": " , ；\n"}, "Choose a country"),
            (
                "region",
                {"country_ids": france.ids, "state_ids": state.ids},
                "not in one of the countries",
            ),
            ("domain", {"domain": "[('no_such_field', '=', 1)]"}, "cannot be read"),
            ("domain", {"domain": "[('city', '='"}, "cannot be read"),
            ("domain", {"domain": "__import__('os')"}, "cannot be read"),
            ("domain", {"domain": "5"}, "cannot be read"),
        ):
            with (
                self.subTest(kind=kind, **values),
                self.assertRaisesRegex(ValidationError, message),
            ):
                self.make_rule(kind, **values)

    def test_other_kinds_do_not_matter(self):
        """Values of a kind that was tried and left do no harm."""
        rule = self.make_city_rule(days=0, min_orders=-3, domain="[(")
        rule.min_amount = -1
        self.assertFalse(rule._get_problem())

    def test_sentences(self):
        category = self.env["product.category"].create({"name": "Coffee"})
        bought = {"product_category_id": category.id}
        self.assertEqual(self.company.currency_id.symbol, "$")
        for kind, values, sentence in (
            (
                "category",
                {**bought, "min_purchases": 3, "days": 90},
                "Bought Coffee at least 3 times in the last 90 days",
            ),
            (
                "category",
                {**bought, "min_purchases": 1, "days": 1},
                "Bought Coffee in the last 24 hours",
            ),
            (
                "frequency",
                {"min_orders": 2, "max_orders": 5, "days": 30},
                "Orders in the last 30 days: 2 to 5",
            ),
            (
                "frequency",
                {"min_orders": 0, "max_orders": 5, "days": 30},
                "Orders in the last 30 days: at most 5",
            ),
            (
                "basket",
                {"min_amount": 200, "days": 30},
                "Average order in the last 30 days: at least $\xa0200.00",
            ),
            (
                "region",
                {"cities": "Hangzhou, Suzhou", "country_ids": self.china.ids},
                "Address in Hangzhou or Suzhou · China",
            ),
            ("domain", {"domain": "[]"}, "Every member"),
            (
                "domain",
                {"domain": "[('city', '=', 'X'), ('member_tier_id.name', '=', 'VIP')]"},
                "Filter on City and Member Tier",
            ),
        ):
            with self.subTest(kind=kind, **values):
                rule = self.make_rule(kind, **values)
                self.assertEqual(rule.description, sentence)
                self.assertEqual(rule.display_name, f"Coffee Lover ({sentence})")

    def test_count_while_editing(self):
        self.make_contacts(2, city="Hangzhou")
        self.make_contacts(1, city="Suzhou")
        form = Form(self.env["member.tag.rule"].with_user(self.manager))
        form.category_id = self.tag
        self.assertEqual(form.match_count, 0)
        form.kind = "region"
        self.assertEqual(form.match_count, 0)
        form.cities = "Hangzhou"
        self.assertEqual(form.match_count, 2)
        form.cities = "Hangzhou, Suzhou"
        self.assertEqual(form.match_count, 3)
        form.kind = "domain"
        form.domain = "[('city', '='"
        self.assertEqual(form.match_count, 0)
        form.domain = "[('city', '=', 'Suzhou')]"
        self.assertEqual(form.match_count, 1)
        form.save()
        self.assertFalse(self.get_tagged(), "saved, not applied")


@tagged("post_install", "-at_install")
class TestTagRule(TagRuleCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partners = cls.make_contacts(3, city="Hangzhou")
        cls.stranger = cls.make_contacts(1, city="Suzhou")

    # ------------------------------------------------------------------ ownership

    def test_tags_come_and_go(self):
        rule = self.make_city_rule()
        self.assertEqual(self.apply(rule), "Tags added: 3. Tags removed: 0.")
        self.assertTagged(self.partners)
        self.partners[0].city = "Suzhou"
        self.assertEqual(self.apply(rule), "Tags added: 0. Tags removed: 1.")
        self.assertTagged(self.partners[1:])
        self.partners[1].active = False
        self.assertEqual(self.apply(rule), "Tags added: 0. Tags removed: 1.")
        self.assertTagged(self.partners[2])

    def test_set_by_hand_before_the_rule(self):
        self.set_by_hand(self.partners[0] | self.stranger)
        rule = self.make_city_rule()
        self.assertEqual(self.apply(rule), "Tags added: 2. Tags removed: 0.")
        self.assertEqual(rule.tagged_count, 2)
        self.partners.city = "Suzhou"
        self.assertEqual(self.apply(rule), "Tags added: 0. Tags removed: 2.")
        self.assertTagged(self.partners[0] | self.stranger)

    def test_removed_by_hand_comes_back(self):
        rule = self.make_city_rule()
        self.apply(rule)
        self.remove_by_hand(self.partners[0])
        self.assertEqual(rule.tagged_count, 2)
        self.assertEqual(self.apply(rule), "Tags added: 1. Tags removed: 0.")
        self.partners.city = "Suzhou"
        self.apply(rule)
        self.assertFalse(self.get_tagged())

    def test_removed_and_set_again_by_hand(self):
        rule = self.make_city_rule()
        self.apply(rule)
        self.remove_by_hand(self.partners[0])
        self.set_by_hand(self.partners[0])
        self.apply(rule)
        rule.with_user(self.manager).unlink()
        self.assertTagged(self.partners[0])

    def test_two_rules_of_one_tag(self):
        first, second = self.partners[:2], self.partners[1:]
        first.street = "First"
        second.street2 = "Second"
        rules = self.make_rule("domain", domain="[('street', '=', 'First')]")
        rules |= self.make_rule("domain", domain="[('street2', '=', 'Second')]")
        self.assertEqual(self.apply(rules), "Tags added: 3. Tags removed: 0.")
        self.assertEqual(rules.mapped("tagged_count"), [2, 2])
        first.street = False
        self.assertEqual(self.apply(rules), "Tags added: 0. Tags removed: 1.")
        self.assertTagged(second)
        second.street2 = False
        self.assertEqual(self.apply(rules), "Tags added: 0. Tags removed: 2.")
        self.assertFalse(self.get_tagged())

    def test_two_rules_and_a_hand(self):
        """A second rule makes no property of what was set by hand."""
        self.set_by_hand(self.partners[0])
        rules = self.make_city_rule() | self.make_city_rule()
        self.apply(rules)
        rules.with_user(self.manager).unlink()
        self.assertTagged(self.partners[0])

    def test_archived_and_taken_back(self):
        self.set_by_hand(self.partners[0])
        rule = self.make_city_rule()
        other = self.make_city_rule(category_id=self.other_tag.id)
        self.apply(rule | other)
        rule.action_archive()
        self.assertTagged(self.partners[0])
        self.assertTagged(self.partners, self.other_tag)
        self.apply(rule)
        self.assertTagged(self.partners[0])
        rule.action_unarchive()
        self.apply(rule)
        self.assertTagged(self.partners)

    def test_deleted(self):
        self.set_by_hand(self.partners[0])
        rule = self.make_city_rule()
        keeper = self.make_city_rule("Hangzhou, Suzhou", country_ids=self.china.ids)
        self.apply(rule)
        keeper.cities = "Suzhou"
        self.apply(keeper)
        rule.unlink()
        self.assertTagged(self.partners[0] | self.stranger)

    def test_another_tag(self):
        self.set_by_hand(self.partners[0])
        self.set_by_hand(self.partners[1], self.other_tag)
        rule = self.make_city_rule()
        self.apply(rule)
        rule.category_id = self.other_tag
        self.assertTagged(self.partners[0])
        self.assertTagged(self.partners[1], self.other_tag)
        self.apply(rule)
        self.assertTagged(self.partners, self.other_tag)
        rule.unlink()
        self.assertTagged(self.partners[0])
        self.assertTagged(self.partners[1], self.other_tag)

    def test_contact_without_the_tag_elsewhere(self):
        """What else is on a contact is none of the rule's business."""
        self.set_by_hand(self.partners, self.other_tag)
        rule = self.make_city_rule()
        self.apply(rule)
        rule.unlink()
        self.assertTagged(self.partners, self.other_tag)

    def test_merged_contacts(self):
        rule = self.make_city_rule()
        self.apply(rule)
        kept = self.make_contacts(1, city="Suzhou")
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (self.partners[0] | kept).ids, kept
        )
        self.env.invalidate_all()
        self.assertTagged(self.partners[1:] | kept)
        self.apply(rule)
        self.assertTagged(self.partners[1:])

    def test_deleted_contact(self):
        rule = self.make_city_rule()
        self.apply(rule)
        loose = self.partners[0]
        loose.member_profile_id.unlink()
        loose.unlink()
        self.env.invalidate_all()
        self.assertEqual(rule.tagged_count, 2)

    def test_tag_in_use_is_not_deleted(self):
        self.make_city_rule()
        with mute_logger("odoo.sql_db"), self.assertRaises(ForeignKeyViolation):
            self.tag.with_user(self.editor).unlink()

    # -------------------------------------------------------------------- running

    def get_places(self):
        """:returns: physical places of all rows that carry a tag or belong to it"""
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT ctid::text, * FROM res_partner_res_partner_category_rel ORDER BY 1"
        )
        tags = self.env.cr.fetchall()
        self.env.cr.execute(
            "SELECT ctid::text, * FROM member_tag_assignment ORDER BY 1"
        )
        return tags, self.env.cr.fetchall()

    def test_second_run_changes_nothing(self):
        everyone = self.partners | self.stranger
        contacts = self.get_row_versions(everyone)
        rules = self.make_city_rule() | self.make_city_rule()
        self.run_cron("tag")
        self.assertTagged(self.partners)
        self.assertEqual(rules.mapped("tagged_count"), [3, 3])
        places = self.get_places()
        self.run_cron("tag")
        self.assertEqual(self.get_places(), places)
        self.assertEqual(self.get_row_versions(everyone), contacts)

    def test_number_of_queries(self):
        rule = self.make_city_rule()
        counts = []
        for amount in (1, 2, 20):
            self.make_contacts(amount, city="Hangzhou")
            counts.append(self.count_queries(self.apply, rule))
        # one more if the clock has moved: the date of the last run
        self.assertLessEqual(counts[2], counts[1] + 1)
        self.assertLess(counts[2], 20)

    def test_many_tags_at_once(self):
        """Statistics are gathered on the way, which changes nothing else."""
        rule = self.make_city_rule()
        with patch.object(member_tag_rule, "MANY", 0):
            self.apply(rule)
            self.assertTagged(self.partners)
            rule.action_archive()
        self.assertFalse(self.get_tagged())

    def test_rule_at_work_elsewhere(self):
        rule = self.make_city_rule()
        with patch.object(
            type(rule), "lock_for_update", autospec=True, side_effect=LockError("taken")
        ):
            with self.assertRaisesRegex(LockError, "Try again in a minute"):
                self.apply(rule)
            self.run_cron("tag")
        self.assertFalse(rule.error, "no fault of the rule")
        self.assertFalse(self.get_tagged())

    def test_broken_rule_stops_no_other(self):
        broken = self.make_rule("domain", domain="[('city', '=', 'Hangzhou')]")
        sound = self.make_city_rule(category_id=self.other_tag.id)
        self.run_cron("tag")
        self.assertRecordValues(
            broken | sound,
            [
                {"error": False, "tagged_count": 3},
                {"error": False, "tagged_count": 3},
            ],
        )
        # the field of the filter has left with its addon
        self.env.cr.execute(
            "UPDATE member_tag_rule SET domain = %s WHERE id = %s",
            ("[('gone', '=', 1)]", broken.id),
        )
        self.env.invalidate_all()
        self.partners[0].city = "Suzhou"
        self.run_cron("tag")
        self.assertIn("gone", broken.error)
        self.assertFalse(sound.error)
        self.assertTagged(self.partners)
        self.assertTagged(self.partners[1:], self.other_tag)
        self.assertIn("gone", self.apply(broken | sound))
        broken.domain = "[('city', '=', 'Hangzhou')]"
        self.assertFalse(broken.error)
        self.run_cron("tag")
        self.assertTagged(self.partners[1:])

    def test_region_lost_its_country(self):
        """An emptied condition must not mean everybody."""
        country = self.env["res.country"].create({"name": "Nowhere", "code": "XX"})
        self.partners[0].country_id = country
        rule = self.make_rule("region", country_ids=country.ids)
        self.apply(rule)
        self.assertTagged(self.partners[0])
        self.partners[0].country_id = False
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM res_country WHERE id = %s", (country.id,))
        self.env.invalidate_all()
        self.run_cron("tag")
        self.assertIn("Choose a country", rule.error)
        self.assertTagged(self.partners[0])

    # ------------------------------------------------------------ people, companies

    def test_staff_look_and_managers_decide(self):
        rule = self.make_city_rule()
        self.apply(rule)
        seen = rule.with_user(self.staff)
        self.assertEqual((seen.tagged_count, seen.match_count), (3, 3))
        action = seen.action_view_partners()
        found = self.env[action["res_model"]].with_user(self.staff)
        self.assertEqual(found.search(action["domain"]).ids, self.partners.ids)
        for attempt in (
            seen.action_apply,
            seen.action_archive,
            seen.unlink,
            lambda: seen.write({"cities": "Suzhou"}),
        ):
            with self.assertRaises(AccessError):
                attempt()
        self.assertTagged(self.partners)

    def test_companies(self):
        other, stranger = self.make_other_company()
        ours, theirs, shared, quiet = self.partners | self.stranger
        for partner in self.partners | quiet:
            self.sell(partner, 300)
        ours.company_id = self.company
        theirs.company_id = other
        # an order of the other company with a shared contact
        order = self.sell(shared, 900)
        self.env.cr.execute(
            "UPDATE sale_order SET company_id = %s WHERE id = %s", (other.id, order.id)
        )
        self.env.invalidate_all()
        rule = self.make_rule(
            "basket", min_amount=300, max_amount=300, company_id=self.company.id
        )
        self.assertEqual(rule.match_count, 3)
        self.apply(rule)
        self.assertTagged(ours | shared | quiet)
        self.assertFalse(rule.with_user(stranger).search([("id", "=", rule.id)]))
        everywhere = self.make_rule(
            "basket", min_amount=1, category_id=self.other_tag.id
        )
        self.apply(everywhere)
        self.assertTagged(self.partners | quiet, self.other_tag)
        self.assertEqual(everywhere.sudo().tagged_count, 4)
        self.assertEqual(everywhere.with_user(stranger).tagged_count, 3)

    def test_rule_of_all_companies_by_a_manager_of_one(self):
        """What the manager cannot see keeps its tags."""
        other, _stranger = self.make_other_company()
        hidden = self.partners[0]
        hidden.company_id = other
        rule = self.make_rule("domain", domain="[('city', '=', 'Hangzhou')]")
        self.run_cron("tag")
        self.assertEqual(self.apply(rule), "Tags added: 0. Tags removed: 0.")
        self.assertIn(self.tag, hidden.category_id)
        rule.unlink()
        self.assertNotIn(self.tag, hidden.category_id)

    def test_starter_rules(self):
        rules = self.env["member.tag.rule"]
        for name in ("frequent_buyer", "big_basket"):
            rules |= self.env.ref(f"member_messaging.member_tag_rule_{name}")
        rules.active = True
        for _order in range(5):
            self.sell(self.partners[0], 100)
        self.sell(self.partners[1], 500)
        self.run_cron("tag")
        frequent, big = (
            self.env.ref(f"member_messaging.res_partner_category_{name}")
            for name in ("frequent_buyer", "big_basket")
        )
        self.assertEqual(self.partners[0].category_id, frequent)
        self.assertEqual(self.partners[1].category_id, big)
        self.assertFalse(self.partners[2].category_id)
