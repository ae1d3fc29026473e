"""Every address that anybody may call, called in every wrong way.

No error of ours, no change by looking, and no hint of what exists. What one finds with
odd tokens and form values is in ``test_preference``.
"""

import json
import random
from urllib.parse import urlsplit

from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_join import JoinCommon

LARGE = 10 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"
#: A visit is what looking at a link leaves.
VISITS = ("member_event", "member_message")
TABLES = (
    *VISITS,
    *("loyalty_card", "member_callback", "member_complaint", "member_consent"),
    *("member_gateway", "member_import", "member_inbound", "member_join"),
    *("member_profile", "member_service_message", "member_suppression"),
    *("phone_blacklist", "res_company", "res_partner", "res_users"),
)


@tagged("post_install", "-at_install")
class TestEntrances(JoinCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.generic = cls.env["member.gateway"].create(
            {
                "name": "Generic",
                "provider": "generic",
                "generic_url": "https://sms.example.com/",
                "generic_inbound_number": "from",
                "generic_inbound_text": "text",
                "generic_report_ref": "id",
                "generic_report_status": "status",
                "generic_delivered_words": "ok",
                "generic_answer": '{"code": 0}',
            }
        )

    def setUp(self):
        super().setUp()
        self.chance = random.Random(7)
        self.message = self.make_sent(self.make_members(1))
        self.link = f"/m/{self.message.token}"
        self.callback = urlsplit(self.generic.report_url).path

    def get_paths(self):
        """:returns: an address of each page and entrance, all good"""
        self.join(agree="1")
        return [
            *(f"{self.link}{page}" for page in ("", "/offer", "/stop", "/preferences")),
            *(self.path, f"{self.path}/poster", self.get_link()),
            self.callback,
            "/member_messaging/consents",
            "/member_messaging/import/sample",
            "/member_messaging/import/1/rejected",
        ]

    def fetch(self, path, method="GET", **values):
        """:returns: the response, which is no error of ours"""
        response = self.opener.request(
            method, self.base_url() + path, timeout=60, allow_redirects=False, **values
        )
        self.assertLess(response.status_code, 500, (method, path))
        self.env.invalidate_all()
        return response

    def take_picture(self, without=()):
        """:returns: table → number of rows and a hash of what they hold"""
        self.env.flush_all()
        picture = {}
        for table in set(TABLES) - set(without):
            self.env.cr.execute(
                "SELECT COUNT(*), md5(string_agg(t::text, '' ORDER BY t.id))"
                f" FROM {table} t"
            )
            picture[table] = self.env.cr.fetchone()
        return picture

    # ------------------------------------------------------------------- methods

    @mute_logger("odoo.http")
    def test_methods(self):
        """Only POST does anything; a link that is followed leaves a visit."""
        paths = self.get_paths()
        before = self.take_picture(VISITS)
        for path in paths:
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "BREW"):
                with self.subTest(path=path, method=method):
                    response = self.fetch(path, method)
                    if method not in ("GET", "HEAD", "OPTIONS"):
                        # who has to log in is told so
                        self.assertIn(response.status_code, (303, 400, 404, 405, 501))
        self.assertEqual(self.take_picture(VISITS), before)
        self.assertEqual(set(self.message.event_ids.mapped("type")), {"clicked"})

    def test_looking_with_everything_in_the_address(self):
        """What a form posts changes nothing in an address."""
        query = "&".join(
            f"{name}={value}"
            for name, value in {
                **self.read_form(),
                "name": "Eve",
                "phone": "13912345678",
                "agree": "1",
                "choice": self.message._sign_choice("sms", "promotion", "refused"),
                "csrf_token": "x",
                "_method": "POST",
            }.items()
        )
        paths = self.get_paths()
        before = self.take_picture((*VISITS, "member_callback"))
        for path in paths:
            for method in ("GET", "HEAD"):
                headers = {"X-HTTP-Method-Override": "POST"}
                self.fetch(f"{path}?{query}", method, headers=headers)
        self.assertEqual(self.take_picture((*VISITS, "member_callback")), before)

    # ---------------------------------------------------------------- parameters

    def make_forms(self, form):
        """:returns: odd forms that are nobody's wish"""
        names = (*form, "choice", "birthday", "agree")
        return [
            {},
            *({**form, name: ["", "x"]} for name in names),
            *({f"{name}[]": "x", f"{name}[0]": "y"} for name in names),
            {name: "\0" for name in names},
            {name: "Ｆ\u200b\u202e\ufffe🍵" for name in names},
            {name: "A" * 100_000 for name in names},
            {f"name{index}": "x" for index in range(900)},
            {"self": "1", "key": "2", "token": "3", "context": "{}", "": "4"},
        ]

    @mute_logger("odoo.http")
    def test_parameters(self):
        form = {"form": self.read_form()["form"], "name": "Li", "phone": "1"}
        before = self.take_picture()
        for path in (self.path, f"{self.link}/preferences"):
            for data in self.make_forms(form):
                with self.subTest(path=path, data=str(data)[:80]):
                    self.fetch(path, "POST", data=data)
        self.assertEqual(self.take_picture(), before)

    @mute_logger("odoo.http")
    def test_files_for_texts(self):
        before = self.take_picture()
        for path in (self.path, f"{self.link}/preferences"):
            for name in ("form", "name", "phone", "birthday", "agree", "choice"):
                with self.subTest(path=path, name=name):
                    self.fetch(path, "POST", files={name: ("x", b"\x00\xff")})
        self.assertEqual(self.take_picture(), before)

    @mute_logger("odoo.http")
    def test_charsets(self):
        before = self.take_picture()
        for charset in (
            "utf-16",
            "utf-7",
            "idna",
            "nonsense",
            "rot13",
            "\\0",
            "a" * 99,
        ):
            for path in (self.path, f"{self.link}/preferences"):
                for kind in (FORM, "multipart/form-data; boundary=é", "text/html"):
                    with self.subTest(path=path, charset=charset, kind=kind):
                        self.fetch(
                            path,
                            "POST",
                            data="name=李&choice=é".encode("gbk", "replace"),
                            headers={
                                "Content-Type": f"{kind}; charset={charset}".encode()
                            },
                        )
        self.assertEqual(self.take_picture(), before)

    @mute_logger("odoo.http")
    def test_large_bodies(self):
        before = self.take_picture(["member_callback"])
        for kind in (FORM, "application/json", "text/plain"):
            for path in (self.path, f"{self.link}/preferences", "/m/unknown12345/stop"):
                with self.subTest(path=path, kind=kind):
                    self.fetch(
                        path,
                        "POST",
                        data=b"choice=" + b"x" * LARGE,
                        headers={"Content-Type": kind},
                    )
        response = self.fetch(self.callback, "POST", data=b"x" * LARGE)
        self.assertEqual(response.status_code, 413)
        callback = self.env["member.callback"].search([])
        self.assertRecordValues(callback, [{"body": False, "state": "unreadable"}])
        self.assertEqual(self.take_picture(["member_callback"]), before)

    @mute_logger("odoo.http")
    def test_headers(self):
        paths = self.get_paths()
        before = self.take_picture(VISITS)
        for headers in (
            {"Accept-Language": ";;q=x,*, zh_CN;q=9,../.."},
            {"Accept-Language": "x" * 5000},
            {"Cookie": "session_id=../../etc/passwd; frontend_lang=xx_YY; tz=Mars"},
            {"Cookie": "session_id=\x7f;;;=;"},
            {"User-Agent": ""},
            {"User-Agent": "é" * 2000},
            {"Range": "bytes=-1", "If-None-Match": "*", "Expect": "x"},
            {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-For": "'; DROP"},
            {"Referer": "javascript:alert(1)", "Origin": "null"},
        ):
            for path in paths:
                with self.subTest(path=path, headers=headers):
                    raw = {name: text.encode() for name, text in headers.items()}
                    response = self.fetch(path, headers=raw)
                    self.assertNotIn("evil.example.com", response.text)
        self.assertEqual(self.take_picture(VISITS), before)

    # --------------------------------------------------------------------- hints

    def assert_alike(self, *paths, method="GET", **values):
        """Answers differ in nothing but what was asked for, and the time."""
        answers = []
        for path in paths:
            response = self.fetch(path, method, **values)
            text = response.text
            for part in path.split("/"):
                text = text.replace(part, "…") if len(part) > 3 else text
            headers = {
                name: value
                for name, value in response.headers.items()
                if name not in ("Date", "Set-Cookie", "Content-Length")
            }
            answers.append((response.status_code, text, headers))
        self.assertEqual(len(answers), len(paths))
        for answer in answers[1:]:
            self.assertEqual(answer, answers[0])

    def test_foreign_and_unknown_look_the_same(self):
        other, _stranger = self.make_other_company()
        self.gateway.copy({"company_id": other.id})
        other.member_has_join_page = True
        self.join(agree="1")
        token = self.get_link().rsplit("/", 1)[1]
        key = other.member_join_key
        unknown = "x" * len(token)
        for page in ("", "/offer", "/stop", "/preferences"):
            self.assert_alike(f"/m/{unknown[:11]}{page}", f"/m/{token[:11]}{page}")
        for method in ("GET", "POST"):
            self.assert_alike(
                f"/member/join/{key}/{token}",
                f"/member/join/{key}/{unknown}",
                f"/member/join/{'y' * len(key)}/{token}",
                method=method,
            )
        other.member_has_join_page = False
        for method in ("GET", "POST"):
            self.assert_alike(
                f"/member/join/{key}", f"/member/join/{'y' * len(key)}", method=method
            )

    def test_callback_of_whom(self):
        self.assert_alike(
            f"/member_messaging/callback/{self.generic.id}/{'x' * 32}",
            f"/member_messaging/callback/{self.gateway.id}/{'x' * 32}",
            f"/member_messaging/callback/{self.generic.id + 10**6}/{'x' * 32}",
            f"/member_messaging/callback/{self.gateway.id}/"
            + self.generic.callback_secret,
            method="POST",
            data=b"{}",
        )

    def test_members_and_strangers_get_the_same_answer(self):
        """Who asks to join with a number learns not whether it is a member's."""
        known = self.message.address
        pages = {
            self.join(phone=number, agree="1").text for number in (known, "139111")
        }
        self.assertEqual(len(pages), 2, "no number at all is told so")
        pages = {
            self.join(phone=number, agree="1").text for number in (known, "13911112222")
        }
        self.assertEqual(len(pages), 1)

    def test_downloads_of_others(self):
        _other, stranger = self.make_other_company()
        self.message.partner_id.company_id = self.company
        job = self.env["member.import"].create(
            {"name": "a.csv", "consent_source": "none"}
        )
        self.authenticate(stranger.login, stranger.login)
        for path, mine, none in (
            ("/member_messaging/import/{}/rejected", job.id, job.id + 10**6),
            (
                "/member_messaging/consents?profile_id={}",
                self.message.profile_id.id,
                self.message.profile_id.id + 10**6,
            ),
        ):
            self.assert_alike(path.format(mine), path.format(none))

    # -------------------------------------------------------------------- replay

    def test_replayed(self):
        """What was done once is not done again."""
        choice = self.message._sign_choice("sms", "promotion", "refused")
        self.join(agree="1")
        link = self.get_link()
        requests = [
            (f"{self.link}/preferences", {"choice": choice}),
            (f"{self.link}/stop", {}),
            (link, {}),
        ]
        for path, data in requests:
            self.assertEqual(self.fetch(path, "POST", data=data).status_code, 200)
        before = self.take_picture()
        for path, data in requests * 2:
            self.assertEqual(self.fetch(path, "POST", data=data).status_code, 200)
        self.assertEqual(self.take_picture(), before)

    # ------------------------------------------------------------------ webhooks

    def make_bodies(self):
        """:returns: what no provider posts"""
        pieces = (
            *('{"from":"+8613800000000","text":"\\ud800 TD"}', "[[[[", "]}", "null"),
            *('{"id":"\\u0000","status":"ok"}', '"', "1e999", "-0", "NaN", "\ufeff"),
            *('{"id":{"id":[]},"status":[1]}', '{"from":"' + "9" * 5000 + '"}'),
            *('{"id":' + "9" * 5000 + "}", "\0", "é", '{"from":"+1","text":"\\udc00"}'),
            *("id=1&status=ok&id=2", "from=%ff&text=%00", "\\u0000", "🍵", ","),
        )
        yield from (piece.encode() for piece in pieces)
        yield b"[" * 100_000
        yield b'{"a":' * 20_000
        yield bytes(range(256))
        yield '{"from": "+8613800000000", "text": "退订"}'.encode("utf-16")
        for _try in range(60):
            yield "".join(self.chance.choices(pieces, k=4)).encode()
        for _try in range(20):
            yield self.chance.randbytes(200)

    @mute_logger(
        "odoo.addons.member_messaging.gateways.reading",
        "odoo.addons.member_messaging.gateways.generic",
    )
    def test_bodies_of_webhooks(self):
        """A callback that cannot be read is unreadable and disturbs no other."""
        aliyun = self.make_aliyun_gateway()
        good = {"from": self.message.address, "text": "TD"}
        for kind in (FORM, "application/json", "application/json; charset=gbk", ""):
            for body in self.make_bodies():
                for path in (self.callback, urlsplit(aliyun.report_url).path):
                    self.fetch(path, "POST", data=body, headers={"Content-Type": kind})
        self.fetch(self.callback, "POST", data=json.dumps(good))
        self.run_cron("apply")
        callbacks = self.env["member.callback"].search([])
        self.assertGreater(len(callbacks), 500)
        self.assertFalse(
            callbacks.filtered(lambda c: c.state == "new" and not c.waiting)
        )
        self.assertEqual(
            self.message.profile_id.consent_ids.mapped("state"), ["refused", "granted"]
        )
