"""A tea shop with two years of business, made by chance from a fixed seed.

Its past happens campaign by campaign: orders are inserted up to the moment of a
campaign, members are refreshed, and the campaign runs through the very engine that
sends real ones, by way of the sandbox gateway. Afterwards its times are moved back.
"""

import random
from datetime import datetime, timedelta
from typing import NamedTuple

from odoo import Command, fields
from odoo.tools import format_date

from ..gateways.types import InboundMessage
from .orders import (
    Purchase,
    insert_pos_orders,
    insert_sale_orders,
    open_history_session,
)

MEMBERS = 2400
DAYS = 730
SIGNATURE = "云朵茶舍"
WORDING = "我愿意通过短信接收优惠信息，可随时回复TD退订。"

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
PRODUCTS = (
    ("Longjing Tea 100 g", "龙井茶 100克", 168),
    ("Jasmine Tea 50 g", "茉莉花茶 50克", 58),
    ("Pu'er Cake 357 g", "普洱茶饼 357克", 299),
    ("Porcelain Cup", "青瓷茶杯", 88),
    ("Tea Tray", "竹制茶盘", 238),
    ("Glass Teapot", "玻璃茶壶", 129),
    ("Osmanthus Cake", "桂花糕", 36),
    ("Gift Box", "四季礼盒", 398),
    ("Honey 250 g", "百花蜜 250克", 68),
    ("Travel Tea Set", "旅行茶具", 199),
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
QUESTIONS = (
    "请问优惠券可以转送给朋友吗？",
    "南京路店周日几点关门？",
    "收到，谢谢！",
    "礼盒可以寄到杭州吗？运费多少？",
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
    Plan("新茶上市 · New Teas", "high_value", ("first_look",), "off_30", 290, 10, 0.15),
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
        "周末到店礼 · Weekend Treat", "shanghai", ("weekend",), "off_30", 61, 18, 0.18
    ),
    Plan(
        "老会员唤醒 2 · Come Back 2", "sleeping", ("come_back",), "off_15", 33, 20, 0.1
    ),
    Plan("新品抢先看 · First Look", "best", ("first_look",), "off_30", 12, 10, 0.14),
)
RUNNING = Plan("感恩回馈 · Thank You", "all", ("weekend",), "off_30", 0, 10, 0.12)
IN_REVIEW = Plan("品鉴会 · Tasting", "best", ("first_look",), "off_30", 0, 18, 0)
DRAFT = Plan("迎新礼 · Welcome", "new", ("weekend",), "off_30", 0, 12, 0)


def load(env):
    """Fill the current company with members, orders and campaigns."""
    quiet = dict.fromkeys(("tracking_disable", "mail_create_nolog"), True)
    shop = Shop(env(context={**env.context, **quiet, "lang": "en_US"}))
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
        }
    )
    shop.create_campaign(DRAFT)
    shop.env["member.event"]._cron_fold_engagement()


class Member(NamedTuple):
    """Somebody who will join: values of contact and profile, and all purchases."""

    joined: datetime
    partner: dict
    source: str
    birthday: dict
    consent: str | None
    #: (date, index of the product, quantity, index of the till or None for a sales order)
    visits: list


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
        self.products = self._create_products()
        self.tills = self._create_tills()
        self.sessions = [open_history_session(env, till) for till in self.tills]
        self.gateway = self._set_up_gateway()
        self.programs = self._create_programs()
        self.templates = self._create_templates()
        self.segments = self._create_segments()
        self.members = self._imagine_members()
        self.moment = self.now - timedelta(days=DAYS + 1)
        self.partner_ids = {}
        self.coming = []

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
            record.update_field_translations(field, {"zh_CN": chinese})

    def _create_products(self):
        products = self.env["product.product"].create(
            [
                {
                    "name": english,
                    "list_price": price,
                    "type": "consu",
                    "available_in_pos": True,
                    "taxes_id": [Command.clear()],
                    "supplier_taxes_id": [Command.clear()],
                }
                for english, _chinese, price in PRODUCTS
            ]
        )
        for product, (_english, chinese, _price) in zip(
            products, PRODUCTS, strict=True
        ):
            self._translate(product.product_tmpl_id, "name", chinese)
        return products

    def _create_tills(self):
        tills = self.env["pos.config"]
        for index, (english, chinese) in enumerate(SHOPS, start=1):
            name = chinese if self.has_chinese else english
            # a cash drawer belongs to one till
            drawer = self.env["account.journal"].create(
                {"name": f"Cash {name}", "code": f"DEMO{index}", "type": "cash"}
            )
            method = self.env["pos.payment.method"].create(
                {"name": "Cash", "journal_id": drawer.id}
            )
            tills += tills.create(
                {"name": name, "payment_method_ids": [Command.set(method.ids)]}
            )
        return tills

    def _set_up_gateway(self):
        gateway = self._of_company("member_gateway_sandbox")
        gateway.write({"signature": SIGNATURE, "optout_text": "拒收请回复R"})
        return gateway

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
        lang = "zh_CN" if self.has_chinese else "en_US"
        records = self.env["member.template"].create(
            [
                {"name": name, "category": "promotion", "lang": lang, "body": body}
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
        cities = [weight for _city, _state, weight in CITIES]
        return [
            self._imagine_member(index, self.chance.choices(CITIES, cities)[0])
            for index in range(MEMBERS)
        ]

    def _imagine_member(self, index, city):
        chance = self.chance
        # a quarter comes from the paper file kept before there was an addon
        source = chance.choices(("import", "pos", "staff", "web"), (25, 50, 12, 13))[0]
        days = DAYS * (1 if source == "import" else chance.random())
        joined = min(self._open_hour(self.now - timedelta(days=days)), self.now)
        name, state, _weight = city
        return Member(
            joined=joined,
            partner={
                "name": chance.choice(FAMILY) + chance.choice(GIVEN),
                "phone": self._make_phone(index),
                "city": name,
                "state_id": self.env.ref(f"base.state_cn_{state}").id,
                "country_id": self.env.ref("base.cn").id,
                "tz": "Asia/Shanghai",
                "lang": "zh_CN" if self.has_chinese else "en_US",
            },
            source=source,
            birthday={
                "year": chance.randint(1955, 2005),
                "month": chance.randint(1, 12),
                "day": chance.randint(1, 28),
            },
            consent=chance.choices(("granted", "refused", None), (86, 4, 10))[0],
            visits=self._imagine_visits(joined, source),
        )

    def _make_phone(self, index):
        """Mostly a number of its own; some missing, mistyped or shared, as in life."""
        draw = self.chance.random()
        if draw < 0.03:
            return False
        if draw < 0.04:
            return f"1380{index % 1000:03d}"
        if draw < 0.05 and index:
            index -= 1
        return (
            f"+86 13{7 + index % 3} {1000 + index // 10:04d} {index * 37 % 10000:04d}"
        )

    def _imagine_visits(self, joined, source):
        """Each member buys at a pace of their own and may stay away for good after
        any purchase; a few buy for many."""
        chance = self.chance
        if chance.random() < 0.08:
            return []
        gap = 30 / max(chance.gammavariate(0.8, 1.25), 0.01)
        leaving = chance.betavariate(1, 7)
        scale = chance.choices((1, 2, 3), (75, 20, 5))[0]
        till = chance.randrange(len(SHOPS))
        online_rate = 0.8 if source == "web" else 0.15
        date = joined + timedelta(days=30 * chance.random() * (source == "import"))
        visits = []
        while date <= self.now:
            visits.append(
                (
                    date,
                    chance.randrange(len(PRODUCTS)),
                    scale * chance.choice((1, 1, 1, 2, 3)),
                    None if chance.random() < online_rate else till,
                )
            )
            if chance.random() < leaving:
                break
            date = self._open_hour(
                date + timedelta(days=1 + chance.expovariate(1 / gap))
            )
        return visits

    def _open_hour(self, date):
        """Return a time on the same day when shops are open."""
        return date.replace(
            hour=self.chance.choice(SHOP_HOURS), minute=self.chance.randrange(60)
        )

    def _enrol(self, joining):
        members = [self.members[index] for index in joining]
        partners = self.env["res.partner"].create(
            [member.partner for member in members]
        )
        self.partner_ids.update(zip(joining, partners.ids, strict=True))
        profiles = self.env["member.profile"].create(
            [
                {
                    "partner_id": partner.id,
                    "source": member.source,
                    "joined_date": member.joined.date(),
                    "birthday": member.joined.date().replace(**member.birthday),
                }
                for member, partner in zip(members, partners, strict=True)
            ]
        )
        self.env["member.consent"].create(
            [
                {
                    "profile_id": profile.id,
                    "state": member.consent,
                    "source": member.source,
                    "evidence": "Enrolment form"
                    if member.consent == "granted"
                    else "Told the cashier",
                    "wording": WORDING,
                }
                for member, profile in zip(members, profiles, strict=True)
                if member.consent
            ]
        )
        self.env.flush_all()
        self.env.cr.execute(
            """
            UPDATE member_consent c SET create_date = p.joined_date + time '12:00'
              FROM member_profile p WHERE p.id = c.profile_id AND p.id = ANY(%s)
            """,
            (profiles.ids,),
        )

    def _buy(self, visits):
        sold = {None: []} | {till: [] for till in range(len(SHOPS))}
        for index, date, product, quantity, till in visits:
            product = self.products[product]
            sold[till].append(
                Purchase(
                    self.partner_ids[index],
                    date + (self.now - self.moment),
                    product.id,
                    quantity,
                    product.list_price * quantity,
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
        self._redeem(messages, clicked, self.programs[plan.program])
        self._ask(messages)
        campaign.write({"state": "done", "done_date": fields.Datetime.now()})
        self._move_back(campaign)

    def start(self, plan):
        """Send the first third of a campaign; the rest is due in the coming hours."""
        campaign = self._launch(plan)
        self.env.cr.execute(
            """
            UPDATE member_message
               SET due_date = due_date + %s + make_interval(mins => id * 7919 %% 1440)
             WHERE campaign_id = %s AND id %% 3 != 0
            """,
            (self.now - self.moment + timedelta(minutes=5), campaign.id),
        )
        self._click(self._send(), plan.click_rate)
        self._move_back(campaign)

    def _launch(self, plan):
        campaign = self.create_campaign(plan)
        campaign.write({"state": "sending", "scheduled_date": fields.Datetime.now()})
        self.env["member.message"]._plan(campaign)
        return campaign

    def _send(self):
        """:returns: the messages that were delivered"""
        messages = self.env["member.message"]
        sent = messages
        while claimed := messages._claim(self.gateway):
            messages._record(self.gateway, messages._call(self.gateway, claimed))
            sent |= claimed
        tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
        self.env["member.callback"]._query_providers(tomorrow)
        return sent.filtered(lambda message: message.state == "delivered")

    def _click(self, messages, click_rate):
        """:returns: the messages whose links members followed"""
        ranks = {
            tier: rank for rank, tier in enumerate(self.env["member.tier"].search([]))
        }
        clicked, facts = messages.browse(), []
        for message in messages:
            eager = 0.85 + 0.35 * ranks.get(message.tier_id, 0)
            eager *= 1.4 if message.variant_id.name == "B" else 1
            is_person = self.chance.random() < click_rate * eager
            if not is_person and self.chance.random() > 0.02:
                continue
            if is_person:
                clicked |= message
            delay = timedelta(minutes=3 + 600 * self.chance.random() ** 3)
            facts.append(
                {
                    "message_id": message.id,
                    "type": "clicked",
                    "date": min(message.delivered_date + delay, self._present()),
                    "is_bot": not is_person,
                }
            )
        self.env["member.event"]._record(facts)
        return clicked

    def _present(self):
        """The real present, as the database has it at this moment of the past."""
        return self.now + (self.now - self.moment)

    def _redeem(self, messages, clicked, program):
        """Some come to the shop with their coupon, mostly those who clicked."""
        reward = program.reward_ids
        dear = [product for product in self.products if product.list_price >= 150]
        visits = []
        for message in messages:
            if self.chance.random() > (0.3 if message in clicked else 0.015):
                continue
            product, quantity = self.chance.choice(dear), self.chance.choice((1, 1, 2))
            amount = product.list_price * quantity
            days = 1 + 13 * self.chance.random() ** 2
            date = min(self._open_hour(self.moment + timedelta(days=days)), self.now)
            visits.append(
                Purchase(
                    message.partner_id.id,
                    date + (self.now - self.moment),
                    product.id,
                    quantity,
                    amount,
                    message.card_id.id,
                    reward.discount
                    if reward.discount_mode == "per_order"
                    else amount * reward.discount / 100,
                )
            )
        cards = [visit.card_id for visit in visits]
        insert_pos_orders(self.env, self.sessions[0], visits)
        lines = self.env["pos.order.line"].search([("coupon_id", "in", cards)])
        for line in lines:
            self.env["member.attribution"]._redeem(line.order_id, line)

    def _ask(self, messages):
        """Somebody answers with a question; it stays open when it is a recent one."""
        message, text = self.chance.choice(messages), self.chance.choice(QUESTIONS)
        reply = InboundMessage(
            address=message.address,
            text=text,
            event_ref=f"demo-{message.id}",
            date=fields.Datetime.now() + timedelta(minutes=self.chance.randint(5, 90)),
        )
        inbound = self.env["member.inbound"]
        inbound._receive(self.gateway, [reply])
        if self.moment < self.now - timedelta(days=40):
            inbound.search([("message_id", "in", messages.ids)]).is_handled = True

    def _move_back(self, campaign):
        """Move everything about a campaign to the moment it stands for.

        Waiting messages stay due when they are; orders move when time advances.
        """
        self.env.flush_all()
        days = (self.now.date() - self.moment.date()).days
        params = {
            "campaign": campaign.id,
            "span": fields.Datetime.now() - self.moment,
            "days": days,
        }
        messages = "SELECT id FROM member_message WHERE campaign_id = %(campaign)s"
        for table, columns, where in (
            (
                "member_message",
                "due_date claimed_date sent_date delivered_date clicked_date "
                "redeemed_date replied_date unsubscribed_date create_date write_date",
                "campaign_id = %(campaign)s AND state != 'queued'",
            ),
            ("member_event", "date create_date", f"message_id IN ({messages})"),
            ("member_inbound", "date create_date", f"message_id IN ({messages})"),
            ("member_attribution", "date create_date", f"message_id IN ({messages})"),
            (
                "member_campaign",
                "scheduled_date planned_date done_date create_date",
                "id = %(campaign)s",
            ),
        ):
            moves = ", ".join(
                f"{column} = {column} - %(span)s" for column in columns.split()
            )
            self.env.cr.execute(f"UPDATE {table} SET {moves} WHERE {where}", params)
        self._move_coupons_back(campaign, days)
        self.env.invalidate_all(flush=False)

    def _move_coupons_back(self, campaign, days):
        """Coupons end earlier, and the texts sent say so."""
        lang = campaign.template_id.lang
        ends = campaign._get_coupon_expiry()
        ended = ends - timedelta(days=days)
        self.env.cr.execute(
            """
            UPDATE loyalty_card c
               SET expiration_date = c.expiration_date - %(days)s::int,
                   create_date = m.claimed_date
              FROM member_message m
             WHERE m.campaign_id = %(campaign)s AND c.id = m.card_id
            """,
            {"campaign": campaign.id, "days": days},
        )
        self.env.cr.execute(
            "UPDATE member_message SET body = replace(body, %s, %s)"
            " WHERE campaign_id = %s",
            (
                format_date(self.env, ends, lang_code=lang),
                format_date(self.env, ended, lang_code=lang),
                campaign.id,
            ),
        )
