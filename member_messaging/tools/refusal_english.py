"""Refusals in English: a word of refusal and what is refused, clause by clause.

:func:`plain` first brings the spellings of a telephone's keyboard to one, so that a
pattern is written once. "stop by at 5" and "cancel my order" are what a shop reads all
day: next to the word that stops something stands a message, a list, a number or
somebody who writes.
"""

import re

#: Spellings and typing errors, as one spelling. In this order.
_WORDS = [
    (re.compile(rf"\b(?:{pattern})\b"), word)
    for pattern, word in (
        ("dont|dnt|donot|do not|don t|do n ?t|dun", "dont"),
        ("any more|nemore|anymor", "anymore"),
        ("youre|you re", "you are"),
        ("u guys|you guys|you people|you all|yall|ya|yous|u", "you"),
        ("ur|yr", "your"),
        ("wanna", "want to"),
        (
            "(?<=my )(?:no|num|nr|nbr|digits)|(?<=this )no|(?<=wrong )(?:no|num|nr|"
            "nbr)",
            "number",
        ),
        ("takemeoff", "take me off"),
        ("removeme", "remove me"),
        ("unscribe", "unsubscribe"),
        (r"p+l+[sz]+|pl+eas+e+|pleas|plese|plase|plez|kindly|pretty please", "please"),
        ("thx+|thnx|thanx|tnx|tks|ty|thank you|thankyou|thanks", "thanks"),
        (
            "s+t+o+p{2,}|s{2,}top|st{2,}op|sto{3,}p|sotp|stpo|tsop|stp|st+a+h+p+|"
            "stawp|st0p",
            "stop",
        ),
        (r"un ?s(?:u[bcsri]{3,}|bsc)\w*ed", "unsubscribed"),
        (r"u[nb] ?s(?:u[bcsri]{3,}|bsc)(?!\w*ed\b)\w*|unsubs?", "unsubscribe"),
        ("rmv|rmove|remov|remve|rm", "remove"),
        ("no ?mor|nomore", "no more"),
        ("b", "be"),
        ("optt", "opt"),
        ("tx(?= me| us)", "text"),
        ("txt|tex", "text"),
        ("txts", "texts"),
        ("te?xti?n+g?", "texting"),
        ("msg|mesage|messege|messge|mssg", "message"),
        ("msgs|mesages|messeges|messges|mssgs", "messages"),
        ("msgi?ng?|messagin", "messaging"),
        ("sendin|sening|sendng", "sending"),
        ("no mas", "no more"),
        ("spammin", "spamming"),
        ("harras", "harass"),
        ("dis", "this"),
        ("dat", "that"),
        ("da", "the"),
        ("wit|w", "with"),
        ("plx", "please"),
        ("2", "to"),
    )
]

# ------------------------------------------------------------------------- words

_NOT = r"(?:dont|never|no longer|not to|must not|should not|shouldnt)"
#: What a shop sends to its members.
_MESSAGES = (
    r"(?:texts|texting|text messages?|messages|messaging|sms|smses|mms|spam|spamming|"
    r"notifications?|alerts|e?mails|mailings?|newsletters?|solicit\w*|robotexts?|"
    r"communications?|correspondence|junk|crap|bullshit)"
)
#: The same, where the word may also be about the promotion itself: "when does the promo
#: stop".
_OFFERS = (
    r"(?:ads?|adverts?|advertis\w+|promos?|promotions?|promotional|marketing|offers|"
    r"coupons|deals|text|message|stuff|reminders|updates|calls)"
)
_NOUNS = rf"(?:{_MESSAGES}|{_OFFERS})"
#: What a sender does; with "ing" where it follows "stop".
_VERB = (
    r"(?:text|message|sms|contact|spam|bother|harass|disturb|bug|pester|annoy|"
    r"solicit|advertise|market|write(?= (?:to )?(?:me|us)))"
)
_DOING = (
    rf"(?:{_VERB}ing|messaging|writing|advertising|calling(?! it)|harrassing|blasting|"
    rf"emailing|"
    r"bugging|blowing up my)"
)
#: A few words of the same phrase.
_SMALL = (
    r"(?:(?!(?:and|if|when|until|till|after|before|by|at|then|so|but|because|where)\b)"
    r"\w+ ){0,4}?"
)
#: Words before a noun that do not change it.
_KIND = (
    r"(?:(?:of|these|those|your|the|this|such|all|any|marketing|promotional|stupid|"
    r"damn|"
    r"fucking|effing|bloody|spam|unwanted|unsolicited|text|sms|ad|further|phone|please|"
    r"junk|sending|annoying|random|to|for|from|about) )*"
)
#: Whose phone or number it is.
_NUMBER = (
    r"(?:(?:my|this|the|our|that|her|his|their) (?:(?!old\b)\w+ )?"
    r"(?:number|phone|cell|mobile|line|contact|name|info|information|details|data))"
)
_STOP = r"(?:stop|quit|cease|discontinue|halt)(?! (?:by|at|in|over|near|on|off)\b)"
#: Lists that are none of messages.
_OTHER_LIST = (
    r"(?!.*\b(?:waiting|wait|waitlist|guest|guestlist|booking|reservation|appointment|"
    r"\d+|oclock|schedule|calendar|order|table|queue|class|event|rsvp|delivery|cart|"
    r"bill|hold)\b)"
)
_POLITE = (
    r"(?: (?:right|please|now|thanks|it|this|that|these|already|ok|everything|all|asap)"
    r")*"
)
_QUESTION = (
    r"(?:when|does|do|did|will|where|which|what|is|are|has|should|can i|shall)\b"
)
#: "stop" that is no message's end: a place, a time.
_NO_PLACE = r"(?! (?:by|at|in|over|near|on|off|to|selling|serving|making)\b)"
#: What stands before a stop of a bus, or before a verb about something else.
_NOT_A_STOP = (
    "".join(
        rf"(?<!\b{word})"
        for word in (
            "a an the this that your my our his her their which any some another "
            "bus non next first last one final full rest short tram train truck pit "
            "metro shuttle coach subway gas coffee quick door to will ill well id "
            "can could would should must may might cant wont dont not never didnt "
            "doesnt i he she they we it and or me us them him let lets until before "
            "after second third same right wrong favorite express local night only "
            "good"
        ).split()
    )
    + "(?<!est)"
)
#: What people cry before STOP.
_CRY = (
    r"(?:no|nope|who|whos|not|wrong|too|you|enough|spam|hey|hi|dude|bro|bruh|man|guys|"
    r"lady|sir|whoever|please|thanks|seriously|omg|ffs|wtf|ugh|god|jesus|for|i beg|"
    r"im begging|"
    r"hello|yo|stop|honestly)"
)

#: The general case: a word that pushes away before what only we send …
_AWAY = (
    r"(?:no|not|dont|never|without|cease|end|cancel|remove|delete|erase|off|out|block|"
    r"disable|leave|rather not|no longer)"
)
_OURS = (
    r"(?:texts|texting me|smses|text list|texting list|mailing list|marketing list|"
    r"sms list|marketing messages|promotional messages|consent|permission|"
    r"(?:text|message|contact) me(?= (?:again|anymore|ever|please)|$))"
)
#: … unless the member misses one, or tells when to write.
_WANTED = (
    r"(?:\b(?:not|dont|didnt|never|no longer|arent|isnt|havent|hasnt|cant|couldnt|wont|"
    r"stopped)(?: \w+)? (?:get|got|getting|receive|received|receiving|see|saw|open|"
    r"read|"
    r"forget|miss|mind|find|understand|hesitate)\b|\b(?:yet|codes?|link|when|until|if|"
    r"before|order|ready|delivery|lately|while|received|came|about|forget|but|instead|"
    r"hesitate|ages|answer|reply|respond|today|problem|worries|rush|and|or|thanks)\b)"
)

#: Taken out before anything else: "dont stop" and "why did you stop" want more, and
#: who gave a wrong number wants to be reached.
_KEEP = re.compile(
    rf"(?<!if you )(?<!if this )(?<!if it )\b(?:{_NOT}|cant|can t|cannot|wont|won t|"
    rf"didnt|"
    r"didn t|did not|doesnt|havent|couldnt|not)"
    r"(?: ever| please| want to| wish to)? (?:stop|quit|unsubscribe|opt(?:ed)? out)"
    r"(?:ped|d)?(?: \w+)*"
    r"|\b(?:did|have|has|had) (?:you|they|your \w+)(?: all)? "
    r"(?:stop|quit)(?:ped)?(?: \w+)*"
    r"|\b(?:ill|i will) (?:stop|quit)\b.*|\b(?:stop|quit) ignoring\b.*"
    r"|(?<!cancel )(?<!stop )(?<!end )\bmy (?:texts|messages|text messages)\b"
    r"|\bsorry (?:for|about|to (?:keep )?bother\w*)\b(?: (?!but\b)\w+)*"
    r"|\b(?:gave|given|give|typed|put|entered|wrote|left)(?: you| in| down)*"
    r"(?: the| a| my)? wrong number"
)

_STOP_MESSAGES = (
    rf"\b{_STOP}(?: (?!and\b)\w+)? {_SMALL}{_MESSAGES}\b|\b{_STOP} {_MESSAGES}\b",
    rf"\b{_STOP} (?:(?:all|the|any|your|these|further|calls?|calling|and|or|with) )*"
    rf"(?:{_MESSAGES}|contact$)",
    r"\bstop (?:receiving|getting) (?:these|this|them|it|your|anything|any)\b",
    rf"\b(?:if|wish) you (?:could |would |please |just )*stop(?:ped)? "
    rf"(?:{_DOING}|sending|this$|these$|it$)",
    rf"^(?!when|what|until|how long|will|does|do|is|did)(?:.*\b)?"
    rf"{_STOP}(?: (?!and\b)\w+)? {_SMALL}{_OFFERS}\b",
    rf"^end text$|\bend (?:(?:all|these|those|the|your|this|my|sending|"
    rf"any) )*{_MESSAGES}\b",
    rf"\b(?:stop|quit|cease|refrain from|avoid)(?: with)? (?:the )?{_DOING}\b",
    r"\b(?:stop|quit|cease|refrain from) send(?:ing)?(?: (?:(?:me|us)"
    r"(?! (?:the|my|someone|a|an|cold|old|broken)\b)|this|these|those|stuff|"
    r"things|anything|to (?:me|my|this)|and|or|so many|so much|too many)\b|$)",
    r"\bcease (?:all |any |and )*(?:contact|desist)\b",
    rf"\b(?:turn|switch|shut) off (?:\w+ ){{0,3}}?{_NOUNS}\b",
    rf"\b(?:turn|switch|shut) (?:\w+ ){{0,3}}?{_NOUNS} off\b",
    rf"\b(?:disable|deactivate|block|mute|kill|silence) (?:\w+ ){{0,2}}?{_MESSAGES}\b",
    rf"\b(?:cancel|terminate|suspend) (?:my )?{_KIND}{_MESSAGES}\b|^cancel text$"
    r"|\bcancel (?:my |these |the |all |your )*(?:promotions|promos|ads|marketing|"
    r"text alerts|text subscription)\b(?! codes?)",
    r"^(?:please |i want to )*(?:cancel|end|stop|terminate) (?:my |the |"
    r"this )?subscription"
    rf"(?: (?:to|for|from) {_SMALL}(?:{_NOUNS}|list|this|these))?(?: please| thanks)*$",
)
_DO_NOT_WRITE = (
    rf"\b{_NOT} (?:ever |please |keep |you |dare |again |need to |have to )*"
    rf"(?:(?:call|phone|ring|email|mail)(?:ing)? (?:or|and|n|nor) )?{_VERB}(?:ing)?"
    rf"(?: (?:me|us|it|to me|this|again|anymore|ever|here|or|{_NUMBER})\b|$)",
    rf"\b{_NOT} (?:\w+ ){{0,6}}?(?<!the )(?<!your )(?<!a )(?:text|message|contact)"
    r"(?: me| us)? (?:again|anymore)\b",
    rf"\b(?:can|could|would|will) you (?:please )?not {_VERB}(?:$| (?:me|us|this)\b)",
    r"\bdont opt me in\b",
    rf"\bnot {_DOING} (?:me|us|this|{_NUMBER})\b",
    rf"\b{_NOT} (?:ever )?call me (?:again|anymore|ever)",
    rf"\b{_NOT} (?:ever |keep )*send(?:ing)? (?:me |us )?"
    r"(?:anymore|anything|nothing|stuff|things)(?: (?:of|this|these|those|please|"
    r"thanks|"
    r"else|again|ever|to|me|my|number|phone|like))*$",
    rf"\b{_NOT} (?:ever |keep )*send(?:ing)? (?:me|us) "
    r"(?:this|these|those|anymore|anything|stuff)"
    rf"(?:$| (?:please|thanks|again|ever|anymore|to|of|at all|else|like this|"
    rf"{_NOUNS})\b)"
    r"(?!.*\b(?:by|until|till)\b)",
    rf"\b{_NOT} (?:ever |keep )*send(?:ing)? {_SMALL}{_NOUNS}\b",
    rf"\b{_NOT} send (?:me |us )?(?:more|any)(?: (?:please|thanks|ever|again))*$",
    r"^(?:one|1) more (?:text|message) and\b",
    rf"\b{_NOT} use (?:my|this) number\b(?!.*\b(?:old|other|new)\b)",
)
_DO_NOT_WANT = (
    rf"\b(?:{_NOT}|not) (?:want|wish|care|need|like|interested in|appreciate) {_SMALL}"
    rf"(?:{_MESSAGES}|ads|promos?|promotions|marketing|texted|contacted|messaged|"
    r"bothered|spammed|hear from you|(?:receive|receiving|get|getting) "
    r"(?:these|this|them|anything))\b",
    rf"\b(?:{_NOT}|not) (?:want|wish|like) to be (?:on|in|part of) "
    rf"{_OTHER_LIST}(?:this|your|the|any) (?:\w+ )?(?:list|group|database)\b",
    rf"^(?!.*{_WANTED}).*\b{_AWAY}\b.*\b{_OURS}\b|^(?!.*{_WANTED}).*\b{_OURS}\b.*\b"
    rf"(?:revoked|withdrawn|ended|unwanted)\b",
    rf"\bwhy (?:do|am|are|did|would) (?:i|you) (?:still |always |keep )*"
    rf"(?:(?:getting|receiving|sending) {_SMALL}{_MESSAGES}|{_DOING} (?:me|us))\b",
    rf"\bstill (?:getting|receiving|sending) {_SMALL}(?:{_MESSAGES})\b",
    rf"\bno need (?:for|to send)(?: me)? {_KIND}{_MESSAGES}\b",
    rf"\b(?:rather|prefer|(?:wish|want|choose|like|"
    rf"love)(?: to)?) not (?:to )?(?:{_SMALL}{_NOUNS}|be (?:contacted|texted|bothered|"
    r"messaged)|hear from you)\b",
    rf"\b(?:sick|tired|fed up|done|over|had enough|hate|hating|dislike|despise|"
    rf"annoyed|bothered)"
    rf" {_KIND}(?:of |with |by |getting |receiving |all |your |these |"
    rf"the )*{_MESSAGES}\b",
    rf"\b(?:too|so) many (?:\w+ )?{_MESSAGES}\b",
    r"\byou (?:guys )?(?:text|message|send)(?: (?:me|us|texts|messages))?(?: way)? too "
    r"(?:much|often|many)\b",
    rf"\b{_MESSAGES} (?:are|is) (?:\w+ )?(?:annoying|unwanted|too much|harassment|"
    r"bothering|unwelcome|a nuisance|out of hand|excessive|spam)\b"
    rf"|\b{_MESSAGES} (?:are |is )?(?:(?:not|no longer) (?:wanted|welcome)|unwanted|"
    rf"no$)",
    rf"\b{_MESSAGES} (?:need|have|got|must|should)(?: to)? stop\b",
    r"\b(?:never|didnt|didn t|did not) (?:sign(?:ed)? up|subscribed?|opt(?:ed)? in"
    r"|ask(?:ed)?|request(?:ed)?|authori[sz]ed?|agreed?|consent(?:ed)?)(?: (?:for|to))?"
    rf"(?: (?:this|these|it)\b| {_SMALL}{_NOUNS}|$)",
    rf"\bno further {_KIND}(?:{_MESSAGES}|contact)\b",
    rf"\b(?:no more|enough) {_KIND}(?:{_MESSAGES}|text|ads?|promos?|promotions?|"
    rf"promotional|"
    r"marketing)\b(?! (?:codes?|left|available|yet|jobs?|events?))",
    rf"\benough (?:\w+ ){{0,3}}?{_MESSAGES}\b",
    rf"^(?!no notification$)(?:please |thanks |i said )*no {_KIND}{_MESSAGES}"
    r"(?: (?:please|thanks|to (?:me|my|this)|from you$|anymore|ever)\b.*)?$",
    r"^(?:please )?no (?:more )?(?:marketing|ads|advertising|promotions|promos|text)"
    rf"{_POLITE}$",
    r"^(?:please )?(?:no more|enough)(?: (?:of|this|these|that|please|thanks|already|"
    r"now))*$",
    r"^(?!.*\b(?:love|like|glad|happy|thanks|please|hope)\b).*\byou (?:just |always )*"
    rf"keep (?:on )?(?:sending (?:me|us)|{_DOING})\b",
)
_OFF_THE_LIST = (
    rf"\b(?:remove|delete|erase|unsubscribe|exclude) (?:all )?(?:me|us|"
    rf"{_NUMBER})\b{_OTHER_LIST}"
    rf"(?! from (?!(?:\w+ ){{0,3}}?(?:{_NOUNS}|lists?|database|system|group|contacts?|"
    rf"phone|"
    r"records|here|your|this|these|all|everything)\b))",
    rf"\b(?:scrub|purge|wipe|clear|drop|strike|pull|cross|get rid of) {_NUMBER}\b"
    rf"{_OTHER_LIST}",
    r"\bremove (?:her|him)(?: please)?$",
    r"\bdrop (?:me|us) (?:from|off|out)\b",
    rf"^(?:please )?(?:remove|delete|take|get)(?: me)?(?: off|"
    rf" from)(?: of)? {_OTHER_LIST}"
    r"(?:this |your |the |all )*(?:\w+ )?lists?\b",
    r"^(?:please )?(?:remove|delete|erase) (?:phone |cell )?number(?: please|"
    r" thanks)*$",
    rf"\btake (?:me |us |this |my \w+ |number |it )?off? {_OTHER_LIST}"
    r"(?:of )?(?:this|your?|the|all) (?:\w+ )?lists?\b",
    r"\b(?:number|name|im|i am|me|us) (?:is |be |gets? )?(?:removed|deleted|taken off)"
    r"(?: please| now| from your \w+)*$",
    rf"\bi (?:would|will|should|could) be removed\b{_OTHER_LIST}"
    rf"|\bremoving (?:me|{_NUMBER})\b{_OTHER_LIST}"
    r"|\brequest\w* removal\b|^removal\b.*\blists?\b",
    r"^(?:please )?off (?:of )?(?:the |this |your )?lists?\b|"
    r"^(?:please )?leave me off$",
    r"^(?:please )?(?:remove|delete) (?:contact|name|from text\w*)\b",
    rf"\b(?:take|get) (?:me|us|(?:my|this) (?:\w+ )?number|{_NUMBER}) "
    rf"{_OTHER_LIST}(?:off|out)(?:$| (?:of )?(?:please|now|thanks|asap|this|these|your|"
    r"all|everything|texts?|list|here|right|immediately|sms|the (?:text|texting|"
    r"mailing|"
    r"sms|marketing|messag\w+|contact|phone|call|promo\w*|list)))\b",
    r"\b(?:me|us|number|phone|cell|name|want|like|out|be|removed|taken|mom|dad|wife|"
    rf"husband|it|get) {_OTHER_LIST}(?:off|from|out) (?:of )?(?:this|your|that|the|"
    rf"all) "
    r"(?:\w+ ){0,3}?(?:list|lists|thread|database|group|system|records)\b",
    r"\bwant (?:to be )?(?:left alone|out|off)(?: please| now)*$",
    rf"\b(?:want|like|need|wish|ask|asked|asking|demand|have|get|requested|"
    rf"request) (?:to be |me |us |{_NUMBER} )"
    r"(?:removed|taken off|deleted)(?: please| now| thanks| asap)*"
    rf"(?:$| {_OTHER_LIST}(?:from|off|of)?\b.*\b(?:lists?|database|system|records)\b)",
    rf"\bnot (?:\w+ ){{0,3}}?be (?:on|in) {_OTHER_LIST}(?:this|your|"
    rf"any) (?:\w+ )?list\b",
    r"\bhow (?:do|can) i (?:get|be|come) (?:removed|taken off|off (?:this|your)|"
    r"out of this$)",
    r"\b(?:get|stay|keep) (?:off|out of|away from) my (?:phone|inbox|messages|line)\b",
    rf"\b(?:unenroll?|deregister|unregister|disenroll|unlist)(?: me| us| {_NUMBER}|$)"
    rf"{_OTHER_LIST}",
    r"\bdont (?:contact|call|text|disturb)(?: or \w+)? (?:list|registry)\b|\bdnc\b",
    r"\bdont disturb\b(?! (?:sign|mode|the|my|our|him|her|them))",
    r"\b(?:lose|forget) (?:my|this) number\b",
)
_BY_THE_BOOK = (
    r"\bunsubscribe\b",
    r"\b(?:i|me|be|been|get|getting|have|ive|already|us|just) unsubscribed\b"
    r"|\bunsubscribed (?:from|please)|(?<=\w )unsubscribed$",
    r"\bopt(?:ing|ed)? (?:me |us )?out\b"
    rf"(?! of (?!(?:\w+ ){{0,3}}?(?:{_NOUNS}|lists?|this|these|it|all|everything|"
    r"program)\b))|\boptout\b",
    r"\b(?:revoke|withdraw|rescind|remove) (?:my |all )*(?:consent|permission)",
    r"\b(?:dont|didnt|did not|never|no longer|not) (?:have|give|gave|given|"
    r"got)(?: you)? "
    r"(?:my )?(?:consent|permission)\b|\bwithout (?:my )?(?:consent|permission)\b"
    r"|^i (?:dont|no longer) consent",
)
_THE_WORD = (
    r"^stop or\b|\bif (?:you|this|it) (?:dont|doesnt) stop\b",
    rf"^(?:would|could|can|will) you(?: please| just)* stop{_POLITE}$",
    r"\bhow (?:do i|can i|to|would i|do you) (?:make |get )?(?:stop|(?:this|these|"
    r"them|it) "
    rf"(?:to )?stop){_POLITE}$",
    rf"\b(?:this|these) (?:has|have|needs?|must|should|better|"
    rf"got)(?: to)? stop{_POLITE}$"
    rf"|\b(?:can|will) (?:this|these)(?: ever)? stop{_POLITE}$",
    rf"\b(?:this|these|those|your|the) {_MESSAGES} (?:ever )?stop{_POLITE}$",
    rf"\b{_MESSAGES} to stop\b|\b(?:want|like|need|wish|how|i|way|able|possible|"
    rf"trying|tried|know) "
    rf"to (?:stop|quit) (?:with )?(?:these|this|them){_POLITE}$",
    r"\bstop means stop\b|\bpart of stop\b"
    r"|^stop (?:and )?(?:remove|delete|take me|unsubscribe)\b",
    rf"\bmake (?:this|these|them|it)(?: all)? stop{_POLITE}$",
    r"\b(?:say|said|saying|says|reply|replied|replying|text|texted|texting|typed?|"
    rf"typing|sent|send|wrote|answer|answered) stop\b{_NO_PLACE}",
    r"\b(?:told|asked|asking|telling|begged|begging|tell|want|need|like|ordered|"
    r"warned|warning)(?: \w+)? (?:you|this|them|it|these|that) (?:all |\w+ly )?to stop"
    r"(?:$| (?:\w+ times|for the|before|already|again|and|please|now|it|this|these|"
    r"that)\b)",
    rf"^(?!{_QUESTION})(?!.*\b(?:when|which|"
    rf"what)\b){_CRY}\b.*{_NOT_A_STOP} stop{_POLITE}$",
    rf"^(?!{_QUESTION})(?!.*\b(?:at|near|from|off|by|opposite|past|to|towards?|until|"
    rf"rain|music|noise|when|which|what|where)\b).*{_NOT_A_STOP} stop{_POLITE}$",
    rf"^(?:and )?who(?:s| is)? this\b.* stop{_POLITE}$",
    r"^stop (?:i|im|who|you (?:have|got|dont|keep|people|are (?:text|bother|annoy))|"
    r"not|wrong)"
    r"\b",
    r"\bplease stop$",
    r"^(?:please |just )*remove(?: please| thanks| now| asap)*$",
    rf"^(?!.*\b(?:when|does|what|where)\b){_CRY}\b.* remove{_POLITE}$",
    r"^(?:please |just )*(?:quit|optout)(?: please| thanks| now| it)*$",
    r"^(?:please )?(?:discontinue|desist|cease)(?: please| now| immediately)*$"
    r"|\bdesist from\b",
    rf"^(?:please |just )*stop (?:with |all |of )*(?:these|this|those|that|"
    rf"it){_POLITE}$",
    r"^(?:stop|stopall)(?: (?:stop|to|end|quit|unsubscribe|please|thanks|immediately|"
    r"asap|forever|already|asking|now|dude|bro|man|guys|all|everything|fr|tf|rn))+$",
)
_IN_ANGER = (
    r"\bleave (?:me|us|my (?:phone|number|family|kids|mom)) (?:the \w+ )?alone\b"
    r"|\b(?:fuck|piss|sod|bugger|f|buzz|eff) off\b"
    r"|^(?:please |just )*(?:go away(?: spam\w*)?|get lost|shut up|back off|"
    r"knock it off|cut it out|"
    r"give it a rest)(?: please| now| already)*$",
    r"\bwrong (?:number|person)\b(?! of\b)",
    r"(?<!is )\b(?:this|thats?|its|it) (?:is )?(?:all |just )?(?:spam|harassment)\b|"
    r"^(?:spam ?)+$"
    r"|\bharass(?:ing|ed) me\b|\bfor harassment\b",
    r"\b(?:reported|reporting|report|marked|marking|flagged) (?:\w+ ){0,2}?"
    r"(?:as|for) spam",
    r"\bblock(?:ed|ing)? (?:you|(?:this|your|my) number)\b|^block(?:ed|ing)?$"
    r"|^(?:please )?block me\b|^(?:already )?reported$",
    r"^(?:blocked|reported|blocking|reporting) and (?:blocked|reported|blocking|"
    r"reporting)",
    r"\byou (?:have |are |is |just |got |now |will |been |be |getting )*blocked$",
    r"\breport(?:ed|ing)? (?:you|this number)\b|\breport(?:ed|ing)? it\b.*\bspam",
    r"\b(?:sue|suing) (?:you|this number)\b",
)
_CLAUSE = [
    re.compile(pattern)
    for pattern in (
        *_STOP_MESSAGES,
        *_DO_NOT_WRITE,
        *_DO_NOT_WANT,
        *_OFF_THE_LIST,
        *_BY_THE_BOOK,
        *_THE_WORD,
        *_IN_ANGER,
    )
]
#: Across clauses: "where did you get my number? delete it".
_WHOLE = re.compile(
    r"\b(?:texts|messages)\b.* (?:dont|not|never|no longer) (?:want|need|like) "
    r"(?:them|these|any)\b|^(?!.*\b(?:new|old|order|changed (?:my|the) number|"
    r"number (?:has )?changed)\b).*\b(?:(?:my|this) number|texts|messages)\b.*"
    r"\b(?:delete|remove|cancel|stop|erase|end) (?:it|them)\b"
)


def _sort(word: str) -> tuple[str, ...]:
    return word[0], word[-1], *sorted(word)


#: Words that are recognised with letters in the wrong order. Short ones are other words
#: then: "spot", "form".
_LONG = {
    _sort(word): word
    for word in (
        "anymore bothering contact contacting message messages messaging number please "
        "receive remove sending spamming texting unsubscribe"
    ).split()
}


def plain(clause: str) -> str:
    """Return a clause in the spelling the patterns know."""
    clause = " ".join(_LONG.get(_sort(word), word) for word in clause.split())
    for pattern, word in _WORDS:
        clause = pattern.sub(word, clause)
    return clause


def refuses(clause: str) -> bool:
    """Return whether a clause refuses more messages.

    :param clause: as :func:`plain` returns it
    """
    kept = _KEEP.sub(" ", clause)
    return any(pattern.search(kept) for pattern in _CLAUSE)


def refuses_whole(text: str) -> bool:
    """Return whether a text refuses them in a way that spans its clauses.

    :param text: as :func:`plain` returns it
    """
    return bool(_WHOLE.search(text))
