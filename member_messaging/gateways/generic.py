"""A provider that is described by settings instead of code.

One call over HTTP for each message; an administrator says what it looks like, how to
read the answer, and what reports and replies look like when they come. Values in JSON,
XML and forms are found with JMESPath (https://jmespath.org), in other texts with a
regular expression. ``README.md`` has the whole list of settings.
"""

import hashlib
import hmac
import json
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit
from xml.sax.saxutils import escape

import jmespath
import phonenumbers
from lxml import etree

from .base import Gateway, failed_call
from .errors import ConfigError, PayloadError, SignatureError, TransportError
from .http import SECRET_WORDS, HttpClient, HttpResponse, shared_client
from .reading import outcome_by_status
from .types import (
    Capability,
    DeliveryReport,
    InboundMessage,
    Outbound,
    Outcome,
    SendResult,
    WebhookRequest,
)

#: What a template may name, with a sample.
PLACEHOLDERS = {
    "to": "+8613800138000",
    "to_digits": "8613800138000",
    "to_national": "13800138000",
    "text": 'Hello "you" & <others>\\',
    "key": "1",
    "reference": "0123456789abcdef",
    "signature": "Brand",
    "api_key": "key",
    "api_secret": "secret",
    "callback_url": "https://shop.example.com/callback",
}
#: Content type by kind of body.
BODY_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "text/xml",
    "text": "text/plain",
}
#: Settings that find a value, and those that are rendered with placeholders.
PATHS = (
    "code_path",
    "ref_path",
    "message_path",
    "report_entries",
    "report_number",
    "report_ref",
    "report_reference",
    "report_status",
    "report_code",
    "inbound_entries",
    "inbound_number",
    "inbound_text",
    "inbound_id",
)
#: Result classes an error code can have.
ERROR_CLASSES = {
    outcome.value: outcome
    for outcome in Outcome
    if outcome not in (Outcome.OK, Outcome.TOKEN, Outcome.AMBIGUOUS)
}
#: Mark of references we make up; a template hands them on as ``reference``.
OWN_PREFIX = "ref:"
#: Characters a regular expression is tried on.
MAX_TEXT = 65536
MASK = "***"

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SECRET_VALUE = re.compile(
    rf"""([\w-]*(?:{"|".join(SECRET_WORDS)}|pwd|passwd)[\w-]*["']?\s*[=:>]\s*)"""
    r"""("[^"]*"|'[^']*'|[^"'&<>,;\s]+)""",
    re.IGNORECASE,
)


# Settings ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a setting.

    ``code`` is ``url``, ``host``, ``placeholder``, ``json``, ``xml``, ``header``,
    ``path``, ``regex``, ``outcome``, ``country`` or ``missing``; ``detail`` the piece
    of text that is meant, or the words of the parser.
    """

    option: str
    code: str
    detail: str = ""


def find_problems(options: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with the settings of a generic provider; see
    :attr:`GenericGateway.option_names`. Empty settings are left to ``check_config``.
    """
    checks = (_check_url, _check_placeholders, _check_body, _check_headers)
    found = [problem for check in checks for problem in check(options)]
    for name in PATHS:
        if (path := _text(options, name)) and (error := _check_path(path)):
            found.append(Problem(name, *error))
    for line in _text(options, "error_outcomes").splitlines():
        if line.strip() and not _read_outcome(line):
            found.append(Problem("error_outcomes", "outcome", line.strip()))
    country = _text(options, "country").upper()
    if country and country not in phonenumbers.SUPPORTED_REGIONS:
        found.append(Problem("country", "country", country))
    if _text(options, "code_path") and not _words(options, "success_codes"):
        found.append(Problem("success_codes", "missing"))
    if _text(options, "secret_header") and not _text(options, "secret_value"):
        found.append(Problem("secret_value", "missing"))
    return found


def _check_url(options) -> Iterator[Problem]:
    url = _text(options, "url")
    if not url:
        return
    server = re.match(r"https?://([^/?#]*)", url)
    if server and "{{" in server[1]:
        yield Problem("url", "host", server[1])
    elif not (server and _is_server(server[0])):
        yield Problem("url", "url", url)


def _is_server(base: str) -> bool:
    """Tell whether scheme and authority are complete, without credentials."""
    try:
        parts = urlsplit(base)
        return bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False


def _check_placeholders(options) -> Iterator[Problem]:
    for name in ("url", "headers", "body"):
        for used in _PLACEHOLDER.findall(_text(options, name)):
            if used not in PLACEHOLDERS:
                yield Problem(name, "placeholder", used)


def _check_body(options) -> Iterator[Problem]:
    body, kind = _text(options, "body"), _text(options, "body_type")
    if not body or kind not in ("json", "xml"):
        return
    sample = render(body, PLACEHOLDERS, ESCAPES[kind])
    try:
        json.loads(sample) if kind == "json" else _read_xml(sample)
    except (ValueError, RecursionError) as error:
        yield Problem("body", kind, str(error))


def _check_headers(options) -> Iterator[Problem]:
    for line in _text(options, "headers").splitlines():
        name, separator, value = line.partition(":")
        if line.strip() and not (
            separator and re.fullmatch(r"[!#$%&'*+.^`|~\w-]+", name.strip(), re.ASCII)
        ):
            yield Problem("headers", "header", line.strip())
        elif not value.isprintable():
            yield Problem("headers", "header", line.strip())


def _check_path(path: str) -> tuple[str, str] | None:
    try:
        pattern = _pattern(path)
    except re.error as error:
        return "regex", str(error)
    if pattern:
        return None
    try:
        jmespath.compile(path)
    except jmespath.exceptions.JMESPathError as error:
        return "path", str(error)
    return None


def _read_outcome(line: str) -> tuple[str, Outcome] | None:
    """Read ``code = result class``."""
    code, _separator, name = (part.strip() for part in line.rpartition("="))
    outcome = ERROR_CLASSES.get(name.lower())
    return (code, outcome) if code and outcome else None


def _text(options: Mapping[str, object], name: str) -> str:
    return str(options.get(name) or "").strip()


def _words(options: Mapping[str, object], name: str) -> list[str]:
    """Return what commas or line breaks part in a setting, in lower case."""
    parts = re.split(r"[,\n]", _text(options, name).lower())
    return [part.strip() for part in parts if part.strip()]


# Writing -----------------------------------------------------------------------------


def render(
    template: str, values: Mapping[str, str], escape_value: Callable[[str], str]
) -> str:
    """Fill ``{{ names }}`` with escaped values; nothing else happens in a template."""
    return _PLACEHOLDER.sub(lambda match: escape_value(values[match[1]]), template)


def _escape_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _escape_xml(value: str) -> str:
    return escape(_NOT_XML.sub("", value), {'"': "&quot;", "'": "&apos;"})


#: How a value is written into each kind of body; forms depend on the charset.
ESCAPES = {"json": _escape_json, "xml": _escape_xml, "text": str}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it goes out."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    charset: str

    @property
    def data(self) -> bytes:
        """The body's bytes; what the charset does not have becomes a question mark."""
        return self.body.encode(self.charset, errors="replace")


@dataclass(frozen=True, slots=True)
class Trial:
    """A call that was made, what came back, and what was read from it.

    ``call`` has no secrets; ``response`` is ``None`` if none came.
    """

    call: Call
    response: HttpResponse | None
    result: SendResult


# Reading -----------------------------------------------------------------------------


def read_tree(text: str, charset: str = "utf-8"):
    """Return JSON, XML or a form as nested dicts, lists and texts; else ``None``.

    An XML element is a dict of its attributes and children, or its text; repeated
    children are a list. The root element is a key as well.

    :raises PayloadError: it looks like one of them and cannot be read
    """
    start = text.lstrip("\ufeff \t\r\n")[:1]
    try:
        if start and start in '{["':
            return json.loads(text.lstrip("\ufeff"))
        if start == "<":
            return _read_xml(text)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"body cannot be read: {error}") from error
    if re.match(r"\s*[\w.\[\]%-]+=", text):
        pairs = parse_qsl(
            text.strip(), keep_blank_values=True, encoding=charset, errors="replace"
        )
        return dict(pairs)
    return None


def _read_xml(text: str) -> dict:
    """:raises ValueError: not XML, or with entities of its own"""
    # A type definition can make a small body huge, or fetch something.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    # Decoded already, whatever the declaration says.
    plain = _XML_DECLARATION.sub("", text.lstrip("\ufeff"))
    try:
        root = etree.fromstring(plain.encode(errors="replace"), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(error.msg) from error
    if root.getroottree().docinfo.doctype:
        raise ValueError("a document type is not allowed")
    return {_name(root): _read_element(root)}


def _read_element(element) -> object:
    values: dict[str, object] = {
        etree.QName(name).localname: value for name, value in element.items()
    }
    children = [child for child in element if isinstance(child.tag, str)]
    for child in children:
        name, value = _name(child), _read_element(child)
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return values or (element.text or "").strip()


def _name(element) -> str:
    return etree.QName(element).localname


def find(path: str, tree, text: str):
    """Return what a path finds, ``None`` if nothing.

    ``/…/`` is a regular expression on the text: its first group, else the whole match.
    """
    if not path:
        return None
    if pattern := _pattern(path):
        match = pattern.search(text[:MAX_TEXT])
        return match[min(1, pattern.groups)] if match else None
    try:
        return jmespath.search(path, tree)
    except jmespath.exceptions.JMESPathError:
        return None  # e.g. a function that is given nothing


def _pattern(path: str) -> re.Pattern | None:
    """:raises re.error: the expression between the slashes is wrong"""
    is_pattern = len(path) > 2 and path[0] == path[-1] == "/"
    return re.compile(path[1:-1], re.DOTALL) if is_pattern else None


def as_text(value) -> str:
    """Return a single value as text that can be stored; anything else is empty."""
    if value is None or isinstance(value, dict | list):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.replace("\0", "").strip()
    return text if text.isascii() else text.encode(errors="replace").decode()


# The adapter -------------------------------------------------------------------------


class GenericGateway(Gateway):
    """Any provider with an HTTP API that takes one message per call."""

    code = "generic"
    name = "Generic HTTP"
    capabilities = frozenset(
        {Capability.REPORTS, Capability.INBOUND, Capability.WEBHOOK}
    )
    default_rate = 5
    reads_query = True
    required_fields = ("callback_secret",)
    option_names = (
        "url",
        "method",
        "headers",
        "body_type",
        "body",
        "charset",
        "country",
        "allow_private",
        "success_codes",
        "error_outcomes",
        "delivered_words",
        "failed_words",
        "answer",
        "secret_header",
        "secret_value",
        *PATHS,
    )
    required_options = ("url",)

    def _get_client(self) -> HttpClient:
        return shared_client(
            is_public_only=not self.config.options.get("allow_private"),
            is_discreet=True,
        )

    def _option(self, name: str) -> str:
        return _text(self.config.options, name)

    @property
    def _charset(self) -> str:
        return self._option("charset") or "utf-8"

    @cached_property
    def _problems(self) -> list[Problem]:
        return find_problems(self.config.options)

    # Sending ---------------------------------------------------------------------

    def _send(self, batch: Sequence[Outbound]) -> Iterator[SendResult]:
        for message in batch:
            yield self._exchange(message)[1]

    def try_out(self, message: Outbound) -> Trial:
        """Send a message and tell what happened in detail."""
        response, result = self._exchange(message)
        return Trial(self.preview(message), response, result)

    def preview(self, message: Outbound) -> Call:
        """Return the call a message would make, secrets masked. Nothing is sent.

        :raises ConfigError: the settings make no call
        """
        # Values are hidden before they are escaped, what is typed into the settings by
        # the names around it.
        hidden = replace(
            self.config,
            api_secret=MASK,
            callback_url=self.config.callback_url.replace(
                self.config.callback_secret or MASK, MASK
            ),
        )
        call = GenericGateway(hidden, self.http, self.clock, lambda: "…")._prepare(
            message, "…"
        )
        return replace(
            call,
            url=_SECRET_VALUE.sub(rf"\1{MASK}", call.url),
            headers={
                name: MASK
                if any(word in name.lower() for word in SECRET_WORDS)
                else value
                for name, value in call.headers.items()
            },
            body=_SECRET_VALUE.sub(rf"\1{MASK}", call.body),
        )

    def _exchange(self, message: Outbound) -> tuple[HttpResponse | None, SendResult]:
        reference = self.nonce()
        response = None
        try:
            call = self._prepare(message, reference)
            response = self.http.request(call.method, call.url, call.headers, call.data)
        except (TransportError, ConfigError) as error:
            result = replace(failed_call(error), key=message.key)
        else:
            result = self._read_send(message.key, response)
        if result.outcome in (Outcome.OK, Outcome.AMBIGUOUS) and (
            not result.provider_ref
        ):
            result = replace(result, provider_ref=f"{OWN_PREFIX}{reference}")
        return response, result

    def _prepare(self, message: Outbound, reference: str) -> Call:
        """:raises ConfigError: a setting is wrong"""
        if self._problems:
            first = self._problems[0]
            raise ConfigError(f"{first.option}: {first.code} {first.detail}".strip())
        values = self._get_values(message, reference)
        kind = self._option("body_type") or "json"
        method = self._option("method") or "POST"
        url = render(self._option("url"), values, self._escape_url)
        body = "" if method == "GET" else self._render_body(kind, values)
        content_type = BODY_TYPES[kind]
        if self._charset != "utf-8" or kind in ("xml", "text"):
            content_type = f"{content_type}; charset={self._charset}"
        headers = {"Content-Type": content_type} if body else {}
        for line in self._option("headers").splitlines():
            name, _separator, value = (part.strip() for part in line.partition(":"))
            if name:
                headers = {
                    k: v for k, v in headers.items() if k.lower() != name.lower()
                }
                headers[name] = render(value, values, _one_line)
        return Call(method, url, headers, body, self._charset)

    def _render_body(self, kind: str, values: Mapping[str, str]) -> str:
        template = self._option("body")
        if kind != "form":
            return render(template, values, ESCAPES[kind])
        # Fields may stand in lines of their own.
        template = "".join(line.strip() for line in template.splitlines())
        filled = render(
            template, values, lambda value: quote_plus(value, encoding=self._charset)
        )
        return quote(filled, safe=string.punctuation, encoding=self._charset)

    def _escape_url(self, value: str) -> str:
        return quote(value, safe="", encoding=self._charset, errors="replace")

    def _get_values(self, message: Outbound, reference: str) -> dict[str, str]:
        config = self.config
        return {
            "to": message.address,
            "to_digits": message.address.removeprefix("+"),
            "to_national": _national(message.address),
            "text": message.body,
            "key": message.key,
            "reference": reference,
            "signature": config.signature,
            "api_key": config.api_key.strip(),
            "api_secret": config.api_secret.strip(),
            "callback_url": config.callback_url,
        }

    def _read_send(self, key: str, response: HttpResponse) -> SendResult:
        text = response.body.decode(self._charset, errors="replace")
        try:
            tree = read_tree(text, self._charset)
        except PayloadError:
            tree = None
        path = self._option("code_path")
        code = as_text(find(path, tree, text)) if path else str(response.status)
        return SendResult(
            key,
            self._outcome(response.status, code),
            provider_ref=as_text(find(self._option("ref_path"), tree, text)) or None,
            provider_code=code or f"http.{response.status}",
            provider_message=as_text(find(self._option("message_path"), tree, text))
            or None,
            retry_after=response.retry_after(),
        )

    def _outcome(self, status: int, code: str) -> Outcome:
        path = self._option("code_path")
        successes = _words(self.config.options, "success_codes")
        if 200 <= status < 300 and (
            code.lower() in successes if path or successes else True
        ):
            return Outcome.OK
        if known := self._find_outcome("send_outcomes", code):
            return known
        if status in (401, 402, 403):
            return Outcome.PAUSE
        return outcome_by_status(status, bool(path and code))

    def _find_outcome(self, option: str, code: str) -> Outcome | None:
        """Find a code among the settings and in the account's own table."""
        lines = self._option("error_outcomes").splitlines()
        table = dict(filter(None, map(_read_outcome, lines)))
        return self._lookup(option, table, code) if code else None

    # Callbacks -------------------------------------------------------------------

    def verify(self, request: WebhookRequest) -> None:
        """Check the secret in the address, and the one in a header if there is one.

        :raises SignatureError: one of them is wrong
        """
        self.verify_secret(request)
        if name := self._option("secret_header"):
            expected, given = self._option("secret_value"), request.header(name)
            if not expected or not hmac.compare_digest(
                given.encode(), expected.encode()
            ):
                raise SignatureError("secret in the header does not match")

    def acknowledge(self) -> tuple[int, dict[str, str], bytes]:
        """Answer what the provider wants to read."""
        answer = self._option("answer")
        kind = {"{": "json", "<": "xml"}.get(answer[:1], "text")
        content_type = f"{BODY_TYPES[kind]}; charset={self._charset}"
        return 200, {"Content-Type": content_type}, answer.encode(self._charset)

    def parse(self, request: WebhookRequest) -> list[DeliveryReport | InboundMessage]:
        """Read reports and replies; entries about messages on the way give nothing.

        An entry that cannot be read does not keep the others from being used.
        """
        text = request.text()
        tree = read_tree(text, self._charset) if text else dict(request.query)
        if tree is None:
            tree = text
        reports = self._entries("report_entries", tree)
        todo = [(self._parse_report, entry) for entry in reports]
        todo += [
            (self._parse_inbound, entry)
            for entry in self._entries("inbound_entries", tree)
        ]
        events: list[DeliveryReport | InboundMessage] = []
        errors: list[PayloadError] = []
        for read, entry in todo:
            try:
                event = read(entry)
            except PayloadError as error:
                errors.append(error)
            else:
                events += [event] if event else []
        if errors and not events:
            raise errors[0]
        if not events and not any(self._find("report_status", e) for e in reports):
            raise PayloadError("neither a report nor a reply was found")
        return events

    def _entries(self, option: str, tree) -> list:
        path = self._option(option)
        found = find(path, tree, _dump(tree)) if path else tree
        if isinstance(found, list):
            return found
        return [] if found is None else [found]

    def _parse_report(self, entry) -> DeliveryReport | None:
        status = self._find("report_status", entry)
        known = self._read_status(status)
        if not known:
            return None
        own_ref = self._find("report_reference", entry)
        alternative = f"{OWN_PREFIX}{own_ref}" if own_ref else None
        reference = self._find("report_ref", entry) or alternative
        number = self._find("report_number", entry)
        if not reference or not number:
            raise PayloadError("a report has no number or no reference")
        address = self._to_e164(number)
        code = self._find("report_code", entry) or status
        return DeliveryReport(
            provider_ref=reference,
            address=address,
            status=known,
            event_ref=f"report:{reference}:{address}:{known}",
            alternative_ref=alternative,
            outcome=self._find_outcome("report_outcomes", code)
            if known == "failed"
            else None,
            provider_code=code,
        )

    def _read_status(self, status: str) -> str | None:
        for known in ("delivered", "failed"):
            if status.lower() in _words(self.config.options, f"{known}_words"):
                return known
        return None

    def _parse_inbound(self, entry) -> InboundMessage | None:
        number = self._find("inbound_number", entry)
        path = self._option("inbound_text")
        found = find(path, entry, _dump(entry))
        if not path or found is None or isinstance(found, dict | list):
            return None
        if not number:
            raise PayloadError("a reply has no number")
        reference = self._find("inbound_id", entry)
        if not reference:
            content = _dump(entry).encode(errors="replace")
            reference = hashlib.sha256(content).hexdigest()[:32]
        return InboundMessage(
            address=self._to_e164(number),
            text=as_text(found),
            event_ref=f"up:{reference}",
        )

    def _find(self, option: str, entry) -> str:
        return as_text(find(self._option(option), entry, _dump(entry)))

    def _to_e164(self, number: str) -> str:
        """Return a number in the way we sent to it."""
        digits = re.sub(r"\D", "", number)
        if number.startswith(("+", "00")):
            return f"+{digits.removeprefix('00')}"
        try:
            parsed = phonenumbers.parse(digits, self._option("country").upper())
        except phonenumbers.NumberParseException:
            return f"+{digits}"
        if not phonenumbers.is_valid_number(parsed):
            return f"+{digits}"
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _dump(entry) -> str:
    return entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False)


def _national(address: str) -> str:
    """Return the number without its country code, as it is if it is none."""
    try:
        parsed = phonenumbers.parse(address)
    except phonenumbers.NumberParseException:
        return address
    return phonenumbers.national_significant_number(parsed)


def _one_line(value: str) -> str:
    return " ".join(value.split())
