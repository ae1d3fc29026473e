"""The contract between the sending engine and a provider.

An adapter implements :meth:`Gateway._deliver` (or :meth:`Gateway._send`) and, as its
capabilities say, :meth:`Gateway.parse`, :meth:`Gateway.verify`, :meth:`Gateway.query`.
"""

import hmac
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import ClassVar

from .errors import (
    ConfigError,
    GatewayError,
    MaybeSent,
    NotSent,
    SecretError,
    UnsupportedFeature,
)
from .http import HttpClient, shared_client
from .types import (
    Capability,
    DeliveryReport,
    GatewayConfig,
    InboundMessage,
    Outbound,
    Outcome,
    PendingMessage,
    SendResult,
    WebhookRequest,
)

_logger = logging.getLogger(__name__)

#: What the network's failure means for the messages of the call.
TRANSPORT_OUTCOME = {
    NotSent: Outcome.RETRY,
    MaybeSent: Outcome.AMBIGUOUS,
    ConfigError: Outcome.PAUSE,
}
#: After these, further calls would meet the same fate or do harm.
HALTING = {Outcome.PAUSE, Outcome.RETRY, Outcome.AMBIGUOUS}


def utc_now() -> datetime:
    """Return the present time, aware and in UTC."""
    return datetime.now(timezone.utc)


def new_nonce() -> str:
    """Return 32 random hexadecimal digits."""
    return secrets.token_hex(16)


def failed_call(error: GatewayError) -> SendResult:
    """Return what the network's failure means, without a key.

    :param error: one of :data:`TRANSPORT_OUTCOME`
    """
    outcome = TRANSPORT_OUTCOME[type(error)]
    return SendResult("", outcome, provider_message=str(error))


def find_outcome(table: Mapping[str, Outcome], code: str) -> Outcome | None:
    """Find a code in a table whose names may end in ``*``: exact before prefix, a
    longer prefix before a shorter one."""
    if code in table:
        return table[code]
    prefixes = [
        name for name in table if name.endswith("*") and code.startswith(name[:-1])
    ]
    return table[max(prefixes, key=len)] if prefixes else None


def slices(batch: Sequence[Outbound], size: int) -> list[Sequence[Outbound]]:
    """Cut a batch into pieces of at most ``size`` messages."""
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def group_calls(
    batch: Sequence[Outbound], get_kind: Callable[[Outbound], Hashable]
) -> list[list[Outbound]]:
    """Group messages that may share a call.

    An address stands only once in a group: with a reference of the call it then
    identifies the message.

    :param get_kind: what the messages of a call must have in common
    """
    groups: dict[tuple, list[Outbound]] = defaultdict(list)
    seen: dict[tuple, int] = defaultdict(int)
    for message in batch:
        kind = get_kind(message)
        groups[kind, seen[kind, message.address]].append(message)
        seen[kind, message.address] += 1
    return list(groups.values())


def send_in_halves(
    batch: Sequence[Outbound],
    call: Callable[[Sequence[Outbound]], Sequence[SendResult] | None],
    halt: SendResult | None = None,
) -> Generator[SendResult, None, SendResult | None]:
    """Yield a result for each message, if one of them spoils the call for all.

    ``call`` hands over some messages and returns a result for each, or ``None`` when
    the provider took none because of one it did not name. The messages are then halved
    until the culprit is alone; ``call`` must have a result for a single message.

    :param halt: result of an earlier call after which nothing is tried any more
    :returns: the same for the calls that follow
    """
    todo = [batch] if batch else []
    while todo:
        part = todo.pop()
        if halt:
            yield from (_not_tried(message, halt) for message in part)
            continue
        results = call(part)
        if results is None:
            middle = len(part) // 2
            todo += [part[middle:], part[:middle]]
            continue
        if all(result.outcome in HALTING for result in results):
            halt = results[0]
        yield from results
    return halt


def _not_tried(message: Outbound, halt: SendResult) -> SendResult:
    """Result for a message whose call was not made because of an earlier one."""
    outcome = Outcome.PAUSE if halt.outcome is Outcome.PAUSE else Outcome.RETRY
    return replace(halt, key=message.key, outcome=outcome, provider_ref=None)


class Gateway:
    """One account at one provider.

    ``http``, ``clock`` (aware UTC time) and ``nonce`` (unique text) can be replaced,
    which makes every signature reproducible in a test.
    """

    #: Key in the registry; stored in the database.
    code: ClassVar[str] = ""
    #: Name of the provider, a proper noun and therefore not translated.
    name: ClassVar[str] = ""
    #: Channel of ``member.gateway`` the provider serves.
    channel: ClassVar[str] = "sms"
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    #: Most messages :meth:`send` takes at once.
    batch_size: ClassVar[int] = 1
    #: A message without ``template_code`` cannot be sent.
    requires_registered_template: ClassVar[bool] = False
    #: Messages per second to start with; a preset below the provider's usual limit,
    #: the account decides. 0: no limit.
    default_rate: ClassVar[int] = 10
    #: Messages :meth:`query` is asked about at once; few where each costs a call, since
    #: nothing is stored before the last answer.
    query_size: ClassVar[int] = 1000
    #: Callbacks may be GET requests whose query tells everything.
    reads_query: ClassVar[bool] = False
    #: Sends nothing to anybody; screens have to say so.
    is_simulation: ClassVar[bool] = False
    #: Fields of :class:`GatewayConfig` that must be filled in.
    required_fields: ClassVar[tuple[str, ...]] = ()
    #: What the provider reads from :attr:`GatewayConfig.options`. The field
    #: ``<code>_<name>`` of ``member.gateway`` holds each of them.
    option_names: ClassVar[tuple[str, ...]] = ()
    #: Those of them that must be filled in.
    required_options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: GatewayConfig,
        http: HttpClient | None = None,
        clock: Callable[[], datetime] | None = None,
        nonce: Callable[[], str] | None = None,
    ):
        self.config = config
        self.http = http or self._get_client()
        self.clock = clock or utc_now
        self.nonce = nonce or new_nonce

    def _get_client(self) -> HttpClient:
        return shared_client()

    def check_config(self) -> list[str]:
        """Return what is required and empty, as ``member.gateway`` names its fields."""
        options = self.config.options
        return [
            *(name for name in self.required_fields if not getattr(self.config, name)),
            *(
                f"{self.code}_{name}"
                for name in self.required_options
                if not options.get(name)
            ),
        ]

    # Sending ---------------------------------------------------------------------

    def send(self, batch: Sequence[Outbound]) -> list[SendResult]:
        """Send a batch; return one result per message, in the same order.

        Network trouble and refusals are results, not exceptions.

        :raises ValueError: more than ``batch_size`` messages, or a key occurs twice;
            nothing was sent
        """
        self._check_batch(batch)
        results: dict[str, SendResult] = {}
        try:
            for result in self._send(batch):
                results[result.key] = result
        except Exception:
            # A fault in the adapter may strike after the provider has got the batch.
            # What has no result by now counts as perhaps sent: losing a message is
            # visible and can be mended, sending it twice cannot.
            _logger.exception("%s: adapter failed while sending", self.code)
        return [results.get(message.key) or self._lost(message) for message in batch]

    def _check_batch(self, batch: Sequence[Outbound]) -> None:
        if len(batch) > self.batch_size:
            raise ValueError(f"{len(batch)} messages, limit is {self.batch_size}")
        if len({message.key for message in batch}) != len(batch):
            raise ValueError("a message key occurs twice in the batch")

    def _lost(self, message: Outbound) -> SendResult:
        return SendResult(
            message.key, Outcome.AMBIGUOUS, provider_code="local.adapter_error"
        )

    def group(self, batch: Sequence[Outbound]) -> list[tuple[int, Sequence[Outbound]]]:
        """Group messages that may share calls.

        :returns: most messages of a call, and the messages of the group
        """
        return [(self.batch_size, batch)]

    def _send(self, batch: Sequence[Outbound]) -> Iterable[SendResult]:
        """Yield results as they become known; a message may be left out only by a
        fault, and then counts as perhaps sent."""
        good = []
        for message in batch:
            if refusal := self._refuse(message):
                yield refusal
            else:
                good.append(message)
        halt: SendResult | None = None
        for limit, group in self.group(good):
            for call in slices(group, limit):
                halt = yield from send_in_halves(call, self._deliver, halt)

    def _refuse(self, message: Outbound) -> SendResult | None:
        """Refuse what the provider would refuse as well, maybe for a whole call."""
        return None

    def _deliver(self, messages: Sequence[Outbound]) -> Sequence[SendResult] | None:
        """Make one call, see ``call`` of :func:`send_in_halves`."""
        raise NotImplementedError

    def _lookup(
        self, option: str, table: Mapping[str, Outcome], code: str
    ) -> Outcome | None:
        """Find a code of the provider, see :func:`find_outcome`.

        :param option: name of the account's own table, which goes before ``table``:
            ``send_outcomes`` or ``report_outcomes``
        """
        if own := self.config.options.get(option):
            table = {**table, **{name: Outcome(value) for name, value in own.items()}}
        return find_outcome(table, code)

    def renew_token(self) -> bool:
        """Get a new access token after :attr:`Outcome.TOKEN`.

        Several threads may call it at the same time.

        :returns: whether there is one, so that the same messages may be sent once more;
            providers without tokens have none
        """
        return False

    # Callbacks -------------------------------------------------------------------

    def verify(self, request: WebhookRequest) -> None:
        """Make sure that a callback comes from the provider.

        By default the secret in the callback address decides, compared in constant
        time. Providers that sign their callbacks check the signature instead.

        :raises SignatureError: it does not, or no secret is configured
        """
        self.verify_secret(request)

    def verify_secret(self, request: WebhookRequest) -> None:
        """Make sure that whoever calls knows the secret in the callback address.

        :raises SecretError: it is wrong, or none is configured
        """
        expected = self.config.callback_secret
        given = request.path_secret
        if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            raise SecretError("callback secret does not match")

    def parse(self, request: WebhookRequest) -> list[DeliveryReport | InboundMessage]:
        """Read a verified callback; a probe or an unknown event gives an empty list.

        :raises PayloadError: the body is not what the provider's documentation says
        :raises UnsupportedFeature: the provider has no callbacks
        """
        raise UnsupportedFeature(f"{self.code} has no callbacks")

    def acknowledge(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer the provider waits for."""
        return 200, {"Content-Type": "text/plain; charset=utf-8"}, b""

    # Questions -------------------------------------------------------------------

    def probe(self) -> SendResult:
        """Ask, without sending anything, whether the provider accepts the account.

        :returns: result without a key; ``OK``, or as if a message had met that refusal
        :raises UnsupportedFeature: the provider has no such question
        """
        raise UnsupportedFeature(f"{self.code} has no question about the account")

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Ask what became of messages; those still under way are left out.

        Asking twice is harmless: the ``event_ref`` stay the same.

        :param now: aware-UTC time to judge delays by
        :raises UnsupportedFeature: without :attr:`Capability.QUERY`
        """
        raise UnsupportedFeature(f"{self.code} cannot be asked")
