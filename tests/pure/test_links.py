"""People and machines behind a link."""

import pytest

from tools.links import is_bot, is_public

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; {}) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/125.0.0.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    "agent",
    [
        IPHONE,
        ANDROID.format("Pixel 8"),
        ANDROID.format("CUBOT X70"),
        f"{IPHONE} MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/zh_CN",
        f"{IPHONE} QQ/9.0.30.610 V1_IPH_SQ_9.0.30",
        f"{IPHONE} [FBAN/FBIOS;FBAV/460.0.0.29.107]",
        f"{ANDROID.format('V2243A')} Instagram 330.0.0.40.92 Android",
        f"{IPHONE} Line/14.8.0",
    ],
)
def test_people(agent):
    assert not is_bot(agent)
    assert not is_bot(agent, "POST", {"Accept": "*/*", "Sec-Purpose": ""})


@pytest.mark.parametrize(
    "agent",
    [
        "",
        None,
        " ",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 "
        "(KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 "
        "Facebot Twitterbot/1.0",
        "WhatsApp/2.23.20.0 A",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/116.0 Safari/537.36 BingPreview/1.0b",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/56.0 Safari/537.36 "
        "Google-PageRenderer Google (+https://developers.google.com/+/web/snippet/)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0)",
        "meta-externalagent/1.1",
        "curl/8.5.0",
        "python-requests/2.31.0",
        "Go-http-client/2.0",
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0 Safari/537.36",
    ],
)
def test_machines(agent):
    assert is_bot(agent)


def test_head():
    assert is_bot(IPHONE, "HEAD") and is_bot(IPHONE, "options")


@pytest.mark.parametrize(
    "headers",
    [
        {"Purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"X-Purpose": "preview"},
        {"X-MOZ": "prefetch"},
    ],
)
def test_prefetch(headers):
    assert is_bot(IPHONE, headers=headers)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example.com/x", True),
        ("https://8.8.8.8/x", True),
        ("https://[2400:3200::1]/x", True),
        ("http://localhost:8069/x", False),
        ("http://127.0.0.1:8069/x", False),
        ("http://10.1.2.3/x", False),
        ("http://[::1]/x", False),
        ("http://odoo/x", False),
        ("http://odoo.local./x", False),
        ("", False),
        (None, False),
    ],
)
def test_addresses_that_others_reach(url, expected):
    assert is_public(url) is expected
