"""Whole Odoo servers over one outbox: shared, killed, without their database."""

import contextlib
import re
import time
from functools import partial

import psycopg2
import pytest

from system.cluster import find_programs, own_cluster
from system.conftest import OdooServer
from system.shop import launch, make_gateway, make_members

MEMBERS = 300
SENDERS = "--max-cron-threads=2"
PROGRAM = "simulators.carrier_gateway"


class Outbox:
    """What a campaign's messages look like from outside of any Odoo."""

    def __init__(self, campaign_id, **connection):
        self.campaign_id = campaign_id
        self.connection = connection

    def ask(self, query):
        with contextlib.closing(psycopg2.connect(**self.connection)) as connection:
            with connection.cursor() as cr:
                cr.execute(query, [self.campaign_id])
                return cr.fetchall()

    def read(self):
        """:returns: key → state and reference of the provider"""
        rows = self.ask(
            "SELECT id, state, provider_ref FROM member_message WHERE campaign_id = %s"
        )
        return {str(key): (state, ref) for key, state, ref in rows}

    def is_done(self):
        [(state,)] = self.ask("SELECT state FROM member_campaign WHERE id = %s")
        return state == "done"

    def call_workers(self):
        """Tell Odoo's workers to look for work, which else they do each minute."""
        values = self.connection | {"dbname": "postgres"}
        with contextlib.closing(psycopg2.connect(**values)) as connection:
            connection.autocommit = True
            with connection.cursor() as cr:
                cr.execute(
                    "SELECT pg_notify('cron_trigger', %s)", [self.connection["dbname"]]
                )


def wait_for(condition, timeout=200):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.1)


def prepare(env, carrier, lanes, rate, latency_ms=50):
    """:returns: a campaign that leaves as soon as there is a server"""
    carrier.behave(reset=True, latency_ms=latency_ms)
    env["member.lane"]._set_count(lanes)
    gateway = make_gateway(
        env, provider="carrier_single", endpoint=carrier.url, rate_per_second=rate
    )
    return launch(env, make_members(env, MEMBERS), gateway)


def check(outbox, carrier, lost=frozenset()):
    """Nobody got it twice, and each message says what the provider's books say.

    :param lost: states that a message without a known answer may have
    """
    messages = outbox.read()
    ledger = {entry["key"]: entry["ref"] for entry in carrier.ledger()}
    assert carrier.state()["repeated"] == {}
    assert len(messages) == MEMBERS
    sent = {key: ref for key, (state, ref) in messages.items() if state == "sent"}
    assert sent.items() <= ledger.items()
    assert {messages[key][0] for key in ledger} <= {"sent"} | lost
    assert {state for state, _ref in messages.values()} <= {"sent"} | lost


@contextlib.contextmanager
def supervised(start):
    """Run a server; what is yielded starts it again if it has ended.

    Odoo's master process ends when it replaces a worker while PostgreSQL is starting.
    """
    servers = [start()]

    def keep_up():
        if servers[-1].process.poll() is not None:
            servers.append(start())

    try:
        yield keep_up
    finally:
        servers[-1].stop()


def is_at_work(outbox, carrier, least, keep_up):
    """:returns: whether more than so many were accepted, and a call is on its way"""
    keep_up()
    outbox.call_workers()
    state = carrier.state()
    return state["accepted"] > least and state["in_flight"]


def get_lanes(server):
    """:returns: numbers of the lanes that sent something, by the server's log"""
    return set(re.findall(r"lane=(\d+) gateway=", server.log.read_text()))


def test_two_servers_with_two_lanes_each(connect, start_odoo, carrier):
    env, rate = connect(), 60
    servers = [start_odoo(SENDERS, program=PROGRAM) for _server in range(2)]
    campaign = prepare(env, carrier, lanes=4, rate=rate)
    outbox = Outbox(campaign.id, dbname=env.cr.dbname)
    wait_for(outbox.is_done)
    check(outbox, carrier)
    state = carrier.state()
    assert state["accepted"] == MEMBERS
    assert state["max_per_second"] <= rate
    assert all(map(get_lanes, servers)), "one server did all the work"


def test_a_server_is_killed(connect, start_odoo, carrier):
    env = connect()
    servers = [start_odoo(SENDERS, program=PROGRAM) for _server in range(2)]
    campaign = prepare(env, carrier, lanes=4, rate=20)
    outbox = Outbox(campaign.id, dbname=env.cr.dbname)
    wait_for(lambda: get_lanes(servers[0]))
    servers[0].kill()
    accepted = carrier.state()["accepted"]
    assert accepted < MEMBERS
    wait_for(outbox.is_done)
    assert carrier.state()["accepted"] > accepted
    check(outbox, carrier, lost={"uncertain"})


@pytest.mark.skipif(not find_programs(), reason="no PostgreSQL server to start")
def test_postgresql_crashes(connect, carrier, tmp_path):
    env = connect()
    campaign = prepare(env, carrier, lanes=2, rate=20)
    with own_cluster() as cluster:
        cluster.copy(env.cr.dbname)
        database = {"dbname": env.cr.dbname, "host": cluster.home, "user": "odoo"}
        outbox = Outbox(campaign.id, **database)
        with supervised(
            lambda: OdooServer(
                env.cr.dbname,
                tmp_path / "odoo.log",
                *("--workers=1", "--no-http", SENDERS, *cluster.options),
                program=PROGRAM,
            )
        ) as keep_up:
            for share in (0.1, 0.5):
                wait_for(partial(is_at_work, outbox, carrier, MEMBERS * share, keep_up))
                cluster.restart()
            assert carrier.state()["accepted"] < MEMBERS
            wait_for(lambda: keep_up() or outbox.call_workers() or outbox.is_done())
        check(outbox, carrier, lost={"uncertain"})
        assert "sent" in {state for state, _ref in outbox.read().values()}
