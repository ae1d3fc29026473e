"""What the columns of a member list are called, in English and Chinese."""

import re

from .text import half_width

#: Field → names of its column, the most telling ones first: of two columns that may
#: hold the same field, the one named earlier here is taken.
NAMES = {
    "name": (
        "name|full name|member name|customer name|customer|contact|contact name|"
        "姓名|会员姓名|客户姓名|顾客姓名|名字|名称|会员名称|客户名称|客户|顾客|称呼|昵称"
    ),
    "phone": (
        "mobile|mobile phone|mobile number|mobile no|cell|cell phone|cellphone|"
        "手机|手机号|手机号码|移动电话|会员手机|会员手机号|绑定手机|绑定手机号|"
        "phone|phone number|phone no|telephone|tel|contact number|contact phone|"
        "电话|电话号码|联系电话|联系方式|会员电话|固定电话|座机"
    ),
    "email": (
        "email|e mail|email address|e mail address|mail|"
        "邮箱|电子邮箱|电子邮件|邮件|邮箱地址|邮件地址"
    ),
    "number": (
        "member number|member no|member id|membership number|membership no|"
        "card number|card no|member card|loyalty card|customer number|customer no|"
        "customer id|number|会员号|会员编号|会员卡号|会员卡|卡号|会员id|客户编号|编号"
    ),
    "birthday": (
        "birthday|birth date|birthdate|date of birth|dob|born|生日|出生日期|出生年月日"
    ),
    "joined_date": (
        "joined|join date|joined date|joined on|date joined|member since|"
        "registration date|registered|signup date|sign up date|入会日期|入会时间|"
        "注册日期|注册时间|开卡日期|开卡时间|办卡日期|加入日期|创建日期|创建时间"
    ),
    "tags": "tags|tag|labels|label|category|categories|标签|会员标签|客户标签|分类",
    "street": (
        "street|address|address 1|address line 1|street address|"
        "地址|详细地址|联系地址|街道|住址"
    ),
    "street2": "street 2|address 2|address line 2|地址2|地址 2|街道2|街道 2",
    "zip": "zip|zip code|postal code|postcode|post code|邮编|邮政编码",
    "city": "city|town|城市|市|所在城市",
    "state": "state|province|region|county|省|省份|州|省 自治区|地区|所在省份",
    "country": "country|country region|国家|国家 地区|国家地区|国别",
    "note": "note|notes|remark|remarks|comment|comments|备注|说明|备忘",
}
_RANKS = {
    name: (field, rank)
    for field, names in NAMES.items()
    for rank, name in enumerate(names.split("|"))
}

#: Language → a small member list that can be imported as it is.
SAMPLES = {
    "en": [
        ["Name", "Mobile", "E-mail", "Member Number", "Birthday", "City", "Tags"],
        ["Li Na", "138 0013 8000", "lina@example.com", "1001", "1990-01-31", "", "VIP"],
        ["Wang Wei", "+8613900139000", "", "1002", "", "Beijing", "Tea;Coffee"],
    ],
    "zh": [
        ["姓名", "手机号", "邮箱", "会员号", "生日", "城市", "标签"],
        ["李娜", "138 0013 8000", "lina@example.com", "1001", "1990-01-31", "", "贵宾"],
        ["王伟", "+8613900139000", "", "1002", "", "北京", "茶;咖啡"],
    ],
}


def normalise(header: str) -> str:
    """Return a column's name without case, width, signs and remarks in brackets.

    "* Phone (required)" and "phone" are the same column.
    """
    text = half_width(header).casefold().translate(str.maketrans("【】", "[]"))
    text = re.sub(r"\(.*?\)|\[.*?\]", " ", text) or text
    return " ".join(re.sub(r"[\W_]+", " ", text).split())


def guess(headers: list[str]) -> list[str | None]:
    """Return for each column the field it holds, or None; each field once."""
    found = [_RANKS.get(normalise(header)) for header in headers]
    best = {}
    for index, hit in enumerate(found):
        if hit and (hit[0] not in best or hit[1] < found[best[hit[0]]][1]):
            best[hit[0]] = index
    return [
        hit[0] if hit and best[hit[0]] == index else None
        for index, hit in enumerate(found)
    ]
