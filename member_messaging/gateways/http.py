"""The only door to the network.

What matters here is one question: after a failure, may the provider have received the
request? A sending engine that guesses wrong sends a message twice or loses it. Hence no
retries below this line, no redirects, bounded waiting and bounded answers.
"""

import io
import ipaddress
import json
import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.client import HTTPResponse
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import BaseHTTPError
from requests.utils import check_header_validity, default_headers

from .errors import ConfigError, MaybeSent, NotSent

_logger = logging.getLogger(__name__)

#: Seconds to connect and seconds between two bytes of the answer.
TIMEOUT = (3.05, 10.0)
#: An answer as a whole may take so many times the time between two bytes.
PATIENCE = 3
#: Bytes of an answer that are read; no provider's answer comes near.
MAX_BYTES = 4 * 1024 * 1024
#: Parallel connections kept open to one host, by all senders of a process.
POOL_SIZE = 256
#: Longest pause in seconds an answer may ask for: a message that waits longer is of no
#: use, and a number without bounds fits into no column.
MAX_WAIT = 24 * 3600
#: Hosts whose connections are kept; more than there will ever be.
MAX_HOSTS = 1000

#: Parts of names whose values never reach a log.
SECRET_WORDS = (
    "authorization",
    "cookie",
    "key",
    "nonce",
    "password",
    "secret",
    "signature",
    "token",
)
#: Same for values that name or describe a member.
PERSONAL_WORDS = ("phone", "mobile", "destination", "content", "param", "body")
#: Scheme with host, and path with query.
_URL = re.compile(r"([^/?#]*//[^/?#]*)([^#]*)")
#: Addresses that stand for one of the older kind (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Class names in urllib3 that mean: no connection, hence nothing was written. Not
#: ProxyError: urllib3 1.26 calls everything so that happens behind a proxy, also when
#: the connection breaks after the request.
_BEFORE_WRITING = {
    "ConnectTimeoutError",
    "NameResolutionError",
    "NewConnectionError",
}
#: How http.client begins when a proxy does not let us through.
_NO_TUNNEL = "Tunnel connection failed"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> dict:
        """Return the JSON object in the body, empty when there is none."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def retry_after(self) -> int | None:
        """Return the standard ``Retry-After`` header (RFC 9110 §10.2.3) in seconds, at
        most :data:`MAX_WAIT`.

        A date counts from now; what cannot be read is ``None``.
        """
        value = self.headers.get("retry-after", "").strip()
        if (seconds := read_wait(value)) is not None:
            return seconds
        try:
            date = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=timezone.utc)
        seconds = round((date - datetime.now(timezone.utc)).total_seconds())
        return min(max(0, seconds), MAX_WAIT)


def read_wait(text: str, unit: int = 1) -> int | None:
    """Return the pause a header asks for in whole seconds, rounded up, at most
    :data:`MAX_WAIT`; ``None`` if it is no number.

    :param unit: so many of the header's units are a second
    """
    if not re.fullmatch(r"\d+", text, re.ASCII):
        return None
    # Python refuses to read thousands of digits.
    return min(-(-int(text[:18]) // unit), MAX_WAIT)


def redact(values: Mapping[str, str]) -> dict[str, str]:
    """Return a copy for logs: secrets and personal data by name become ``***``."""
    hidden = SECRET_WORDS + PERSONAL_WORDS
    return {
        name: "***" if any(word in name.lower() for word in hidden) else value
        for name, value in values.items()
    }


class HttpClient:
    """A pool of connections with one rule: a call is made exactly once.

    Several threads may share a client. ``timeout`` is (connect, read) in seconds; an
    answer as a whole may take :data:`PATIENCE` times the read timeout.

    With ``is_public_only`` it reaches no address of this computer or of a private
    network, whatever name stands for it. The environment's proxies are then left out:
    behind one nobody can tell what is reached. With ``is_discreet`` the log knows the
    server only: there may be secrets anywhere in the URL and in the headers.
    """

    def __init__(
        self,
        timeout: tuple[float, float] = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        pool_size: int = POOL_SIZE,
        is_public_only: bool = False,
        is_discreet: bool = False,
    ):
        self.timeout = timeout
        self.max_bytes = max_bytes
        self.is_public_only = is_public_only
        self.is_discreet = is_discreet
        # Lends its reading of the environment; it never makes a call, so that neither
        # cookies nor ~/.netrc come in.
        self._session = requests.Session()
        connection = _PublicConnection if is_public_only else _Connection
        adapter = _Adapter(connection, MAX_HOSTS, pool_size, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._routes: dict[str, _Route] = {}

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes = b"",
    ) -> HttpResponse:
        """Make one call and return the answer, whatever its status.

        ``url`` carries the encoded query, ``data`` the exact bytes of the body: both
        may be signed, so nothing is re-encoded here.

        :raises NotSent: the request did not leave; safe to repeat
        :raises MaybeSent: the request left and no usable answer came
        :raises ConfigError: the URL or a header cannot be used at all, or the address
            is not allowed; nothing left
        """
        headers = dict(headers or {})
        started = time.monotonic()
        try:
            response = self._exchange(method, url, headers, data)
        except (requests.RequestException, BaseHTTPError, UnicodeError) as error:
            failure = _classify(error)
            self._log(method, url, headers, type(failure).__name__, started)
            raise failure from error
        self._log(method, url, headers, response.status, started)
        return response

    def _log(self, method: str, url: str, headers: dict, result, started: float):
        level = logging.DEBUG if isinstance(result, int) else logging.INFO
        if not _logger.isEnabledFor(level):
            return
        parts = urlsplit(url)
        shown = ""
        if not self.is_discreet:
            query = redact(dict(parse_qsl(parts.query)))
            shown = f"{parts.path} query={query} headers={redact(headers)}"
        _logger.log(
            level,
            "%s %s://%s%s -> %s in %d ms",
            method,
            parts.scheme,
            parts.hostname,
            shown,
            result,
            (time.monotonic() - started) * 1000,
        )

    def _exchange(
        self, method: str, url: str, headers: dict, data: bytes
    ) -> HttpResponse:
        route, target = self._find_route(url)
        request = _Request(method, route, target, headers, data)
        answer = route.adapter.send(
            request,
            timeout=self.timeout,
            verify=route.verify,
            proxies=route.proxies,
        )
        try:
            body = self._read(answer)
        except BaseException:
            # What is left of the answer must not be taken for the next one.
            answer.close()
            raise
        finally:
            answer.release_conn()
        names = {name.lower(): value for name, value in answer.headers.items()}
        return HttpResponse(answer.status, names, body)

    def _find_route(self, url: str) -> tuple["_Route", str]:
        """Return how to reach the server, and path and query."""
        base, target = match.groups() if (match := _URL.match(url)) else (url, "")
        if base not in self._routes:
            checked = requests.Request("GET", base).prepare().url
            settings = self._session.merge_environment_settings(
                checked, {}, None, None, None
            )
            self._routes[base] = _Route(
                checked.removesuffix("/"),
                self._session.get_adapter(checked),
                {} if self.is_public_only else settings["proxies"],
                settings["verify"],
            )
        return self._routes[base], target if target[:1] == "/" else f"/{target}"

    def _read(self, answer) -> bytes:
        body = bytearray()
        while chunk := answer.read(64 * 1024, decode_content=True):
            body += chunk
            if len(body) > self.max_bytes:
                raise MaybeSent("answer is too long")
        return bytes(body)


# Requests spends more on a call than the network does. What follows leaves out what is
# the same for all calls to a host, and what nobody reads.


@dataclass(frozen=True, slots=True)
class _Route:
    """How to reach a server: found out at the first call, with the environment's
    proxies and certificates."""

    base: str
    adapter: HTTPAdapter
    proxies: Mapping[str, str]
    verify: bool | str


class _Request(requests.PreparedRequest):
    """A request that is sent as given."""

    path_url = ""

    def __init__(
        self, method: str, route: _Route, target: str, headers: dict, data: bytes
    ):
        super().__init__()
        for header in headers.items():
            check_header_validity(header)
        given = {name.lower() for name in headers}
        self.method = method
        self.route = route
        self.url = route.base + target
        self.path_url = target
        self.headers = {
            name: value for name, value in _DEFAULT_HEADERS if name.lower() not in given
        }
        self.headers.update(headers)
        if data or method not in ("GET", "HEAD"):
            self.headers["Content-Length"] = str(len(data))
        self.body = data or None


_DEFAULT_HEADERS = list(default_headers().items())


class _Adapter(HTTPAdapter):
    """Finds connections by route, and answers with urllib3's response as it is."""

    def __init__(self, connection: type, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._connection = connection
        _use(connection, self.poolmanager)
        self._pools = {}

    def close(self):
        # Connections close when nobody holds their pool.
        self._pools.clear()
        return super().close()

    def proxy_manager_for(self, proxy, **kwargs):
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            _use(self._connection, manager)
        return manager

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        # Not called by requests before 2.32, which has no shortcut.
        pool = self._pools.get(request.route.base)
        if pool is None:
            pool = super().get_connection_with_tls_context(
                request, verify, proxies, cert
            )
            self._pools[request.route.base] = pool
        return pool

    def request_url(self, request, proxies):
        if proxies:
            return super().request_url(request, proxies)
        return request.path_url

    def build_response(self, req, resp):
        return resp


class _PatientReader(io.RawIOBase):
    """Reads from a socket until a moment after which no answer is waited for.

    The socket's own timeout begins anew with every byte: a server that sends them one
    by one, be it in the head of its answer, would hold a sender for ever.
    """

    def __init__(self, raw, sock):
        self._raw = raw
        self._socket = sock
        self._timeout = sock.gettimeout()
        self._ends = time.monotonic() + PATIENCE * (self._timeout or 0)

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._timeout:
            return self._raw.readinto(buffer)
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("answer takes too long")
        if left >= self._timeout:
            return self._raw.readinto(buffer)
        try:
            self._socket.settimeout(left)
            return self._raw.readinto(buffer)
        finally:
            self._socket.settimeout(self._timeout)

    def close(self):
        self._raw.close()
        return super().close()


class _PatientResponse(HTTPResponse):
    """An answer that comes in a limited time, head and body together."""

    def __init__(self, sock, *args, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PatientReader(self.fp.detach(), sock))


class _Connection:
    """A connection that writes head and body together, and does not wait for ever.

    Twice the writes are twice the packets, and twice the changes from thread to thread.
    """

    response_class = _PatientResponse
    _waits_for_body = False
    _head = b""

    def request(self, method, url, body=None, *args, **kwargs):
        self._waits_for_body = bool(body)
        self._head = b""
        return super().request(method, url, body, *args, **kwargs)

    def send(self, data):
        if self._waits_for_body:
            self._waits_for_body = False
            self._head = data
            return
        head, self._head = self._head, b""
        super().send(head + data)


class _PublicConnection(_Connection):
    """A connection to public addresses only.

    The name is looked up once, and the address that was judged is the one connected
    to: a name server that answers differently the next time gains nothing.
    """

    def _new_conn(self):
        name = self._dns_host
        self._dns_host = self._find_public(name)
        try:
            return super()._new_conn()
        finally:
            self._dns_host = name  # certificates are for the name

    def _find_public(self, name: str) -> str:
        try:
            found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotSent(f"no address for {name}") from error
        addresses = [entry[4][0] for entry in found]
        for address in addresses:
            if is_public(address):
                return address
        raise ConfigError(
            f"{name} is {addresses[0]}, an address of this computer or of a private "
            "network, and those are not allowed"
        )


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the internet at large.

    Not this computer, a private network, a link or a group; nor an address that stands
    for one of those.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        inner = ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip.is_site_local or (inner and not is_public(str(inner))):
            return False
    return ip.is_global and not ip.is_multicast


def _use(kind: type, manager) -> None:
    """Give a pool manager of urllib3 connections of our kind."""
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": _mix(kind, pool)})
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _mix(kind: type, pool: type) -> type:
    connection = pool.ConnectionCls
    if issubclass(connection, _Connection):  # two threads at once
        return connection
    return type(connection.__name__, (kind, connection), {})


def shared_client(
    is_public_only: bool = False, is_discreet: bool = False
) -> HttpClient:
    """Return a client of this process: adapters come and go, connections stay."""
    return _client(os.getpid(), is_public_only, is_discreet)


@lru_cache(maxsize=4)
def _client(_pid: int, is_public_only: bool, is_discreet: bool) -> HttpClient:
    # By process id, because a forked worker must not use its parent's connections.
    return HttpClient(is_public_only=is_public_only, is_discreet=is_discreet)


def _classify(error: Exception) -> Exception:
    """Translate an exception of requests into NotSent, MaybeSent or ConfigError."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NotSent("no connection in time")
    if isinstance(error, ValueError):
        # InvalidURL, MissingSchema, InvalidHeader, a header that is not Latin-1.
        return ConfigError(f"request cannot be made: {type(error).__name__}")
    chain = list(_chain(error))
    reasons = {type(reason).__name__ for reason in chain}
    if reasons & _BEFORE_WRITING or any(
        type(reason) is OSError and str(reason).startswith(_NO_TUNNEL)
        for reason in chain
    ):
        return NotSent("no connection")
    if "SSLCertVerificationError" in reasons:
        return NotSent("the server's certificate is not valid")
    return MaybeSent(f"no answer: {type(error).__name__}")


def _chain(error: BaseException | None):
    """Walk through the exceptions wrapped in one another by urllib3 and requests."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        current = todo.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        todo += [current.__cause__, getattr(current, "reason", None), *current.args]
