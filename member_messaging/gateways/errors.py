"""Exceptions of the gateways. What concerns one recipient is never an exception but a
:class:`~.types.SendResult`."""


class GatewayError(Exception):
    """Base of everything raised on purpose in this package."""


class ConfigError(GatewayError):
    """The account's settings cannot work; repeating the call will not help."""


class SignatureError(GatewayError):
    """A callback does not prove that it comes from the provider: answer 403."""


class SecretError(SignatureError):
    """Not even the secret in the callback's address is right."""


class PayloadError(GatewayError):
    """A callback came from the provider but cannot be read."""


class UnsupportedFeature(GatewayError):
    """The provider cannot do this; look at its ``capabilities`` first."""


class TransportError(GatewayError):
    """The network failed; see the two subclasses for what that means."""


class NotSent(TransportError):
    """The request never left: no address, no connection, no handshake."""


class MaybeSent(TransportError):
    """The request was written and the answer got lost: the provider may have it."""
