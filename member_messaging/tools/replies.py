"""What a member wants who sends us a text.

Only refusal, help and subscription, which the law describes; everything else is left
to the shop's own keywords. In doubt a refusal is assumed where the words say so: one
message too few is the smaller harm.
"""

import re

from .text import half_width

REFUSE = "refuse"
HELP = "help"
SUBSCRIBE = "subscribe"

#: The whole text, without case, blanks and punctuation. The single letters are what
#: Chinese carriers print under promotions ("拒收请回复R", "回T退订").
KEYWORDS = {
    REFUSE: frozenset(
        "r t td n qx 退订 拒收 取消 stop stopall unsubscribe cancel end quit revoke "
        "optout".split()
    ),
    HELP: frozenset("help info 帮助".split()),
    SUBSCRIBE: frozenset("start unstop yes subscribe 订阅".split()),
}

#: Anywhere in the text: a refusal in plain words counts as much as a keyword.
_REFUSAL_CHINESE = re.compile(r"退订|拒收|取消订阅|(?:不要|别|勿)再?(?:给我)?发")
_REFUSAL_ENGLISH = re.compile(
    r"\b(?:"
    r"stop (?:texting|messaging|sending|contacting|spamming)"
    r"|(?:remove|unsubscribe) me"
    r"|take me off"
    r"|opt (?:me )?out"
    r"|(?:do not|don ?t) (?:text|message|contact)"
    r"|no more (?:texts|messages|sms)"
    r")\b"
)
#: "STOP 12345": some people repeat the number they got the text from, and carriers
#: accept it. A number makes no other wish out of these words, so it is a refusal.
#: "cancel 12345" might be an order and "end 5" a time: those words stand alone or not
#: at all, and so does STOP before any other word ("stop by at 5").
_STOP_NUMBER = re.compile(r"(?:stop|stopall|unsubscribe|td|退订) ?[0-9 ]+")
#: Words around STOP that do not change it.
_POLITE = frozenset("please pls plz now it this thanks thank you".split())


def intent(text: str | None) -> str | None:
    """Return ``"refuse"``, ``"help"``, ``"subscribe"`` or ``None`` for anything else.

    Case, width, blanks and punctuation do not matter.
    """
    words = re.sub(r"[\W_]+", " ", half_width(text or "").casefold()).strip()
    squeezed = words.replace(" ", "")
    for meaning, keywords in KEYWORDS.items():
        if squeezed in keywords:
            return meaning
    return REFUSE if _refuses(words) else None


def _refuses(words: str) -> bool:
    if _STOP_NUMBER.fullmatch(words) or _REFUSAL_ENGLISH.search(words):
        return True
    rest = set(words.split())
    if "stop" in rest and rest <= _POLITE | {"stop"}:
        return True
    return bool(_REFUSAL_CHINESE.search(words.replace(" ", "")))
