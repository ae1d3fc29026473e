"""What a member wants who sends us a text.

Refusal, help and subscription are described by law and understood here, whatever a
shop's own keywords say: the US rule on revoking consent (47 CFR 64.1200(a)(10)) lists
STOP, QUIT, END, REVOKE, OPT OUT, CANCEL and UNSUBSCRIBE and demands that plain words
count as well; Chinese carriers print "拒收请回复R" and "回T退订" under promotions
(MIIT Order 31 asks for a simple way to refuse). In doubt a refusal is assumed where the
words say so: one message too few is the smaller harm.

Plain words are understood by small patterns on one clause at a time. They ask for what
is refused as well as for the refusal, since "不要发票" (no invoice) and "stop by at 5"
are ordinary sentences of a shop's day.
"""

import re

from .text import half_width

REFUSE = "refuse"
HELP = "help"
SUBSCRIBE = "subscribe"

#: The whole text, without case, blanks and punctuation.
KEYWORDS = {
    REFUSE: frozenset(
        "r t td n qx 退订 拒收 取消 stop stopall unsubscribe unsub cancel end quit "
        "revoke optout".split()
    ),
    HELP: frozenset("help info 帮助".split()),
    SUBSCRIBE: frozenset(
        "start unstop yes subscribe 订阅 重新订阅 恢复订阅 我要订阅".split()
    ),
}

#: Traditional characters of the words below as simplified ones.
_SIMPLIFIED = str.maketrans(
    "訂發請別給擾騷廣絕號碼刪傳簡訊閉煩錯這舉報門單們夠讓斷繼續對電話聯繫",
    "订发请别给扰骚广绝号码删传简讯闭烦错这举报门单们够让断继续对电话联系",
)
#: Signs at which a clause ends.
_CLAUSE_END = re.compile(r"[,.!?;:\n。、…~｡]+|——")

# ------------------------------------------------------------------------- Chinese

_NOUNS = "短信|简讯|信息|讯息|消息|微信|广告|推广|推销|推送|营销|促销|垃圾|优惠|活动"
_NO = (
    r"(?:不要|不用|不必|不想|不准|不许|不需要|不希望|不愿意?|不再|不接受|别|勿|莫|甭|少|"
    r"谢绝|禁止|拒绝|(?<!不)(?<!不要)(?<!别)(?:停止|停)|(?:可以|能|能否|可否|以后|请)不)"
)
#: Words between "no" and what is refused.
_FILL = (
    r"(?:再|老是?|总是?|一直|继续|天天|每天|随便|乱|给|跟|对|向|往|我们?|本人|他|她|人家|"
    r"被|受到?|[本此]号码?|这个号码?|本机|来|去|这些?|这种|这样|那些|此类?|你们|的|任何|什么|打电话|一切|所有|要|也)*"
)
#: What makes 发 a message: a parcel or an invoice is followed by another word.
_SENT = (
    rf"(?:$|了|啦|吧|啊|呀|哈|来|过来|送(?:$|了|{_NOUNS}|给我)|我$|我了|我{_FILL}(?:{_NOUNS})|"
    rf"给我(?:$|了|们?(?:{_NOUNS}))|{_FILL}(?:{_NOUNS}|东西)|到?(?:我|这个|此)的?(?:手机|号)|"
    r"这|此|行不|行吗|好不|好吗|可以吗)"
)
_CHINESE = [
    re.compile(pattern)
    for pattern in (
        # "退订", unless of a table or a cake, or what the member has not done
        r"(?<!不)(?<!不要)(?<!不想)(?<!不用)(?<!没)(?<!没有)(?<!别)(?<!未)退订"
        r"(?!了?的?(?:一下)?(?:房|酒店|[机车门]?票|蛋糕|位|桌|座|包[间厢]|课|定金|押金|餐|"
        r"花|商品|货|订单|预约|套餐|[这那]单))",
        # "拒收", unless of a parcel
        r"^(?!.*(?:快递|包裹|货|件|外卖|商品|订单|退款)).*拒收(?!了|的|后)",
        rf"{_NO}{_FILL}(?:群?发|传|推){_SENT}",
        rf"{_NO}{_FILL}(?:打扰|骚扰|轰炸|推送|推销|烦我)",
        rf"{_NO}{_FILL}(?:再打电话|(?:联系|联络|通知)我(?:$|了|们))",
        rf"{_NO}{_FILL}(?:收到|接收|接受|接到|看到|看|收)"
        rf"(?:$|了|.{{0,6}}(?:{_NOUNS}|通知))",
        rf"(?:不要|不需要|不想要|拒绝){_FILL}(?:短信|简讯|信息|广告|推广|推销|推送|营销)",
        r"勿扰|^请?(?:马上|立即|立刻)?(?:停止|停下来?|住手)(?:吧|了|谢谢)?$",
        r"(?:撤销|撤回|撤消)了?(?:我|本人)?的?(?:订阅|同意|授权)",
        rf"(?:没有?|从未|从没|未)(?:同意|授权|订过|要求).{{0,6}}(?:接收|订阅|{_NOUNS})",
        rf"{_NO}{_FILL}再{_FILL}通知",
        rf"不(?:接收|接受|收).{{0,6}}(?:{_NOUNS})",
        r"(?:别|不要|勿)[^忘错记]{0,4}发(?:了|啦|吧)?$",
        rf"(?:取消|关闭|关掉|停掉|退掉|退了|屏蔽|终止)(?:了|接收|这个|这些|我的|我|你们的|所有)*"
        rf"(?:订阅|接收|发送|通知|提醒|服务信息|{_NOUNS})(?!码)",
        r"(?:垃圾|骚扰)(?:短信|简讯|信息|消息|广告|电话)",
        r"(?:我|本人)的?(?:手机|电话)?(?:号码?|联系方式).{0,8}(?:删|移除|移出|去掉|清除|剔除)",
        r"(?:删除?掉?|移除|清除|去掉)了?(?:我|本人)的?(?:手机|电话|号码?|联系方式)",
        r"(?:名单|列表|群发|通讯录)[里中上]?.{0,6}(?:删|移|去掉|去除|剔|踢|拿掉)",
        r"(?:把我|将我).{0,6}(?:删|移除|移出|踢|剔除|去掉|去除|退出)",
        r"(?:删|移|踢|剔|退).{0,4}(?:名单|列表|群发)",
        r"(?:短信|简讯|订阅|推送).{0,3}(?:退了|退掉|取消|停了|停掉|关了|关掉)",
        r"(?:发|打|找)错(?:了?人|了?号|对象)|不是.{1,3}(?:女士|先生|小姐)",
        rf"(?:怎么|为什么|为啥|干嘛)(?:还|又|总|老)(?:在|给我)*发(?:$|{_FILL}(?:{_NOUNS}))",
        r"(?<!被)(?<!解除)拉黑",
        r"12321|工信部",
    )
]
#: Across clauses: threats, and anger about what comes too often.
_CHINESE_WHOLE = [
    re.compile(pattern)
    for pattern in (
        r"(?:短信|简讯|信息|消息|广告|推送|推广)[^说里写]{0,8}(?:停|关|退)(?:了|掉|一下)(?!吗)",
        r"再.{0,4}(?:发|骚扰|打扰|来|收到|推|有).{0,8}(?:投诉|举报|报警|起诉|告你)",
        r"(?:天天|每天|每次都?|整天|老是|总是|一直).{0,4}发.*(?:烦|滚|有病|讨厌|恶心|够了)",
        r"(?:烦|滚|有病|讨厌|恶心|够了).*(?:天天|每天|每次都?|整天|老是|总是|一直).{0,4}发",
    )
]

# ------------------------------------------------------------------------- English

_NOT = r"(?:dont|do not|don t|donot|never|no longer|not to|must not|should not)"
_TEXTS = (
    r"(?:te?xts?|txting|texting|messages?|messaging|msgs?|msging|sms|mms|spam|spamming|"
    r"ads?|adverts?|advertis\w+|promos?|promotions?|promotional|marketing|notifications?|"
    r"alerts|e?mails|mailings?|newsletters?|crap|junk|bullshit)"
)
_SMALL = r"(?:\w+ ){0,4}?"
#: Taken out before anything else: "don't stop" and "why did you stop" want more, and
#: who gave a wrong number wants to be reached.
_KEEP = re.compile(
    rf"\b(?:{_NOT}|cant|can t|cannot|wont|won t|didnt|didn t|did not|havent|not)"
    r"(?: ever| please| want to| wish to)? (?:stop|quit|unsubscribe|opt(?:ed)? out)"
    r"(?:ped|d)?(?: \w+)*"
    r"|\b(?:did|have|has|had) (?:you|u|they|your \w+)(?: guys| all)? "
    r"(?:stop|quit)(?:ped)?(?: \w+)*"
    r"|\b(?:gave|given|give|typed|put|entered|wrote|left)(?: you| in| down)*"
    r"(?: the| a| my)? wrong number"
)
_ENGLISH = [
    re.compile(pattern)
    for pattern in (
        rf"\b(?:stop|quit|cease|discontinue|end|halt)(?: \w+)? (?:{_SMALL})?{_TEXTS}\b",
        r"\b(?:stop|quit|cease) (?:contact|bother|harass|annoy|call|disturb|bug)\w*",
        r"\b(?:stop|quit|cease) send(?:ing)?(?: (?:me|us|this|these|those|stuff)\b|$)",
        rf"\b{_NOT} (?:ever |please |keep |u |you |dare )*(?:te?xt|message|msg|sms|"
        r"contact|spam|bother|harass|disturb|write)(?:ing)?"
        r"(?: (?:me|us|to me|my|this|again|any ?more|ever|here)\b|$)",
        rf"\b{_NOT} (?:ever )?call me (?:again|any ?more|ever)",
        rf"\b{_NOT} (?:ever |keep )*send(?:ing)? (?:me|us) "
        r"(?:this|these|those|any ?more|anything|stuff)(?! \w+ (?:by|until|till))",
        rf"\b{_NOT} (?:ever |keep )*send(?:ing)? {_SMALL}{_TEXTS}\b",
        rf"\b(?:{_NOT}|not) (?:want|wish|care|need|like) {_SMALL}"
        r"(?:texts|txts|messages|msgs|sms|spam|ads|promos?|promotions|marketing|"
        r"notifications|alerts|newsletters?|texted|contacted|messaged|"
        r"hear from you|(?:receive|receiving|get|getting) "
        r"(?:these|this|them|anything))",
        r"\b(?:never|didnt|didn t|did not) (?:sign(?:ed)? up|subscribed?|opt(?:ed)? in"
        rf"|ask(?:ed)?)(?: (?:for|to))?(?: (?:this|these|it)\b| {_SMALL}{_TEXTS}|$)",
        rf"\bno (?:more )?(?:\w+ ){{0,2}}?{_TEXTS}\b",
        rf"\benough (?:\w+ ){{0,3}}?{_TEXTS}\b",
        r"\b(?:remove|delete|erase|drop|unsubscribe|unsub) (?:me|us|(?:my|this|the) "
        r"(?:cell |phone |mobile )?(?:number|phone|cell|mobile|contact|name|info))\b"
        r"(?!.*\b(?:waiting|wait|guest|booking|reservation)\b)",
        r"\b(?:take|get) (?:me|us|(?:my|this) (?:\w+ )?number) (?:off|out)\b"
        r"(?!.*\b(?:waiting|wait|guest|booking|reservation)\b)",
        r"\b(?:lose|forget) (?:my|this) number\b",
        r"\bunsub(?:scrib\w*)?\b|\bopt(?:ing|ed)? (?:me )?out\b|\boptout\b",
        r"\b(?:revoke|withdraw) (?:my |all )?(?:consent|permission)",
        r"\bcancel (?:my |these |the |all |this |your )*"
        rf"(?:{_TEXTS}|text alerts)\b|^cancel (?:my |the |this )?subscription$",
        r"^stop or\b",
        r"^(?:would|could|can|will) (?:you|u)(?: guys| please| just)* stop"
        r"(?: please| it| this| now)*$",
        r"\bleave me alone\b|\b(?:fuck|piss|sod|bugger|f) off\b|^(?:go away|get lost)$",
        r"\bwrong (?:number|person)\b",
        r"\b(?:this|thats?|its|it) (?:is )?(?:all |just )?spam\b|^spam$",
        r"\bblock(?:ed|ing)? (?:you|this number|ur number)\b",
        r"\breport(?:ed|ing)? (?:you|this|it|u)\b.*\bspam",
    )
]
#: "STOP 12345": some people repeat the number they got the text from, and carriers
#: accept it. A number makes no other wish out of these words, so it is a refusal.
#: "cancel 12345" might be an order and "end 5" a time: those words stand alone or not
#: at all, and so does STOP before any other word ("stop by at 5").
_STOP_NUMBER = re.compile(r"(?:stop|stopall|unsubscribe|td|退订) ?[0-9 ]+")
#: Words around STOP that do not change it.
_POLITE = frozenset(
    "please pls plz now it this thanks thank you i said just already ok ffs omg".split()
)
#: Words around a Chinese keyword that do not change it.
_POLITE_CHINESE = re.compile(r"谢谢|请|麻烦|回复?|我要|一下|了|吧|您好|你好")

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
    plain = half_width(text or "").casefold().translate(_SIMPLIFIED)
    plain = re.sub(r"['’‘`´]", "", plain)
    clauses = (
        re.sub(r"[\W_]+", " ", clause).strip() for clause in _CLAUSE_END.split(plain)
    )
    return [clause for clause in clauses if clause]


def _refuses(clauses: list[str], squeezed: str) -> bool:
    if max(map(len, clauses), default=0) <= 2:
        # "不要,再,发,了": signs between all words end no clause
        clauses = [squeezed]
    whole = " ".join(clauses)
    if _STOP_NUMBER.fullmatch(whole) or _POLITE_CHINESE.sub("", squeezed) in (
        KEYWORDS[REFUSE] - {"取消"}
    ):
        return True
    if any(pattern.search(squeezed) for pattern in _CHINESE_WHOLE):
        return True
    return any(map(_refuses_clause, clauses))


def _refuses_clause(clause: str) -> bool:
    words = set(clause.split())
    if "stop" in words and words <= _POLITE | {"stop"}:
        return True
    chinese = clause.replace(" ", "")
    if not chinese.isascii() and any(p.search(chinese) for p in _CHINESE):
        return True
    english = _KEEP.sub(" ", clause)
    return any(pattern.search(english) for pattern in _ENGLISH)
