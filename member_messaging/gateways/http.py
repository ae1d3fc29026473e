"""The only door to the network.

What matters here is one question: after a failure, may the provider have received the
request? A sending engine that guesses wrong sends a message twice or loses it. Hence no
retries below this line, no redirects, bounded waiting and bounded answers.
"""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter

from .errors import ConfigError, MaybeSent, NotSent

_logger = logging.getLogger(__name__)

#: Seconds to connect and seconds between two bytes of the answer.
TIMEOUT = (3.05, 10.0)
#: Bytes of an answer that are read; no provider's answer comes near.
MAX_BYTES = 4 * 1024 * 1024
#: Parallel connections kept open to one host.
POOL_SIZE = 64

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
PERSONAL_WORDS = ("phone", "mobile", "content", "param", "body")
#: Class names in urllib3 that mean: no connection, hence nothing was written.
_BEFORE_WRITING = {
    "ConnectTimeoutError",
    "NameResolutionError",
    "NewConnectionError",
    "ProxyError",
}


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def retry_after(self) -> int | None:
        """Return the standard ``Retry-After`` header (RFC 9110 §10.2.3) in seconds.

        A date counts from now; what cannot be read is ``None``.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isdigit():
            return int(value)
        try:
            date = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=timezone.utc)
        return max(0, round((date - datetime.now(timezone.utc)).total_seconds()))


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
    answer as a whole may take three times the read timeout.
    """

    def __init__(
        self,
        timeout: tuple[float, float] = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        pool_size: int = POOL_SIZE,
    ):
        self.timeout = timeout
        self.max_bytes = max_bytes
        self._session = requests.Session()
        # Cookies would be the only state threads share.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(max_retries=0, pool_maxsize=pool_size)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

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
        :raises ConfigError: the URL or a header cannot be used at all
        """
        headers = dict(headers or {})
        started = time.monotonic()
        try:
            with self._session.request(
                method,
                url,
                headers=headers,
                data=data or None,
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
                auth=_no_auth,
            ) as answer:
                body = self._read(answer, started)
                response = HttpResponse(
                    answer.status_code,
                    {name.lower(): value for name, value in answer.headers.items()},
                    body,
                )
        except (requests.RequestException, UnicodeError) as error:
            failure = _classify(error)
            _log(method, url, headers, type(failure).__name__, started)
            raise failure from error
        _log(method, url, headers, response.status, started)
        return response

    def _read(self, answer: requests.Response, started: float) -> bytes:
        deadline = started + 3 * self.timeout[1]
        body = bytearray()
        for chunk in answer.iter_content(64 * 1024):
            body += chunk
            if len(body) > self.max_bytes:
                raise MaybeSent("answer is too long")
            if time.monotonic() > deadline:
                raise MaybeSent("answer takes too long")
        return bytes(body)


def shared_client() -> HttpClient:
    """Return the client of this process: adapters come and go, connections stay."""
    return _client(os.getpid())


@lru_cache(maxsize=1)
def _client(_pid: int) -> HttpClient:
    # By process id, because a forked worker must not use its parent's connections.
    return HttpClient()


def _no_auth(request):
    # Without this, a line in ~/.netrc replaces the Authorization header.
    return request


def _classify(error: Exception) -> Exception:
    """Translate an exception of requests into NotSent, MaybeSent or ConfigError."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NotSent("no connection in time")
    if isinstance(error, ValueError):
        # InvalidURL, MissingSchema, InvalidHeader, a header that is not Latin-1.
        return ConfigError(f"request cannot be made: {type(error).__name__}")
    reasons = {type(reason).__name__ for reason in _chain(error)}
    if reasons & _BEFORE_WRITING:
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


def _log(method: str, url: str, headers: dict, result, started: float) -> None:
    level = logging.DEBUG if isinstance(result, int) else logging.INFO
    if not _logger.isEnabledFor(level):
        return
    parts = urlsplit(url)
    _logger.log(
        level,
        "%s %s://%s%s query=%s headers=%s -> %s in %d ms",
        method,
        parts.scheme,
        parts.hostname,
        parts.path,
        redact(dict(parse_qsl(parts.query))),
        redact(headers),
        result,
        (time.monotonic() - started) * 1000,
    )
