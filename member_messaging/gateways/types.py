"""Values that cross the border between the addon and a messaging provider.

Everything here is frozen: an adapter gets values and returns values, it never sees a
record, a database or a translation. Texts are for machines; the models give them a
language.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

#: Charsets a callback may name; Python knows others that are none, or slow.
_CHARSETS = {"utf-8", "gb2312", "gbk", "gb18030", "big5", "iso8859-1", "cp1252"}


class Outcome(str, Enum):
    """What the sending engine has to do about one recipient.

    The values are stored in the database; do not rename them.
    """

    #: Accepted by the provider (not yet delivered).
    OK = "ok"
    #: Nothing was sent; try the same recipient again with growing pauses.
    RETRY = "retry"
    #: This recipient hit a frequency rule; later, the others go on.
    POSTPONE = "postpone"
    #: The address is invalid or dead; never again.
    BADNUM = "badnum"
    #: The recipient refused or is on a block list.
    OPTOUT = "optout"
    #: Text or variables were rejected; a person has to edit them.
    CONTENT = "content"
    #: Template, signature or sender identity is not usable; pause the campaign.
    TEMPLATE = "template"
    #: Credentials, quota, arrears, source address; pause the whole gateway.
    PAUSE = "pause"
    #: Refresh the access token once and try again.
    TOKEN = "token"
    #: We built a bad request; fail the message and log loudly.
    BUG = "bug"
    #: Perhaps sent: the answer got lost after the request was written. Never resend
    #: blindly; a delivery report or :meth:`Gateway.query` settles it.
    AMBIGUOUS = "ambiguous"


class Capability(str, Enum):
    """What a provider can do beyond sending."""

    #: Tells whether a message arrived, by webhook or by query.
    REPORTS = "reports"
    #: Hands over replies, by webhook or by query.
    INBOUND = "inbound"
    #: Has a callback address that must be told to the provider.
    WEBHOOK = "webhook"
    #: Can be asked about messages whose fate is unknown.
    QUERY = "query"
    #: Sends only templates and signatures it approved beforehand.
    REGISTERED_TEMPLATES = "registered_templates"


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Account at a provider. Secrets do not show up in ``repr``.

    ``endpoint`` is a host or a URL, empty for the provider's default; ``signature`` is
    the sender identity shown to members, without 【】; ``callback_url`` is the public
    address for callbacks, secret included; ``options`` holds the settings of one
    provider only, listed in ``README.md`` of this folder.
    """

    api_key: str = ""
    api_secret: str = field(default="", repr=False)
    endpoint: str = ""
    signature: str = ""
    callback_secret: str = field(default="", repr=False)
    callback_url: str = field(default="", repr=False)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to one recipient.

    ``key`` is our message id as text, unique within a batch; ``address`` is E.164 for
    text messages; ``body`` the rendered text. Providers with registered templates use
    ``template_code`` and ``params`` instead of ``body``.
    """

    key: str
    address: str
    body: str = ""
    template_code: str | None = None
    params: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one :class:`Outbound`.

    ``provider_ref`` together with the address identifies the message at the provider.
    With :attr:`Outcome.AMBIGUOUS` it may be a reference of our own making, which comes
    back as :attr:`DeliveryReport.alternative_ref`. ``parts`` are billed segments,
    ``retry_after`` is in seconds; both are ``None`` when the provider did not say.
    """

    key: str
    outcome: Outcome
    provider_ref: str | None = None
    provider_code: str | None = None
    provider_message: str | None = None
    parts: int | None = None
    retry_after: int | None = None


# Not frozen: by the million, that would take three times as long to make.
@dataclass(slots=True)
class DeliveryReport:
    """The provider's last word about one message.

    The answer to a query names the message it is about in ``key``. A callback does not:
    match on ``address`` and ``provider_ref``, else ``alternative_ref`` (set when the
    provider echoes a reference of ours; it finds messages whose answer got lost).
    ``status`` is ``"delivered"``, ``"failed"`` or ``"sent"`` (it has left, no more is
    known); ``outcome`` classifies a failure and is ``None`` when the code is not known,
    which has no consequence for the address.
    ``date`` is aware and in UTC. ``event_ref`` is the same each time the same fact is
    told, whichever way it came: store it under a unique constraint.
    """

    provider_ref: str
    address: str
    status: str
    event_ref: str
    outcome: Outcome | None = None
    provider_code: str | None = None
    provider_message: str | None = None
    date: datetime | None = None
    parts: int | None = None
    alternative_ref: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A text a member sent to us.

    ``destination`` is the number the member replied to; ``date`` is aware and in UTC;
    ``event_ref`` as in :class:`DeliveryReport`.
    """

    address: str
    text: str
    event_ref: str
    date: datetime | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """An incoming callback, untouched.

    ``path_secret`` is the last part of the callback address; ``url`` the whole address
    as the provider knows it, query included, whatever proxies made of it; ``body`` the
    raw bytes (signatures need both exactly); ``headers`` (names in any case) and
    ``query`` have text values.
    """

    method: str = "POST"
    path_secret: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    url: str = field(default="", repr=False)

    def header(self, name: str) -> str:
        """Return a header's value, empty if there is none."""
        name = name.lower()
        values = (v for key, v in self.headers.items() if key.lower() == name)
        return next(values, "")

    def text(self) -> str:
        """Return the body in the charset its header names, else as UTF-8.

        Bytes that are wrong there become U+FFFD.
        """
        match = re.search(r"charset=[\"']?([\w-]+)", self.header("Content-Type"), re.I)
        try:
            charset = codecs.lookup(match[1]).name if match else "utf-8"
        except LookupError:
            charset = "utf-8"
        known = charset if charset in _CHARSETS else "utf-8"
        return self.body.decode(known, errors="replace")


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message whose fate we ask for: :class:`Outbound` key and address, the
    ``provider_ref`` its :class:`SendResult` had (``None`` after a crash), and the
    aware-UTC time the call was made."""

    key: str
    address: str
    provider_ref: str | None
    sent_date: datetime
