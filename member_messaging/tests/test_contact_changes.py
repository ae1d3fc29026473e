import random
from hashlib import sha256

from psycopg2.errors import ForeignKeyViolation as RestrictViolation

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..gateways.types import InboundMessage, Outcome
from .common import MemberMessagingCommon

#: Figures of a member that come from orders.
FIGURES = (
    "order_count",
    "revenue",
    "average_order",
    "first_order_date",
    "last_order_date",
    "last_product_id",
    "favourite_category_id",
    "lifecycle",
    "tier_id",
    "tier_date",
    "tier_review_date",
    "r_score",
    "f_score",
    "m_score",
    "rfm_segment_id",
)


class ContactChangeCommon(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # who may merge contacts and knows nothing of members
        cls.clerk = cls.make_user("clerk", "base.group_user,base.group_partner_manager")

    def merge(self, destination, *sources):
        """Merge contacts by the dialog of the list of contacts."""
        partners = destination.union(*sources)
        self.env["base.partner.merge.automatic.wizard"].with_user(
            self.clerk
        ).with_context(active_model="res.partner", active_ids=partners.ids).create(
            {"dst_partner_id": destination.id}
        ).action_merge()
        self.env.invalidate_all()
        self.assertEqual(partners.exists(), destination)

    def say(self, profile, state, hours=0, **values):
        """A member says yes or no, so many hours ago."""
        return self.env["member.consent"].create(
            {
                "profile_id": profile.id,
                "state": state,
                "source": "staff",
                "evidence": "Told us",
                "date": fields.Datetime.subtract(fields.Datetime.now(), hours=hours),
                **values,
            }
        )

    def reply(self, address, text):
        self.env["member.inbound"]._receive(
            self.gateway,
            [InboundMessage(address=address, text=text, event_ref=f"{address}:{text}")],
        )

    def launch_later(self, profiles, **values):
        """A campaign that is planned and not due yet."""
        tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
        campaign = self.make_campaign(
            profiles, schedule_type="date", scheduled_date=tomorrow, **values
        )
        messages = self.launch(campaign)
        self.assertEqual(set(messages.mapped("state")), {"queued"})
        return messages

    def let_be_due(self, messages):
        messages.campaign_id.write({"scheduled_date": fields.Datetime.now()})
        self.move_due(messages)


@tagged("post_install", "-at_install")
class TestMerge(ContactChangeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(2)
        cls.profile, cls.other = cls.profiles
        cls.partner, cls.duplicate = cls.profiles.partner_id

    def test_nothing_is_lost(self):
        messages = self.make_sent(self.other)
        self.reply(messages.address, "Thanks")
        inbound = messages.env["member.inbound"].search(
            [("message_id", "=", messages.id)]
        )
        change = self.env["member.tier.change"].create(
            {"profile_id": self.other.id, "kind": "manual"}
        )
        paper = self.env["ir.attachment"].create(
            {"name": "Form", "res_model": self.other._name, "res_id": self.other.id}
        )
        consents = self.profiles.consent_ids
        card, events = messages.card_id, messages.event_ids
        self.assertEqual((len(consents), len(events)), (2, 1))
        self.merge(self.partner, self.duplicate)
        self.assertEqual(self.profiles.exists(), self.profile)
        self.assertEqual(self.partner.member_profile_id, self.profile)
        self.assertEqual(
            self.profile.with_user(self.staff).consent_ids, consents, "the ledger"
        )
        self.assertEqual(consents.partner_id, self.partner)
        self.assertRecordValues(
            messages,
            [
                {
                    "profile_id": self.profile.id,
                    "partner_id": self.partner.id,
                    "state": "sent",
                    "card_id": card.id,
                    "event_ids": events.ids,
                }
            ],
        )
        self.assertRecordValues(card, [{"partner_id": self.partner.id, "active": True}])
        self.assertEqual(inbound.profile_id, self.profile)
        self.assertEqual(self.profile.tier_change_ids, change)
        self.assertEqual(paper.res_id, self.profile.id)
        status = self.make_sale(self.partner)._try_apply_code(card.code)
        self.assertIn(card, status, "the coupon can be used")

    def test_values_of_both(self):
        self.profile.write({"joined_date": "2024-05-01", "birthday": False})
        self.other.write(
            {"joined_date": "2020-01-31", "source": "pos", "birthday": "1990-02-03"}
        )
        number = self.profile.number
        self.merge(self.partner, self.duplicate)
        self.assertRecordValues(
            self.profile,
            [
                {
                    "number": number,
                    "joined_date": fields.Date.to_date("2020-01-31"),
                    "source": "pos",
                    "birthday": fields.Date.to_date("1990-02-03"),
                }
            ],
        )

    def test_own_birthday_stays(self):
        self.profile.birthday = "1980-01-01"
        self.other.birthday = "1990-02-03"
        self.merge(self.partner, self.duplicate)
        self.assertEqual(str(self.profile.birthday), "1980-01-01")

    def test_old_card_still_finds_the_member(self):
        number, former = self.profiles.mapped("number")
        self.merge(self.partner, self.duplicate)
        profile = self.profile.with_user(self.staff)
        self.assertEqual(profile.former_number_ids.mapped("number"), [former])
        for known in (number, former):
            with self.subTest(number=known):
                self.assertEqual(
                    profile.name_search(known), [(profile.id, profile.display_name)]
                )
                partners = self.env["res.partner"].with_user(self.salesperson)
                for operator in ("=", "ilike", "=like"):
                    self.assertEqual(
                        partners.search([("member_number", operator, known)]),
                        self.partner,
                    )
        self.assertEqual(self.partner.member_number, number)
        self.assertNotIn(
            self.partner,
            self.env["res.partner"].search([("member_number", "=", False)]),
        )
        self.assertNotIn(
            self.partner,
            self.env["res.partner"].search([("member_number", "not in", [former])]),
        )
        third = self.make_members(1)
        with self.assertRaisesRegex(ValidationError, f"{former} is a former number"):
            third.number = former

    def test_chain_of_merges(self):
        third = self.make_members(1)
        messages = self.make_sent(self.profiles | third)
        numbers = {*self.profiles.mapped("number")}
        self.merge(self.partner, self.duplicate)
        self.merge(third.partner_id, self.partner)
        self.assertEqual(set(third.former_number_ids.mapped("number")), numbers)
        self.assertEqual(messages.profile_id, third)
        self.assertEqual(messages.partner_id, third.partner_id)

    def test_three_contacts(self):
        third = self.make_members(1)
        consents = (self.profiles | third).consent_ids
        self.merge(self.partner, self.duplicate, third.partner_id)
        self.assertEqual(self.profile.consent_ids, consents)
        self.assertEqual(len(self.profile.former_number_ids), 2)

    def test_destination_is_no_member(self):
        for amount in (1, 2):
            with self.subTest(members=amount):
                destination = self.make_partners(1)
                sources = self.make_members(amount)
                first = sources[-1]
                first.joined_date = "2020-01-31"
                messages = self.make_sent(sources)
                consents = sources.consent_ids
                self.sell(sources[:1].partner_id, 100)
                self.sell(destination, 50)
                self.merge(destination, sources.partner_id)
                self.assertEqual(destination.member_profile_id, first)
                self.assertRecordValues(
                    first,
                    [{"partner_id": destination.id, "order_count": 2, "revenue": 150}],
                )
                self.assertEqual(messages.profile_id, first)
                self.assertEqual(first.consent_ids, consents)

    def test_source_is_no_member(self):
        customer = self.make_partners(1)
        self.sell(customer, 70)
        self.merge(self.partner, customer)
        self.assertRecordValues(self.profile, [{"order_count": 1, "revenue": 70}])

    def test_orders_that_count_for_a_company(self):
        """Its contacts' orders are the company's: a merge may move them to another."""
        self.env["ir.config_parameter"].set_param(
            "member_messaging.commercial_partner", "True"
        )
        firms = self.make_members(2, is_company=True)
        destination, source = self.make_partners(2)
        destination.parent_id, source.parent_id = firms.partner_id
        self.sell(destination, 10)
        self.sell(source, 70)
        self.assertEqual(firms.mapped("revenue"), [10, 70])
        self.merge(destination, source)
        self.assertEqual(firms.mapped("revenue"), [80, 0])

    def test_nobody_is_a_member(self):
        destination, source = self.make_partners(2)
        versions = self.get_row_versions(self.profiles)
        self.merge(destination, source)
        self.assertFalse(destination.member_profile_id)
        self.assertEqual(self.get_row_versions(self.profiles), versions)

    def test_companies(self):
        company, _stranger = self.make_other_company()
        self.clerk.company_ids += company
        self.partner.company_id = self.company
        self.duplicate.company_id = company
        with self.assertRaisesRegex(UserError, "Members of different companies"):
            self.merge(self.partner, self.duplicate)
        self.assertEqual(self.profiles.exists(), self.profiles)
        self.duplicate.company_id = False
        self.merge(self.partner, self.duplicate)
        self.assertEqual(self.profile.consent_ids.company_id, self.company)

    def test_member_of_a_company_moves_to_a_shared_contact(self):
        shared = self.make_partners(1)
        self.duplicate.company_id = self.company
        self.merge(shared, self.duplicate)
        self.assertEqual(shared.company_id, self.company)
        self.assertEqual(self.other.consent_ids.company_id, self.company)

    def test_shared_member_moves_to_a_contact_of_a_company(self):
        [contact] = self.make_partners(1, company_id=self.company.id)
        self.assertFalse(self.other.consent_ids.company_id)
        self.merge(contact, self.duplicate)
        self.assertEqual(self.other.consent_ids.company_id, self.company)

    def test_who_merges_sees_no_members(self):
        self.merge(self.partner, self.duplicate)
        with self.assertRaises(AccessError):
            self.profile.with_user(self.clerk).read(["number"])

    # ------------------------------------------------------------------- consent

    def get_current(self):
        return {
            (consent.purpose, consent.state)
            for consent in self.profile.consent_ids.filtered("is_current")
        }

    def test_latest_word_counts(self):
        for mine, theirs, counts in (
            (("granted", 5), ("refused", 3), "refused"),
            (("granted", 3), ("refused", 5), "granted"),
            (("refused", 3), ("granted", 5), "refused"),
            (("refused", 5), ("granted", 3), "granted"),
            # said at the same moment: who is in doubt writes to nobody
            (("granted", 3), ("refused", 3), "refused"),
            (("refused", 3), ("granted", 3), "refused"),
        ):
            with self.subTest(mine=mine, theirs=theirs):
                profiles = self.make_members(2, is_granted=False)
                said = self.say(profiles[0], *mine), self.say(profiles[1], *theirs)
                self.merge(*profiles.partner_id)
                [current] = profiles[0].consent_ids.filtered("is_current")
                self.assertIn(current, said)
                self.assertEqual(current.state, counts)
                message = self.launch(self.make_campaign(profiles[0]))
                self.assertEqual(message.reason, counts == "refused" and counts)

    def test_earlier_words_do_not_come_back(self):
        self.say(self.other, "refused", hours=9)
        self.say(self.other, "granted", hours=8)
        self.say(self.profile, "refused", hours=7)
        self.merge(self.partner, self.duplicate)
        self.assertEqual(self.get_current(), {("promotion", "refused")})
        self.assertEqual(len(self.profile.consent_ids), 5)

    def test_each_purpose_for_itself(self):
        self.say(self.profile, "granted", hours=2)
        self.say(self.other, "refused", hours=3)
        self.say(self.other, "refused", hours=4, purpose="service")
        self.merge(self.partner, self.duplicate)
        self.assertEqual(
            self.get_current(), {("promotion", "granted"), ("service", "refused")}
        )

    # ------------------------------------------------------------------ messages

    def test_messages_follow_the_contact(self):
        messages = self.make_sent(self.profiles)
        self.merge(self.partner, self.duplicate)
        self.assertEqual(messages.partner_id, self.partner)

    def test_messages_outlive_contact_and_tier(self):
        tier = self.env["member.tier"].create({"name": "Short-lived", "min_orders": 99})
        self.profiles.tier_id = tier
        messages = self.make_sent(self.profiles)
        self.assertEqual(messages.tier_id, tier)
        tier.with_user(self.manager).unlink()
        self.partner.unlink()
        self.assertFalse(messages.tier_id)
        self.assertEqual(messages.partner_id, self.duplicate)
        self.assertEqual(messages.profile_id.partner_id, self.duplicate)

    def test_both_got_a_campaign(self):
        messages = self.make_sent(self.profiles)
        campaign = messages.campaign_id
        self.merge(self.partner, self.duplicate)
        self.assertEqual(messages.exists(), messages)
        self.assertEqual(messages.profile_id, self.profile)
        self.assertEqual(set(messages.mapped("state")), {"sent"})
        self.assertEqual(campaign.sent_count, 2)
        # as after a crash between writing the rows and saying so
        campaign.write({"planned_date": False, "frozen_date": False})
        campaign.state = "scheduled"
        self.run_cron("plan")
        self.assertEqual(self.get_messages(campaign), messages)

    def test_refusal_through_the_link_of_a_former_member(self):
        messages = self.make_sent(self.profiles)
        self.merge(self.partner, self.duplicate)
        for message in messages:
            with self.subTest(address=message.address):
                self.say(self.profile, "granted")
                self.reply(message.address, "TD")
                self.assertEqual(self.get_current(), {("promotion", "refused")})

    def test_waiting_twice_is_sent_once(self):
        messages = self.launch_later(self.profiles)
        self.merge(self.partner, self.duplicate)
        self.let_be_due(messages)
        [sent] = self.send()
        self.assertEqual(sent.address, self.partner.phone)
        self.assertRecordValues(
            messages,
            [
                {"state": "sent", "reason": False},
                {"state": "skipped", "reason": "duplicate_address"},
            ],
        )

    def test_waiting_message_of_a_member_who_got_it(self):
        """One left, the other was put back into the queue by the provider."""
        for is_destination in (True, False):
            with self.subTest(destination_got_it=is_destination):
                profiles = self.make_members(2)
                got = profiles[0 if is_destination else 1]
                messages = self.launch(self.make_campaign(profiles))
                number = got.phone
                self.send(
                    lambda outbound, number=number: (
                        Outcome.OK if outbound.address == number else Outcome.RETRY
                    )
                )
                waiting = messages.filtered(lambda m: m.state == "queued")
                self.assertEqual(waiting.profile_id, profiles - got)
                self.assertTrue(waiting.card_id.active)
                self.merge(*profiles.partner_id)
                self.move_due(waiting)
                self.assertFalse(self.send())
                self.assertRecordValues(
                    waiting, [{"state": "skipped", "reason": "duplicate_address"}]
                )
                self.assertFalse(waiting.card_id.active, "nobody has this coupon")

    def test_waiting_message_of_a_member_in_the_control_group(self):
        messages = self.launch_later(self.profiles)
        self.env.cr.execute(
            "UPDATE member_message SET state = 'skipped', reason = 'holdout'"
            " WHERE id = %s",
            (messages[0].id,),
        )
        self.env.invalidate_all()
        self.merge(self.partner, self.duplicate)
        self.let_be_due(messages)
        self.assertFalse(self.send())

    def test_waiting_message_is_sent_if_the_other_one_cannot(self):
        self.partner.phone = False
        campaign = self.make_campaign(self.profiles)
        self.assertEqual(self.launch(campaign).mapped("reason"), ["no_address", False])
        number = self.duplicate.phone
        self.merge(self.partner, self.duplicate)
        self.assertEqual([message.address for message in self.send()], [number])

    def test_cost_does_not_grow_with_the_messages(self):
        def count(amount):
            profiles = self.make_members(2)
            for _index in range(amount):
                self.make_sent(profiles)
                self.sell(profiles[1].partner_id)
            return self.count_queries(self.merge, *profiles.partner_id)

        count(1)
        self.assertAlmostEqual(count(1), count(6), delta=2)

    # ---------------------------------------------------------------------- tiers

    def make_tiers(self):
        return self.env["member.tier"].create(
            [
                {"name": "Silver", "sequence": 1, "min_revenue": 100},
                {"name": "Gold", "sequence": 2, "min_revenue": 500},
            ]
        )

    def test_together_they_reach_a_tier(self):
        silver, gold = self.make_tiers()
        self.sell(self.partner, 300)
        self.sell(self.duplicate, 300)
        self.assertEqual(self.profiles.tier_id, silver)
        self.merge(self.partner, self.duplicate)
        self.assertEqual(self.profile.tier_id, gold)

    def test_higher_tier_is_kept_and_recorded(self):
        _silver, gold = self.make_tiers()
        self.sell(self.partner, 100)
        self.sell(self.duplicate, 600)
        previous, number = self.profile.tier_id, self.other.number
        self.merge(self.partner, self.duplicate)
        self.assertEqual(self.profile.tier_id, gold)
        self.assertRecordValues(
            self.profile.tier_change_ids[0],
            [
                {
                    "kind": "manual",
                    "previous_tier_id": previous.id,
                    "tier_id": gold.id,
                    "reason": f"Merged with member {number}",
                    "user_id": self.clerk.id,
                }
            ],
        )

    def test_lock_is_kept(self):
        _silver, gold = self.make_tiers()
        self.profile.write(
            {
                "tier_locked": True,
                "tier_lock_reason": "Until the complaint is settled",
                "tier_lock_end_date": "2098-01-01",
            }
        )
        self.other.write(
            {
                "tier_id": gold.id,
                "tier_locked": True,
                "tier_lock_reason": "Regular of the first hour",
                "tier_lock_end_date": "2099-01-01",
            }
        )
        self.merge(self.partner, self.duplicate)
        self.env["member.profile"]._refresh()
        self.assertRecordValues(
            self.profile,
            [
                {
                    "tier_id": gold.id,
                    "tier_locked": True,
                    "tier_lock_reason": "Regular of the first hour",
                    "tier_lock_end_date": fields.Date.to_date("2099-01-01"),
                }
            ],
        )

    # ----------------------------------------------------------------------- tags

    def test_tag_set_by_hand_stays_by_hand(self):
        tag = self.env["res.partner.category"].create({"name": "Tea"})
        rule = self.env["member.tag.rule"].create(
            {
                "category_id": tag.id,
                "kind": "domain",
                "domain": str([("id", "=", self.partner.id)]),
            }
        )
        rule.action_apply()
        self.assertEqual(self.partner.member_tag_assignment_ids.rule_id, rule)
        self.duplicate.category_id = tag
        self.merge(self.partner, self.duplicate)
        self.assertFalse(self.partner.member_tag_assignment_ids)
        rule.domain = str([("id", "=", 0)])
        rule.action_apply()
        self.assertEqual(self.partner.category_id, tag)

    def test_tag_of_a_rule_moves_with_its_owner(self):
        tag = self.env["res.partner.category"].create({"name": "Tea"})
        rule = self.env["member.tag.rule"].create(
            {
                "category_id": tag.id,
                "kind": "domain",
                "domain": str([("id", "=", self.duplicate.id)]),
            }
        )
        rule.action_apply()
        self.merge(self.partner, self.duplicate)
        self.assertEqual(self.partner.category_id, tag)
        self.assertEqual(self.partner.member_tag_assignment_ids.rule_id, rule)
        rule.action_apply()
        self.assertFalse(self.partner.category_id, "the condition is not met")


@tagged("post_install", "-at_install")
class TestArchive(ContactChangeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)
        cls.partner = cls.profile.partner_id

    def test_archived_contact_is_in_no_audience(self):
        self.partner.with_user(self.clerk).action_archive()
        campaign = self.make_campaign(self.profile)
        self.assertFalse(campaign.segment_ids.member_count)
        self.partner.with_user(self.clerk).action_unarchive()
        self.env.invalidate_all()
        self.assertEqual(campaign.segment_ids.member_count, 1)
        self.launch(campaign)
        self.assertEqual(len(self.send()), 1)

    def test_waiting_message_is_not_sent(self):
        message = self.launch(self.make_campaign(self.profile))
        self.partner.with_user(self.clerk).action_archive()
        self.assertFalse(self.send())
        self.assertRecordValues(message, [{"state": "skipped", "reason": "archived"}])

    def test_restored_in_time(self):
        message = self.launch(self.make_campaign(self.profile))
        self.partner.with_user(self.clerk).action_archive()
        self.partner.with_user(self.clerk).action_unarchive()
        self.assertEqual(len(self.send()), 1)
        self.assertEqual(message.state, "sent")

    def test_refusal_of_an_archived_contact_counts(self):
        message = self.make_sent(self.profile)
        self.partner.with_user(self.clerk).action_archive()
        self.reply(message.address, "TD")
        self.partner.with_user(self.clerk).action_unarchive()
        self.assertEqual(
            self.launch(self.make_campaign(self.profile)).reason, "refused"
        )

    def test_archived_member_stays_up_to_date(self):
        self.partner.with_user(self.clerk).action_archive()
        self.sell(self.partner, 80)
        self.env["member.profile"]._refresh()
        self.assertEqual(self.profile.revenue, 80)


@tagged("post_install", "-at_install")
class TestDelete(ContactChangeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1)
        cls.partner = cls.profile.partner_id
        cls.number = cls.partner.phone

    def get_suppressed(self, number=None):
        return self.env["member.suppression"]._find(
            [number or self.number], self.company, "sms", "promotion"
        )

    def test_messages_stay_on_record(self):
        messages = self.make_sent(self.profile)
        self.partner.with_user(self.clerk).unlink()
        self.assertFalse(self.profile.exists())
        self.assertRecordValues(
            messages,
            [
                {
                    "state": "sent",
                    "address": self.number,
                    "partner_id": False,
                    "profile_id": False,
                }
            ],
        )

    def test_waiting_message_is_not_sent(self):
        message = self.launch(self.make_campaign(self.profile))
        self.partner.with_user(self.clerk).unlink()
        self.assertRecordValues(message, [{"state": "skipped", "reason": "archived"}])
        self.assertFalse(self.send())
        self.assertEqual(message.campaign_id.state, "done")

    def test_member_only(self):
        message = self.launch(self.make_campaign(self.profile))
        self.profile.with_user(self.manager).unlink()
        self.assertTrue(self.partner.exists())
        self.assertFalse(self.partner.member_number)
        self.assertRecordValues(message, [{"state": "skipped", "reason": "archived"}])

    def test_cn_8_consents_stay_provable(self):
        consent = self.say(self.profile, "granted", evidence="Signed by Li")
        consents = self.profile.consent_ids
        number = self.profile.number
        self.partner.with_user(self.clerk).unlink()
        self.assertEqual(consents.exists(), consents)
        self.assertFalse(consents.profile_id)
        self.assertNotIn("Li", consent.evidence)
        deletion = consents.erasure_id
        self.assertRecordValues(
            deletion,
            [{"kind": "deletion", "reference": number, "user_id": self.clerk.id}],
        )
        self.assertEqual(deletion._find_erasures(self.number), deletion)
        action = self.env["member.consent"].with_user(self.manager).action_verify()
        self.assertEqual(action["params"]["type"], "success")

    def test_us_14_refusal_outlives_the_contact(self):
        self.say(self.profile, "refused")
        self.partner.with_user(self.clerk).unlink()
        again = self.make_members(1, is_granted=False, phone=self.number)
        self.assertEqual(self.launch(self.make_campaign(again)).reason, "suppressed")

    def test_us_14_refusal_of_service_outlives_the_contact(self):
        self.say(self.profile, "refused", purpose="service")
        self.partner.with_user(self.clerk).unlink()
        again = self.make_members(1, phone=self.number)
        notice = self.make_template("We are open.", category="notice")
        campaign = self.make_campaign(
            again, notice, category="notice", program_id=False
        )
        self.assertEqual(self.launch(campaign).reason, "suppressed")
        self.assertFalse(self.launch(self.make_campaign(again)).reason)

    def test_g_1_suppressed_after_planning(self):
        twin = self.make_members(1, phone=self.number)
        message = self.launch(self.make_campaign(twin))
        self.assertEqual(message.state, "queued")
        # refused after the twin had agreed
        self.say(self.profile, "refused", hours=-1)
        self.partner.with_user(self.clerk).unlink()
        self.assertFalse(self.send())
        self.assertRecordValues(message, [{"state": "skipped", "reason": "suppressed"}])

    def test_refusal_outlives_the_membership(self):
        self.say(self.profile, "refused")
        self.profile.with_user(self.manager).unlink()
        again = self.enrol(self.partner, is_granted=False)
        self.assertEqual(self.launch(self.make_campaign(again)).reason, "suppressed")

    def test_cn_22_only_a_hash_is_kept(self):
        self.say(self.profile, "refused")
        self.partner.with_user(self.clerk).unlink()
        [kept] = self.env["member.suppression"].search([])
        self.assertRegex(kept.address_hash, "^[0-9a-f]{64}$")
        self.assertNotIn(self.number[1:], str(kept.read()))
        plain = sha256(self.number.encode()).hexdigest()
        self.assertNotEqual(kept.address_hash, plain, "anybody could try all numbers")

    def test_who_agrees_again_gets_messages_again(self):
        self.say(self.profile, "refused")
        self.partner.with_user(self.clerk).unlink()
        again = self.make_members(1, is_granted=False, phone=self.number)
        self.say(again, "granted", source="import")
        self.assertEqual(self.launch(self.make_campaign(again)).reason, "suppressed")
        self.say(again, "granted", evidence="Form 12, signed today")
        self.assertFalse(self.launch(self.make_campaign(again)).reason)
        [kept] = self.env["member.suppression"].search([])
        self.assertTrue(kept.lifted_date)

    def test_cn_11_a_complaint_suppresses_the_number(self):
        dialog = (
            self.env["member.consent.record"]
            .with_user(self.staff)
            .create({"profile_id": self.profile.id, "state": "complaint"})
        )
        dialog.action_record()
        self.assertRecordValues(
            self.profile.consent_ids[0], [{"state": "refused", "source": "complaint"}]
        )
        twin = self.make_members(1, phone=self.number)
        self.assertEqual(self.launch(self.make_campaign(twin)).reason, "suppressed")
        self.say(twin, "granted", evidence="Says she never complained")
        self.assertEqual(self.launch(self.make_campaign(twin)).reason, "suppressed")
        self.say(twin, "granted", source="double_opt_in", evidence="Confirmed")
        self.assertFalse(self.launch(self.make_campaign(twin)).reason)

    def test_blocked_number_of_a_deleted_contact(self):
        self.env["phone.blacklist"].add(self.number)
        twin = self.make_partners(1, phone=self.number)
        self.partner.with_user(self.clerk).unlink()
        self.assertFalse(self.get_suppressed(), "the list itself still stops the twin")
        twin.with_user(self.clerk).unlink()
        self.assertTrue(self.get_suppressed())

    def test_suppression_in_one_company(self):
        other, _stranger = self.make_other_company()
        self.partner.company_id = self.company
        self.say(self.profile, "refused")
        self.partner.with_user(self.clerk).unlink()
        self.assertTrue(self.get_suppressed())
        self.assertFalse(
            self.env["member.suppression"]._find(
                [self.number], other, "sms", "promotion"
            )
        )

    def test_who_agreed_is_not_suppressed(self):
        self.say(self.profile, "refused", hours=2)
        self.say(self.profile, "granted", hours=1)
        self.partner.with_user(self.clerk).unlink()
        self.assertFalse(self.get_suppressed())

    def test_number_of_several_members(self):
        """The latest word said about a number counts, as in a merge."""
        for hours, is_suppressed in ((1, False), (3, True), (2, True)):
            with self.subTest(hours=hours):
                profiles = self.make_members(2, is_granted=False)
                profiles.partner_id.write({"phone": profiles[0].phone})
                number = profiles[0].phone
                self.say(profiles[0], "refused", hours=2)
                self.say(profiles[1], "granted", hours=hours)
                profiles[0].partner_id.with_user(self.clerk).unlink()
                self.assertEqual(bool(self.get_suppressed(number)), is_suppressed)

    def test_refusing_member_without_number(self):
        self.say(self.profile, "refused")
        self.partner.phone = False
        self.partner.with_user(self.clerk).unlink()
        self.assertFalse(self.partner.exists())

    def test_merging_suppresses_nothing(self):
        other = self.make_members(1)
        self.say(self.profile, "refused")
        self.merge(other.partner_id, self.partner)
        self.assertFalse(self.get_suppressed())

    def test_contact_with_orders_stays_whole(self):
        """What stock refuses to delete keeps its member and its messages."""
        self.sell(self.partner)
        self.say(self.profile, "refused")
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(RestrictViolation),
            self.env.cr.savepoint(),
        ):
            self.partner.with_user(self.clerk).unlink()
        self.env.invalidate_all()
        self.assertEqual(self.partner.member_profile_id, self.profile)
        self.assertFalse(self.get_suppressed())


@tagged("post_install", "-at_install")
class TestNumber(ContactChangeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profiles = cls.make_members(3)
        cls.partners = cls.profiles.partner_id

    def plan(self):
        return self.launch(self.make_campaign(self.profiles))

    def edit(self, partner, **values):
        partner.with_user(self.clerk).write(values)

    def assert_sent(self, numbers):
        self.assertEqual({message.address for message in self.send()}, set(numbers))

    def test_waiting_message_follows_the_member(self):
        messages = self.plan()
        _old, *others = self.partners.mapped("phone")
        self.edit(self.partners[0], phone="+86 139 1111 2222")
        self.assert_sent(["+8613911112222", *others])
        self.assertEqual(messages[0].address, "+8613911112222")
        self.assertEqual(set(messages.mapped("state")), {"sent"})

    def test_consent_stays_with_the_member(self):
        self.edit(self.partners[0], phone="+8613911112222")
        self.assertFalse(self.plan()[0].reason)

    def test_number_that_cannot_be_used(self):
        for phone, reason in (
            (False, "no_address"),
            ("12345", "invalid_address"),
            ("+8613911113333", "blocked"),
        ):
            with self.subTest(phone=phone):
                self.env["phone.blacklist"].add("+8613911113333")
                profile = self.make_members(1)
                message = self.launch(self.make_campaign(profile))
                self.edit(profile.partner_id, phone=phone)
                self.assert_sent([])
                self.assertRecordValues(
                    message, [{"state": "skipped", "reason": reason}]
                )

    def test_block_of_the_old_number(self):
        """Blocked is the number, not the member."""
        self.plan()
        first, *others = self.partners.mapped("phone")
        self.env["phone.blacklist"].add(first)
        self.edit(self.partners[0], phone="+8613911112222")
        self.assert_sent(["+8613911112222", *others])

    def test_number_of_somebody_who_gets_the_campaign(self):
        messages = self.plan()
        _old, second, third = self.partners.mapped("phone")
        self.edit(self.partners[0], phone=second)
        self.assert_sent([second, third])
        self.assertRecordValues(
            messages[0],
            [{"state": "skipped", "reason": "duplicate_address", "card_id": False}],
        )

    def test_two_take_the_same_number(self):
        messages = self.plan()
        third = self.partners[2].phone
        self.edit(self.partners[:2], phone="+8613911112222")
        self.assert_sent(["+8613911112222", third])
        self.assertEqual(messages.mapped("reason"), [False, "duplicate_address", False])

    def test_numbers_are_swapped(self):
        messages = self.plan()
        first, second, third = self.partners.mapped("phone")
        self.edit(self.partners[0], phone=second)
        self.edit(self.partners[1], phone=first)
        self.assert_sent([first, second, third])
        self.assertEqual(messages.mapped("address"), [second, first, third])

    def test_number_passed_on(self):
        self.plan()
        first, _second, third = self.partners.mapped("phone")
        self.edit(self.partners[0], phone="+8613911112222")
        self.edit(self.partners[1], phone=first)
        self.assert_sent(["+8613911112222", first, third])

    def test_changed_between_two_attempts(self):
        message = self.launch(self.make_campaign(self.profiles[0]))
        self.send(lambda _outbound: Outcome.RETRY)
        card = message.card_id
        self.edit(self.partners[0], phone="+8613911112222")
        self.move_due(message)
        self.assert_sent(["+8613911112222"])
        self.assertEqual(message.card_id, card)
        self.assertIn(card.code, message.body)

    def test_editing_a_contact_leaves_the_member_alone(self):
        profile, partner = self.profiles[0], self.partners[0]
        profile.birthday = "1990-02-03"
        self.sell(partner)
        versions = self.get_row_versions(profile)
        parent = self.env["res.partner"].create({"name": "Firm", "is_company": True})
        for values in (
            {"name": "New Name"},
            {"phone": "+8613911112222", "email": "a@example.com"},
            {"company_id": self.company.id},
            {"company_id": False},
            {"parent_id": parent.id},
            {"category_id": [Command.create({"name": "Tag"})]},
            {"active": False},
            {"active": True},
        ):
            with self.subTest(values=values):
                self.edit(partner, **values)
                self.assertEqual(self.get_row_versions(profile), versions)
        partner_versions = self.get_row_versions(partner)
        profile.with_user(self.staff).birthday = "1991-02-03"
        self.env["member.profile"]._refresh()
        self.assertEqual(self.get_row_versions(partner), partner_versions)


@tagged("post_install", "-at_install")
class TestAnySequence(ContactChangeCommon):
    """Whatever happens, a member's figures are those of a refresh from scratch."""

    SEEDS = range(4)
    STEPS = 18

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["member.tier"].create(
            [
                {"name": "Ordinary", "sequence": 1},
                {"name": "Silver", "sequence": 2, "min_revenue": 300},
                {"name": "Gold", "sequence": 3, "min_revenue": 500, "min_orders": 3},
            ]
        )
        # fifths would move with every buyer, and the others wait for the night
        cls.env["member.rfm.scale"].search([]).write(
            {
                "method": "fixed",
                **dict(recency_5=30, recency_4=90, recency_3=200, recency_2=400),
                **dict(frequency_5=4, frequency_4=3, frequency_3=2, frequency_2=1),
                **dict(monetary_5=900, monetary_4=500, monetary_3=200, monetary_2=50),
            }
        )
        cls.accountant = cls.make_user(
            "accountant", "base.group_user,account.group_account_invoice"
        )
        cls.products = cls.product | cls.make_product("Cake") | cls.make_product("Mug")
        cls.products[1].categ_id = cls.env["product.category"].create({"name": "Food"})
        # who may take payments outside the till's own screen
        cls.cashier = cls.make_user(
            "cashier", "base.group_user,point_of_sale.group_pos_manager"
        )
        drawer = cls.env["account.journal"].create(
            {"name": "Drawer", "code": "DRAW", "type": "cash"}
        )
        cls.cash = cls.env["pos.payment.method"].create(
            {"name": "Cash", "journal_id": drawer.id}
        )
        cls.till = cls.env["pos.config"].create(
            {"name": "Till", "payment_method_ids": [Command.set(cls.cash.ids)]}
        )
        cls.till.with_user(cls.cashier).open_ui()
        cls.till.current_session_id.with_user(cls.cashier).set_opening_control(0, "")

    def start(self):
        """Four members and a customer who is none."""
        self.partners = self.make_members(4).partner_id | self.make_partners(1)
        self.sales = self.env["sale.order"]
        self.paid = self.env["pos.order"]

    def pay(self, order):
        self.env["pos.make.payment"].with_user(self.cashier).with_context(
            active_id=order.id
        ).create(
            {"amount": order.amount_total, "payment_method_id": self.cash.id}
        ).check()
        self.env.flush_all()

    def make_pos_order(self, partner, price, product, **values):
        line = {
            "product_id": product.id,
            "qty": 1,
            "price_unit": price,
            "price_subtotal": price,
            "price_subtotal_incl": price,
        }
        return (
            self.env["pos.order"]
            .with_user(self.cashier)
            .create(
                {
                    "session_id": self.till.current_session_id.id,
                    "partner_id": partner.id,
                    "amount_tax": 0,
                    "amount_total": price,
                    "amount_paid": 0,
                    "amount_return": 0,
                    "lines": [Command.create(line)],
                    **values,
                }
            )
        )

    # one step each; False: there was nothing to do it to

    def step_sell(self, rng):
        order = self.make_sale(rng.choice(self.partners), rng.randint(10, 400))
        order.order_line.product_id = rng.choice(self.products)
        order.order_line.price_unit = rng.randint(10, 400)
        order.action_confirm()
        self.sales |= order

    def step_sell_at_the_till(self, rng):
        order = self.make_pos_order(
            rng.choice(self.partners),
            rng.randint(10, 400),
            rng.choice(self.products),
            date_order=fields.Datetime.subtract(
                fields.Datetime.now(), days=rng.randint(0, 500), hours=1
            ),
        )
        self.pay(order)
        self.paid |= order

    def step_refund(self, rng):
        if not self.paid:
            return False
        order = rng.choice(self.paid)
        self.paid -= order
        refund = order._refund()
        self.pay(refund)

    def step_cancel(self, rng):
        if not self.sales:
            return False
        order = rng.choice(self.sales)
        self.sales -= order
        order._action_cancel()

    def step_credit(self, rng):
        """Part of a sales order, or all of it, is paid back by a credit note."""
        orders = self.sales.filtered(lambda order: not order.invoice_ids)
        if not orders:
            return False
        invoice = rng.choice(orders)._create_invoices().with_user(self.accountant)
        invoice.action_post()
        wizard = (
            self.env["account.move.reversal"]
            .with_user(self.accountant)
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": invoice.journal_id.id})
        )
        note = self.env["account.move"].browse(wizard.refund_moves()["res_id"])
        note = note.with_user(self.accountant)
        line = note.invoice_line_ids
        line.price_unit = rng.choice((line.price_unit, rng.randint(1, 10)))
        note.action_post()

    def step_merge(self, rng):
        if len(self.partners) < 2:
            return False
        destination, source = rng.sample(list(self.partners), 2)
        self.merge(destination, source)
        self.partners -= source

    def get_figures(self):
        self.env.flush_all()
        self.env.invalidate_all()
        return self.partners.member_profile_id.read(FIGURES)

    def test_incremental_equals_full(self):
        steps = [
            (self.step_sell, 5),
            (self.step_sell_at_the_till, 4),
            (self.step_refund, 3),
            (self.step_cancel, 2),
            (self.step_credit, 2),
            (self.step_merge, 1),
        ]
        functions, weights = zip(*steps, strict=True)
        happened = set()
        for seed in self.SEEDS:
            rng = random.Random(seed)
            self.start()
            done = []
            while len(done) < self.STEPS:
                [function] = rng.choices(functions, weights)
                if function(rng) is not False:
                    done.append(function.__name__)
            happened.update(done)
            with self.subTest(seed=seed, steps=done):
                profiles = self.partners.member_profile_id
                incremental = self.get_figures()
                versions = self.get_row_versions(profiles)
                self.env["member.profile"]._refresh(self.partners.ids)
                self.assertEqual(self.get_figures(), incremental)
                self.assertEqual(
                    self.get_row_versions(profiles), versions, "nothing is written"
                )
                self.env["member.profile"]._refresh()
                self.assertEqual(self.get_figures(), incremental)
                self.assertEqual(self.count_orders(), incremental)
        self.assertEqual(happened, {function.__name__ for function in functions})

    def count_orders(self):
        """The figures once more, by other means where that is easy."""
        figures = self.get_figures()
        for row in figures:
            partner = self.env["member.profile"].browse(row["id"]).partner_id
            sales = self.env["sale.order"].search(
                [("partner_id", "=", partner.id), ("state", "=", "sale")]
            )
            paid = self.env["pos.order"].search(
                [("partner_id", "=", partner.id), ("state", "in", ["paid", "done"])]
            )
            bought = paid.filtered(lambda order: order.amount_total > 0)
            row["order_count"] = len(sales) + len(bought)
            notes = sales.invoice_ids.filtered(
                lambda move: move.move_type == "out_refund" and move.state == "posted"
            )
            row["revenue"] = sum(
                document.amount_total for document in [*sales, *paid]
            ) - sum(notes.mapped("amount_total"))
        return figures
