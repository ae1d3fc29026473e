"""Sender processes over one database: started, stopped, killed at a chosen step.

A nursery loads the registry once; each sender is a fork of it, with connections of its
own, that does what the scheduled action does until it is told to stop. Faults are
injected here, by wrapping methods in the sender's process; production code knows
nothing of them.

>>> with SenderNursery(database, log) as nursery:
...     sender = nursery.start(lane=1, kill={"step": "after_answer", "count": 3})
...     assert sender.wait() == -signal.SIGKILL
"""

import functools
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

_logger = logging.getLogger(__name__)

TESTS = Path(__file__).parents[1]
#: Seconds after the start of a call when its sender dies, see ``during_call``.
DURING_CALL = 0.005
#: Seconds between two runs of a sender.
PAUSE = 0.02

#: Step → wrapped method of ``member.message``, and whether its work is done by then.
#: The commit comes when the method has returned. ``during_call`` and ``after_answer``
#: belong to the adapter.
METHODS = {
    "before_claim_commit": ("_claim", True),
    "before_draw_commit": ("_reserve", True),
    "after_claim_commit": ("_call", False),
    "before_record_commit": ("_record", True),
}
STEPS = (*METHODS, "during_call", "after_answer")


def run(env, lane):
    """One run of the scheduled action of a lane."""
    env["member.message"]._cron_send(lane)


# Of the process that wants senders -----------------------------------------------


class Sender:
    """A sender process; ``os.kill(sender.pid, SIGKILL)`` is how it crashes."""

    def __init__(self, nursery, pid):
        self.pid = pid
        self._nursery = nursery

    def stop(self):
        """Let it finish its run."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout=200):
        """Return the exit code; as in :mod:`subprocess`, -9 after a kill -9.

        :raises TimeoutError: it still runs
        """
        code = self._nursery.ask(wait=self.pid, timeout=timeout)
        if code is None:
            raise TimeoutError(f"sender {self.pid} still runs")
        return code


class SenderNursery:
    """Starts senders over a database; leaving it kills those that are left."""

    def __init__(self, database, log):
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "system.sender", database, str(log)],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._read() != "ready":
            raise RuntimeError(f"the nursery did not start:\n{log.read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(
        self, lane=0, until_idle=False, kill=None, constants=None, attributes=None
    ):
        """Start a sender.

        :param until_idle: it ends when no message is queued any more
        :param kill: ``{"step": …, "count": n}``: kill -9 at this step of the n-th batch
        :param constants: new values in ``member_message_send.py`` and ``…_record.py``;
            durations in seconds
        :param attributes: class attributes of the carrier's adapter
        """
        pid = self.ask(
            lane=lane,
            until_idle=until_idle,
            kill=kill,
            constants=constants or {},
            attributes=attributes or {},
        )
        return Sender(self, pid)

    def ask(self, **order):
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        return json.loads(self._process.stdout.readline() or "null")


# Of the nursery ------------------------------------------------------------------


def nurse(database, log):
    """Load Odoo, then obey the orders on standard input until it is closed."""
    from odoo import sql_db
    from odoo.modules.registry import Registry
    from odoo.tools import config

    config.parse_config(["--no-http", f"--logfile={log}"], setup_logging=True)
    Registry(database)
    gc.freeze()  # what is never touched stays shared
    print('"ready"', flush=True)
    children = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = _wait(children, order["wait"], order["timeout"])
        else:
            # A connection in two processes is of use in neither.
            sql_db.close_all()
            answer = os.fork()
            if not answer:
                _be_sender(database, order)
            children[answer] = None
        print(json.dumps(answer), flush=True)
    for pid, code in children.items():
        if code is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _wait(children, pid, timeout):
    deadline = time.monotonic() + timeout
    while children[pid] is None and time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            children[pid] = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.005)
    return children[pid]


# Of a sender ---------------------------------------------------------------------


def _be_sender(database, order):
    code = 1
    try:
        _send(database, order)
        code = 0
    except Exception:
        _logger.exception("sender failed")
    finally:
        # Not the way of the nursery, whose loop this would be.
        os._exit(code)


def _send(database, order):
    from psycopg2.errors import SerializationFailure

    from odoo import SUPERUSER_ID, api
    from odoo.modules.registry import Registry

    from simulators.carrier_gateway import register

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_args: stop.set())
    register(**order["attributes"])
    registry = Registry(database)
    _set_constants(order["constants"])
    if order["kill"]:
        _inject(registry, **order["kill"])
    while not stop.wait(PAUSE):
        with registry.cursor() as cr:
            try:
                run(api.Environment(cr, SUPERUSER_ID, {}), order["lane"])
            except SerializationFailure:
                # Odoo, too, rolls back and calls the action again later.
                continue
        with registry.cursor() as cr:
            if order["until_idle"] and not _is_work_left(cr):
                return


def _is_work_left(cr):
    cr.execute("SELECT EXISTS (SELECT FROM member_message WHERE state = 'queued')")
    return cr.fetchone()[0]


def _set_constants(constants):
    from odoo.addons.member_messaging.models import (
        member_message_record,
        member_message_send,
    )

    for name, value in constants.items():
        [module] = [
            module
            for module in (member_message_send, member_message_record)
            if hasattr(module, name)
        ]
        if isinstance(getattr(module, name), timedelta):
            value = timedelta(seconds=value)
        setattr(module, name, value)


def _inject(registry, step, count):
    """Let this process die at a step of its n-th batch."""
    from odoo.addons.member_messaging.gateways.base import Gateway

    strike = _Strike(count)
    if step in METHODS:
        name, is_done = METHODS[step]
        _wrap(registry["member.message"], name, strike, is_done)
    elif step == "after_answer":
        _wrap(Gateway, "send", strike, True)
    else:
        _wrap(Gateway, "send", functools.partial(strike, DURING_CALL), False)


def _wrap(cls, name, strike, is_done):
    original = getattr(cls, name)

    @functools.wraps(original)
    def wrapper(self, *args, **kwargs):
        if not is_done:
            strike()
            return original(self, *args, **kwargs)
        result = original(self, *args, **kwargs)
        # an empty claim is no batch
        if result is None or len(result):
            strike()
        return result

    setattr(cls, name, wrapper)


class _Strike:
    """Kills this process when called for the n-th time."""

    def __init__(self, count):
        self._left = count
        self._lock = threading.Lock()

    def __call__(self, seconds=0):
        with self._lock:
            self._left -= 1
            if self._left:
                return
        if seconds:
            threading.Timer(seconds, self._kill).start()
        else:
            self._kill()

    def _kill(self):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    nurse(*sys.argv[1:])
