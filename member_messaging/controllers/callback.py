import logging

from odoo import SUPERUSER_ID
from odoo.exceptions import MissingError
from odoo.http import Controller, HttpDispatcher, request, route

from ..gateways.errors import SecretError, SignatureError
from ..gateways.types import WebhookRequest

_logger = logging.getLogger(__name__)

#: Bytes; no provider comes near it.
MAX_BODY = 1024 * 1024


class CallbackDispatcher(HttpDispatcher):
    """Leaves the body alone: signatures are about its very bytes, and a form of a
    stranger is not worth the time it takes to read it."""

    routing_type = "member_messaging_callback"

    def dispatch(self, endpoint, args):
        self.request.params = dict(args)
        return self.request.registry["ir.http"]._dispatch(endpoint)


class CallbackController(Controller):
    # Without a user: a public one costs queries, and no rights depend on it.
    @route(
        "/member_messaging/callback/<int(max=2147483647):gateway_id>/<string:secret>",
        type=CallbackDispatcher.routing_type,
        auth="none",
        methods=["GET", "POST"],
        csrf=False,
        save_session=False,
        readonly=False,
    )
    def callback(self, gateway_id, secret):
        """Keep what a provider posts and acknowledge it at once.

        A wrong secret, an unknown gateway and a forged signature look the same from
        outside. GET is the probe some providers make before they accept the address.
        """
        # superuser: providers have no user; the secret in the address is their proof
        env = request.env(user=SUPERUSER_ID, su=True)
        gateway = env["member.gateway"].browse(gateway_id)
        rejections = env["member.callback.rejection"]
        size = request.httprequest.content_length or 0
        try:
            adapter = gateway._get_callback_adapter()
            webhook = self._get_webhook(
                adapter.config.callback_url, secret, with_body=size <= MAX_BODY
            )
            # a body in chunks does not say how long it is
            size = max(size, len(webhook.body))
            if size > MAX_BODY:
                # the signature is about a body nobody has read
                adapter.verify_secret(webhook)
            else:
                adapter.verify(webhook)
        except (MissingError, SignatureError) as error:
            _logger.info("callback for gateway %s refused: %s", gateway_id, error)
            reason = "secret" if isinstance(error, SecretError) else "signature"
            rejections._count_now(gateway_id, reason)
            return request.make_response("", status=403)
        if size > MAX_BODY:
            # kept without its body: somebody has to see that reports are missing
            refusal = f"{size} > {MAX_BODY} bytes"
            env["member.callback"]._store(gateway, webhook, refusal)
            rejections._count([(gateway_id, "size")])
            return request.make_response("", status=413)
        if webhook.body or (adapter.reads_query and webhook.query):
            env["member.callback"]._store(gateway, webhook)
        status, headers, body = adapter.acknowledge()
        return request.make_response(body, list(headers.items()), status=status)

    def _get_webhook(self, url, secret, with_body):
        http_request = request.httprequest
        query = http_request.query_string.decode("latin-1")
        return WebhookRequest(
            method=http_request.method,
            path_secret=secret,
            headers=dict(http_request.headers),
            body=http_request.get_data() if with_body else b"",
            query=dict(http_request.args),
            # As configured, not as it arrived: what proxies say about themselves is
            # nothing to rely on.
            url=f"{url}?{query}" if query else url,
        )
