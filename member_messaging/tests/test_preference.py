import random
import re

from odoo.tests import HttpCase, tagged

from .common import MemberMessagingCommon
from .test_join import JoinCommon
from .test_landing import PERSON


@tagged("post_install", "-at_install")
class TestPreference(MemberMessagingCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.name = "Tea House"
        cls.profile = cls.make_members(1, name="Wang Xiaoming")

    def setUp(self):
        super().setUp()
        self.message = self.make_sent(self.profile)
        self.path = f"/m/{self.message.token}/preferences"

    def open(self, path=None, **values):
        response = self.url_open(path or self.path, headers=PERSON, **values)
        self.env.invalidate_all()
        return response

    def read_choices(self, page=None):
        """:returns: label of a button → its signed value"""
        page = page or self.open().text
        forms = re.findall(
            r'name="choice"\s+value="([^"]+)".*?<button[^>]*>\s*(\w+)\s*<', page, re.S
        )
        return [(label, value) for value, label in forms]

    def press(self, label, position=0, page=None):
        choices = [value for name, value in self.read_choices(page) if name == label]
        return self.open(data={"choice": choices[position]}).text

    def get_words(self):
        return [
            (consent.purpose, consent.state) for consent in self.profile.consent_ids
        ]

    def test_shows_what_the_member_gets(self):
        response = self.open()
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        page = response.text
        self.assertEqual(
            [label for label, _value in self.read_choices(page)], ["Stop", "Stop"]
        )
        for secret in ("Wang", "Xiaoming", self.profile.phone, self.profile.number):
            with self.subTest(secret=secret):
                self.assertNotIn(secret, page)
        self.assertEqual(self.get_words(), [("promotion", "granted")])
        self.assertFalse(self.message.event_ids)

    def test_linked_from_the_other_pages(self):
        for page in ("offer", "stop"):
            with self.subTest(page=page):
                text = self.open(f"/m/{self.message.token}/{page}").text
                self.assertIn(self.path, text)
        stopped = self.open(f"/m/{self.message.token}/stop", method="POST")
        self.assertIn(self.path, stopped.text)

    def test_cn_20_eu_4_one_press_each_way(self):
        page = self.press("Stop")
        self.assertIn("You get no more offers", page)
        self.assertEqual(self.get_words()[0], ("promotion", "refused"))
        self.assertTrue(self.message.unsubscribed_date)
        page = self.press("Undo", page=page)
        self.assertIn("You get offers from us again", page)
        self.assertRecordValues(
            self.profile.consent_ids[0],
            [
                {
                    "state": "granted",
                    "source": "link",
                    "evidence": self.path,
                    "wording": self.company._get_consent_wording(),
                }
            ],
        )
        self.assertFalse(self.launch(self.make_campaign(self.profile)).reason)

    def test_each_purpose_by_itself(self):
        page = self.press("Stop", position=1)
        self.assertIn("no more service messages", page)
        self.assertEqual(self.get_words()[0], ("service", "refused"))
        self.assertFalse(self.message.unsubscribed_date)
        self.assertEqual(
            [label for label, _value in self.read_choices(page)],
            ["Undo", "Stop", "Receive"],
        )
        self.press("Receive")
        self.assertEqual(self.get_words()[0], ("service", "granted"))

    def test_pressing_twice_records_once(self):
        [(_label, value), _other] = self.read_choices()
        for _press in range(2):
            self.open(data={"choice": value})
        self.assertEqual(len(self.profile.consent_ids), 2)

    def test_only_buttons_of_this_message_act(self):
        other = self.make_sent(self.make_members(1))
        foreign = self.read_choices(self.open(f"/m/{other.token}/preferences").text)
        own = self.read_choices()[0][1]
        for choice in (foreign[0][1], own[:-2], own + "x", "", "promotion", None):
            with self.subTest(choice=choice):
                data = {} if choice is None else {"choice": choice}
                response = self.open(data=data, method="POST")
                self.assertIn("nothing was changed", response.text)
        response = self.open(files={"choice": ("a.txt", b"x")})
        self.assertIn("nothing was changed", response.text)
        self.assertEqual(self.get_words(), [("promotion", "granted")])

    def test_a_refusal_counts_for_everybody_with_the_number(self):
        twin = self.make_members(1, phone=self.profile.phone)
        self.press("Stop")
        self.assertEqual(twin.consent_ids[0].state, "refused")

    def test_blocked_number(self):
        self.env["phone.blacklist"].add(self.profile.phone)
        page = self.open().text
        self.assertIn("block list", page)
        self.assertFalse(self.read_choices(page))

    def test_member_who_is_gone(self):
        number = self.profile.phone
        self.profile.partner_id.unlink()
        page = self.open().text
        self.assertIn("not a member any more", page)
        self.assertFalse(self.read_choices(page))
        self.open(f"/m/{self.message.token}/stop", method="POST")
        again = self.make_members(1, is_granted=False, phone=number)
        self.assertEqual(self.launch(self.make_campaign(again)).reason, "suppressed")

    def test_language_of_the_message(self):
        view = self.env.ref("member_messaging.landing_preferences")
        view.update_field_translations(
            "arch_db", {"zh_CN": {"What you get": "您收到的"}}
        )
        self.assertNotIn("您收到的", self.open().text)
        self.template.lang = "zh_CN"
        page = self.open().text
        self.assertIn("您收到的", page)
        self.assertIn('<html lang="zh-CN">', page)

    def test_cn_11_complaint_contact(self):
        self.company.member_complaint_contact = "Ms Zhao, 021 5555"
        for page in ("preferences", "stop", "offer"):
            text = self.open(f"/m/{self.message.token}/{page}").text
            self.assertIn("Ms Zhao, 021 5555", text)


#: Pieces of which odd values are made; some are more than they look.
PIECES = (
    *("", "a", "0", "-1", "9" * 40, "A" * 3000, "None", "False", "NULL", "undefined"),
    *("'", '"', "\\", "|", ";", "--", "<b>", "{{7*7}}", "${x}", "..%2f..%2fetc"),
    *("%00", "%0d%0a", "%2e%2e", "%f0%9f", "%ff", "%25s", "%28", "%E2%80%AE"),
    *("é", "拒", "🍵", "\u202e"),
)
TABLES = (
    "member_consent",
    "member_event",
    "member_join",
    "member_profile",
    "member_service_message",
    "member_suppression",
    "res_partner",
)


@tagged("post_install", "-at_install")
class TestFuzz(JoinCommon):
    """Whatever strangers send to public pages: no error, no change, no hint."""

    def setUp(self):
        super().setUp()
        self.chance = random.Random(19)
        self.message = self.make_sent(self.make_members(1))

    def make_text(self):
        return "".join(self.chance.choices(PIECES, k=self.chance.randint(1, 3)))

    def make_path(self):
        return self.chance.choice(
            (
                "/m/{text}",
                "/m/{text}/offer",
                "/m/{text}/stop",
                "/m/{text}/preferences",
                "/m/{token}/{text}",
                "/member/join/{text}",
                "/member/join/{text}/poster",
                "/member/join/{key}/{text}",
                "/member/join/{text}/{text}",
            )
        ).format(
            text=self.make_text().replace("?", ""),
            token=self.message.token,
            key=self.company.member_join_key,
        )

    def take_picture(self):
        """:returns: what the tables hold, so that any change is seen"""
        self.env.flush_all()
        picture = {}
        for table in TABLES:
            self.env.cr.execute(
                f"SELECT md5(string_agg(t::text, '' ORDER BY t.id)) FROM {table} t"
            )
            picture[table] = self.env.cr.fetchone()
        return picture

    def fetch(self, path, **values):
        response = self.open(path, allow_redirects=False, timeout=30, **values)
        self.assertLess(response.status_code, 500, path)
        return response

    def test_paths(self):
        before = self.take_picture()
        for _try in range(150):
            path, method = self.make_path(), self.chance.choice(("GET", "POST", "HEAD"))
            with self.subTest(path=path, method=method):
                response = self.fetch(path, method=method)
                self.assertIn(response.status_code, (301, 303, 308, 400, 404, 405))
        self.assertEqual(self.take_picture(), before)

    def test_forms(self):
        form = self.read_form()
        paths = (self.path, f"/m/{self.message.token}/preferences")
        before = self.take_picture()
        for _try in range(100):
            data = {
                name: self.make_text()
                for name in ("name", "birthday", "form", "choice", "phone", "agree")
            }
            with self.subTest(data=data):
                for path in paths:
                    self.assertEqual(self.fetch(path, data=data).status_code, 200)
                self.fetch(self.path, data={**data, "form": form["form"]})
        self.assertEqual(self.take_picture(), before)

    def test_raw_bodies(self):
        before = self.take_picture()
        for content_type in (
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json",
            "text/plain",
        ):
            for body in (
                b"",
                b"\x00\xff=\x00",
                b"name=%00&form=%ff&choice=%00",
                b"[" * 99,
            ):
                for path in (self.path, f"/m/{self.message.token}/preferences"):
                    with self.subTest(content_type=content_type, body=body, path=path):
                        self.fetch(
                            path, data=body, headers={"Content-Type": content_type}
                        )
        self.assertEqual(self.take_picture(), before)

    def test_get_changes_nothing(self):
        self.join(agree="1")
        choice = self.message._sign_choice("sms", "promotion", "refused")
        form = self.read_form()["form"]
        before = self.take_picture()
        for path in (
            f"/m/{self.message.token}/preferences?choice={choice}",
            f"/m/{self.message.token}/stop?choice={choice}",
            f"/m/{self.message.token}/offer?x=1",
            f"{self.path}?name=A&phone=13911111111&agree=1&form={form}",
            f"{self.path}/poster",
            f"{self.get_link()}?confirm=1",
        ):
            for method in ("GET", "HEAD"):
                with self.subTest(path=path, method=method):
                    self.assertEqual(self.fetch(path, method=method).status_code, 200)
        self.assertEqual(self.take_picture(), before)

    def test_unknown_and_old_links_look_the_same(self):
        pages = {
            re.sub(r"[\w-]{32,}|csrf_token[^,]*", "", self.open(path).text)
            for path in (
                "/m/unknown12345/preferences",
                "/m/another12345/preferences",
                "/m/unknown12345/stop",
                "/member/join/unknown12345",
                f"{self.path}/unknown12345",
            )
        }
        self.assertEqual(len(pages), 1)
