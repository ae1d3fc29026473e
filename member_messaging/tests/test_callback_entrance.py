import logging
from urllib.parse import urlencode, urlsplit

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..controllers.callback import MAX_BODY
from ..gateways import twilio
from .common import MemberMessagingCommon

STATUS = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+13105551234"}
JSON = {"Content-Type": "application/json"}


@tagged("post_install", "-at_install")
class TestCallbackEntrance(MemberMessagingCommon, HttpCase):
    """Who gets in, how others are turned away, and what is left of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # behind a proxy: what Twilio calls is not what arrives here
        cls.env["ir.config_parameter"].set_param(
            "web.base.url", "https://shop.example.com"
        )
        create = cls.env["member.gateway"].create
        cls.twilio = create(
            {
                "name": "Twilio",
                "provider": "twilio",
                "api_key": "AC1",
                "api_secret": "token",
                "twilio_sender": "+15005550006",
            }
        )
        cls.generic = create(
            {
                "name": "Generic",
                "provider": "generic",
                "generic_url": "https://sms.example.com/",
                "generic_inbound_number": "from",
                "generic_inbound_text": "text",
                "generic_answer": '{"code": 0}',
            }
        )
        cls.aliyun = cls.make_aliyun_gateway()

    def post(self, gateway, data=b"", query="", secret=None, headers=None):
        """Post raw bytes, or a form."""
        path = urlsplit(gateway.report_url).path
        if secret:
            path = path.replace(gateway.callback_secret, secret)
        body = data if isinstance(data, bytes) else urlencode(data).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.url_open(
            f"{path}?{query}" if query else path,
            data=body,
            headers=kind | (headers or {}),
            method="POST",
        )

    def sign(self, fields, query=""):
        url = self.twilio.report_url + (f"?{query}" if query else "")
        signature = twilio.sign("token", url, fields.items())
        return {"X-Twilio-Signature": signature}

    def get_callbacks(self):
        return self.env["member.callback"].search([])

    def get_rejections(self):
        rejections = self.env["member.callback.rejection"].search([], order="reason")
        rejections.invalidate_recordset()
        return [(r.gateway_id.name, r.reason, r.count) for r in rejections]

    # -------------------------------------------------------------------- twilio

    def test_signed_form(self):
        response = self.post(
            self.twilio, STATUS, "ref=n1", headers=self.sign(STATUS, "ref=n1")
        )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.content, b"<Response/>")
        self.assertEqual(response.headers["Content-Type"], "text/xml; charset=utf-8")
        self.assertRecordValues(
            self.get_callbacks(), [{"query": {"ref": "n1"}, "state": "new"}]
        )

    def test_form_is_kept_as_it_came(self):
        """In its order and its own way to encode; Odoo's reading would change both."""
        body = b"b=2&a=%e4%BD%A0+x&MessageSid=SM1&b=1&empty="
        fields = [
            ("b", "2"),
            ("a", "你 x"),
            ("MessageSid", "SM1"),
            ("b", "1"),
            ("empty", ""),
        ]
        signature = twilio.sign("token", self.twilio.report_url, fields)
        response = self.post(
            self.twilio, body, headers={"X-Twilio-Signature": signature}
        )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(self.get_callbacks().body, body.decode())

    def test_forged_signature(self):
        headers = self.sign(STATUS)
        for case, arguments in {
            "other field": {"data": {**STATUS, "MessageStatus": "failed"}},
            "other query": {"data": STATUS, "query": "ref=n2"},
            "none": {"data": STATUS, "headers": {}},
            "by the address that arrived": {
                "data": STATUS,
                "headers": {
                    "X-Forwarded-Host": "evil.example.com",
                    "X-Twilio-Signature": twilio.sign(
                        "token",
                        self.base_url() + urlsplit(self.twilio.report_url).path,
                        STATUS.items(),
                    ),
                },
            },
        }.items():
            with self.subTest(case=case):
                response = self.post(self.twilio, **{"headers": headers, **arguments})
                self.assertEqual((response.status_code, response.text), (403, ""))
        self.assertFalse(self.get_callbacks())
        self.assertEqual(self.get_rejections(), [("Twilio", "signature", 4)])
        self.assertEqual(
            self.post(self.twilio, STATUS, headers=headers).status_code, 200
        )

    def test_us_4_refusal_in_plain_words(self):
        """It ends promotions, is confirmed once, and nobody has to read it."""
        member = self.make_members(1)
        number = member.partner_id.phone_sanitized
        texts = ("please take me off your list", "stop texting me already")
        for index, text in enumerate(texts):
            reply = {
                "MessageSid": f"SM{index}",
                "From": number,
                "To": "+15005550006",
                "Body": text,
            }
            response = self.post(self.twilio, reply, headers=self.sign(reply))
            self.assertEqual(response.status_code, 200)
        self.run_cron("apply")
        self.assertEqual(
            member.consent_ids.sorted("id").mapped("state"), ["granted", "refused"]
        )
        inbox = self.env["member.inbound"].search([("address", "=", number)])
        self.assertEqual(inbox.mapped("is_handled"), [True, True])
        answers = self.env["member.service.message"].search([("address", "=", number)])
        self.assertEqual(
            answers.mapped("body"),
            [f"You will get no more promotions from {self.company.name}."],
        )

    # ------------------------------------------------------------------- generic

    def test_reply_by_get(self):
        path = urlsplit(self.generic.report_url).path
        response = self.url_open(f"{path}?from=%2B8613800000000&text=%E4%BD%A0")
        self.assertEqual(response.json(), {"code": 0})
        self.run_cron("apply")
        self.assertEqual(self.get_callbacks().state, "done")
        inbound = self.env["member.inbound"].search([("text", "=", "你")])
        self.assertEqual(len(inbound), 1)

    def test_other_charset(self):
        body = '{"from": "+8613800000000", "text": "退订"}'.encode("gbk")
        self.post(
            self.generic,
            body,
            headers={"Content-Type": "application/json; charset=gbk"},
        )
        self.assertIn("退订", self.get_callbacks().body)

    # ----------------------------------------------------------------------- speed

    def test_account_is_read_once(self):
        """Providers report one message a call."""
        self.twilio._get_callback_adapter()
        self.env.invalidate_all()
        self.assertEqual(self.count_queries(self.twilio._get_callback_adapter), 0)

    def test_changed_account_is_read_again(self):
        code = self.env["member.gateway.code"].create(
            {"gateway_id": self.twilio.id, "code": "30007", "outcome": "retry"}
        )
        options = self.twilio._get_callback_adapter().config.options
        self.assertEqual(options["send_outcomes"], {"30007": "retry"})
        code.outcome = "bug"
        options = self.twilio._get_callback_adapter().config.options
        self.assertEqual(options["send_outcomes"], {"30007": "bug"})
        code.unlink()
        options = self.twilio._get_callback_adapter().config.options
        self.assertNotIn("send_outcomes", options)
        self.twilio.twilio_messaging_service = "MG" + "1" * 32
        options = self.twilio._get_callback_adapter().config.options
        self.assertEqual(options["messaging_service"], "MG" + "1" * 32)

        before = self.twilio.callback_secret
        self.twilio.callback_secret = "changed"
        self.assertEqual(self.post(self.twilio, secret=before).status_code, 403)
        config = self.twilio._get_callback_adapter().config
        self.assertEqual(config.callback_secret, "changed")
        self.assertTrue(config.callback_url.endswith("/changed"))
        self.env["ir.config_parameter"].set_param("web.base.url", "https://other.test")
        config = self.twilio._get_callback_adapter().config
        self.assertTrue(config.callback_url.startswith("https://other.test/"))

    # ------------------------------------------------------------------------ log

    def test_log_does_not_tell_the_secret(self):
        # the number: Odoo gives another level the name INFO as well
        with self.assertLogs("werkzeug", logging.INFO) as log:
            self.post(self.aliyun, b"[]", "probe=1", headers=JSON)
            self.post(self.aliyun, b"[]", secret="wrong", headers=JSON)
        lines = [line for line in log.output if "/callback/" in line]
        self.assertEqual(len(lines), 2)
        self.assertIn(f"/callback/{self.aliyun.id}/***?probe=1 HTTP", lines[0])
        self.assertIn(f"/callback/{self.aliyun.id}/*** HTTP", lines[1])

    # ---------------------------------------------------------------- rejections

    def test_rejections_are_counted_and_shown(self):
        for _time in range(3):
            self.post(self.aliyun, b"[]", secret="wrong", headers=JSON)
        self.post(self.aliyun, b" " * (MAX_BODY + 1), headers=JSON)
        self.assertEqual(
            self.get_rejections(), [("Aliyun", "secret", 3), ("Aliyun", "size", 1)]
        )
        gateway = self.aliyun.with_user(self.staff)
        gateway.invalidate_recordset()
        self.assertEqual(gateway.rejection_count, 4)
        self.assertEqual(gateway.rejection_reason, "Too large")
        self.assertFalse(self.twilio.rejection_count)
        action = self.aliyun.with_user(self.manager).action_view_rejections()
        rows = self.env[action["res_model"]].with_user(self.manager)
        self.assertEqual(rows.search_count(action["domain"]), 2)

    def test_size_is_told_to_those_who_know_the_secret(self):
        """Also of a provider that signs: nobody reads the body to check it."""
        body = b"x" * (MAX_BODY + 1)
        self.assertEqual(self.post(self.twilio, body).status_code, 413)
        response = self.post(self.twilio, body, secret="wrong")
        self.assertEqual(response.status_code, 403)
        self.assertEqual(
            self.get_rejections(), [("Twilio", "secret", 1), ("Twilio", "size", 1)]
        )

    def test_unreadable_callbacks_are_counted(self):
        for body in (b"{", b"null", b"[]"):
            self.post(self.aliyun, body, headers=JSON)
        self.run_cron("apply")
        self.assertEqual(self.get_rejections(), [("Aliyun", "unreadable", 2)])

    def test_unknown_gateway_leaves_nothing(self):
        gone = self.aliyun.copy()
        path = urlsplit(gone.report_url).path
        gone.unlink()
        self.assertEqual(self.url_open(path).status_code, 403)
        beyond = self.url_open(f"/member_messaging/callback/{2**40}/secret")
        self.assertEqual(beyond.status_code, 404, "no number the database knows")
        self.assertFalse(self.get_rejections())

    def test_flood_is_one_row(self):
        for index in range(30):
            self.post(self.aliyun, b"[]", secret=f"guess{index}", headers=JSON)
        self.assertEqual(self.get_rejections(), [("Aliyun", "secret", 30)])

    def test_old_counts_are_deleted(self):
        rejections = self.env["member.callback.rejection"]
        rejections._count([(self.aliyun.id, "secret")])
        self.env.cr.execute(
            "UPDATE member_callback_rejection SET date = date - 8,"
            " last_date = last_date - interval '8 days'"
        )
        self.env.invalidate_all()
        self.assertFalse(self.aliyun.rejection_count, "not lately")
        rejections._gc_rejections()
        self.assertEqual(self.get_rejections(), [("Aliyun", "secret", 1)])
        self.env.cr.execute("UPDATE member_callback_rejection SET date = date - 180")
        self.env.invalidate_all()
        rejections._gc_rejections()
        self.assertFalse(self.get_rejections())

    @mute_logger("odoo.http")
    def test_other_methods(self):
        path = urlsplit(self.aliyun.report_url).path
        for method in ("PUT", "DELETE"):
            response = self.opener.request(method, self.base_url() + path, timeout=10)
            self.assertIn(response.status_code, (404, 405))
        self.assertFalse(self.get_callbacks())
