"""Reports that come while others work on the same rows."""

import json
import random
import threading

import pytest
import requests

from odoo.addons.member_messaging.gateways.types import WebhookRequest
from odoo.addons.member_messaging.models.member_callback import MemberCallback

from system.shop import launch, make_gateway, make_members

SIZE = 40


@pytest.fixture
def sent(connect):
    """Sent messages of an account whose reports are posted."""
    env = connect()
    sandbox = make_gateway(env, provider="sandbox")
    campaign = launch(env, make_members(env, SIZE), sandbox)
    env["member.message"]._cron_plan()
    env["member.message"]._cron_send()
    gateway = env["member.gateway"].create({"name": "Aliyun", "provider": "aliyun"})
    env.cr.execute(
        "UPDATE member_message SET gateway_id = %s, state = 'sent', reason = NULL,"
        " provider_ref = 'biz-' || id WHERE campaign_id = %s",
        (gateway.id, campaign.id),
    )
    env.cr.commit()
    env.invalidate_all()
    return env["member.message"].search([("campaign_id", "=", campaign.id)])


def make_reports(messages):
    return [
        {
            "phone_number": message.address.removeprefix("+86"),
            "report_time": "2026-05-01 10:00:09",
            "success": True,
            "biz_id": message.provider_ref,
        }
        for message in messages
    ]


def store(messages, reports):
    messages.env["member.callback"]._store(
        messages.gateway_id, WebhookRequest(body=json.dumps(reports).encode())
    )
    messages.env.cr.commit()


def assert_delivered_once(messages):
    messages.env.cr.rollback()
    messages.env.invalidate_all()
    assert set(messages.mapped("state")) == {"delivered"}
    assert [len(message.event_ids) for message in messages] == [1] * SIZE
    assert set(messages.env["member.callback"].search([]).mapped("state")) == {"done"}


def test_what_one_run_works_on_no_other_touches(connect, sent):
    store(sent, make_reports(sent[: SIZE // 2]))
    first = sent.env["member.callback"]._lock_due()
    first._apply()
    store(sent.with_env(connect()), make_reports(sent[SIZE // 2 :]))
    second = connect()
    second["member.callback"]._cron_apply()
    states = {
        callback.id: callback.state
        for callback in second["member.callback"].search([], order="id")
    }
    assert list(states.values()) == ["new", "done"]
    sent.env.cr.commit()
    assert_delivered_once(sent)


def test_runs_at_once_with_the_same_reports(connect, sent, monkeypatch):
    """Everything is reported ten times, in any order, and applied by three runs."""
    monkeypatch.setattr(
        "odoo.addons.member_messaging.models.member_callback.BATCH_SIZE", 5
    )
    chance = random.Random(1)
    for _time in range(10):
        reports = chance.sample(make_reports(sent), SIZE)
        for start in range(0, SIZE, 10):
            store(sent, reports[start : start + 10])
    errors = []

    def apply(env):
        try:
            env["member.callback"]._cron_apply()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=apply, args=[connect()]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert_delivered_once(sent)


def test_crash_before_callbacks_are_settled(connect, sent, monkeypatch):
    store(sent, make_reports(sent))

    def crash(self, endings):
        raise KeyboardInterrupt

    dying = connect()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MemberCallback, "_settle", crash)
        dying["member.callback"]._cron_apply()
    dying.cr.rollback()
    connect()["member.callback"]._cron_apply()
    assert_delivered_once(sent)


def test_click_during_a_run(connect, sent):
    """The run starts over; neither the click nor a report is lost."""
    store(sent, make_reports(sent))
    visitor = connect()
    callbacks = type(sent.env["member.callback"])
    apply_reports = callbacks._apply_reports

    def click_and_apply(self, reports):
        callbacks._apply_reports = apply_reports
        visitor["member.message"].browse(sent[3].id)._record_visit(False)
        visitor.cr.commit()
        return apply_reports(self, reports)

    callbacks._apply_reports = click_and_apply
    sent.env["member.callback"]._cron_apply()
    sent.env.invalidate_all()
    assert set(sent.mapped("state")) == {"delivered"}
    assert sent[3].clicked_date and sent[3].delivered_date
    assert len(sent.event_ids) == SIZE + 1


def test_callback_is_stored_while_a_campaign_is_busy(connect, sent, start_odoo):
    server = start_odoo("--max-cron-threads=0")
    gateway = sent.gateway_id
    sent.env.cr.commit()
    busy = connect()
    busy.cr.execute("UPDATE member_message SET parts = parts")
    busy.cr.execute("UPDATE member_gateway SET write_date = now()")
    busy.cr.execute("UPDATE res_company SET write_date = now()")
    address = f"{server.url}/member_messaging/callback/{gateway.id}/"
    body = make_reports(sent)
    answer = requests.post(f"{address}{gateway.callback_secret}", json=body, timeout=10)
    assert answer.json()["code"] == 0
    assert requests.post(f"{address}wrong", json=body, timeout=10).status_code == 403
    busy.cr.rollback()
    connect()["member.callback"]._cron_apply()
    assert_delivered_once(sent)
