from odoo.http import Controller, request, route

from ..gateways.errors import SignatureError
from ..gateways.types import WebhookRequest

#: Bytes; no provider comes near it.
MAX_BODY = 1024 * 1024


class CallbackController(Controller):
    @route(
        "/member_messaging/callback/<int:gateway_id>/<string:secret>",
        type="http",
        auth="public",
        methods=["GET", "POST"],
        csrf=False,
        save_session=False,
    )
    def callback(self, gateway_id, secret, **query):
        """Keep what a provider posts and acknowledge it at once.

        A wrong secret, an unknown gateway and a forged signature look the same from
        outside. GET is the probe some providers make before they accept the address.
        """
        # sudo: providers have no user; the secret in the address is their proof
        gateway = request.env["member.gateway"].sudo().browse(gateway_id).exists()
        if not gateway:
            raise request.not_found()
        http_request = request.httprequest
        if (http_request.content_length or 0) > MAX_BODY:
            return request.make_response("", status=413)
        webhook = WebhookRequest(
            method=http_request.method,
            path_secret=secret,
            headers=dict(http_request.headers),
            body=http_request.get_data(),
            query=dict(http_request.args),
        )
        adapter = gateway._get_adapter()
        try:
            adapter.verify(webhook)
        except SignatureError:
            raise request.not_found() from None
        if webhook.body:
            request.env["member.callback"].sudo()._store(gateway, webhook)
        status, headers, body = adapter.acknowledge()
        return request.make_response(body, list(headers.items()), status=status)
