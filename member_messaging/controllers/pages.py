import base64
import io

import qrcode
import qrcode.image.svg
from werkzeug.exceptions import NotFound

from odoo.http import Controller, HttpDispatcher, request

#: Bytes; far more than any form of ours has.
MAX_FORM = 64 * 1024
NO_STORE = [("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")]


class PageDispatcher(HttpDispatcher):
    """Forms of strangers, whatever they call their fields: Odoo hands fields over as
    keywords, and one called as a parameter of Python's own would be an error of ours.
    """

    routing_type = "member_messaging_page"

    def dispatch(self, endpoint, args):
        form = self.request.get_http_params()
        form.pop("self", None)
        self.request.params = {**form, **args}
        return self.request.registry["ir.http"]._dispatch(endpoint)


class PublicPage(Controller):
    """Pages for people without a user: nothing of them is cached or indexed."""

    @staticmethod
    def _get_lang(company):
        """The first of the visitor's and the company's languages that is installed."""
        installed = dict(request.env["res.lang"].get_installed())
        wanted = (request.best_lang, company.partner_id.lang, *installed)
        return next(lang for lang in wanted if lang in installed)

    def _not_found(self):
        """:returns: an error to raise: a page in the visitor's language, or that of the
        first company, the same whatever was asked for
        """
        companies = request.env["res.company"]
        # sudo: the visitor has no user, and sees nothing but the language
        lang = self._get_lang(companies.sudo().search([], limit=1))
        page = self._render_page(
            "member_messaging.landing_missing", lang, {"company": companies}
        )
        page.status_code = 404
        return NotFound(response=page)

    @staticmethod
    def _render_page(template, lang, values):
        """:param str lang: language of the page, such as zh_CN"""
        pages = (
            request.env["ir.qweb"]
            # sudo: a page template is no secret, and the visitor has no user
            .sudo()
            .with_context(lang=lang)
        )
        html_lang = (lang or "en_US").replace("_", "-")
        return request.make_response(
            pages._render(template, {**values, "html_lang": html_lang}), NO_STORE
        )


def make_qr_code(text):
    """:returns: the text as a QR code, a data URL of an SVG picture"""
    buffer = io.BytesIO()
    qrcode.make(
        text, image_factory=qrcode.image.svg.SvgPathImage, box_size=20, border=2
    ).save(buffer)
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
