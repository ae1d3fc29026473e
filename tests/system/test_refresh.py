"""A refresh of all members while people go on working."""

import threading

import pytest

from odoo import fields

from odoo.addons.member_messaging.models import member_profile_refresh

REFRESH = member_profile_refresh.MemberProfile
MEMBERS = 60


@pytest.fixture
def members(connect, monkeypatch):
    """Committed members who bought; a refresh writes ten of them at a time."""
    monkeypatch.setattr(member_profile_refresh, "STEP", 10)
    env = connect()
    partners = env["res.partner"].create(
        [{"name": f"Member {index}"} for index in range(MEMBERS)]
    )
    profiles = env["member.profile"].create(
        [{"partner_id": partner.id} for partner in partners]
    )
    for partner in partners:
        sell(env, partner)
    # as if nothing had been taken in yet
    env.cr.execute("UPDATE member_profile SET order_count = 0, revenue = 0")
    env.cr.commit()
    env.invalidate_all()
    return profiles


def sell(env, partner):
    product = env["product.product"].search([("sale_ok", "=", True)], limit=1)
    product = product or env["product.product"].create({"name": "Tea"})
    order = env["sale.order"].create(
        {
            "partner_id": partner.id,
            "order_line": [
                fields.Command.create(
                    {"product_id": product.id, "price_unit": 100, "tax_ids": False}
                )
            ],
        }
    )
    order.action_confirm()
    return order


def pause_before_steps(monkeypatch, work):
    """Let somebody do something between two steps of a refresh, once."""
    step, done = REFRESH._refresh_step, []

    def work_and_step(self, start, now):
        if start and not done:
            done.append(True)
            work()
        return step(self, start, now)

    monkeypatch.setattr(REFRESH, "_refresh_step", work_and_step)
    return done


def test_contacts_are_edited_during_a_refresh(connect, members, monkeypatch):
    """In the middle of a step nobody waits for it, and nothing has to be repeated."""
    clerk = connect()
    partners = clerk["res.partner"].browse(members.partner_id.ids)
    write, steps = REFRESH._write_changes, []

    def write_and_edit(self, changes, now):
        missed = write(self, changes, now)
        # These rows are written and not committed: who touched them would wait.
        clerk.cr.execute("SET LOCAL lock_timeout = 1")
        company = clerk["res.company"].search([], limit=1)
        partners.write({"name": "Edited", "phone": "+86 138 0013 8000"})
        partners.write({"company_id": company.id, "city": "Shanghai"})
        clerk.flush_all()
        clerk.cr.commit()
        steps.append(missed)
        return missed

    monkeypatch.setattr(REFRESH, "_write_changes", write_and_edit)
    members.env["member.profile"]._cron_refresh()
    assert steps and not any(steps)
    members.invalidate_recordset()
    assert members.mapped("revenue") == [100.0] * MEMBERS
    assert set(members.partner_id.mapped("name")) == {"Edited"}


def test_contact_opened_before_a_refresh_is_saved_after_it(connect, members):
    """Nothing the refresh committed meanwhile makes the clerk's transaction fail,
    and an edit that is not saved yet holds up no refresh."""
    clerk = connect()
    early, late = (
        clerk["res.partner"].browse(half.partner_id.ids)
        for half in (members[::2], members[1::2])
    )
    early.write({"name": "Edited", "phone": "+86 138 0013 8000"})
    clerk.flush_all()
    assert set(late.mapped("member_order_count")) == {0}

    members.env.cr.execute("SET lock_timeout = 1")
    members.env["member.profile"]._cron_refresh()
    members.invalidate_recordset()
    assert members.mapped("order_count") == [1] * MEMBERS

    clerk.cr.execute("SET LOCAL lock_timeout = 1")
    tag = fields.Command.create({"name": "Guest"})
    late.write({"name": "Edited", "company_id": clerk.company.id, "city": "Shanghai"})
    late[0].write({"category_id": [tag], "comment": "Likes green tea"})
    clerk.cr.commit()
    members.env.cr.commit()
    members.env.invalidate_all()
    assert set(members.partner_id.mapped("name")) == {"Edited"}


def test_order_during_a_refresh_is_not_forgotten(connect, members, monkeypatch):
    shop = connect()
    last = shop["member.profile"].browse(members.ids[-1:])

    def sell_one_more():
        sell(shop, last.partner_id)
        shop.cr.commit()

    done = pause_before_steps(monkeypatch, sell_one_more)
    members.env["member.profile"]._cron_refresh()
    assert done
    members.invalidate_recordset()
    assert members[-1].revenue == 200
    assert members.mapped("order_count") == [1] * (MEMBERS - 1) + [2]


def test_refresh_goes_on_after_a_conflict(connect, members):
    """Two refreshes at once: one of them repeats a step, none fails."""
    other = connect()
    errors = []

    def refresh_too():
        try:
            other["member.profile"]._cron_refresh()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=refresh_too)
    thread.start()
    members.env["member.profile"]._cron_refresh()
    thread.join(timeout=200)
    assert not errors and not thread.is_alive()
    members.invalidate_recordset()
    assert members.mapped("order_count") == [1] * MEMBERS


def test_refresh_killed_half_way_is_taken_up_again(connect, members, monkeypatch):
    class Killed(BaseException):
        pass

    def die():
        raise Killed

    pause_before_steps(monkeypatch, die)
    with pytest.raises(Killed):
        members.env["member.profile"]._cron_refresh()
    members.env.cr.rollback()
    members.invalidate_recordset()
    assert {0, 1} == set(members.mapped("order_count"))
    members.env["member.profile"]._cron_refresh()
    members.invalidate_recordset()
    assert members.mapped("order_count") == [1] * MEMBERS
