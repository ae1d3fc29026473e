from odoo.http import Controller, content_disposition, request, route

from ..tools.columns import SAMPLES
from ..tools.table import write_csv


class MemberImportController(Controller):
    """Files around the import of member lists."""

    @route("/member_messaging/import/sample", type="http", auth="user")
    def download_sample(self):
        """A small list, in the language of the user if there is one."""
        language = (request.env.user.lang or "")[:2]
        return self._make_response(
            write_csv(SAMPLES.get(language, SAMPLES["en"])),
            request.env._("members.csv"),
        )

    @route(
        "/member_messaging/import/<int:import_id>/rejected", type="http", auth="user"
    )
    def download_rejected(self, import_id):
        """The rejected rows of an import, to be corrected and imported again."""
        job = request.env["member.import"].browse(import_id).exists()
        if not job or not job.has_access("read"):
            raise request.not_found()
        return self._make_response(
            job._get_rejected_csv(),
            request.env._("rejected %s.csv", (job.name or "").rsplit(".", 1)[0]),
        )

    def _make_response(self, content, name):
        return request.make_response(
            content,
            [
                ("Content-Type", "text/csv; charset=utf-8"),
                ("Content-Disposition", content_disposition(name)),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
