"""A carrier of no vendor on this computer, for load, crashes and misbehaviour.

``POST /send`` takes ``{"messages": [{"key", "to", "text"}, …]}`` and answers
``{"results": [{"key", "status", "ref", "code"}, …]}``. ``status`` is ``"accepted"``
(with ``ref``) or the reason of a refusal (with ``code``). Every accepted message is
remembered with the moment of its arrival. As a program, which prints its address::

    cd tests && python -m simulators.carrier

It shares the computer with the sender it is used to measure. Hence one thread and an
HTTP of its own, as much as a client needs that keeps connections open and waits for the
answer before it asks again.
"""

import argparse
import asyncio
import gc
import json
import random
import secrets
import subprocess
import sys
import threading
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

TESTS = Path(__file__).parents[1]
#: Most reports in one push, pushes of the same reports, seconds between and for them.
REPORT_BATCH = 500
REPORT_ATTEMPTS = 5
REPORT_PAUSE = 0.3
REPORT_TIMEOUT = 10.0


def busiest(arrivals, seconds=1.0):
    """Return the most messages that arrived within any window of so many seconds.

    :param arrivals: pairs of time and number of messages, in order of time; two that
        lie exactly a window apart are not in the same one
    """
    window, total, most = deque(), 0, 0
    for moment, count in arrivals:
        window.append((moment, count))
        total += count
        while moment - window[0][0] >= seconds:
            total -= window.popleft()[1]
        most = max(most, total)
    return most


@dataclass
class Fault:
    """What goes wrong with some calls, see :data:`KINDS`.

    ``count`` says with how many, from now on; without it, ``rate`` with which share.
    ``seconds`` is for a late answer (``None``: none at all), ``status`` and
    ``retry_after`` (seconds) for an HTTP error, ``refusal`` for half a batch.
    """

    kind: str
    count: int = 0
    rate: float = 0.0
    seconds: float | None = None
    status: int = 500
    retry_after: int | None = None
    refusal: str = "busy"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind}")


#: Kind of a fault → are the messages of the call accepted?
KINDS = {
    # answers late or never
    "hang": True,
    # closes the connection without reading the call
    "close_before": False,
    # closes the connection instead of answering
    "close_after": True,
    # an HTTP error
    "status": False,
    # takes the first half of the batch, rounded down, and refuses the others
    "half": True,
    # an answer that is not JSON
    "bad_json": True,
}


class _Carrier:
    """What was accepted, and the rules by which the next call is judged."""

    def __init__(self):
        self.connections = self.in_flight = 0
        self.reporter = None
        self._sequence = 0
        # Two carriers, or one that was started again, give no reference twice.
        self._prefix = secrets.token_hex(3)
        self.reset()
        self.behave({})

    # Orders ----------------------------------------------------------------------

    def reset(self):
        self.accepted = []  # (arrival, number of the first reference, messages)
        self.calls = 0
        self.met = Counter()
        self.max_connections = self.connections
        self.max_in_flight = self.in_flight

    def behave(self, orders):
        """Replace all former orders; see :meth:`CarrierSimulator.behave`."""
        self.latency = orders.get("latency_ms", 0) / 1000
        self.bad_numbers = tuple(orders.get("bad_numbers", ()))
        self.poison = tuple(orders.get("poison", ()))
        self._random = random.Random(orders.get("seed"))
        faults = [Fault(**values) for values in orders.get("faults", ())]
        self._scripted = deque(fault for fault in faults if fault.count)
        self._usual = [fault for fault in faults if not fault.count]
        if orders.get("reset"):
            self.reset()

    def report_to(self, orders):
        if self.reporter:
            self.reporter.stop()
        self.reporter = _Reporter(**orders) if orders.get("url") else None

    def state(self):
        keys = Counter(m["key"] for _time, _ref, batch in self.accepted for m in batch)
        arrivals = ((moment, len(batch)) for moment, _ref, batch in self.accepted)
        reporter = self.reporter
        return {
            "accepted": keys.total(),
            "repeated": {key: count for key, count in keys.items() if count > 1},
            "calls": self.calls,
            "faults": dict(self.met),
            "max_per_second": busiest(arrivals),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "connections": self.connections,
            "max_connections": self.max_connections,
            "reports": reporter.state() if reporter else None,
        }

    def ledger(self):
        return [
            {"key": m["key"], "to": m["to"], "ref": self._ref(first + i), "time": time}
            for time, first, messages in self.accepted
            for i, m in enumerate(messages)
        ]

    # Calls -----------------------------------------------------------------------

    def next_fault(self):
        """Return what goes wrong with the call that begins, ``None`` if nothing."""
        self.calls += 1
        fault = self._scripted[0] if self._scripted else None
        if fault:
            fault.count -= 1
            if not fault.count:
                self._scripted.popleft()
        elif self._usual:
            share = self._random.random()
            for candidate in self._usual:
                share -= candidate.rate
                if share < 0:
                    fault = candidate
                    break
        if fault:
            self.met[fault.kind] += 1
        return fault

    def is_poisoned(self, messages):
        return self.poison and any(m["to"].endswith(self.poison) for m in messages)

    def take(self, messages, fault=None):
        """Accept what can be; return all results, and messages with references."""
        taken = messages
        refusals = {}
        if fault and fault.kind == "half":
            taken = messages[: len(messages) // 2]
            refusals = {m["key"]: fault.refusal for m in messages[len(taken) :]}
        if self.bad_numbers:
            bad = [m["key"] for m in taken if m["to"].endswith(self.bad_numbers)]
            refusals |= dict.fromkeys(bad, "badnum")
        if refusals:
            taken = [m for m in taken if m["key"] not in refusals]
        first = self._sequence
        if taken:
            self.accepted.append((monotonic(), first, taken))
            self._sequence += len(taken)
        accepted = [(m, self._ref(first + i)) for i, m in enumerate(taken)]
        results = [
            {"key": m["key"], "status": "accepted", "ref": ref} for m, ref in accepted
        ]
        results += [
            {"key": key, "status": reason, "code": f"carrier.{reason}"}
            for key, reason in refusals.items()
        ]
        return results, accepted

    def _ref(self, number):
        return f"{self._prefix}-{number}"


class _Reporter:
    """Pushes what became of messages, see :meth:`CarrierSimulator.report_to`."""

    def __init__(
        self, url, delay_ms=0, duplicates=False, before_answer=False, failed=()
    ):
        self.before_answer = before_answer
        self._parts = urlsplit(url)
        self._delay = delay_ms / 1000
        self._pushes = 2 if duplicates else 1
        self._failed = tuple(failed)
        self._waiting = deque()  # (due time, report)
        self._wake = asyncio.Event()
        self._counts = Counter()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self):
        self._task.cancel()

    def state(self):
        return {
            "waiting": len(self._waiting),
            "pushed": self._counts["pushed"],
            "lost": self._counts["lost"],
        }

    def add(self, accepted):
        """Push the reports of accepted messages when they are due."""
        due = monotonic() + self._delay
        self._waiting.extend((due, message, ref) for message, ref in accepted)
        self._wake.set()

    async def _run(self):
        while True:
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()
            await asyncio.sleep(max(0.0, self._waiting[0][0] - monotonic()))
            now = monotonic()
            ready = islice(self._waiting, REPORT_BATCH)
            count = sum(due <= now for due, _message, _ref in ready)
            await self.push([self._waiting.popleft()[1:] for _index in range(count)])

    def _report(self, message, ref):
        key, to = message["key"], message["to"]
        status = "failed" if to.endswith(self._failed) else "delivered"
        event = f"{ref}:{status}"
        return {"key": key, "ref": ref, "to": to, "status": status, "event": event}

    async def push(self, accepted):
        """Post the reports until acknowledged, once more for duplicates."""
        reports = [self._report(message, ref) for message, ref in accepted]
        for _push in range(self._pushes):
            for attempt in range(REPORT_ATTEMPTS):
                if attempt:
                    await asyncio.sleep(REPORT_PAUSE)
                if await self._post({"reports": reports}):
                    self._counts["pushed"] += len(reports)
                    break
            else:
                self._counts["lost"] += len(reports)

    async def _post(self, content):
        parts, body = self._parts, json.dumps(content).encode()
        head = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Content-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer = None
        try:
            async with asyncio.timeout(REPORT_TIMEOUT):
                reader, writer = await asyncio.open_connection(
                    parts.hostname, parts.port or 80
                )
                writer.write(head.encode() + body)
                answer = await reader.read()
            return answer.split(b" ", 2)[1:2] == [b"200"]
        except OSError:
            return False
        finally:
            if writer:
                writer.close()


class _Connection(asyncio.Protocol):
    """One client: reads a call, answers it, reads the next."""

    def __init__(self, carrier):
        self._carrier = carrier
        self._data = b""
        self._is_busy = False

    def connection_made(self, transport):
        carrier = self._carrier
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        carrier.connections += 1
        carrier.max_connections = max(carrier.max_connections, carrier.connections)

    def connection_lost(self, exc):
        self._carrier.connections -= 1
        self._finish()

    def data_received(self, data):
        self._data = data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        # bytes that int() understands up to the end of the line
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(data) < end + 4 + length:
            return
        self._data = b""
        method, path, _version = data[:end].split(b"\r\n", 1)[0].split(b" ", 2)
        self._serve((method + b" " + path).decode(), data[end + 4 :])

    def _serve(self, call, body):
        if call == "POST /send":
            self._send(body)
            return
        carrier = self._carrier
        answer = {}
        try:
            if call == "GET /state":
                answer = carrier.state()
            elif call == "GET /ledger":
                answer = carrier.ledger()
            elif call == "POST /behave":
                carrier.behave(json.loads(body))
            elif call == "POST /report_to":
                carrier.report_to(json.loads(body))
            else:
                self._answer(404, {"error": "not found"})
                return
        except (TypeError, ValueError) as error:
            self._answer(400, {"error": str(error)})
            return
        self._answer(200, answer)

    # POST /send ------------------------------------------------------------------

    def _send(self, body):
        carrier = self._carrier
        fault = carrier.next_fault()
        kind = fault.kind if fault else None
        if kind == "close_before":
            self._transport.abort()
            return
        self._is_busy = True
        carrier.in_flight += 1
        carrier.max_in_flight = max(carrier.max_in_flight, carrier.in_flight)
        if kind == "status":
            seconds = fault.retry_after
            headers = "" if seconds is None else f"Retry-After: {seconds}\r\n"
            self._answer_later(fault.status, {"error": "fault"}, headers)
            return
        try:
            messages = json.loads(body)["messages"]
        except (KeyError, TypeError, ValueError):
            self._answer_later(400, {"error": "request"})
            return
        if carrier.is_poisoned(messages):
            self._answer_later(400, {"error": "content"})
            return
        results, accepted = carrier.take(messages, fault)
        conclude = partial(self._conclude, fault, {"results": results})
        reporter = carrier.reporter
        if reporter and reporter.before_answer:
            self._task = self._loop.create_task(reporter.push(accepted))
            self._task.add_done_callback(lambda _task: conclude())
            return
        if reporter:
            reporter.add(accepted)
        conclude()

    def _conclude(self, fault, answer):
        """Answer a call whose messages were taken, or do what its fault says."""
        kind = fault.kind if fault else None
        if kind == "close_after":
            self._transport.abort()
        elif kind == "bad_json":
            self._write_later(self._carrier.latency, _response(200, b'{"results": ['))
        elif kind == "hang":
            if fault.seconds is not None:
                self._write_later(fault.seconds, _response(200, _json(answer)))
        else:
            self._answer_later(200, answer)

    # Answers ---------------------------------------------------------------------

    def _answer(self, status, content):
        self._transport.write(_response(status, _json(content)))

    def _answer_later(self, status, content, headers=""):
        raw = _response(status, _json(content), headers)
        self._write_later(self._carrier.latency, raw)

    def _write_later(self, seconds, raw):
        if seconds:
            self._loop.call_later(seconds, self._write, raw)
        else:
            self._write(raw)

    def _write(self, raw):
        if self._is_busy:
            self._finish()
            self._transport.write(raw)

    def _finish(self):
        if self._is_busy:
            self._is_busy = False
            self._carrier.in_flight -= 1


def _json(content):
    return json.dumps(content).encode()


def _response(status, body, headers=""):
    return (
        f"HTTP/1.1 {status} Carrier\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class CarrierSimulator:
    """The carrier in a process of its own; use it as a context manager.

    Usable from several processes: what it knows, it asks for.
    """

    def __init__(self, port=0, **behaviour):
        self._port = port
        self._behaviour = behaviour
        self._process = None
        self.url = ""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulators.carrier", "--child"]
            + ["--port", str(self._port)],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("the carrier did not start")
        if self._behaviour:
            self.behave(**self._behaviour)
        return self

    def __exit__(self, *exc):
        self._process.terminate()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    @property
    def pid(self):
        return self._process.pid

    def behave(self, **orders):
        """Say what the next calls meet; replaces all that was said before.

        ``latency_ms`` before each answer; ``faults``, a list of :class:`Fault` as
        dictionaries, those with a ``count`` first and in their order; ``seed`` of the
        chance that decides about the others; ``bad_numbers`` and ``poison``, ends of
        addresses: the former are refused, the latter make the carrier refuse the whole
        batch with 400; ``reset=True`` empties ledger and counters.
        """
        self._call("/behave", orders)

    def report_to(self, url, **orders):
        """Push delivery reports to ``url`` from now on, ``None`` for no more.

        ``delay_ms`` after a message was accepted, or with ``before_answer`` before the
        call that brought it is answered; with ``duplicates`` each twice; messages to
        addresses with an end in ``failed`` did not arrive. A push that is not answered
        with 200 is repeated a few times.
        """
        self._call("/report_to", {"url": url, **orders})

    def state(self):
        """Return counters; ``repeated`` are the keys accepted more than once,
        ``max_per_second`` the most messages accepted within any second."""
        return self._call("/state")

    def ledger(self):
        """Return all accepted messages in order: key, to, ref, time (monotonic)."""
        return self._call("/ledger")

    def _call(self, path, orders=None):
        data = None if orders is None else json.dumps(orders).encode()
        opener = build_opener(ProxyHandler({}))
        with opener.open(Request(self.url + path, data=data), timeout=60) as answer:
            return json.load(answer)


async def _serve(host, port, is_child):
    loop = asyncio.get_running_loop()
    carrier = _Carrier()
    server = await loop.create_server(
        lambda: _Connection(carrier), host, port, backlog=1024
    )
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    if is_child:
        # A parent that was killed cannot say goodbye, but its end of the pipe closes.
        stop = loop.create_future()
        threading.Thread(
            target=lambda: (
                sys.stdin.read(),
                loop.call_soon_threadsafe(stop.set_result, None),
            ),
            daemon=True,
        ).start()
        await stop
    else:
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description="Simulate a carrier.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--child", action="store_true", help="end with standard input")
    args = parser.parse_args()
    # The ledger only grows; walking through it again and again finds no garbage.
    gc.disable()
    asyncio.run(_serve(args.host, args.port, args.child))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
