"""What happens between two database connections at the same moment."""

from odoo.addons.member_messaging.gateways.sandbox import SandboxGateway

from system.shop import launch, make_gateway, make_members


def plan(env, size):
    """:returns: a planned campaign to ``size`` members through the sandbox"""
    campaign = launch(
        env, make_members(env, size), make_gateway(env, provider="sandbox")
    )
    env["member.message"]._cron_plan()
    return campaign


def test_click_during_the_call_loses_no_outcome(connect, monkeypatch):
    env, visitor = connect(), connect()
    campaign = plan(env, 3)
    send = SandboxGateway._send
    clicked = []

    def send_and_click(self, batch):
        message = visitor["member.message"].browse(int(batch[0].key))
        message._record_visit(False)
        visitor.cr.commit()
        clicked.append(message.id)
        return send(self, batch)

    monkeypatch.setattr(SandboxGateway, "_send", send_and_click)
    env["member.message"]._cron_send()
    messages = env["member.message"].search([("campaign_id", "=", campaign.id)])
    assert len(messages) == 3
    assert set(messages.mapped("state")) <= {"sent", "delivered", "failed"}
    first = messages.browse(clicked)
    assert first.clicked_date and first.provider_ref and first.sent_date
    assert campaign.state == "done"


def test_two_senders_take_each_message_once(connect, monkeypatch):
    first, second = connect(), connect()
    campaign = plan(first, 30)
    handed_over = []
    send = SandboxGateway._send

    def send_and_note(self, batch):
        if not handed_over:
            # the second sender comes while the first one is calling
            handed_over.append(None)
            second["member.message"]._cron_send()
        handed_over.extend(message.key for message in batch)
        return send(self, batch)

    monkeypatch.setattr(
        "odoo.addons.member_messaging.models.member_message_send.CLAIM_SIZE", 10
    )
    monkeypatch.setattr(SandboxGateway, "_send", send_and_note)
    first["member.message"]._cron_send()
    keys = handed_over[1:]
    messages = first["member.message"].search([("campaign_id", "=", campaign.id)])
    assert sorted(keys) == sorted(map(str, messages.ids))


def test_member_deleted_in_the_moment_of_planning(connect):
    planner, clerk = connect(), connect()
    profiles = make_members(planner, 3)
    campaign = launch(planner, profiles, make_gateway(planner, provider="sandbox"))
    planner["member.message"]._freeze_audience(campaign)
    planner.cr.commit()
    planner["member.message"].search_count([])  # from here on it sees what was
    clerk["res.partner"].browse(profiles[0].partner_id.id).unlink()
    clerk.cr.commit()
    planner["member.message"]._plan_step(campaign)
    planner.cr.commit()
    planner["member.message"]._cron_plan()
    planner["member.message"]._cron_send()
    planner.cr.commit()
    planner["member.message"]._forget_deleted()
    messages = planner["member.message"].search([("campaign_id", "=", campaign.id)])
    lost = messages.filtered(lambda message: not message.profile_id)
    assert len(messages) == 3
    assert (lost.state, lost.reason) == ("skipped", "archived")
    assert not lost.partner_id
    assert not (messages - lost).filtered(lambda message: message.state == "skipped")
