"""What every bench needs: Odoo without HTTP and crons, a meter, a table, a JSON line.

>>> bench = Bench("send", __doc__)
>>> with bench.environment(fresh_database(DATABASE, "send")) as env:
...     with bench.measure("plan", count=10_000) as plan:
...         env["member.campaign"].browse(1)._plan()
>>> bench.report(size=10_000, rows_per_second=plan.rate)
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import requests

from odoo import SUPERUSER_ID, api, sql_db
from odoo.modules.registry import Registry
from odoo.tools import config

# Made by scripts/bench: the addon beside stock SMS Marketing, and the latter alone.
DATABASE = os.environ.get("BENCH_DB") or "member_messaging_bench"
STOCK_DATABASE = f"{DATABASE}_stock"

LOG = pathlib.Path(__file__).parents[1] / ".local" / "log" / "bench.log"


@dataclasses.dataclass
class Measure:
    """Cost of `count` rows: wall and own CPU seconds, SQL statements, peak memory."""

    label: str
    count: int
    seconds: float = 0.0
    cpu: float = 0.0
    sql: int = 0
    peak_mb: float = 0.0

    @property
    def rate(self):
        return self.count / self.seconds


class Bench:
    def __init__(self, name, description):
        parser = argparse.ArgumentParser(prog=f"scripts/bench {name}")
        parser.description = description
        parser.add_argument("--size", choices=["small", "full"], default="small")
        parser.add_argument("--json", action="store_true", help="only the last line")
        options = parser.parse_args()
        self.name = name
        self.full = options.size == "full"
        self.quiet = options.json
        self.measures = []
        config.parse_config(["--no-http", f"--logfile={LOG}"], setup_logging=True)

    @contextlib.contextmanager
    def environment(self, database):
        with Registry(database).cursor() as cr:
            yield api.Environment(cr, SUPERUSER_ID, {})

    @contextlib.contextmanager
    def measure(self, label, count):
        measure = Measure(label, count)
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # restarts the peak
        sql, cpu, start = sql_db.sql_counter, time.process_time(), time.perf_counter()
        yield measure
        measure.seconds = time.perf_counter() - start
        measure.cpu = time.process_time() - cpu
        measure.sql = sql_db.sql_counter - sql
        measure.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.measures.append(measure)
        self.say(
            f"{label:<40}{count:>10,}{measure.seconds:>10.2f} s{measure.rate:>12,.0f}/s"
            f"{measure.cpu:>9.2f} s CPU{measure.sql:>9,} SQL{measure.peak_mb:>8,.0f} MB"
        )

    @staticmethod
    def fork(env, work, arguments):
        """Run `work(environment, argument)` for each argument in a process of its own,
        all at the same time, over the database of `env`."""
        env.cr.commit()
        children = []
        for argument in arguments:
            if not (child := os.fork()):
                code = 1
                try:
                    with _reconnect(env.cr.dbname).cursor() as cr:
                        work(api.Environment(cr, SUPERUSER_ID, {}), argument)
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        codes = {os.waitpid(child, 0)[1] for child in children}
        assert codes == {0}, f"a process failed, see {LOG}"

    def report(self, size, **figures):
        """The figures that performance goals name, one a line, then as JSON."""
        for key, value in figures.items():
            self.say(f"{key:<40}{value:>10,.2f}")
        rounded = {key: round(value, 3) for key, value in figures.items()}
        print(json.dumps({"bench": self.name, "size": size, **rounded}))

    def say(self, line):
        """Print a line of the table."""
        if not self.quiet:
            print(line, flush=True)


def _reconnect(database):
    """:returns: registry of a forked process, with connections of its own"""
    # Those of the parent are kept, unused: to close them would close the parent's.
    _inherited.append((sql_db._Pool, sql_db._Pool_readonly))
    sql_db._Pool = sql_db._Pool_readonly = None
    registry = Registry(database)
    registry._db, registry._db_readonly = sql_db.db_connect(database), None
    return registry


_inherited = []


def fresh_database(source, suffix):
    """Name of a new copy of `source`, replacing the copy of an earlier run."""
    name = f"{source}_{suffix}"
    sql_db.close_db(source)
    env = os.environ | {"PGOPTIONS": "--client-min-messages=warning"}
    subprocess.run(["dropdb", "--if-exists", "--force", name], check=True, env=env)
    subprocess.run(["createdb", "--template", source, name], check=True)
    shutil.rmtree(config.filestore(name), ignore_errors=True)
    shutil.copytree(config.filestore(source), config.filestore(name))
    return name


@contextlib.contextmanager
def running_server(database, *options, **variables):
    """:returns: address of an Odoo server over a database, with these options and
    environment variables
    """
    ports = [_free_port(), _free_port()]
    server = subprocess.Popen(
        [sys.executable, "-m", "odoo", f"--database={database}", f"--logfile={LOG}"]
        + [f"--http-port={ports[0]}", f"--gevent-port={ports[1]}", *options],
        env=os.environ | variables,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{ports[0]}"
    try:
        for _attempt in range(300):
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{address}/web/health", timeout=60)
                break
            time.sleep(0.2)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(90)  # a sender finishes its batch


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
