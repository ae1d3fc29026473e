import json
from ast import literal_eval
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import SQL

from ..gateways.types import InboundMessage
from .common import MemberMessagingCommon

COUNTS = [
    "timeline_count",
    "sale_count",
    "message_count",
    "coupon_count",
    "consent_count",
]


#: Tables behind the page that grow with the shop.
BIG_TABLES = (
    "sale_order",
    "pos_order",
    "member_message",
    "member_event",
    "member_profile",
    "member_consent",
    "member_tier_change",
    "loyalty_card",
)


@tagged("post_install", "-at_install")
class TestMemberPage(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.staff.group_ids += cls.env.ref("base.group_partner_manager")

    # ------------------------------------------------------------------- helpers

    def get_timeline(self, profile, user=None):
        """:returns: the time line as somebody sees it, newest first"""
        return (
            self.env["member.timeline"]
            .with_user(user or self.staff)
            .search([("partner_id", "=", profile.partner_id.id)])
        )

    def get_kinds(self, profile, user=None):
        return self.get_timeline(profile, user).mapped("kind")

    def record_event(self, message, kind, minutes=0, **values):
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": kind,
                    "date": fields.Datetime.now() + timedelta(minutes=minutes),
                    "ref": f"{kind}-{minutes}",
                    **values,
                }
            ]
        )

    def record_consent(self, profile, state, **values):
        self.env["member.consent"].create(
            {
                "profile_id": profile.id,
                "purpose": "promotion",
                "state": state,
                "source": "staff",
                **values,
            }
        )

    def make_busy_member(self):
        """Somebody to whom everything happened, a minute after the other.

        :returns: profile and message
        """
        silver, gold = self.env["member.tier"].create(
            [
                {"name": "Silver"},
                {"name": "Gold", "min_revenue": 1000, "sequence": 20},
            ]
        )
        profile = self.make_members(1, is_granted=False)
        self.env["member.tier.change"].search(
            [("profile_id", "=", profile.id)]
        ).unlink()
        self.record_consent(profile, "granted", evidence="Paper form")
        [message] = self.make_sent(profile)
        self.record_event(message, "delivered", 2)
        self.record_event(message, "clicked", 3)
        self.record_event(message, "clicked", 4, is_bot=True)
        self.env["member.inbound"]._receive(
            self.gateway,
            [
                InboundMessage(
                    address=message.address,
                    text="How late are you open?",
                    event_ref="1",
                )
            ],
        )
        order = self.make_sale(profile.partner_id, 500)
        status = order._try_apply_code(message.card_id.code)
        order._apply_program_reward(status[message.card_id], message.card_id)
        order.action_confirm()
        self.env["member.tier.change"].create(
            {
                "profile_id": profile.id,
                "kind": "manual",
                "previous_tier_id": silver.id,
                "tier_id": gold.id,
                "reason": "Guest of honour",
            }
        )
        self.record_consent(profile, "refused")
        self.env.flush_all()
        first_consent = profile.consent_ids.sorted("id")[:1]
        for minute, (records, column) in enumerate(
            (
                (profile, "create_date"),
                (first_consent, "date"),
                (message, "sent_date"),
                (message.card_id, "create_date"),
            )
        ):
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s WHERE id = %s",
                    SQL.identifier(records._table),
                    SQL.identifier(column),
                    fields.Datetime.now() - timedelta(minutes=60 - minute),
                    records.id,
                )
            )
        self.env.invalidate_all()
        return profile, message

    # ------------------------------------------------------------------ time line

    def test_everything_in_one_list(self):
        profile, message = self.make_busy_member()
        timeline = self.get_timeline(profile)
        self.assertEqual(
            sorted(timeline.mapped("kind")),
            sorted(
                [
                    "joined",
                    "granted",
                    "delivered",
                    "coupon",
                    "clicked",
                    "replied",
                    "order",
                    "redeemed",
                    "tier",
                    "refused",
                ]
            ),
        )
        dates = timeline.mapped("date")
        self.assertEqual(dates, sorted(dates, reverse=True))
        self.assertEqual(
            timeline.mapped("kind")[-4:], ["coupon", "delivered", "granted", "joined"]
        )
        names = {row.kind: row.name for row in timeline}
        code = message.card_id.code
        order = self.env["sale.order"].search(
            [("partner_id", "=", profile.partner_id.id)]
        )
        self.assertEqual(
            names,
            {
                "joined": f"{profile.number} · Staff",
                "granted": "Promotions · SMS · Paper form",
                "delivered": "Campaign",
                "coupon": f"Ten percent · {code}",
                "clicked": "Campaign",
                "replied": "How late are you open?",
                "order": order.name,
                "redeemed": f"Campaign · {code}",
                "tier": "Silver → Gold · Set by Hand · Guest of honour",
                "refused": "Promotions · SMS",
            },
        )
        [purchase] = timeline.filtered(lambda row: row.kind == "order")
        self.assertEqual(purchase.amount, 450)
        self.assertEqual(purchase.currency_id, self.company.currency_id)

    def test_documents_behind_the_rows(self):
        profile, message = self.make_busy_member()
        order = self.env["sale.order"].search(
            [("partner_id", "=", profile.partner_id.id)]
        )
        documents = {
            row.kind: row.action_open_document() for row in self.get_timeline(profile)
        }
        for kind, record in (
            ("order", order),
            ("delivered", message),
            ("clicked", message),
            ("coupon", message.card_id),
            ("joined", profile),
        ):
            with self.subTest(kind):
                self.assertEqual(documents[kind]["res_model"], record._name)
                self.assertEqual(documents[kind]["res_id"], record.id)

    def test_refund(self):
        profile = self.make_members(1)
        order = self.sell(profile.partner_id)
        self.env.flush_all()
        self.assertIn("order", self.get_kinds(profile))
        order._force_lines_to_invoice_policy_order()
        invoice = order._create_invoices()
        invoice.action_post()
        credit = invoice._reverse_moves(cancel=True)
        self.assertEqual(credit.state, "posted")
        refund = self.get_timeline(profile).filtered(lambda row: row.kind == "refund")
        self.assertRecordValues(refund, [{"amount": -100, "res_id": order.id}])

    def test_failure_says_why(self):
        profile = self.make_members(1)
        [message] = self.make_sent(profile)
        self.record_event(message, "failed")
        [row] = self.get_timeline(profile).filtered(lambda row: row.kind == "failed")
        self.assertEqual(row.name, "Campaign · Not delivered")

    def test_who_heard_nothing(self):
        """A message that never left is no part of the member's story."""
        profile = self.make_members(1, is_granted=False)
        self.launch(self.make_campaign(profile))
        self.assertEqual(self.get_kinds(profile), ["joined"])

    def test_joined_long_ago(self):
        """The date counts, in every time zone."""
        profile = self.make_members(1, is_granted=False)
        profile.joined_date = "2020-02-29"
        [row] = self.get_timeline(profile)
        for zone in ("Pacific/Honolulu", "Asia/Shanghai"):
            day = fields.Datetime.context_timestamp(row.with_context(tz=zone), row.date)
            self.assertEqual(str(day.date()), "2020-02-29")

    def test_coupon_without_a_message(self):
        profile = self.make_members(1, is_granted=False)
        card = self.env["loyalty.card"].create(
            {
                "program_id": self.program.id,
                "partner_id": profile.partner_id.id,
                "points": 1,
            }
        )
        order = self.make_sale(profile.partner_id)
        status = order._try_apply_code(card.code)
        order._apply_program_reward(status[card], card)
        order.action_confirm()
        self.env.flush_all()
        kinds = self.get_kinds(profile)
        self.assertEqual(kinds.count("redeemed"), 1)
        self.assertEqual(kinds.count("coupon"), 1)

    def test_language(self):
        profile, _message = self.make_busy_member()
        self.program.with_context(lang="zh_CN").name = "九折"
        self.env.flush_all()
        timeline = self.get_timeline(profile).with_context(lang="zh_CN")
        timeline.invalidate_recordset()
        [coupon] = timeline.search(
            [("partner_id", "=", profile.partner_id.id), ("kind", "=", "coupon")]
        )
        self.assertIn("九折", coupon.name)

    def test_rows_keep_their_identity(self):
        """The page reads rows by their ids as well as by the member."""
        profile, _message = self.make_busy_member()
        timeline = self.get_timeline(profile)
        values = timeline.read(["kind", "name", "date"])
        self.env.invalidate_all()
        self.assertEqual(timeline.read(["kind", "name", "date"]), values)
        self.assertEqual(timeline.exists(), timeline)
        orders = self.env["member.order"].search(
            [("partner_id", "=", profile.partner_id.id)]
        )
        self.env.invalidate_all()
        self.assertEqual(orders.partner_id, profile.partner_id)

    def test_only_rows_of_the_member_are_read(self):
        """The plan of the page's query: every big table by an index on the member."""
        profile, _message = self.make_busy_member()
        timeline = self.env["member.timeline"].search(
            [("partner_id", "=", profile.partner_id.id)]
        )
        self.pretend_to_be_big(*BIG_TABLES)
        for name, domain in (
            ("by member", [("partner_id", "=", profile.partner_id.id)]),
            ("by ids", [("id", "in", timeline.ids)]),
        ):
            query = self.env["member.timeline"]._search(domain)
            [(plan,)] = self.env.execute_query(
                SQL("EXPLAIN (FORMAT JSON) %s", query.select())
            )
            with self.subTest(name):
                plan = json.loads(plan) if isinstance(plan, str) else plan
                scanned = dict(self.find_scans(plan[0]["Plan"]))
                for table in BIG_TABLES:
                    self.assertIn("Cond", scanned[table], table)

    def pretend_to_be_big(self, *tables):
        """Of tables with a handful of rows PostgreSQL reads one way or another, as it
        happens. Until the end of the test it takes them for large ones, and reads a
        whole table only where nothing else is possible: it has no statistics of rows
        which no transaction has committed."""
        self.env.flush_all()
        for way in ("seqscan", "hashjoin", "mergejoin"):
            self.env.cr.execute(SQL("SET LOCAL enable_%s = off", SQL(way)))
        self.env.cr.execute(
            "UPDATE pg_class SET relpages = 1, reltuples = 100000"
            " WHERE oid = ANY(%s::regclass[])",
            (list(tables),),
        )

    def find_scans(self, node):
        """Yield table and how its first scan finds rows."""
        if table := node.get("Relation Name"):
            yield table, "".join(key for key in node if key.endswith("Cond"))
        for part in node.get("Plans", ()):
            yield from self.find_scans(part)

    # --------------------------------------------------------------------- rights

    def test_other_company(self):
        profile = self.make_members(1, company_id=self.company.id)
        self.make_sent(profile)
        self.sell(profile.partner_id)
        self.env.flush_all()
        _company, stranger = self.make_other_company()
        self.assertGreater(len(self.get_kinds(profile)), 3)
        self.assertEqual(self.get_kinds(profile, stranger), [])

    def test_shared_member_of_two_companies(self):
        """What a company did with a shared member is its own affair."""
        profile = self.make_members(1, is_granted=False)
        self.make_sent(self.make_members(1) | profile)
        self.sell(profile.partner_id)
        self.env.flush_all()
        _company, stranger = self.make_other_company()
        self.assertIn("order", self.get_kinds(profile))
        self.assertEqual(self.get_kinds(profile, stranger), ["joined"])
        seen = profile.with_user(stranger)
        self.assertEqual(seen.timeline_ids.mapped("kind"), ["joined"])
        self.assertEqual((seen.sale_count, seen.message_count), (0, 0))
        self.env.invalidate_all()
        partner = profile.partner_id.with_user(stranger)
        self.assertEqual(partner.member_timeline_ids.mapped("kind"), ["joined"])
        self.assertEqual(partner.member_sale_count, 0)

    def test_who_sees_the_tab(self):
        form = self.env.ref("base.view_partner_form").id
        for user, is_seen in (
            (self.staff, True),
            (self.salesperson, False),
            (
                self.make_user(
                    "cashier", "base.group_user,point_of_sale.group_pos_user"
                ),
                False,
            ),
        ):
            with self.subTest(user=user.login):
                partners = self.env["res.partner"].with_user(user)
                arch = partners.get_view(form, "form")["arch"]
                self.assertEqual('name="member_timeline_ids"' in arch, is_seen)
                self.assertEqual("action_view_member_orders" in arch, is_seen)

    def test_others_go_on_reading_contacts(self):
        """What they may see of a member asks for no right they do not have."""
        partner = self.make_members(1).partner_id.with_user(self.salesperson)
        names = [name for name in partner.fields_get() if name.startswith("member_")]
        self.assertNotIn("member_timeline_ids", names)
        self.assertEqual(
            partner.read(names)[0]["member_number"],
            partner.sudo().member_profile_id.number,
        )
        with self.assertRaises(AccessError):
            partner.read(["member_consent_state"])

    # --------------------------------------------------------------------- counts

    def test_counts(self):
        profile, message = self.make_busy_member()
        seen = profile.with_user(self.staff)
        self.assertEqual(
            {name: seen[name] for name in COUNTS},
            {
                "timeline_count": 10,
                "sale_count": 1,
                "message_count": 1,
                "coupon_count": 1,
                "consent_count": 2,
            },
        )
        partner = profile.partner_id.with_user(self.staff)
        self.assertEqual(partner.member_coupon_count, 1)
        for name, records in (
            ("timeline", self.get_timeline(profile)),
            ("messages", message),
            ("coupons", message.card_id),
            ("consents", profile.consent_ids),
        ):
            with self.subTest(name):
                for page in (
                    getattr(seen, f"action_view_{name}")(),
                    getattr(partner, f"action_view_member_{name}")(),
                ):
                    found = self.env[page["res_model"]].search(page["domain"])
                    self.assertEqual(found, records.with_env(found.env))
        page = partner.action_view_member_orders()
        self.assertEqual(self.env[page["res_model"]].search_count(page["domain"]), 1)

    def test_counts_take_one_query_each(self):
        def read(ids):
            self.env["member.profile"].with_user(self.staff).browse(ids).read(COUNTS)

        few, many = self.make_members(2).ids, self.make_members(12).ids
        read(few)
        self.assertEqual(self.count_queries(read, few), self.count_queries(read, many))

    def test_points_are_no_coupons(self):
        profile = self.make_members(1, is_granted=False)
        program = self.make_program(program_type="loyalty", trigger="auto")
        self.env["loyalty.card"].create(
            {"program_id": program.id, "partner_id": profile.partner_id.id}
        )
        self.assertEqual(profile.coupon_count, 0)
        self.assertEqual(self.get_kinds(profile), ["joined"])

    def test_state_of_a_coupon(self):
        profile = self.make_members(1)
        [message] = self.make_sent(profile)
        card = message.card_id.with_user(self.staff)
        self.assertEqual(card.coupon_state, "open")
        message.card_id.expiration_date = fields.Date.today() - timedelta(days=2)
        self.assertEqual(card.coupon_state, "expired")
        message.card_id.points = 0
        self.assertEqual(card.coupon_state, "used")
        message.card_id.active = False
        self.assertEqual(card.coupon_state, "withdrawn")

    def test_money_in_pivots(self):
        """It adds up, and its currency is known."""
        profiles = self.make_members(2)
        for profile in profiles:
            self.sell(profile.partner_id, 70)
        description = profiles.fields_get(["revenue", "average_order"])
        self.assertEqual(description["revenue"]["aggregator"], "sum")
        self.assertEqual(description["average_order"]["aggregator"], "avg")
        [group] = profiles.with_user(self.staff).formatted_read_grouping_sets(
            [("id", "in", profiles.ids)],
            [["lifecycle"]],
            ["revenue:sum", "currency_id:array_agg_distinct"],
        )[0]
        self.assertEqual(group["revenue:sum"], 140)
        self.assertEqual(
            group["currency_id:array_agg_distinct"], self.company.currency_id.ids
        )

    # ---------------------------------------------------------------------- words

    def test_consent_at_a_glance(self):
        profile = self.make_members(1, is_granted=False).with_user(self.staff)
        today = fields.Date.today()

        def look(state, **values):
            if state:
                self.record_consent(profile, state, **values)
            profile.invalidate_recordset()
            return profile.consent_state

        self.assertEqual(look(None), "never")
        self.assertFalse(profile.consent_date)
        self.record_consent(profile, "refused", purpose="service")
        self.assertEqual(look(None), "never", "service messages are another matter")
        self.assertEqual(look("granted", expiry_date=today), "granted")
        self.assertTrue(profile.consent_date)
        self.assertEqual(
            look("granted", expiry_date=today - timedelta(days=1)), "expired"
        )
        self.assertEqual(look("refused"), "refused")
        self.assertEqual(look("granted", evidence="Asked for it"), "granted")
        self.assertEqual(profile.partner_id.member_consent_state, "granted")

    def test_consent_filters(self):
        """They agree with the badge."""
        granted, refused, expired, never = self.make_members(4, is_granted=False)
        self.record_consent(granted, "granted")
        self.record_consent(refused, "refused")
        yesterday = fields.Date.today() - timedelta(days=1)
        self.record_consent(expired, "granted", expiry_date=yesterday)
        view = self.env.ref("member_messaging.member_profile_view_search")
        profiles = granted | refused | expired | never
        for name, expected in (
            ("consented", granted),
            ("no_consent", refused | expired | never),
        ):
            with self.subTest(name):
                self.assertEqual(self.filter(view, name, profiles), expected)

    def filter(self, view, name, profiles):
        """:returns: those of some members whom a filter of the search view finds"""
        [node] = view._get_combined_arch().xpath(f"//filter[@name='{name}']")
        domain = fields.Domain(literal_eval(node.get("domain")))
        return profiles.search(
            domain & fields.Domain("id", "in", profiles.ids), order="id"
        )

    def test_other_filters(self):
        today = fields.Date.context_today(self.env["member.profile"])
        soon, later, quiet = self.make_members(3)
        soon.birthday = today.replace(year=2000, day=1)
        later.birthday = (today.replace(day=1) - timedelta(days=1)).replace(year=1999)
        later.joined_date = today.replace(day=1) - timedelta(days=1)
        quiet.partner_id.phone = False
        view = self.env.ref("member_messaging.member_profile_view_search")
        profiles = soon | later | quiet
        for name, expected in (
            ("birthday_this_month", soon),
            ("joined_this_month", soon | quiet),
            ("no_phone", quiet),
        ):
            with self.subTest(name):
                self.assertEqual(self.filter(view, name, profiles), expected)
        self.assertEqual(profiles.filtered("is_birthday_month"), soon)

    def test_best_time_says_how_we_know(self):
        profile = self.make_members(1)
        for source, count, words in (
            ("own", 7, "18:00, learnt from 7 purchases and answers"),
            ("segment", 0, "18:00, as similar members do"),
            ("industry", 0, "18:00, usual in our business"),
            (False, 0, False),
        ):
            profile.write(
                {
                    "preferred_hour": 18,
                    "preferred_hour_count": count,
                    "preferred_hour_source": source,
                }
            )
            self.assertEqual(profile.preferred_hour_text, words)

    def test_barcode(self):
        profile = self.make_members(1)
        prefix, _comma, image = profile.number_barcode.partition(",")
        self.assertEqual(prefix, "data:image/svg+xml;base64")
        other = self.make_members(1)
        self.assertNotEqual(other.number_barcode.partition(",")[2], image)

    # ---------------------------------------------------------------------- forms

    def test_staff_note_the_birthday(self):
        """On the contact, which itself stays as it is."""
        profile = self.make_members(1)
        partner = profile.partner_id
        with Form(partner.with_user(self.staff)) as form:
            form.member_birthday = "1990-05-01"
        self.assertEqual(str(profile.birthday), "1990-05-01")

    def test_days_in_the_future_are_refused(self):
        profile = self.make_members(1).with_user(self.staff)
        profile.birthday = "1990-05-01"
        day = fields.Date.add(fields.Date.today(), days=2)
        for record, field, message in (
            (profile, "birthday", "birthday of .* is in the future"),
            (profile.partner_id, "member_birthday", "birthday of .* is in the future"),
            (profile, "joined_date", "joins in the future"),
        ):
            with self.subTest(model=record._name, field=field):
                # not assertRaisesRegex, which keeps what was refused
                with self.assertRaises(ValidationError) as refusal, Form(record) as f:
                    f[field] = day
                self.assertRegex(str(refusal.exception), message)
        profile.invalidate_recordset()
        self.assertEqual(str(profile.birthday), "1990-05-01")

    def test_pages_open(self):
        """Every list and every word of both pages, as staff read them."""
        profile, _message = self.make_busy_member()
        with Form(profile.with_user(self.staff)) as page:
            self.assertEqual(page.consent_state, "refused")
        with Form(profile.partner_id.with_user(self.staff)) as page:
            self.assertEqual(page.member_timeline_count, 10)
        stranger = self.make_partners(1)
        with Form(stranger.with_user(self.staff)) as page:
            self.assertFalse(page.member_timeline_count)

    def test_page_shows_the_latest(self):
        profile = self.make_members(1)
        for _index in range(22):
            self.record_consent(profile, "granted")
        self.env.flush_all()
        self.assertEqual(len(profile.timeline_ids), 20)
        self.assertEqual(profile.timeline_count, 24)
