from odoo import fields
from odoo.http import request, route
from odoo.tools import format_date

from ..tools.links import is_bot
from .pages import MAX_FORM, NO_STORE, PageDispatcher, PublicPage, make_qr_code


class LandingController(PublicPage):
    """Public pages behind the short link of a message.

    They show nothing personal beyond what the message itself said. Messengers add
    parameters of their own to links; they are not read.
    """

    @route(
        "/m/<string:token>",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET", "HEAD"],
        save_session=False,
    )
    def follow(self, token, **_added):
        """Record the visit and go on to the offer."""
        message = self._find_message(token)
        message._record_visit(self._is_machine())
        response = request.redirect(f"/m/{token}/offer", code=302)
        response.headers.extend(NO_STORE)
        return response

    @route(
        "/m/<string:token>/offer",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET"],
        save_session=False,
    )
    def offer(self, token, **_added):
        message = self._find_message(token)
        return self._render("member_messaging.landing_offer", message)

    @route(
        "/m/<string:token>/stop",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET", "POST"],
        max_content_length=MAX_FORM,
        csrf=False,
        save_session=False,
    )
    def stop(self, token, **_added):
        """GET asks, POST acts: link scanners must not unsubscribe anybody."""
        message = self._find_message(token)
        if request.httprequest.method == "POST":
            message._unsubscribe()
            return self._render("member_messaging.landing_stopped", message)
        return self._render("member_messaging.landing_stop", message)

    @route(
        "/m/<string:token>/preferences",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET", "POST"],
        max_content_length=MAX_FORM,
        csrf=False,
        save_session=False,
    )
    def preferences(self, token, choice=None, **_added):
        """GET shows, POST acts.

        :param str choice: what the pressed button stands for, signed
        """
        message = self._find_message(token)
        chosen = None
        if request.httprequest.method == "POST":
            chosen = message._read_choice(choice)
            if chosen:
                message._choose(*chosen)
        return self._render(
            "member_messaging.landing_preferences",
            message,
            chosen=chosen,
            is_outdated=request.httprequest.method == "POST" and not chosen,
        )

    @staticmethod
    def _is_machine():
        http_request = request.httprequest
        return is_bot(
            http_request.headers.get("User-Agent"),
            http_request.method,
            http_request.headers,
        )

    def _find_message(self, token):
        # sudo: the visitor has no user; the token in the link is the proof
        message = request.env["member.message"].sudo()._find_by_token(token)
        if not message:
            raise self._not_found()
        return message

    def _render(self, template, message, **values):
        lang = message.variant_id.template_id.lang
        message = message.with_context(lang=lang)
        return self._render_page(
            template, lang, {**self._get_values(message), **values}
        )

    @staticmethod
    def _get_values(message):
        card = message.card_id
        lang = message.env.context["lang"]
        return {
            "message": message,
            "company": message.company_id,
            "program": message.campaign_id.program_id,
            "card": card,
            "qr_code": card and make_qr_code(card.code),
            "status": message._get_coupon_status(),
            "expiry": card.expiration_date
            and format_date(message.env, card.expiration_date, lang_code=lang),
            "days_left": card.expiration_date
            and (card.expiration_date - fields.Date.context_today(message)).days,
        }
