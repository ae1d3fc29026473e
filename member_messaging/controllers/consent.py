import re
from hashlib import sha256

from odoo import fields
from odoo.http import Controller, content_disposition, request, route


class ConsentController(Controller):
    """The consent ledger as a file, to show to the member or an authority."""

    @route("/member_messaging/consents", type="http", auth="user")
    def export(self, profile_id=None):
        """The chains of one member, or of all members of the current company.

        :param str profile_id: id of the member; staff may export one, managers all
        """
        if profile_id and not re.fullmatch("[0-9]{1,9}", profile_id):
            raise request.not_found()
        profile = request.env["member.profile"].browse(int(profile_id or 0)).exists()
        if profile_id:
            is_allowed = profile and profile.has_access("read")
        else:
            is_allowed = request.env.user.has_group(
                "member_messaging.group_member_messaging_manager"
            )
        if not is_allowed:
            raise request.not_found()
        # sudo: asked above; a chain is of use as a whole only
        ledger = request.env["member.consent"].sudo()
        content = ledger._export_ledger(request.env.company, profile)
        request.env["member.privacy.log"]._note(
            "consents",
            reference=profile.number or request.env.company.name,
            file_hash=sha256(content).hexdigest(),
        )
        return request.make_response(
            content,
            [
                ("Content-Type", "text/csv; charset=utf-8"),
                (
                    "Content-Disposition",
                    content_disposition(
                        request.env._(
                            "consents %(whose)s %(date)s.csv",
                            whose=profile.number or request.env.company.name,
                            date=fields.Date.today(),
                        )
                    ),
                ),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
