"""A tea shop with two years of business, made by chance from a fixed seed.

Its past happens campaign by campaign: orders are inserted up to the moment of a
campaign, members are refreshed, and the campaign runs through the very engine that
sends real ones, by way of the sandbox gateway. Afterwards its times are moved back.
"""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from odoo import Command, fields

from ..gateways.types import InboundMessage
from .orders import (
    Purchase,
    create_till,
    insert_pos_orders,
    insert_sale_orders,
    open_history_session,
)
from .past import move_back

MEMBERS = 2400
DAYS = 730
SIGNATURE = "云朵茶舍"
WORDING = "我愿意通过短信接收优惠信息，可随时回复TD退订。"
EVIDENCE = {
    "granted": ("Enrolment form", "入会登记表"),
    "refused": ("Told the cashier", "当面告知收银员"),
}

FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧"
GIVEN = (
    "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀英 霞 平 刚 桂英 建华 文博 "
    "雨桐 子涵 欣怡 浩然 梓萱 一诺 晨曦 思远 佳琪 嘉怡 天宇 雅静 志强 海燕 丹 婷婷"
).split()
CITIES = (
    ("上海", "SH", 30),
    ("北京", "BJ", 20),
    ("杭州", "ZJ", 15),
    ("广州", "GD", 15),
    ("深圳", "GD", 12),
    ("成都", "SC", 8),
)
CATEGORIES = (("Tea", "茶叶"), ("Teaware", "茶具"), ("Treats", "茶点礼品"))
#: Name in both languages, price, index of the category.
PRODUCTS = (
    ("Longjing Tea 100 g", "龙井茶 100克", 168, 0),
    ("Jasmine Tea 50 g", "茉莉花茶 50克", 58, 0),
    ("Pu'er Cake 357 g", "普洱茶饼 357克", 299, 0),
    ("Porcelain Cup", "青瓷茶杯", 88, 1),
    ("Tea Tray", "竹制茶盘", 238, 1),
    ("Glass Teapot", "玻璃茶壶", 129, 1),
    ("Osmanthus Cake", "桂花糕", 36, 2),
    ("Gift Box", "四季礼盒", 398, 2),
    ("Honey 250 g", "百花蜜 250克", 68, 2),
    ("Travel Tea Set", "旅行茶具", 199, 1),
)
SHOPS = (("Nanjing Road Shop", "南京路店"), ("Tianhe Shop", "天河城店"))
#: Open from 10 to 21 o'clock in Shanghai, busiest at noon and in the evening; in UTC.
SHOP_HOURS = (2, 3, 4, 4, 5, 8, 9, 10, 10, 11, 11, 12, 13)

#: Key → name, discount mode, discount, least amount, the offer in both languages.
PROGRAMS = {
    "off_15": ("Come back: 15 % off", "percent", 15, 0, "15 % off", "全单85折"),
    "off_30": ("30 off from 150", "per_order", 30, 150, "30 off from 150", "满150减30"),
}
#: Key → name, text.
TEMPLATES = {
    "come_back": (
        "老会员唤醒",
        "{{ member_name ||| 会员 }}，好久不见！送您{{ coupon_value }}，券码"
        "{{ coupon_code }}，{{ coupon_expiry }}前到店出示即可：{{ link }}",
    ),
    "first_look": (
        "新品抢先看",
        "{{ member_name ||| 会员 }}，您买过的{{ last_product ||| 好茶 }}有了新搭档。"
        "{{ tier ||| 会员 }}专享{{ coupon_value }}：{{ link }}",
    ),
    "weekend": (
        "周末到店礼",
        "{{ member_name ||| 会员 }}，周末来{{ store ||| 门店 }}坐坐吗？凭"
        "{{ coupon_code }}享{{ coupon_value }}，详情{{ link }}",
    ),
}
#: What members write back, campaign by campaign.
REPLIES = (
    "收到，谢谢！",
    "南京路店周日几点关门？",
    "请问优惠券可以转送给朋友吗？",
    "券码需要打印出来吗？",
    "茶具可以换货吗？买的时候杯子有裂痕",
    "礼盒可以寄到杭州吗？运费多少？",
    "谢谢，周末一定来！",
)


class Plan(NamedTuple):
    """A campaign of the past, sent so many days ago at an hour of Shanghai."""

    name: str
    segment: str
    templates: tuple
    program: str
    days: int
    hour: int
    click_rate: float


PAST = (
    Plan("新茶上市 · New Teas", "high_value", ("first_look",), "off_30", 290, 10, 0.12),
    Plan("老会员唤醒 · Come Back", "sleeping", ("come_back",), "off_15", 205, 20, 0.1),
    Plan(
        "{month}月会员日 · Members' Day",
        "all",
        ("weekend", "first_look"),
        "off_30",
        118,
        12,
        0.11,
    ),
    Plan(
        "周末到店礼 · Weekend Treat", "shanghai", ("weekend",), "off_30", 61, 18, 0.15
    ),
    Plan(
        "老会员唤醒 2 · Come Back 2", "sleeping", ("come_back",), "off_15", 33, 20, 0.1
    ),
    Plan("新品抢先看 · First Look", "best", ("first_look",), "off_30", 12, 10, 0.14),
)
RUNNING = Plan("感恩回馈 · Thank You", "all", ("weekend",), "off_30", 0, 10, 0.12)
IN_REVIEW = Plan("品鉴会 · Tasting", "best", ("first_look",), "off_30", 0, 18, 0)
DRAFT = Plan("迎新礼 · Welcome", "new", ("weekend",), "off_30", 0, 12, 0)
#: SMS bought for a month: enough for all of it, unless a campaign is added.
MONTH_QUOTA = 6000


def load(env):
    """Fill the current company with members, orders and campaigns."""
    quiet = dict.fromkeys(("tracking_disable", "mail_create_nolog"), True)
    shop = Shop(env(context={**env.context, **quiet, "lang": "en_US"}))
    # Campaigns run now, which may be night, and stand for another moment.
    hours = env["member.sending.hours"].search([])
    hours.active = False
    for plan in PAST:
        shop.advance(shop.get_moment(plan.days, plan.hour))
        shop.run(plan)
    shop.advance(shop.get_last_moment(RUNNING.hour))
    shop.start(RUNNING)
    shop.advance(shop.now)
    review = shop.create_campaign(IN_REVIEW)
    review.write(
        {
            "state": "review",
            "schedule_type": "date",
            "scheduled_date": shop.get_moment(-3, IN_REVIEW.hour),
            "trial_size": 100,
        }
    )
    shop.create_campaign(DRAFT)
    shop.set_quota()
    shop.env["member.profile"]._fold_engagement()
    shop.env["member.tag.rule"].search([]).action_apply()
    hours.active = True


@dataclass(eq=False)
class Member:
    """Somebody who will join: values of contact, profile and consent."""

    joined: datetime
    source: str
    partner: dict
    birthday: date
    consent: str | None
    partner_id: int | None = None


class Visit(NamedTuple):
    """A purchase to come; ``till`` is an index, None stands for the web shop."""

    date: datetime
    member: Member
    product: int
    quantity: int
    till: int | None


class Shop:
    """The shop at one ``moment`` of its past; later orders are not there yet.

    Campaigns run at the real time, which is all the engine knows, and are then moved
    back to the moment they stand for.
    """

    def __init__(self, env):
        self.env = env
        self.chance = random.Random(19)
        self.now = fields.Datetime.now()
        self.has_chinese = "zh_CN" in dict(env["res.lang"].get_installed())
        self.lang = "zh_CN" if self.has_chinese else "en_US"
        self.products = self._create_products()
        self.tills = self._create_tills()
        self.sessions = [open_history_session(env, till) for till in self.tills]
        self.gateway = self._set_up_gateway()
        self.programs = self._create_programs()
        self.templates = self._create_templates()
        self.segments = self._create_segments()
        self.moment = self.now - timedelta(days=DAYS + 1)
        self.launched = None
        self.replies = iter(REPLIES)
        self.members = self._imagine_members()
        self.visits = self._imagine_visits()

    # ---------------------------------------------------------------------- time

    def get_moment(self, days, hour):
        """:returns: an hour of Shanghai, which is 8 hours ahead, so many days ago"""
        return (self.now - timedelta(days=days)).replace(
            hour=hour - 8, minute=0, second=0
        )

    def get_last_moment(self, hour):
        """:returns: the last time it was that hour, at least one hour ago"""
        moment = self.get_moment(0, hour)
        is_past = moment < self.now - timedelta(hours=1)
        return moment if is_past else moment - timedelta(days=1)

    def advance(self, moment):
        """Let time pass: members join and buy, figures are refreshed."""
        joining = [
            member for member in self.members if self.moment < member.joined <= moment
        ]
        self._enrol(joining)
        self.moment = moment
        self._buy()
        self.env["member.profile"]._refresh(now=moment)

    # --------------------------------------------------------------- assortment

    def _translate(self, record, field, chinese):
        if self.has_chinese:
            # written, not translated: what a reward is called names its product as well
            record.with_context(lang="zh_CN")[field] = chinese

    def _create_products(self):
        categories = self.env["product.category"].create(
            [{"name": names[self.has_chinese]} for names in CATEGORIES]
        )
        products = self.env["product.product"].create(
            [
                {
                    "name": english,
                    "categ_id": categories[category].id,
                    "list_price": price,
                    "type": "consu",
                    "available_in_pos": True,
                    "taxes_id": [Command.clear()],
                    "supplier_taxes_id": [Command.clear()],
                }
                for english, _chinese, price, category in PRODUCTS
            ]
        )
        for product, names in zip(products, PRODUCTS, strict=True):
            self._translate(product.product_tmpl_id, "name", names[1])
        return products

    def _create_tills(self):
        names = [names[self.has_chinese] for names in SHOPS]
        return [
            create_till(self.env, name, f"DEMO{number}")
            for number, name in enumerate(names, start=1)
        ]

    def _set_up_gateway(self):
        gateway = self._of_company("member_gateway_sandbox")
        gateway.write({"signature": SIGNATURE, "optout_text": "拒收请回复R"})
        return gateway

    def set_quota(self):
        """Buy SMS for a month; what has left by now counts."""
        policies = self.env["member.send.policy"]
        policies.browse(policies.action_open()["res_id"]).month_quota = MONTH_QUOTA
        self.env["member.gateway.load"]._recount()

    def _of_company(self, name):
        """Return starter data, or a copy of it for another company than the first."""
        record = self.env.ref(f"member_messaging.{name}")
        company = self.env.company
        if record.company_id == company:
            return record
        return record.copy({"name": record.name, "company_id": company.id})

    def _create_programs(self):
        programs = {}
        for key, (name, mode, discount, minimum, offer, chinese) in PROGRAMS.items():
            programs[key] = self.env["loyalty.program"].create(
                {
                    "name": name,
                    "program_type": "coupons",
                    # without it stock gives the discount to every order of a till
                    "trigger": "with_code",
                    "rule_ids": [
                        Command.clear(),
                        Command.create({"minimum_amount": minimum, "minimum_qty": 0}),
                    ],
                    "reward_ids": [
                        Command.clear(),
                        Command.create(
                            {
                                "reward_type": "discount",
                                "discount_mode": mode,
                                "discount": discount,
                                "required_points": 1,
                                "description": offer,
                            }
                        ),
                    ],
                    "communication_plan_ids": [Command.clear()],
                }
            )
            self._translate(programs[key], "name", chinese)
            self._translate(programs[key].reward_ids, "description", chinese)
        return programs

    def _create_templates(self):
        records = self.env["member.template"].create(
            [
                {"name": name, "category": "promotion", "lang": self.lang, "body": body}
                for name, body in TEMPLATES.values()
            ]
        )
        return dict(zip(TEMPLATES, records, strict=True))

    def _create_segments(self):
        best = [
            self.env.ref(f"member_messaging.member_tier_{tier}").id
            for tier in ("gold", "vip")
        ]
        made = self.env["member.segment"].create(
            [
                {
                    "name": "Shanghai, active",
                    "description": "Members in Shanghai who bought lately.",
                    "domain": '["&", ("city", "=", "上海"),'
                    ' ("member_lifecycle", "in", ["new", "active"])]',
                },
                {
                    "name": "Gold and VIP",
                    "description": "The best members: first access to new products.",
                    "domain": repr([("member_tier_id", "in", best)]),
                },
            ]
        )
        self._translate(made[0], "name", "上海活跃会员")
        self._translate(made[1], "name", "金卡和贵宾会员")
        self._translate(made[0], "description", "最近在上海买过的会员。")
        self._translate(made[1], "description", "最好的会员：新品优先看。")
        return {
            "shanghai": made[0],
            "best": made[1],
            **{
                key: self._of_company(f"member_segment_{key}")
                for key in ("all", "high_value", "new", "sleeping")
            },
        }

    # ------------------------------------------------------------------- members

    def _imagine_members(self):
        """:returns: all members to come, by the date they join"""
        chance, china = self.chance, self.env.ref("base.cn").id
        states = {
            code: self.env.ref(f"base.state_cn_{code}").id for _city, code, _w in CITIES
        }
        weights = [weight for _city, _state, weight in CITIES]
        members = []
        for index in range(MEMBERS):
            # a quarter comes from the paper file kept before there was an addon
            source = chance.choices(("import", "pos", "staff", "web"), (25, 50, 12, 13))
            days = DAYS * (1 if source == ["import"] else chance.random())
            city, state, _weight = chance.choices(CITIES, weights)[0]
            members.append(
                Member(
                    joined=self._open_hour(self.now - timedelta(days=days)),
                    source=source[0],
                    partner={
                        "name": chance.choice(FAMILY) + chance.choice(GIVEN),
                        "phone": self._make_phone(index),
                        "city": city,
                        "state_id": states[state],
                        "country_id": china,
                        "tz": "Asia/Shanghai",
                        "lang": self.lang,
                    },
                    birthday=date(
                        chance.randint(1955, 2005),
                        chance.randint(1, 12),
                        chance.randint(1, 28),
                    ),
                    consent=chance.choices(("granted", "refused", None), (86, 4, 10))[
                        0
                    ],
                )
            )
        return sorted(members, key=lambda member: member.joined)

    def _make_phone(self, index):
        """Mostly a number of its own; some missing, mistyped or shared, as in life."""
        draw = self.chance.random()
        if draw < 0.03:
            return False
        if draw < 0.04:
            return f"1380{index % 1000:03d}"
        if draw < 0.05 and index:
            index -= 1
        middle, end = 1000 + index // 10, index * 37 % 10000
        return f"+86 13{7 + index % 3} {middle:04d} {end:04d}"

    def _imagine_visits(self):
        """:returns: all purchases to come, latest first"""
        visits = [visit for member in self.members for visit in self._live(member)]
        return sorted(visits, key=lambda visit: visit.date, reverse=True)

    def _live(self, member):
        """Members buy at a pace of their own and may stay away for good after any
        purchase; some have never bought, a few buy for many."""
        chance = self.chance
        if chance.random() < 0.08:
            return
        pace = max(chance.gammavariate(0.8, 1.25), 0.01) / 30
        leaving = chance.betavariate(1, 7)
        scale = chance.choices((1, 2, 3), (75, 20, 5))[0]
        till = chance.randrange(len(SHOPS))
        online_rate = 0.8 if member.source == "web" else 0.15
        moment = member.joined
        if member.source == "import":
            moment += timedelta(days=30 * chance.random())
        while moment <= self.now:
            yield Visit(
                moment,
                member,
                chance.randrange(len(PRODUCTS)),
                scale * chance.choice((1, 1, 1, 2, 3)),
                None if chance.random() < online_rate else till,
            )
            if chance.random() < leaving:
                return
            pause = timedelta(days=1 + chance.expovariate(pace))
            moment = self._open_hour(moment + pause)

    def _open_hour(self, moment):
        """Return a time on the same day when shops are open."""
        return moment.replace(
            hour=self.chance.choice(SHOP_HOURS), minute=self.chance.randrange(60)
        )

    def _enrol(self, members):
        partners = self.env["res.partner"].create(
            [member.partner for member in members]
        )
        for member, partner in zip(members, partners, strict=True):
            member.partner_id = partner.id
        profiles = self.env["member.profile"].create(
            [
                {
                    "partner_id": member.partner_id,
                    "source": member.source,
                    "joined_date": member.joined.date(),
                    "birthday": member.birthday,
                }
                for member in members
            ]
        )
        self.env["member.consent"].create(
            [
                {
                    "profile_id": profile.id,
                    "date": datetime.combine(member.joined.date(), time(12)),
                    "state": member.consent,
                    "source": member.source,
                    "evidence": EVIDENCE[member.consent][self.has_chinese],
                    "wording": WORDING,
                }
                for member, profile in zip(members, profiles, strict=True)
                if member.consent
            ]
        )

    def _buy(self):
        sold = {None: [], **{till: [] for till in range(len(SHOPS))}}
        while self.visits and self.visits[-1].date <= self.moment:
            visit = self.visits.pop()
            product = self.products[visit.product]
            sold[visit.till].append(
                Purchase(
                    visit.member.partner_id,
                    visit.date,
                    product.id,
                    visit.quantity,
                    product.list_price * visit.quantity,
                )
            )
        insert_sale_orders(self.env, sold.pop(None))
        for till, purchases in sold.items():
            insert_pos_orders(self.env, self.sessions[till], purchases)

    # ----------------------------------------------------------------- campaigns

    def create_campaign(self, plan):
        """Create the draft of a campaign; several templates share its audience."""
        share = 100 / len(plan.templates)
        return self.env["member.campaign"].create(
            {
                "name": plan.name.format(month=self.moment.month),
                "segment_ids": [Command.set(self.segments[plan.segment].ids)],
                "variant_ids": [
                    Command.create(
                        {
                            "name": "AB"[position],
                            "template_id": self.templates[key].id,
                            "share_rate": share,
                        }
                    )
                    for position, key in enumerate(plan.templates)
                ],
                "program_id": self.programs[plan.program].id,
                "gateway_id": self.gateway.id,
                "holdout_rate": 5,
                "user_id": self.env.ref("base.user_admin").id,
            }
        )

    def run(self, plan):
        """Send a campaign and let its members act upon it."""
        campaign = self._launch(plan)
        messages = self._send()
        clicked = self._click(messages, plan.click_rate)
        self._reply(messages)
        campaign.write({"state": "done", "done_date": fields.Datetime.now()})
        move_back(campaign, self.launched, self.moment)
        self._redeem(messages, clicked, self.programs[plan.program].reward_ids)

    def start(self, plan):
        """Send the first third of a campaign; the rest is due in the coming day."""
        campaign = self._launch(plan)
        self.env.cr.execute(
            """
            UPDATE member_message
               SET due_date = due_date + make_interval(mins => 5 + id * 7919 %% 1440)
             WHERE campaign_id = %s AND id %% 3 != 0
            """,
            (campaign.id,),
        )
        messages = self._send()
        self._click(messages, plan.click_rate)
        self._reply(messages)
        move_back(campaign, self.launched, self.moment)

    def _launch(self, plan):
        campaign = self.create_campaign(plan)
        self.launched = fields.Datetime.now()
        campaign.write({"state": "sending", "scheduled_date": self.launched})
        self.env["member.message"]._plan(campaign)
        return campaign

    def _send(self):
        """:returns: the messages that were delivered"""
        messages = self.env["member.message"]
        ids = []
        while claimed := messages._claim(self.gateway)[0]:
            done = messages._call(self.gateway, claimed)
            messages._record(self.gateway, done.results)
            ids += [row["id"] for row in claimed]
        sent = messages.browse(ids)
        tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
        self.env["member.callback"]._query_providers(tomorrow)
        return sent.filtered(lambda message: message.state == "delivered")

    def _click(self, messages, click_rate):
        """:returns: the messages whose links members followed"""
        tiers = self.env["member.tier"].search([])
        interest = {tier: 0.85 + 0.35 * rank for rank, tier in enumerate(tiers)}
        longest = min(self.now - self.moment, timedelta(hours=10))
        clicked, facts = messages.browse(), []
        for message in messages:
            rate = click_rate * interest.get(message.tier_id, 0.85)
            if message.variant_id.name == "B":
                rate *= 1.4
            is_person = self.chance.random() < rate
            if is_person:
                clicked |= message
            elif self.chance.random() > 0.02:
                # the others are link scanners
                continue
            facts.append(
                {
                    "message_id": message.id,
                    "type": "clicked",
                    "date": message.sent_date + longest * self.chance.random() ** 3,
                    "is_bot": not is_person,
                }
            )
        self.env["member.event"]._record(facts)
        return clicked

    def _reply(self, messages):
        """Somebody writes back; what came lately is still to be answered."""
        message = self.chance.choice(messages)
        reply = InboundMessage(
            address=message.address,
            text=next(self.replies),
            event_ref=f"demo-{message.id}",
            date=message.sent_date + timedelta(minutes=self.chance.randint(5, 50)),
        )
        inbound = self.env["member.inbound"]
        inbound._receive(self.gateway, [reply])
        if self.moment < self.now - timedelta(days=40):
            inbound.search([("message_id", "in", messages.ids)]).is_handled = True

    def _redeem(self, messages, clicked, reward):
        """Some come to the shop with their coupon, mostly those who clicked."""
        dear = [product for product in self.products if product.list_price >= 150]
        purchases = []
        for message in messages:
            if self.chance.random() > (0.24 if message in clicked else 0.015):
                continue
            product, quantity = self.chance.choice(dear), self.chance.choice((1, 1, 2))
            amount = product.list_price * quantity
            days = timedelta(days=1 + 13 * self.chance.random() ** 2)
            purchases.append(
                Purchase(
                    message.partner_id.id,
                    min(self._open_hour(self.moment + days), self.now),
                    product.id,
                    quantity,
                    amount,
                    message.card_id.id,
                    reward.discount
                    if reward.discount_mode == "per_order"
                    else amount * reward.discount / 100,
                )
            )
        insert_pos_orders(self.env, self.sessions[0], purchases)
        lines = self.env["pos.order.line"].search(
            [("coupon_id", "in", [purchase.card_id for purchase in purchases])]
        )
        for line in lines:
            self.env["member.attribution"]._redeem(line.order_id, line)
