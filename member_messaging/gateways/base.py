"""The contract between the sending engine and a provider.

An adapter implements :meth:`Gateway._send` and, as its capabilities say,
:meth:`Gateway.parse`, :meth:`Gateway.verify`, :meth:`Gateway.query`.
"""

import hmac
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import ClassVar

from .errors import ConfigError, MaybeSent, NotSent, SignatureError, UnsupportedFeature
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


def utc_now() -> datetime:
    """Return the present time, aware and in UTC."""
    return datetime.now(timezone.utc)


def new_nonce() -> str:
    """Return 32 random hexadecimal digits."""
    return secrets.token_hex(16)


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
    #: the account decides.
    default_rate: ClassVar[int] = 10
    #: Sends nothing to anybody; screens have to say so.
    is_simulation: ClassVar[bool] = False
    #: Fields of :class:`GatewayConfig` that must be filled in.
    required_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: GatewayConfig,
        http: HttpClient | None = None,
        clock: Callable[[], datetime] | None = None,
        nonce: Callable[[], str] | None = None,
    ):
        self.config = config
        self.http = http or shared_client()
        self.clock = clock or utc_now
        self.nonce = nonce or new_nonce

    def check_config(self) -> list[str]:
        """Return the names of the config fields that are required and empty."""
        return [name for name in self.required_fields if not getattr(self.config, name)]

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

    def _send(self, batch: Sequence[Outbound]) -> Iterable[SendResult]:
        """Yield results as they become known; a message may be left out only by a
        fault, and then counts as perhaps sent."""
        raise NotImplementedError

    # Callbacks -------------------------------------------------------------------

    def verify(self, request: WebhookRequest) -> None:
        """Make sure that a callback comes from the provider.

        By default the secret in the callback address decides, compared in constant
        time. Providers that sign their callbacks check the signature instead.

        :raises SignatureError: it does not, or no secret is configured
        """
        expected = self.config.callback_secret
        given = request.path_secret
        if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            raise SignatureError("callback secret does not match")

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

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Ask what became of messages; those still under way are left out.

        Asking twice is harmless: the ``event_ref`` stay the same.

        :param now: aware-UTC time to judge delays by
        :raises UnsupportedFeature: without :attr:`Capability.QUERY`
        """
        raise UnsupportedFeature(f"{self.code} cannot be asked")
