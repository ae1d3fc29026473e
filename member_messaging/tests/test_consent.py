from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import Form, tagged

from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestConsent(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = cls.make_members(1, is_granted=False)

    def record(self, state, **values):
        """Staff write down what the member says."""
        action = self.profile.with_user(self.staff).action_record_consent()
        with Form(
            self.env[action["res_model"]]
            .with_user(self.staff)
            .with_context(**action["context"])
        ) as form:
            form.state = state
            for name, value in values.items():
                form[name] = value
        form.record.action_record()
        return self.profile.consent_ids[:1]

    def get_reason(self):
        """:returns: why the member would not get a promotion"""
        return self.launch(self.make_campaign(self.profile)).reason

    # -------------------------------------------------------------------- ledger

    def test_nobody_changes_the_ledger(self):
        consent = self.record("granted", evidence="Paper form")
        for user in (self.staff, self.manager):
            with self.subTest(user=user.login):
                seen = consent.with_user(user)
                self.assertEqual(seen.state, "granted")
                with self.assertRaisesRegex(UserError, "cannot be changed"):
                    seen.write({"state": "refused"})
                with self.assertRaises(AccessError):
                    seen.unlink()
                with self.assertRaises(AccessError):
                    seen.create(
                        {
                            "profile_id": self.profile.id,
                            "state": "refused",
                            "source": "staff",
                        }
                    )
        with self.assertRaisesRegex(UserError, "cannot be changed"):
            consent.write({"evidence": "Another form"})
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            consent.unlink()
        with self.assertRaises(AccessError):
            consent.with_user(self.salesperson).read(["state"])

    def test_latest_word_is_current(self):
        first = self.record("granted", evidence="Paper form")
        second = self.record("refused")
        service = self.record("refused", purpose="service")
        third = self.record("granted", evidence="Recording")
        self.assertEqual(
            [consent.is_current for consent in (first, second, service, third)],
            [False, False, True, True],
        )
        self.assertEqual(self.profile.consent_ids, third | service | second | first)

    def test_one_word_at_a_time(self):
        vals = {"profile_id": self.profile.id, "state": "granted", "source": "import"}
        with self.assertRaisesRegex(UserError, "one grant or refusal per member"):
            self.env["member.consent"].create([vals, {**vals, "state": "refused"}])

    def test_refusing_again_records_nothing(self):
        """Callbacks repeat themselves, so this is not left to the dialogs."""
        consents = self.env["member.consent"]
        others = self.make_members(2)
        profiles = self.profile | others
        new = consents._refuse(profiles, "sms", "reply", "TD")
        self.assertEqual(new.profile_id, profiles)
        self.assertFalse(consents._refuse(profiles, "sms", "reply", "TD"))
        self.assertFalse(consents._refuse(profiles.browse(), "sms", "reply", "TD"))
        self.assertEqual(others[0].consent_ids.mapped("state"), ["refused", "granted"])

    # ------------------------------------------------------------------- dialogs

    def test_enrol_button_above_the_list_of_members(self):
        # as the web client calls it: no member is selected
        action = call_kw(
            self.env["member.profile"].with_user(self.staff), "action_enrol", [[]], {}
        )
        self.assertEqual(action["res_model"], "member.profile.enrol")

    def test_enrol_with_consent(self):
        partners = self.make_partners(2) | self.profile.partner_id
        action = partners.with_user(self.staff).action_member_enrol()
        with Form(
            self.env["member.profile.enrol"]
            .with_user(self.staff)
            .with_context(**action["context"])
        ) as form:
            self.assertFalse(form.is_granted, "consent is never ticked beforehand")
            form.source = "web"
            form.is_granted = True
            form.evidence = "Sign-up of the website"
        result = form.record.action_enrol()
        self.assertEqual(result["params"]["message"], "2 new members.")
        new = partners[:2].member_profile_id
        self.assertEqual(new.mapped("source"), ["web", "web"])
        self.assertEqual(len(set(new.mapped("number"))), 2)
        self.assertRecordValues(
            new.consent_ids,
            [
                {
                    "purpose": "promotion",
                    "state": "granted",
                    "source": "web",
                    "evidence": "Sign-up of the website",
                    "wording": form.record.wording,
                    "is_current": True,
                }
            ]
            * 2,
        )
        self.assertIn("TD", form.record.wording)
        self.assertFalse(self.profile.consent_ids, "a member already")
        self.assertEqual(self.profile.source, "staff")

    def test_enrol_needs_evidence_only_for_consent(self):
        partner = self.make_partners(1)
        dialog = (
            self.env["member.profile.enrol"]
            .with_user(self.staff)
            .create({"partner_ids": [Command.set(partner.ids)], "is_granted": True})
        )
        with self.assertRaisesRegex(UserError, "proof of the consent"):
            dialog.action_enrol()
        self.assertFalse(partner.member_profile_id)
        dialog.is_granted = False
        dialog.action_enrol()
        self.assertTrue(partner.member_profile_id)
        self.assertFalse(partner.member_profile_id.consent_ids)

    def test_record_dialog(self):
        dialog = (
            self.env["member.consent.record"]
            .with_user(self.staff)
            .create({"profile_id": self.profile.id, "state": "granted"})
        )
        with self.assertRaisesRegex(UserError, "fill in the evidence"):
            dialog.action_record()
        self.assertFalse(self.profile.consent_ids)
        consent = self.record(
            "granted", evidence="Form 7", wording="Yes!", expiry_date="2099-01-01"
        )
        self.assertRecordValues(
            consent,
            [
                {
                    "channel": "sms",
                    "purpose": "promotion",
                    "state": "granted",
                    "source": "staff",
                    "evidence": "Form 7",
                    "wording": "Yes!",
                    "expiry_date": fields.Date.to_date("2099-01-01"),
                }
            ],
        )
        self.assertEqual(consent.create_uid, self.staff)

    # ----------------------------------------------------------------- effect

    def test_promotion_needs_a_grant_that_has_not_ended(self):
        today = fields.Date.context_today(self.profile)
        self.assertEqual(self.get_reason(), "no_consent")
        self.record(
            "granted",
            evidence="Form",
            expiry_date=fields.Date.subtract(today, days=1),
        )
        self.assertEqual(self.get_reason(), "no_consent")
        self.record("granted", evidence="Form", expiry_date=today)
        self.assertFalse(self.get_reason())
        self.record("refused")
        self.assertEqual(self.get_reason(), "refused")

    def test_notice_stops_only_at_a_refusal_of_service(self):
        notice = self.make_template("We are open.", category="notice")

        def get_reason():
            campaign = self.make_campaign(
                self.profile, notice, category="notice", program_id=False
            )
            return self.launch(campaign).reason

        self.record("refused")
        self.assertFalse(get_reason())
        self.record("refused", purpose="service")
        self.assertEqual(get_reason(), "refused")
