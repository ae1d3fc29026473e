from odoo import SUPERUSER_ID, api

#: Words of the rules of former versions, and what members write as well. The rules are
#: data that an update leaves alone.
FORMER = {
    "subscription": """\
START
UNSTOP
YES
SUBSCRIBE
订阅
重新订阅
恢复订阅
我要订阅""",
    "balance": """\
积分
查积分
我的积分
查询
余额
等级
优惠券
我的优惠券
POINTS
MY POINTS
BALANCE
COUPONS
MY COUPONS""",
    "booking": """\
预约
预订
订位
订座
book a table
booking
reservation
appointment""",
}
ADDED = {
    "subscription": """\
RESUBSCRIBE
RESUBSCRIBE ME
SUBSCRIBE ME AGAIN
PLEASE SUBSCRIBE ME AGAIN
OPT IN
我要重新订阅""",
    "balance": """\
1
查询积分
积分查询
还有多少积分
我有多少积分
我有几多积分
积分还有多少
查询点数
余额查询
查余额
我的余额
卡里还有多少钱
会员等级
我的等级
我的会员等级
我是什么等级
我的会员等级是什么
查优惠券
我有什么券
我的券
券码是多少
优惠码是什么
我的券还能用吗
POINTS BALANCE
CHECK POINTS
CHECK MY POINTS
HOW MANY POINTS DO I HAVE
HOW MANY POINTS DO I HAVE LEFT
MY BALANCE
CHECK MY BALANCE
WHAT'S MY BALANCE
MY TIER
WHAT TIER AM I
WHAT IS MY TIER
MY MEMBERSHIP LEVEL
COUPON
MY COUPON
MY COUPON CODE
WHAT'S MY COUPON CODE
IS MY COUPON STILL VALID
DO I HAVE ANY COUPONS
VOUCHER""",
    "booking": """\
to book
can i book
book for""",
}


def migrate(cr, version):
    """Rules nobody has touched get the new words; what a shop edited stays as it is."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    for name, words in FORMER.items():
        rule = env.ref(
            f"member_messaging.member_keyword_{name}", raise_if_not_found=False
        )
        if rule and rule.words == words:
            rule.words = f"{words}\n{ADDED[name]}"
