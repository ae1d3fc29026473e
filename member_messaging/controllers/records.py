import hashlib
import io
import tempfile
import zipfile

from werkzeug.wsgi import wrap_file

from odoo import fields
from odoo.http import Controller, Response, content_disposition, request, route

from ..tools.table import write_rows

MANAGER = "member_messaging.group_member_messaging_manager"
#: In an address: a number the database can hold.
ID = "int(max=2147483647)"
#: Files with more rows are packed.
ZIP_ROWS = 20_000
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_CHUNK = 2**20


class RecordController(Controller):
    """Members' data as files that leave the database. Each is noted with its hash."""

    @route(f"/member_messaging/records/<{ID}:export_id>", type="http", auth="user")
    def download_records(self, export_id):
        """What the dialog for authorities was told to export, row by row to the disk:
        any number of rows takes as much memory as a few."""
        export = request.env["member.message.export"].browse(export_id).exists()
        # sudo: to a stranger it is to look as if there were none
        if not self._is_manager() or export.sudo().create_uid != request.env.user:
            raise request.not_found()
        name = request.env._("messages %s", fields.Date.today())
        with tempfile.TemporaryFile() as table:
            text = io.TextIOWrapper(table, "utf-8-sig", newline="")
            count = write_rows(text, export._iterate_rows()) - 1
            text.detach()
            kind = "zip" if count > ZIP_ROWS else "csv"
            file = self._pack(table, f"{name}.csv", is_zip=kind == "zip")
        self._note(
            file,
            f"{name}.{kind}",
            kind="export",
            company_id=export.company_id.id,
            reference=export._describe(),
            reason=export.reason,
            row_count=count,
        )
        return self._send(file, f"{name}.{kind}", kind)

    @route(f"/member_messaging/member/<{ID}:profile_id>/copy", type="http", auth="user")
    def download_copy(self, profile_id):
        """Everything that is kept about one member, for the member."""
        profile = request.env["member.profile"].browse(profile_id).exists()
        if not self._is_manager() or not profile or not profile.has_access("read"):
            raise request.not_found()
        name = request.env._(
            "data of %(number)s %(date)s.xlsx",
            number=profile.number,
            date=fields.Date.today(),
        )
        # sudo: asked above; a copy has to be whole
        content, count = profile.sudo()._make_copy()
        file = io.BytesIO(content)
        self._note(file, name, kind="access", reference=profile.number, row_count=count)
        return self._send(file, name, "xlsx")

    def _is_manager(self):
        return request.env.user.has_group(MANAGER)

    def _pack(self, table, name, is_zip):
        """:returns: an open file with the table, packed if there is much of it"""
        file = tempfile.TemporaryFile()
        table.seek(0)
        if is_zip:
            with (
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package,
                package.open(name, "w") as target,
            ):
                self._copy(table, target)
        else:
            self._copy(table, file)
        return file

    @staticmethod
    def _copy(source, target):
        while chunk := source.read(_CHUNK):
            target.write(chunk)

    @staticmethod
    def _note(file, name, **values):
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        request.env["member.privacy.log"]._note(
            values.pop("kind"), file_name=name, file_hash=digest, **values
        )

    @staticmethod
    def _send(file, name, kind):
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return Response(
            wrap_file(request.httprequest.environ, file, _CHUNK),
            headers=[
                ("Content-Type", TYPES[kind]),
                ("Content-Length", str(size)),
                ("Content-Disposition", content_disposition(name)),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ],
            direct_passthrough=True,
        )
