import json
import re
import time

from odoo.tests.common import ChromeBrowser, HttpCase

#: Not "headless", as the browser calls itself: that would be a machine.
AGENT = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Mobile Safari/537.36"
)
#: Words of other alphabets that stand on a Chinese page as they are.
FOREIGN = re.compile(
    r"https?://\S+|(?<![A-Za-z])(?:SMS|STOP|HELP|TD|Tea House)(?![A-Za-z])"
)
#: Seconds for a page to open, on a busy computer.
PATIENCE = 30


class PhoneCase(HttpCase):
    """A telephone: pages are opened, tapped and read as people do it.

    No page is left that is wider than the screen or has a button too small for a
    thumb.
    """

    browser_size = "360x740"
    touch_enabled = True

    def pick_up(self, lang):
        """Start the browser of somebody who reads this language, such as zh-CN."""
        self.phone = ChromeBrowser(self)
        self.addCleanup(self.phone.stop)
        self.phone._websocket_request(
            "Emulation.setUserAgentOverride",
            params={"userAgent": AGENT, "acceptLanguage": lang},
        )

    def visit(self, path):
        """Open an address and wait for the page."""
        self._load(self.phone.navigate_to, self.base_url() + path)

    def tap(self, selector, opens_page=True):
        """Press what lies at this place, be it hidden by something else or not."""
        x, y = self.evaluate(
            f"""(() => {{
                const found = [...document.querySelectorAll({json.dumps(selector)})];
                if (found.length !== 1) throw `${{found.length}} of {selector}`;
                found[0].scrollIntoView({{block: "center"}});
                const box = found[0].getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )

        def press():
            for kind in ("mousePressed", "mouseReleased"):
                self.phone._websocket_request(
                    "Input.dispatchMouseEvent",
                    params={"type": kind, "x": x, "y": y}
                    | {"button": "left", "clickCount": 1},
                )

        if opens_page:
            self._load(press)
        else:
            press()

    def type_in(self, selector, text):
        self.tap(selector, opens_page=False)
        self.phone._websocket_request("Input.insertText", params={"text": text})

    def get_text(self):
        """:returns: the text a person sees"""
        return self.evaluate("document.body.innerText")

    def evaluate(self, expression):
        answer = self.phone._websocket_request(
            "Runtime.evaluate",
            params={"expression": expression, "returnByValue": True},
        )
        self.assertNotIn("exceptionDetails", answer, expression)
        return answer["result"].get("value")

    def _load(self, action, *args):
        self.evaluate("window.isOld = true")
        # the server works on the data of this test
        self.cr.flush()
        self.cr.clear()
        with self.allow_requests(browser=self.phone):
            action(*args)
            deadline = time.monotonic() + PATIENCE
            while not self._is_loaded():
                self.assertLess(time.monotonic(), deadline, "the page never came")
                time.sleep(0.05)
            self._wait_remaining_requests()
        self.env.invalidate_all()
        self._check_page()

    def _is_loaded(self):
        answer = self.phone._websocket_request(
            "Runtime.evaluate",
            params={"expression": "!window.isOld && document.readyState"},
        )
        return answer["result"].get("value") == "complete"

    def _check_page(self):
        """It fits the screen, and thumbs."""
        self.assertLessEqual(
            self.evaluate("document.documentElement.scrollWidth"),
            self.evaluate("window.innerWidth"),
            "wider than the screen",
        )
        small = self.evaluate(
            """[...document.querySelectorAll("button, label.consent")]
                .filter((e) => e.getBoundingClientRect().height < 44)
                .map((e) => e.innerText)"""
        )
        self.assertFalse(small, "too small for a thumb")

    def assert_language(self, lang):
        """The page is in this language, and wholly so."""
        self.assertEqual(self.evaluate("document.documentElement.lang"), lang)
        text = FOREIGN.sub("", self.get_text())
        if lang == "zh-CN":
            self.assertRegex(text, "[\u4e00-\u9fff]")
            self.assertFalse(re.findall("[A-Za-z]{2,}", text), text)
        else:
            self.assertNotRegex(text, "[\u4e00-\u9fff]")
