"""What members mean."""

import pytest

from tools.replies import intent


@pytest.mark.parametrize(
    "text",
    "R r T TD td N QX 退订 拒收 取消".split()
    + "STOP Stop UNSUBSCRIBE CANCEL END QUIT REVOKE".split()
    + [
        "OPT OUT",
        "opt-out",
        "OptOut",
        "STOPALL",
        "stop all",
        " stop. ",
        "S T O P",
        "STOP!!!",
        "“Stop”",
        "ＴＤ",
        "ｔｄ。",
        "Ｒ　",
        "退 订",
        "回复TD退订",
        "我要退订",
        "请不要再发了",
        "别再发了",
        "请勿再给我发短信",
        "拒收你们的短信",
        "stop texting me",
        "Please STOP sending me these",
        "remove me from your list",
        "Unsubscribe me!",
        "don't text me again",
        "do not contact me",
        "no more messages please",
        "I want to opt out",
        "please stop",
        "Stop it now, thank you",
        "STOP 12345",
        "stop 1069 0000 123",
        "TD 10690000123",
        "退订12345",
    ],
)
def test_refusals(text):
    assert intent(text) == "refuse"


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "   ",
        "1",
        "Y",
        "stop by at 5",
        "stop by my place, please",
        "I will stop at the store",
        "where is your bus stop?",
        "cancel 12345",
        "cancel my order",
        "end 5",
        "the end",
        "N95 masks?",
        "Thanks",
        "nonstop",
        "取消订单",
        "请再发一次",
        "R2",
        "👍",
    ],
)
def test_something_else(text):
    assert intent(text) is None


@pytest.mark.parametrize("text", ["HELP", "help?", "Info", "帮助"])
def test_help(text):
    assert intent(text) == "help"


@pytest.mark.parametrize("text", ["START", "unstop", "Yes!", "SUBSCRIBE", "订阅"])
def test_subscriptions(text):
    assert intent(text) == "subscribe"
