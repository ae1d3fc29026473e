"""Odoo servers of their own: process, port and database.

For what one process cannot show: two servers over one queue, a server killed half-way.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import uuid

import pytest
import requests

from simulators.carrier import CarrierSimulator
from simulators.carrier_gateway import register
from system.sender import SenderNursery

ROOT = pathlib.Path(__file__).parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class OdooServer:
    """A running `odoo`; `kill` is kill -9, `stop` lets it finish."""

    def __init__(self, database, log, *options, program="odoo"):
        # the second is of use with --workers only
        ports = [free_port(), free_port()]
        self.database = database
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, f"--database={database}"]
            + [f"--http-port={ports[0]}", f"--gevent-port={ports[1]}"]
            + [f"--logfile={log}", *options],
            cwd=ROOT / "tests",
            stderr=subprocess.DEVNULL,
        )

    def wait(self, timeout=200):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(f"{self.url}/web/health", timeout=10).raise_for_status()
                return self
            except requests.RequestException:
                time.sleep(0.2)
        self.kill()
        raise RuntimeError(f"Odoo did not start:\n{self.log.read_text()[-5000:]}")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=120)

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def copied_database():
    from odoo.sql_db import close_db
    from odoo.tests.common import get_db_name
    from odoo.tools import config

    source = get_db_name()
    name = f"{source}_{uuid.uuid4().hex[:8]}"
    close_db(source)  # PostgreSQL copies no database that is in use
    subprocess.run(["createdb", "--template", source, name], check=True)
    shutil.copytree(config.filestore(source), config.filestore(name))
    yield name
    close_db(name)
    subprocess.run(["dropdb", "--force", name], check=True)
    shutil.rmtree(config.filestore(name))


@contextlib.contextmanager
def connections(database):
    from odoo import SUPERUSER_ID, api
    from odoo.modules.registry import Registry
    from odoo.tests.common import get_db_name
    from odoo.tools import config

    # Loading a second registry must not start its modules' tests.
    enabled, config["test_enable"] = config["test_enable"], False
    registry = Registry(database)
    config["test_enable"] = enabled
    cursors = []

    def open_environment():
        cursors.append(registry.cursor())
        return api.Environment(cursors[-1], SUPERUSER_ID, {})

    yield open_environment
    for cursor in cursors:
        cursor.close()
    Registry.delete(database)
    Registry(get_db_name())


@pytest.fixture
def database():
    """A fresh copy of the test database, and of its filestore."""
    with copied_database() as name:
        yield name


@pytest.fixture
def connect(database):
    """Opens environments of their own over one fresh database."""
    with connections(database) as open_environment:
        yield open_environment


@pytest.fixture(scope="module")
def module_database():
    """A copy of the test database that the tests of a file share."""
    with copied_database() as name:
        yield name


@pytest.fixture(scope="module")
def module_connect(module_database):
    """As `connect`, over the database of the file."""
    with connections(module_database) as open_environment:
        yield open_environment


@pytest.fixture(scope="module")
def nursery(module_database, tmp_path_factory):
    """Starts senders over the database of the file: `nursery.start(lane=1)`."""
    log = tmp_path_factory.mktemp("senders") / "senders.log"
    with SenderNursery(module_database, log) as nursery:
        yield nursery


@pytest.fixture(scope="module")
def carrier():
    """A provider in a process of its own, and the adapters for it in this one."""
    from odoo.addons.member_messaging.gateways import ADAPTERS

    adapters = register()
    with CarrierSimulator() as simulator:
        yield simulator
    for code in adapters:
        del ADAPTERS[code]


@pytest.fixture
def start_odoo(database, tmp_path):
    """Starts servers over one database: `start_odoo("--max-cron-threads=2")`.

    With `program="simulators.carrier_gateway"` they know the simulated carrier.
    """
    servers = []

    def start(*options, **values):
        log = tmp_path / f"odoo-{len(servers)}.log"
        servers.append(OdooServer(database, log, *options, **values))
        return servers[-1].wait()

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def odoo_server(start_odoo):
    """One server, as `scripts/odoo` would start it."""
    return start_odoo()


@pytest.fixture
def command():
    """Runs what README tells people to run: `command("scripts/odoo", "shell")`."""

    def run(*args, env=None, **options):
        return subprocess.run(
            args,
            cwd=ROOT,
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            timeout=600,
            **options,
        )

    return run
