import re
from datetime import date

from odoo.http import request, route

from ..signed import read_signed, sign
from .pages import MAX_FORM, PageDispatcher, PublicPage, make_qr_code

SCOPE = "member_messaging.join"
#: Hours for which an opened form can be sent.
FORM_HOURS = 12
MAX_NAME = 100
KEY = re.compile(r"[0-9A-Za-z]{1,64}")
#: Characters that no name has: controls, and those that turn the writing around.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class JoinController(PublicPage):
    """The page on which customers become members, for the code in the shop window.

    It answers the same to everybody, whether the number is a member's or not.
    """

    @route(
        "/member/join/<string:key>",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET", "POST"],
        max_content_length=MAX_FORM,
        csrf=False,
        save_session=False,
    )
    def join(self, key, **form):
        """GET shows the form, POST sends a link to the number; nothing else happens."""
        company = self._find_company(key)
        if request.httprequest.method != "POST":
            return self._show_form(company)
        if form.get("website"):
            # no person sees this field
            return self._render_join("join_sent", company)
        wording = self._read_wording(company, form.get("form"))
        values, error = self._read_form(company, form)
        if wording is None:
            error = request.env._(
                "The page was open for too long. Please check and send it again."
            )
        if error:
            return self._show_form(company, form, error)
        # sudo: the visitor has no user; what may be done is in the method
        request.env["member.join"].sudo()._request(
            company,
            request.httprequest.remote_addr,
            {**values, "wording": wording, "lang": company.env.context["lang"]},
        )
        return self._render_join("join_sent", company)

    @route(
        "/member/join/<string:key>/<string:token>",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET", "POST"],
        max_content_length=MAX_FORM,
        csrf=False,
        save_session=False,
    )
    def confirm(self, key, token, **_added):
        """GET asks, POST confirms: a preview of the link makes nobody a member."""
        company = self._find_company(key)
        joins = request.env["member.join"].sudo()  # sudo: as above
        join = joins._find(company, token) if KEY.fullmatch(token) else joins
        if not join:
            raise self._not_found()
        company = company.with_context(lang=join.lang)
        if request.httprequest.method != "POST":
            return self._render_join("join_confirm", company)
        join.with_context(lang=join.lang)._confirm()
        return self._render_join("join_done", company)

    @route(
        "/member/join/<string:key>/poster",
        type=PageDispatcher.routing_type,
        auth="public",
        methods=["GET"],
        save_session=False,
    )
    def poster(self, key, **_added):
        company = self._find_company(key)
        return self._render_join(
            "join_poster", company, qr_code=make_qr_code(company.member_join_url)
        )

    # ------------------------------------------------------------------------ pages

    def _find_company(self, key):
        # sudo: the visitor has no user; the key is printed in the shop window
        companies = request.env["res.company"].sudo()
        if KEY.fullmatch(key):
            companies = companies.search([("member_join_key", "=", key)])
        if not companies:
            raise self._not_found()
        lang = self._get_lang(companies)
        request.update_context(lang=lang)
        return companies.with_context(lang=lang)

    def _render_join(self, page, company, **values):
        return self._render_page(
            f"member_messaging.{page}",
            company.env.context["lang"],
            {"company": company, **values},
        )

    def _show_form(self, company, form=None, error=None):
        wording = company._get_consent_wording()
        return self._render_join(
            "join_form",
            company,
            wording=wording,
            # what is stored is what was shown, whatever becomes of the setting
            signed=sign(request.env, SCOPE, [company.id, wording], FORM_HOURS),
            error=error,
            # the box is never ticked by the page, not even again
            typed={
                name: value
                for name, value in (form or {}).items()
                if name in ("name", "phone", "birthday") and isinstance(value, str)
            },
        )

    # ------------------------------------------------------------------------- form

    @staticmethod
    def _read_wording(company, signed):
        values = read_signed(request.env, SCOPE, signed)
        return values[1] if values and values[0] == company.id else None

    def _read_form(self, company, form):
        """:returns: values of a request, and None or what is wrong with them"""
        texts = {
            name: UNSEEN.sub("", value).strip() if isinstance(value, str) else ""
            for name, value in form.items()
        }
        values = {
            "name": texts.get("name", "")[:MAX_NAME],
            "phone": company._phone_format(
                number=texts.get("phone", "")[:32], country=company.country_id
            ),
            "birthday": self._read_date(texts.get("birthday")),
            "is_agreed": bool(texts.get("agree")),
        }
        return values, self._find_error(values)

    @staticmethod
    def _read_date(text):
        """:returns: a date, False if there is none, None if it cannot be one"""
        if not text:
            return False
        try:
            birthday = date.fromisoformat(text)
        except ValueError:
            return None
        return birthday if date(1900, 1, 1) <= birthday <= date.today() else None

    @staticmethod
    def _find_error(values):
        if not values["name"]:
            return request.env._("Please enter your name.")
        if not values["phone"]:
            return request.env._(
                "This is no valid mobile number. Please check the digits; begin with + "
                "and the country's code if it is a foreign one."
            )
        if values["birthday"] is None:
            return request.env._("This cannot be a birthday.")
        if values["is_agreed"] and request.env["member.join"]._is_child(
            values["birthday"]
        ):
            return request.env._(
                "Offers are for people of 14 years and older. Leave the box empty to "
                "join without them."
            )
        return None
