"""Refusals in Chinese: a word of refusal and what is refused, clause by clause.

Written are Mandarin and Cantonese, simplified and traditional, with the English words
people mix in; :func:`plain` brings all of them to one spelling first, so that a pattern
is written once. 发 alone is not enough for a message: a parcel (发货), an invoice
(发票) and a carrier (发顺丰) are sent as well, and so is what the member asks for.
"""

import re

#: Traditional characters of the words below and of the rules a shop starts with, each
#: before its simplified one.
_SIMPLIFIED = str.maketrans(
    dict(
        (
            "訂订 發发 請请 別别 給给 擾扰 騷骚 廣广 絕绝 號号 碼码 刪删 "
            "傳传 簡简 訊讯 閉闭 煩烦 錯错 這这 舉举 報报 門门 單单 們们 "
            "夠够 讓让 斷断 繼继 續续 對对 電电 話话 聯联 繫系 閱阅 閲阅 "
            "麼么 還还 沒没 為为 會会 員员 個个 來来 資资 從从 關关 遞递 "
            "嗎吗 機机 銷销 廢废 註注 終终 無无 須须 動动 優优 購购 預预 "
            "約约 廳厅 貨货 換换 時时 實实 錄录 間间 聽听 應应 該该 罵骂 "
            "騙骗 隱隐 轉转 訴诉 職职 業业 費费 說说 誰谁 買买 東东 並并 "
            "將将 離离 當当 樣样 點点 過过 裡里 裏里 遠远 開开 總总 亂乱 "
            "種种 權权 後后 達达 諒谅 積积 級级 餘余 幾几 數数 詢询 "
        ).split()
    )
)
_CHARACTER = re.compile("[\u4e00-\u9fff]")
#: Cantonese, and English words in a Chinese sentence. The first that fits is used.
_WORDS = [
    (re.compile(pattern), word)
    for pattern, word in (
        ("唔好再?(?=意思)", "不好"),
        ("唔好|咪再|咪(?=[发传骚扰])", "不要"),
        ("唔使|唔洗|毋须|毋需|无须|无需|不须", "不用"),
        ("唔该", "请"),
        ("唔", "不"),
        ("[俾畀]", "给"),
        ("嚟", "来"),
        ("咗", "了"),
        ("嘢", "东西"),
        ("呢[啲的]", "这些"),
        ("[嘅啲]", "的"),
        ("冇", "没有"),
        ("搵", "找"),
        ("[剷铲]走", "删除"),
        ("嘈", "吵"),
        ("哋", "们"),
        ("dont|donot", "不要"),
        ("remove", "移除"),
        ("nomore|no(?=(?:text|txt|msg|message|sms))|no(?=短信|广告)", "不要"),
        ("短讯|短消息|手机短信|彩信", "短信"),
        ("推播", "推送"),
        # a slip of the keyboard; a deposit (定金) and a table stay what they are
        ("退定(?![金位制做座餐房])|推订|退丁|腿订", "退订"),
        ("(?:text|message|msg|sms)(?=我|本人)", "发短信给"),
        ("(?:text|txt|message|msg|sms)s?(?:ing)?", "短信"),
        ("send(?:ing)?", "发"),
        ("stop", "停止"),
        ("spam", "骚扰"),
        (r"unsub[a-z]*", "退订"),
        (r"subscri[a-z]*", "订阅"),
        (r"notif[a-z]*", "通知"),
        ("call", "打电话"),
        ("cancel", "取消"),
        ("pl[sz]|please", "请"),
        ("block", "拉黑"),
        ("promo(?:tion)?s?", "优惠"),
        ("ads?(?![a-z])", "广告"),
    )
]

#: What a shop sends to its members, with what it is about.
_MESSAGES = (
    "(?:优惠|活动|新品|上新|生日|节日|促销|打折|商业|商品|产品|会员|营销|垃圾|骚扰|"
    "推广|推销|宣传|群发|通知|没用|无用|无聊|烦人|破|烂|"
    "[那这]么多|的)*"
    "(?:短信|简讯|信息|讯息|资讯|消息|来信|广告|推广|推销|推送|营销|垃圾)"
)
_NOUNS = f"{_MESSAGES}|促销|优惠(?![码券])|活动"
#: A kind of messages that is named by what it is about.
_NOTICES = "(?:新品|上新|优惠|活动|会员|节日|生日|促销|打折|短信|消息)+的?(?:提醒|通知)"
_NO = (
    r"(?:不要|不用|不必|不想|不准|不许|不需要|不希望|不愿意?|不再|不接受|别|勿|莫|甭|"
    r"谢绝|禁止|拒绝|抵制|不同意|不允许|不想要|不太?喜欢|不太想|不是很想|讨厌|反感|"
    r"受够了?|受不了|烦透了?|厌烦|(?<!不)(?<!不要)(?<!别)(?:停止|停)|(?:可以|能|能否|"
    r"可否|以后|请)不)"
)
#: Words between "no" and what is refused.
_FILL = (
    r"(?:再|老是?|总是?|一直|继续|天天|每天|整天|成天|一天到晚|三天两头|没事|动不动|"
    r"到处|随便|瞎|乱|给|跟|对|向|往|我们?|本人|他|她|人家|"
    r"被|受到?|(?:我的?|[本此该]|这个?)(?:手机|电话)?号码?|我的?手机|这个手机|本机|来|"
    r"去|"
    r"这些?|这种|这样|这类|那些|此类?|你们|的|同|和|打来|整|搞|弄|任何|什么|"
    r"打电话|一切|所有|要|也)*"
)
#: What makes 发 a message: a parcel or an invoice is followed by another word.
_SENT = (
    rf"(?:$|了|啦|吧|啊|呀|哈|来|过来|送(?:$|了|{_FILL}(?:{_NOUNS})|给我)|我$|我了|"
    rf"我{_FILL}(?:{_NOUNS})|"
    rf"(?:(?![货票错丰通忘记到]).){{0,8}}(?:短信|简讯|讯息|广告|推广|推销|推送|营销)|"
    rf"给我(?:$|了|[吗么]|们?(?:{_NOUNS}))|{_FILL}(?:{_NOUNS}|东西)|到?(?:我|这个|"
    rf"此)的?(?:手机|号)|"
    r"这|此|那么[多勤]|行不|行吗|好不|好吗|可以吗)"
)
#: The general case: what only we send …
_OURS = "(?:短信|简讯|群发|推送|推广|推销|营销|广告)"
_AWAY = (
    "(?:不要|不用|不必|不需|别|勿|停(?!车)|取消|关闭|关掉|关了|退了|退掉|拒|免了|不想|"
    "不收|不看|"
    "不再|屏蔽|太频繁|太多|够了|(?<!麻)烦(?!请)|腻)"
)
#: … unless the member misses one, asks about it, or speaks about what it says.
_WANTED = (
    "(?:没收|收不到|没有|没看|没发|怎么没|不发|打不开|链接|内容|码|忘|再发|发给我|"
    "发我|截图|里|"
    "上[的写说]|说|写|记得|告诉|告知|确认|[吗么呢]|是不是|为什么|怎么|取[餐件货]|"
    "通知我|提醒我|误删|快递|"
    "电话|微信|收到了|费|及时|券|看不|不清|优惠信|招聘|多发|继续|一直|给我看|给店|"
    "[这那]条|刚)"
)
_SENDING = [
    re.compile(pattern)
    for pattern in (
        rf"{_NO}{_FILL}(?:群?发|传|推){_SENT}",
        r"(?:别|不要|勿)[^忘错记]{0,4}发(?:了|啦|吧)?$",
    )
]
#: In such a sentence it is the goods that are not to be sent (发).
_ORDER = re.compile(
    "先(?:不要|不用|别)|付款|付钱|颜色|地址|到店|自取|自提|去拿|来拿|[货票]|退款|订单|"
    "快递|下单|尺码"
)
_MESSAGE = re.compile(rf"{_MESSAGES}|骚扰|以后|再")
#: The words of the carriers and the law, unless of a table, a cake or a parcel, or of
#: what the member has not done.
_OUT = (
    r"(?<!不)(?<!不要)(?<!不想)(?<!不用)(?<!没)(?<!没有)(?<!别)(?<!未)退订"
    rf"(?!(?!.*{_OURS}).{{0,5}}(?:房|酒|席|票|蛋糕|位|桌|座|包[间厢]|课|金|餐|花|商品|"
    r"货|订?单|预约|套餐|鞋|菜))",
    r"^(?!.*(?:快递|包裹|货|件|外卖|商品|订单|退款|现金|硬币)).*拒收(?:$|谢|你们?|此|"
    r"这|一切|所有|任何|名单|"
    rf"吧|{_MESSAGES})",
    rf"(?:不再?|不想|不要|没有?|停止)订阅(?:了|过|$|你们|{_MESSAGES})",
    r"(?:再?不|不给我?)退订(?:就|我)|(?:别|不要|不用).{0,6}[就都]发(?:$|短信)",
    r"(?:撤销|撤回|撤消)了?(?:我|本人)?的?(?:订阅|同意|授权)",
    rf"(?:没有?|从未|从没|未)(?:同意|授权|订过|要求).{{0,6}}(?:接收|订阅|{_NOUNS})",
    r"回复?了?(?:td?|n|r|退订)了?(?:还|怎么|没用|也)",
)
#: The general case, see above.
_GENERAL = (rf"^(?!.*{_WANTED}).*{_AWAY}.*{_OURS}|^(?!.*{_WANTED}).*{_OURS}.*{_AWAY}",)
#: Do not disturb, call, write, tell.
_LEAVE = (
    rf"{_NO}{_FILL}"
    r"(?:(?:打扰|骚扰)(?=$|[我了吧好行可人啦啊谢他她本这])|轰炸|推送|推销|推荐(?=$|了|"
    r"给我|商品|产品|新品)|烦(?:$|我|了|人)|吵我|来烦|来吵|扰(?:$|我|民)|吵了|刷屏)",
    rf"{_NO}{_FILL}(?:再打电话|(?:联系|联络|通知|找)我(?:$|了|们)|通知(?:$|了))",
    rf"{_NO}{_FILL}(?:告诉|告知|通知|提醒)我?们?.{{0,4}}(?:活动|优惠|促销|打折|短信|"
    rf"消息)",
    r"^(?:以后)?(?:请)?(?:不要|别)再来(?:了|啦)?$",
    rf"(?:{_MESSAGES}|通知|活动|优惠)(?:就|都)?(?:免了|省了|不用告诉我|不用通知)",
    r"活动.{0,3}不用告诉",
    rf"{_NO}{_FILL}(?:寄送?|传送|投放|投递).{{0,4}}(?:{_MESSAGES})",
    rf"{_NO}{_FILL}再{_FILL}通知",
    rf"(?:不要|别|勿|不用|不必|不想|不准){_FILL}再{_FILL}(?:联系|联络)(?:$|了|我)",
    r"发[得的](?:也|真)?太(?:多|频繁|勤)|少发(?:点|些)?(?:$|吧|短信|信息|广告)|"
    r"少来?(?:烦|打扰|骚扰|吵)",
)
#: Nothing of that is wanted.
_RECEIVE = (
    rf"(?:{_MESSAGES})(?:(?![忘删回]).){{0,4}}(?:不要|不收|拒绝|不想要|不需要|"
    rf"不必)(?:了|$)",
    r"一律(?:不收|不要|拒收|拒绝)|^闭嘴",
    r"^(?:以后)?不再?发了?(?:行|好|成|可以)[吗不么吧]",
    rf"{_NO}{_FILL}(?:收到|接收|接受|接到|看到|看|收)"
    rf"(?:$|了|这些$|.{{0,6}}(?:{_NOUNS}|通知))",
    rf"{_NO}{_FILL}(?:{_MESSAGES})(?!.*[吗么]$)",
    rf"不(?:接收|接受|收|看).{{0,6}}(?:{_MESSAGES})(?!费)",
    rf"(?:能|可以|能否|可否)不{_FILL}发[吗么]?$|不发(?:短信|信息|广告).{{0,2}}(?:可以|"
    rf"好|行|成)",
)
#: Stop it, switch it off, how to.
_STOP = (
    rf"(?:{_NO}|取消|关闭|关掉|停掉|退掉){_FILL}{_NOTICES}(?!.*[吗么]$)",
    rf"{_NOTICES}.{{0,3}}(?:不要|不用|不需要|取消|关掉|关闭|停)(?:了|掉|$)",
    r"勿扰|免打扰|免扰|^(?:请|求|麻烦|可以|能不能|能|可不可以|可否|马上|立即|立刻|快|"
    r"赶紧)*"
    r"(?:(?:停止(?:发送)?|停下来?|住手)(?:吧|了|谢谢|请|啦|啊|吗|么)?|停(?:吧|掉|"
    r"了吧)?|消停点?吧?)$",
    r"(?:取消|关闭|关掉|停掉|退掉|退了|屏蔽|终止|停用|关停|关(?=一下|下)|"
    r"退出|解除|解绑)"
    rf"{_FILL}(?:了|接收|我的|我|全部|会员|商家|店铺|一下|下|掉)*{_FILL}"
    rf"(?:订阅|接收|发送|发|通知|提醒|服务信息|{_MESSAGES})(?!码|票|货|快递|券|报名|"
    rf"名额|资格|[里上中说])",
    r"(?:怎么|怎样|如何|咋)样?(?:才能|才可以|可以|能)?(?:停掉|停止|关掉|退掉|不收|"
    r"屏蔽|拒收)"
    r"(?:$|你们|了|到|短信|简讯|推送|广告)",
    r"(?:短信|简讯|推送|通知)(?:推送|通知|提醒|服务)?(?:在?哪里?|怎么|如何|"
    r"怎样)(?:才?能|可以)?"
    r"(?:关|停|取消|退|屏蔽)",
    r"(?:要求|请|希望|麻烦)(?:你们?|贵店|贵司|能|立即|立刻|马上)*停止$",
    r"(?:短信|简讯|订阅|推送).{0,3}(?:退了|退掉|取消|停了|停掉|关了|关掉)",
)
#: Off the list, out with the number, not my number.
_NUMBER = (
    r"(?:给|帮|替)我停(?:了|掉|一下)吧?$|^停{2,}|消停(?:点|会|一会|下)|换机主|换主人|"
    r"易主",
    r"(?:[把将]我|请|求).{0,4}(?:加|拉|放|列).{0,2}黑名单|^加黑名单",
    r"(?:不要|别|停止|勿|不许|不准).{0,3}用我的?(?:手机|电话)?号(?!码?(?:注册|登))",
    r"(?:打扰|骚扰|吵|烦)到我|^(?:你们)?有完没完|(?:机主|号主).{0,3}(?:换|变更|不用)",
    r"(?:我|本人)的?(?:手机|电话)?(?:号码?|联系方式).{0,8}(?:删|移除|移出|去掉|清除|"
    r"剔除)",
    r"(?:删除?掉?|移除|清除|去掉)了?(?:我|本人)的?"
    r"(?:手机|电话|号码?|联系方式|个人|信息|资料)",
    r"(?:名单|列表|群发|通讯录)[里中上]?.{0,6}(?:删|移|去掉|去除|剔|踢|拿掉)",
    r"(?<!为什么)(?<!怎么)(?<!你们)(?<!别)(?<!不要)(?:把我|将我)(?!.*(?:候补|排队|"
    r"等位|预约|订单)).{0,6}"
    r"(?:删|移除|移出|踢|剔除|去掉|去除|退出)(?!.*[吗么]$)",
    r"(?:可以|能|麻烦|请)[把将]我(?!.*(?:候补|排队|等位|预约|订单)).{0,6}(?:删|移除|"
    r"移出|踢|去掉)",
    r"^(?!.*(?:旧|错|换|第|订单|备注)).*(?:号码?|手机号|电话)(?:请|给我|麻烦|就|都)?"
    r"(?:删|移除|移出|去掉|清除)",
    r"(?:删|移除)(?:掉|除)?(?:我|这|本|此|该|个|的)*(?:手机)?号码?(?:$|吧|了|谢谢)",
    r"(?:不想|不要|别|不愿)(?:(?![忘漏]).){0,6}(?:名单|列表|群发)",
    r"(?:删|移|踢|剔|退).{0,4}(?:名单|列表|群发)",
)
#: Anger, threats, too much of it.
_ANGER = (
    r"(?:半夜|凌晨|大晚上|一大早)[^不]{0,4}发.{0,3}(?:短信|广告|信息|消息)",
    r"还发.{0,3}(?:短信|信息|消息|广告)|屏蔽(?:了|掉)?你",
    r"(?:短信|信息|广告)骚扰(?!.*[吗么]$)",
    r"(?:短信|简讯|推送|消息).{0,3}(?:很|太|真|好)(?:烦|讨厌|骚扰)",
    r"(?:移除|删除|删掉|移出|剔除|去除)我(?:$|吧|了)",
    r"还(?:在|给我|继续|一直|不停|老)+发(?:$|短信|信息|消息|广告)",
    r"(?:天天|整天|成天|老是|总是|没完没了)(?:的|地|给我|在)*发(?:$|短信|信息|消息|"
    r"广告|个没完|个不停)",
    r"(?:这是|属于|算是?|就是|已经是|构成)骚扰"
    # by a text, not by somebody in the shop
    r"|^(?!.*(?:店员|员工|服务员|技师|司机|骑手|快递员|师傅|老板|保安|教练|"
    r"老师)).*骚扰我",
    r"^(?:我?已经?|直接)?(?:屏蔽|拉黑|举报)(?:了|你们?)*$|^我?已经?投诉(?:了|你们?)*$",
    r"^(?:快|赶紧|给我)?滚(?:开|蛋|远点|吧|啊)*$",
    r"(?:别|不要)逼我(?:投诉|举报|报警|骂)|投诉.{0,6}骚扰",
    rf"(?:{_MESSAGES})(?:发[得的])?(?:实在|真的|也)?(?:太|好)(?:多|频繁|烦|勤)",
    r"(?:垃圾|骚扰)(?:短信|简讯|信息|消息|广告|电话)(?!.*[吗么]$)",
    r"(?:发|打|找)错(?:了?人|了?号|对象)|不是.{1,3}(?:女士|先生|小姐)",
    rf"(?:怎么|为什么|为啥|干嘛)(?:还|又|总是?|老是?|一直|天天|每天)(?:在|"
    rf"给我)*发(?:$|{_FILL}(?:{_NOUNS}))",
    r"(?<!被)(?<!解除)拉黑",
    r"12321|工信部",
)
_CLAUSE = [
    re.compile(pattern)
    for pattern in (
        *_OUT,
        *_GENERAL,
        *_LEAVE,
        *_RECEIVE,
        *_STOP,
        *_NUMBER,
        *_ANGER,
    )
]
#: Across clauses: threats, and anger about what comes too often.
_WHOLE = [
    re.compile(pattern)
    for pattern in (
        r"(?:短信|简讯|信息|消息|广告|推送|推广)[^说里写]{0,8}(?:停|关|退)(?:了|掉|"
        r"一下)(?!吗)",
        r"再(?:(?![不没错]).){0,4}(?:发(?![货票错])|骚扰|打扰|推|(?:来|有)(?:短信|"
        r"信息|消息)|"
        r"收到(?:一|短信|信息|消息|就|我))(?:(?![货票错]).){0,8}(?:投诉|举报|报警|"
        r"起诉|告你|骂|拉黑|换号)",
        r"(?:短信|信息|广告|推送).*(?:能|可以|请)(?:不能)?停",
        r"^还(?:敢|在)?发.*(?:投诉|举报|拉黑|报警)",
        r"(?:天天|每天|每次都?|整天|老是|总是|一直).{0,4}发.*(?:烦|滚|有病|讨厌|恶心|"
        r"够了)",
        r"(?:烦|滚|有病|讨厌|恶心|够了).*(?:天天|每天|每次都?|整天|老是|总是|"
        r"一直).{0,4}发",
        r"(?:收到|短信|信息).*[条次].*够了",
        r"^(?!.*[换旧错改]).*(?:手机|号码?|电话).{0,15}(?:删掉|删了|删除|清除)(?:吧|"
        r"了|谢谢)*$",
    )
]


def simplify(text: str) -> str:
    """Return ``text`` with traditional characters as simplified ones."""
    return text.translate(_SIMPLIFIED)


def plain(text: str) -> str:
    """Return a Chinese text without blanks, in the spelling the patterns know."""
    text = text.replace(" ", "")
    if not _CHARACTER.search(text):
        return text
    for pattern, word in _WORDS:
        text = pattern.sub(word, text)
    return text


def refuses(clause: str, text: str) -> bool:
    """Return whether a clause refuses more messages.

    :param clause: as :func:`plain` returns it
    :param text: all clauses of the reply
    """
    if any(pattern.search(clause) for pattern in _CLAUSE):
        return True
    if _ORDER.search(text) and not _MESSAGE.search(text):
        return False
    return any(pattern.search(clause) for pattern in _SENDING)


def refuses_whole(text: str) -> bool:
    """Return whether a text refuses them in a way that spans its clauses.

    :param text: as :func:`plain` returns it
    """
    return any(pattern.search(text) for pattern in _WHOLE)
