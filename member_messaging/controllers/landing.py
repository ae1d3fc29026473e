import base64
import io

import qrcode
import qrcode.image.svg

from odoo import fields
from odoo.http import Controller, request, route
from odoo.tools import format_date

from ..tools.links import is_bot

NO_STORE = [("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")]


class LandingController(Controller):
    """Public pages behind the short link of a message.

    They show nothing personal beyond what the message itself said.
    """

    @route(
        "/m/<string:token>",
        type="http",
        auth="public",
        methods=["GET", "HEAD"],
        save_session=False,
    )
    def follow(self, token):
        """Record the visit and go on to the offer."""
        message = self._find_message(token)
        message._record_visit(self._is_machine())
        response = request.redirect(f"/m/{token}/offer", code=302)
        response.headers.extend(NO_STORE)
        return response

    @route(
        "/m/<string:token>/offer",
        type="http",
        auth="public",
        methods=["GET"],
        save_session=False,
    )
    def offer(self, token):
        message = self._find_message(token)
        return self._render("member_messaging.landing_offer", message)

    @route(
        "/m/<string:token>/stop",
        type="http",
        auth="public",
        methods=["GET", "POST"],
        csrf=False,
        save_session=False,
    )
    def stop(self, token):
        """GET asks, POST acts: link scanners must not unsubscribe anybody."""
        message = self._find_message(token)
        if request.httprequest.method == "POST":
            message._unsubscribe()
            return self._render("member_messaging.landing_stopped", message)
        return self._render("member_messaging.landing_stop", message)

    @staticmethod
    def _is_machine():
        http_request = request.httprequest
        return is_bot(
            http_request.headers.get("User-Agent"),
            http_request.method,
            http_request.headers,
        )

    @staticmethod
    def _find_message(token):
        # sudo: the visitor has no user; the token in the link is the proof
        message = request.env["member.message"].sudo()._find_by_token(token)
        if not message:
            raise request.not_found()
        return message

    def _render(self, template, message):
        lang = message.variant_id.template_id.lang
        message = message.with_context(lang=lang)
        response = request.make_response(
            request.env["ir.qweb"]
            # sudo: a page template is no secret, and the visitor has no user
            .sudo()
            .with_context(lang=lang)
            ._render(template, self._get_values(message)),
            NO_STORE,
        )
        return response

    @staticmethod
    def _get_values(message):
        card = message.card_id
        lang = message.env.context["lang"]
        return {
            "message": message,
            "html_lang": (lang or "en_US").replace("_", "-"),
            "company": message.company_id,
            "program": message.campaign_id.program_id,
            "card": card,
            "qr_code": card and _make_qr_code(card.code),
            "status": message._get_coupon_status(),
            "expiry": card.expiration_date
            and format_date(message.env, card.expiration_date, lang_code=lang),
            "days_left": card.expiration_date
            and (card.expiration_date - fields.Date.context_today(message)).days,
        }


def _make_qr_code(text):
    """:returns: the text as a QR code, a data URL of an SVG picture"""
    buffer = io.BytesIO()
    qrcode.make(
        text, image_factory=qrcode.image.svg.SvgPathImage, box_size=20, border=2
    ).save(buffer)
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
