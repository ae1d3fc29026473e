"""What happens between two database connections at the same moment."""

from odoo.addons.member_messaging.gateways.sandbox import SandboxGateway


def launch(env, size):
    """:returns: a launched campaign to ``size`` members through the sandbox"""
    partners = env["res.partner"].create(
        [
            {
                "name": f"Member {index}",
                "phone": f"+86 138 0013 {index + 1000}",
                "country_id": env.ref("base.cn").id,
            }
            for index in range(size)
        ]
    )
    profiles = env["member.profile"].create(
        [{"partner_id": partner.id} for partner in partners]
    )
    gateway = env["member.gateway"].create({"name": "Carrier", "provider": "sandbox"})
    template = env["member.template"].create(
        {
            "name": "Notice",
            "category": "notice",
            "lang": "en_US",
            "body": "{{ member_name }}, see {{ link }}",
        }
    )
    segment = env["member.segment"].create(
        {
            "name": "Everybody here",
            "domain": repr([("member_profile_id", "in", profiles.ids)]),
        }
    )
    campaign = env["member.campaign"].create(
        {
            "name": "Two at once",
            "category": "notice",
            "segment_ids": segment.ids,
            "template_id": template.id,
            "gateway_id": gateway.id,
        }
    )
    campaign.action_launch()
    env.cr.commit()
    env["member.message"]._cron_plan()
    return campaign


def test_click_during_the_call_loses_no_outcome(connect, monkeypatch):
    env, visitor = connect(), connect()
    campaign = launch(env, 3)
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
    campaign = launch(first, 30)
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
