from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MemberMessagingCommon

#: What somebody does → who may. The administrator has Odoo's right to change settings
#: and no role in the addon: accounts are theirs, members are not.
MATRIX = {
    "see_members": {"staff", "manager"},
    "see_messages": {"staff", "manager"},
    "enrol": {"staff", "manager"},
    "enrol_at_the_till": {"staff", "manager", "cashier"},
    "record_consent": {"staff", "manager"},
    "tick_consent_at_the_till": {"staff", "manager", "cashier"},
    "prepare_campaign": {"staff", "manager"},
    "submit": {"staff", "manager"},
    "approve_and_launch": {"manager"},
    "pause": {"staff", "manager"},
    "resume": {"manager"},
    "retry_failed": {"manager"},
    "stop_all_sending": {"manager"},
    "set_retention": {"manager"},
    "delete_member": {"manager"},
    "erase": {"manager"},
    "export_for_authority": {"manager"},
    "see_privacy_log": {"manager"},
    "see_suppressions": {"manager"},
    "see_callbacks": {"manager"},
    "see_archive": {"administrator"},
    "purge": {"administrator"},
    "pause_gateway": {"manager", "administrator"},
    "create_gateway": {"administrator"},
    "see_gateway_secret": {"administrator"},
    "set_gateway_secret": {"administrator"},
    "settings": {"administrator"},
    "write_company": {"administrator"},
    "join_page": {"manager"},
}


@tagged("post_install", "-at_install")
class TestRoles(MemberMessagingCommon):
    """Who may do what, tried as each of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        contacts = "base.group_partner_manager"
        cls.users = {
            "staff": cls.staff,
            "manager": cls.manager,
            "cashier": cls.make_user(
                "cashier", f"base.group_user,point_of_sale.group_pos_user,{contacts}"
            ),
            "administrator": cls.make_user(
                "administrator", f"base.group_system,{contacts}"
            ),
            "clerk": cls.make_user("clerk", f"base.group_user,{contacts}"),
        }
        # not what decides here
        for user in cls.staff | cls.manager:
            user.group_ids += cls.env.ref(contacts)
        cls.profile = cls.make_members(1)

    # each tries one thing with the rights of a user

    def try_see_members(self, env):
        env["member.profile"].search([]).mapped("number")

    def try_see_messages(self, env):
        env["member.message"].search([]).mapped("body")

    def try_enrol(self, env):
        env["member.profile.enrol"].create(
            {"partner_ids": [Command.set(self.make_partners(1).ids)]}
        ).action_enrol()

    def try_enrol_at_the_till(self, env):
        env["res.partner"].browse(self.make_partners(1).id).is_member = True
        env.flush_all()

    def try_record_consent(self, env):
        env["member.consent.record"].create(
            {"profile_id": self.profile.id, "state": "refused"}
        ).action_record()

    def try_tick_consent_at_the_till(self, env):
        env["res.partner"].browse(self.make_partners(1).id).member_agrees = True

    def try_prepare_campaign(self, env):
        self.make_campaign(self.profile).with_env(env).write({"name": "Mine"})

    def try_submit(self, env):
        self.make_campaign(self.profile).with_env(env).action_request_review()

    def try_approve_and_launch(self, env):
        campaign = self.make_campaign(self.profile)
        campaign.action_request_review()
        campaign.with_env(env).action_launch()

    def make_launched(self):
        campaign = self.make_campaign(self.profile)
        campaign.action_request_review()
        campaign.with_user(self.manager).action_launch()
        return campaign

    def try_pause(self, env):
        self.make_launched().with_env(env).action_pause()

    def try_resume(self, env):
        campaign = self.make_launched()
        campaign.action_pause()
        campaign.with_env(env).action_resume()

    def try_retry_failed(self, env):
        campaign = self.make_launched()
        campaign.action_pause()
        campaign.with_env(env).action_retry_failed()

    def try_stop_all_sending(self, env):
        self.policy.with_env(env).action_stop_all()

    def try_set_retention(self, env):
        self.policy.with_env(env).retention_months = 7
        env.flush_all()

    def try_delete_member(self, env):
        self.make_members(1).with_env(env).unlink()

    def try_erase(self, env):
        profile = self.make_members(1)
        env["member.profile.erase"].create(
            {
                "profile_id": profile.id,
                "reason": "Asked",
                "confirmation": profile.number,
            }
        ).action_erase()

    def try_export_for_authority(self, env):
        export = env["member.message.export"].create({"reason": "File"})
        list(export._iterate_rows())

    def try_see_privacy_log(self, env):
        env["member.privacy.log"].search([]).mapped("reason")

    def try_see_suppressions(self, env):
        env["member.suppression"].search([])

    def try_see_callbacks(self, env):
        env["member.callback"].search([])

    def try_see_archive(self, env):
        env["member.message.archive"].search([])

    def try_purge(self, env):
        cron = self.env.ref("member_messaging.ir_cron_member_messaging_purge")
        cron.with_env(env).check_access("write")

    def try_pause_gateway(self, env):
        self.gateway.with_env(env).state = "paused"
        env.flush_all()

    def try_create_gateway(self, env):
        env["member.gateway"].create({"name": "New", "provider": "sandbox"})

    def try_see_gateway_secret(self, env):
        self.gateway.with_env(env).read(["api_secret"])

    def try_set_gateway_secret(self, env):
        self.gateway.with_env(env).api_secret = "mine"
        env.flush_all()

    def try_settings(self, env):
        env["res.config.settings"].create({}).execute()

    def try_write_company(self, env):
        env.company.member_complaint_contact = "Me"
        env.flush_all()

    def try_join_page(self, env):
        env["member.join.setup"].create(
            {"member_complaint_contact": "Me", "member_has_join_page": True}
        ).action_save()

    def test_matrix(self):
        for name, allowed in MATRIX.items():
            with self.subTest(name):
                found = {
                    role
                    for role in self.users
                    if self.may(getattr(self, f"try_{name}"), role)
                }
                self.assertEqual(found, allowed)

    def may(self, attempt, role):
        """:returns: whether a user of a role can do something; it is undone"""
        self.env.flush_all()
        with self.cr.savepoint() as savepoint, mute_logger("odoo.sql_db"):
            try:
                attempt(self.env(user=self.users[role]))
                self.env.flush_all()
                return True
            except AccessError:
                return False
            except UserError as error:
                self.assertIn("Only ", str(error))
                return False
            finally:
                savepoint.rollback()
                self.env.invalidate_all()

    # -------------------------------------------------------- the manager's own form

    def make_setup(self, **values):
        return self.env["member.join.setup"].with_user(self.manager).create(values)

    def test_managers_switch_the_join_page_on(self):
        company = self.company
        company.member_has_join_page = False
        setup = self.make_setup(
            member_has_join_page=True, member_complaint_contact="Ms Li"
        )
        setup.action_save()
        self.assertTrue(company.member_join_url)
        self.assertEqual(company.member_complaint_contact, "Ms Li")
        url = company.member_join_url
        again = self.make_setup()
        self.assertTrue(again.member_has_join_page, "shows what is")
        again.action_save()
        self.assertEqual(company.member_join_url, url, "printed posters stay right")
        self.assertTrue(again.action_print_poster()["url"].startswith(url))
        self.make_setup(member_has_join_page=False).action_save()
        self.assertFalse(company.member_join_url)

    def test_the_form_writes_nothing_else(self):
        """Neither another company nor another field."""
        other, _stranger = self.make_other_company()
        name = other.name
        setup = self.make_setup(company_id=other.id, member_complaint_contact="Ms Li")
        setup.action_save()
        self.assertFalse(other.member_complaint_contact)
        self.assertEqual(other.name, name)
        self.assertEqual(self.company.member_complaint_contact, "Ms Li")

    def test_wording_is_written_in_the_language_of_the_manager(self):
        company = self.company
        company.member_join_wording = "Yes"
        setup = self.make_setup(member_join_wording="同意")
        setup.with_context(lang="zh_CN").action_save()
        self.assertEqual(company.with_context(lang="zh_CN").member_join_wording, "同意")
        self.assertEqual(company.with_context(lang="en_US").member_join_wording, "Yes")
