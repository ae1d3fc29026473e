import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from odoo.exceptions import UserError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import Form, HttpCase, tagged
from odoo.tests.common import JsonRpcException
from odoo.tools import mute_logger

from .common import MemberMessagingCommon


class Provider(BaseHTTPRequestHandler):
    """Takes a message and repeats the secret it was given, as some do."""

    received: list

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["Authorization"], body))
        answer = {
            "code": 0,
            "data": [{"id": 77}],
            "auth": self.headers["Authorization"],
        }
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format, *args):
        pass


@tagged("post_install", "-at_install")
class TestGeneric(MemberMessagingCommon, HttpCase):
    """A provider set up by an administrator, on a screen."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.received = []
        handler = type("Handler", (Provider,), {"received": cls.received})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        cls.administrator = cls.make_user(
            "setup",
            "base.group_system,member_messaging.group_member_messaging_manager",
        )
        cls.gateway = cls.env["member.gateway"].create(
            {
                "name": "Local SMS",
                "provider": "generic",
                "priority": 1,
                "api_secret": "hush",
                "generic_url": f"http://127.0.0.1:{server.server_port}/send",
                "generic_headers": "Authorization: Bearer {{ api_secret }}",
                "generic_body": '{"to": "{{ to }}", "text": "{{ text }}"}',
                "generic_code_path": "code",
                "generic_success_codes": "0",
                "generic_ref_path": "data[0].id",
                "generic_allow_private": True,
            }
        )

    def setUp(self):
        super().setUp()
        self.received.clear()
        self.authenticate("setup", "setup")

    def press(self, wizard, button):
        return self.make_jsonrpc_request(
            "/web/dataset/call_button/member.gateway.try/" + button,
            {
                "model": "member.gateway.try",
                "method": button,
                "args": [wizard.ids],
                "kwargs": {},
            },
        )

    def open_try(self, **values):
        action = self.gateway.with_user(self.administrator).action_try()
        form = Form(
            self.env[action["res_model"]]
            .with_user(self.administrator)
            .with_context(**action["context"])
        )
        form.number = values.get("number", "+86 138 0013 8000")
        form.text = 'Hello "you"'
        return form.save()

    # ------------------------------------------------------------------ settings

    def test_what_is_wrong_is_said(self):
        for field, value, words in (
            ("generic_url", "sms.example.com", "https://"),
            ("generic_url", "https://{{ to }}/", "“{{ to }}”"),
            ("generic_url", "https://a/?n={{ tel }}", "no value “tel”"),
            ("generic_headers", "Bearer", "Headers: “Bearer” is no header"),
            ("generic_body", '{"to": {{ to }}}', "Body: Filled in, this is not JSON"),
            ("generic_ref_path", "data.0.id", "Message ID: This finds nothing"),
            ("generic_ref_path", "/(/", "regular expression"),
            ("generic_error_outcomes", "1 = dead", "badnum"),
            ("generic_country", "China", "two letters"),
            ("generic_success_codes", False, "Accepted If: This has to be filled in"),
        ):
            with self.subTest(field=field, value=value):
                with self.assertRaisesRegex(ValidationError, words):
                    self.gateway[field] = value

    def test_form(self):
        """The form can be filled in; a field that is not for the provider is hidden."""
        with Form(self.gateway.with_user(self.administrator)) as form:
            form.generic_error_outcomes = "1 = badnum\n2* = pause"
        options = self.gateway._get_adapter().config.options
        self.assertEqual(options["error_outcomes"], "1 = badnum\n2* = pause")
        with self.assertRaises(AssertionError):
            form.twilio_sender = "+1"

    def test_managers_see_no_settings(self):
        gateway = self.gateway.with_user(self.manager)
        form = gateway.get_view(view_type="form")["arch"]
        self.assertNotIn('name="generic_url"', form)
        gateway.provider = "sandbox"
        self.assertTrue(self.gateway.generic_url, "settings are kept")
        gateway.provider = "generic"

    def test_neutralised_copy_reaches_nobody(self):
        self.gateway.generic_secret_value = "hush"
        self.env.flush_all()
        for query in get_neutralization_queries(["member_messaging"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.assertRecordValues(
            self.gateway,
            [
                {
                    "generic_url": False,
                    "generic_headers": False,
                    "generic_body": False,
                    "generic_secret_value": False,
                    "state": "paused",
                }
            ],
        )
        with self.assertRaisesRegex(UserError, "URL"):
            self.open_try().action_preview()

    def test_campaign(self):
        messages = self.launch(
            self.make_campaign(self.make_members(3), gateway_id=self.gateway.id)
        )
        self.run_cron("send")
        self.assertEqual(set(messages.mapped("state")), {"sent"})
        self.assertEqual(set(messages.mapped("provider_ref")), {"77"})
        self.assertEqual(
            {json.loads(body)["to"] for _path, _auth, body in self.received},
            set(messages.mapped("address")),
        )

    # -------------------------------------------------------------------- try it

    def test_preview_sends_nothing(self):
        wizard = self.open_try()
        self.press(wizard, "action_preview")
        wizard.invalidate_recordset()
        self.assertEqual(self.received, [])
        self.assertIn("POST http://127.0.0.1", wizard.request)
        self.assertIn('{"to": "+8613800138000", "text": "Hello', wizard.request)
        self.assertNotIn("hush", wizard.request)
        self.assertFalse(wizard.answer)

    def test_one_message_however_often_it_is_pressed(self):
        wizard = self.open_try()
        outbox = self.env["member.message"].search_count([])
        self.press(wizard, "action_send")
        with (
            mute_logger("odoo.http"),
            self.assertRaisesRegex(JsonRpcException, "UserError"),
        ):
            self.press(wizard, "action_send")
        self.assertEqual(len(self.received), 1)
        path, authorization, body = self.received[0]
        self.assertEqual((path, authorization), ("/send", "Bearer hush"))
        self.assertEqual(
            json.loads(body), {"to": "+8613800138000", "text": 'Hello "you"'}
        )
        wizard.invalidate_recordset()
        self.assertRecordValues(
            wizard,
            [
                {
                    "state": "sent",
                    "outcome": "ok",
                    "provider_ref": "77",
                    "provider_code": "0",
                }
            ],
        )
        self.assertIn('"id": 77', wizard.answer)
        self.assertNotIn("hush", wizard.request + wizard.answer)
        self.assertIn("+8613800138000", self.gateway.message_ids[0].body)
        self.assertEqual(self.env["member.message"].search_count([]), outbox)

        self.press(wizard, "action_another")
        self.press(wizard, "action_send")
        self.assertEqual(len(self.received), 2)
        self.gateway.load_ids.invalidate_recordset()
        self.assertEqual(self.gateway.load_ids.month_count, 2)

    def test_no_message_beyond_the_sms_of_the_month(self):
        self.gateway.month_quota = 1
        wizard = self.open_try()
        self.press(wizard, "action_send")
        self.press(wizard, "action_another")
        with (
            mute_logger("odoo.http"),
            self.assertRaisesRegex(JsonRpcException, "UserError"),
        ):
            self.press(wizard, "action_send")
        self.assertEqual(len(self.received), 1)

    def test_private_address(self):
        self.gateway.generic_allow_private = False
        wizard = self.open_try()
        self.press(wizard, "action_send")
        wizard.invalidate_recordset()
        self.assertEqual(wizard.outcome, "pause")
        self.assertIn("127.0.0.1", wizard.provider_message)
        self.assertEqual(self.received, [])
        self.gateway.load_ids.invalidate_recordset()
        self.assertEqual(self.gateway.load_ids.month_count, 0, "it has not left")

    def test_number_that_is_none(self):
        with self.assertRaisesRegex(UserError, "no phone number"):
            self.open_try(number="nobody").action_preview()
