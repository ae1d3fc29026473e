"""What a member wants who sends us a text.

Refusal, help and subscription are described by law and understood here, whatever a
shop's own keywords say: the US rule on revoking consent (47 CFR 64.1200(a)(10)) lists
STOP, QUIT, END, REVOKE, OPT OUT, CANCEL and UNSUBSCRIBE and demands that plain words
count as well; Chinese carriers print "拒收请回复R" and "回T退订" under promotions
(MIIT Order 31 asks for a simple way to refuse). In doubt a refusal is assumed where the
words say so: one message too few is the smaller harm.

Plain words are understood by small patterns on one clause at a time
(``refusal_chinese.py``, ``refusal_english.py``). They ask for what is refused as well
as for the refusal, since "不要发票" (no invoice) and "stop by at 5" are ordinary
sentences of a shop's day. A shop adds words of its own by its reply rules.
"""

import re

from . import refusal_chinese, refusal_english
from .text import half_width

REFUSE = "refuse"
HELP = "help"
SUBSCRIBE = "subscribe"

#: The whole text, without case, blanks and punctuation.
KEYWORDS = {
    REFUSE: frozenset(
        "r t td n qx tuiding 退订 拒收 取消 停 取关 stop stopall unsubscribe unsub "
        "cancel end quit exit revoke optout".split()
    ),
    HELP: frozenset("help info 帮助".split()),
    SUBSCRIBE: frozenset(
        "start unstop yes subscribe 订阅 重新订阅 恢复订阅 我要订阅".split()
    ),
}

#: Characters that are looked at: more than ten joined SMS hold.
_LONGEST = 2000
#: Signs at which a clause ends.
_CLAUSE_END = re.compile(r"[,.!?;:\n。、…~｡]+|——| [-–—]+ ")

#: "STOP 12345": some people repeat the number they got the text from, and carriers
#: accept it. A number makes no other wish out of these words, so it is a refusal.
#: "cancel 12345" might be an order and "end 5" a time: those words stand alone or not
#: at all, and so does STOP before any other word ("stop by at 5").
_STOP_NUMBER = re.compile(r"(?:stop|stopall|unsubscribe|td|退订) ?[0-9 ]+")
#: A word of the law again and again.
_REPEATED = re.compile("(?:td){2,}|t{3,}|(?:退订){2,}|(?:stop){2,}|(?:拒收){2,}")
#: "TD" among the words people put around it; a "T" only in anger.
_AROUND = (
    "(?:谢谢|请|麻烦|帮忙?|已经?|我|你?们|回复?|发送?|过|了|都|没用|没反应|无效|还|"
    "怎么|"
    "为什么|行吗|好吗|可以吗|要求|申请|取消|退订?|要|想|短信|再|在|也|不行|"
    "[啊呀吧哈呗哦啦嘛])*"
)
_LETTERS = re.compile(rf"(?:.* )?td|td .*|{_AROUND}td{_AROUND}|.*[烦滚吵骚].* t")
#: Signs that are words.
_SIGNS = [(re.compile("[🛑⛔]"), " stop "), (re.compile(r"#(?!\d)"), " number ")]
#: Words around STOP that do not change it.
_POLITE = frozenset(
    "please right now it this thanks you i said just already ok ffs omg".split()
)
#: Words around a Chinese keyword that do not change it.
_POLITE_CHINESE = re.compile(
    r"谢谢|请|麻烦|短信(?=回)|回复?|我要|一下|[了吧啊呀哈呗哦啦嘛]|您好|你好"
)

#: Words of somebody who is about to complain, or has complained.
_COMPLAINT = re.compile(
    r"投诉|举报|报警|起诉|告你|12321|工信部|垃圾短信|垃圾信息|骚扰"
    r"|\bcomplain|\breport(?:ed|ing)? (?:you|this|it|u)\b|\bspam|\bharass"
    r"|\b(?:sue|lawyer|attorney|fcc|ftc|illegal)\b"
)


def normalise(text: str | None) -> str:
    """Return ``text`` for comparisons: half-width, without case, apostrophes,
    punctuation and symbols, words one blank apart.
    """
    return " ".join(_split(text))


def intent(text: str | None) -> str | None:
    """Return ``"refuse"``, ``"help"``, ``"subscribe"`` or ``None`` for anything else.

    Case, width, blanks and punctuation do not matter.
    """
    text = (text or "")[:_LONGEST]
    for sign, word in _SIGNS:
        text = sign.sub(word, text)
    clauses = _split(text)
    squeezed = "".join(clauses).replace(" ", "")
    for meaning, keywords in KEYWORDS.items():
        if squeezed in keywords:
            return meaning
    return REFUSE if _refuses(clauses, squeezed) else None


def complains(text: str | None) -> bool:
    """Return whether a refusal sounds like a complaint, made or to come.

    Anger about something else, say a waiter, is none: it is no refusal.
    """
    return bool(_COMPLAINT.search(normalise(text))) and intent(text) == REFUSE


def matches(words: list[str], match: str, text: str | None) -> bool:
    """Return whether a keyword rule fits a reply.

    :param words: as the shop wrote them
    :param match: ``"whole"``: the reply is one of the words; ``"contains"``: one of
        them is in it, English ones as whole words; ``"refusal"``: the reply refuses
        more messages in whatever words
    """
    if match == "refusal":
        return intent(text) == REFUSE
    reply = normalise(text)
    squeezed = reply.replace(" ", "")
    for word in filter(None, map(normalise, words)):
        if word.replace(" ", "") == squeezed:
            return True
        if match == "contains" and _contains(word, reply, squeezed):
            return True
    return False


def _contains(word: str, reply: str, squeezed: str) -> bool:
    if word.isascii():
        # "art" is not in "start"; beside Chinese characters there are no blanks
        return bool(re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", reply))
    return word.replace(" ", "") in squeezed


def _split(text: str | None) -> list[str]:
    """Return the clauses of a text, each as :func:`normalise` describes."""
    plain = refusal_chinese.simplify(half_width(text or "").casefold())
    plain = re.sub(r"['’‘`´]", "", plain)
    clauses = (
        re.sub(r"[\W_]+", " ", clause).strip() for clause in _CLAUSE_END.split(plain)
    )
    return [clause for clause in clauses if clause]


def _refuses(clauses: list[str], squeezed: str) -> bool:
    if max(map(len, clauses), default=0) <= 2:
        # "不要,再,发,了": signs between all words end no clause
        clauses = [squeezed, *clauses]
    chinese = refusal_chinese.plain(squeezed)
    if _STOP_NUMBER.fullmatch(" ".join(clauses)) or _POLITE_CHINESE.sub(
        "", chinese
    ) in (KEYWORDS[REFUSE] - {"取消"}):
        return True
    whole = refusal_english.plain(" ".join(clauses))
    if refusal_chinese.refuses_whole(chinese) or refusal_english.refuses_whole(whole):
        return True
    return bool(_REPEATED.fullmatch(squeezed)) or any(
        _refuses_clause(clause, chinese) for clause in clauses
    )


def _refuses_clause(clause: str, text: str) -> bool:
    if (
        clause == "td"
        or not clause.isascii()
        and (
            _LETTERS.fullmatch(clause)
            or refusal_chinese.refuses(refusal_chinese.plain(clause), text)
        )
    ):
        return True
    english = refusal_english.plain(clause)
    words = set(english.split())
    if "stop" in words and words <= _POLITE | {"stop"}:
        return True
    return refusal_english.refuses(english)
