"""A shop with two years of business, made by chance from a fixed seed.

Campaigns run through the very engine that sends real ones, by way of the sandbox
gateway; afterwards their times are moved into the past.
"""

import random
from datetime import timedelta

from odoo import Command, fields

from .orders import insert_pos_orders, insert_sale_orders, open_history_session

MEMBERS = 2400
DAYS = 730

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
    ("Gift Box Autumn", "秋日礼盒", 398),
    ("Honey 250 g", "百花蜜 250克", 68),
    ("Travel Tea Set", "旅行茶具", 199),
)
SHOPS = (("Nanjing Road Shop", "南京路店"), ("Tianhe Shop", "天河城店"))


def load(env):
    """Fill the current company with members, orders and campaigns."""
    chance = random.Random(19)
    env = env(context={**env.context, "tracking_disable": True, "lang": "en_US"})
    products = _create_products(env)
    tills = _create_tills(env)
    partners = _create_partners(env, chance)
    _create_orders(env, chance, partners, products, tills)
    profiles = _enrol(env, chance, partners)
    env["member.profile"]._refresh()
    _record_consents(env, chance, profiles)
    gateway = _set_up_gateway(env)
    programs = _create_programs(env, products)
    templates = _create_templates(env)
    segments = _create_segments(env)
    _run_campaigns(env, chance, gateway, programs, templates, segments, products, tills)
    env["member.profile"]._refresh()
    env["member.event"]._cron_fold_engagement()


# ------------------------------------------------------------------------ the shop


def _translate(record, field, chinese):
    record.update_field_translations(field, {"zh_CN": chinese})


def _has_chinese(env):
    return "zh_CN" in dict(env["res.lang"].get_installed())


def _create_products(env):
    products = env["product.product"].create(
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
    if _has_chinese(env):
        for product, (_english, chinese, _price) in zip(products, PRODUCTS, strict=True):
            _translate(product.product_tmpl_id, "name", chinese)
    return products


def _create_tills(env):
    tills = env["pos.config"]
    for index, (english, chinese) in enumerate(SHOPS, start=1):
        name = chinese if _has_chinese(env) else english
        # a cash drawer belongs to one till
        drawer = env["account.journal"].create(
            {"name": f"Cash {name}", "code": f"DEMO{index}", "type": "cash"}
        )
        method = env["pos.payment.method"].create(
            {"name": "Cash", "journal_id": drawer.id}
        )
        tills += env["pos.config"].create(
            {"name": name, "payment_method_ids": [Command.set(method.ids)]}
        )
    return tills


def _create_partners(env, chance):
    china = env.ref("base.cn")
    weights = [weight for _city, _state, weight in CITIES]
    vals_list = []
    for index in range(MEMBERS):
        city, state, _weight = chance.choices(CITIES, weights)[0]
        vals_list.append(
            {
                "name": chance.choice(FAMILY) + chance.choice(GIVEN),
                "phone": _make_phone(chance, index),
                "city": city,
                "state_id": env.ref(f"base.state_cn_{state}").id,
                "country_id": china.id,
                "tz": "Asia/Shanghai",
                "lang": "zh_CN" if _has_chinese(env) else "en_US",
            }
        )
    return env["res.partner"].create(vals_list)


def _make_phone(chance, index):
    """Mostly a number of its own; some missing, mistyped or shared, as in life."""
    draw = chance.random()
    if draw < 0.03:
        return False
    if draw < 0.04:
        return f"1380{index % 1000:03d}"
    if draw < 0.05 and index:
        index -= 1
    return f"+86 13{7 + index % 3} {1000 + index // 10:04d} {(index * 37) % 10000:04d}"


def _create_orders(env, chance, partners, products, tills):
    now = fields.Datetime.now()
    sales, store = [], {till: [] for till in tills}
    for partner in partners:
        # a few buy all the time, many once or twice; some left long ago
        count = min(int(chance.expovariate(1 / 7)), 80)
        last = DAYS * chance.random() ** 3.2
        shop = chance.choice(tills)
        for _number in range(count):
            product = chance.choice(products)
            days = last + (DAYS - last) * chance.random() ** 1.3
            date = (now - timedelta(days=days)).replace(
                # shops open from 10 to 21 o'clock in Shanghai, 2 to 13 UTC
                hour=chance.choice((2, 3, 4, 4, 5, 8, 9, 10, 10, 11, 11, 12, 13)),
                minute=chance.randrange(60),
            )
            amount = product.list_price * chance.choice((1, 1, 1, 2, 3))
            purchase = (partner.id, min(date, now), amount, product.id)
            (sales if chance.random() < 0.25 else store[shop]).append(purchase)
    insert_sale_orders(env, sales)
    for till, purchases in store.items():
        insert_pos_orders(env, open_history_session(env, till), purchases)


def _enrol(env, chance, partners):
    today = fields.Date.context_today(env.user)
    return env["member.profile"].create(
        [
            {
                "partner_id": partner.id,
                "source": chance.choices(
                    ("pos", "staff", "web", "import"), (60, 15, 15, 10)
                )[0],
                "joined_date": today - timedelta(days=int(DAYS * chance.random())),
                "birthday": today.replace(
                    year=chance.randint(1955, 2005),
                    month=chance.randint(1, 12),
                    day=chance.randint(1, 28),
                ),
            }
            for partner in partners
        ]
    )


def _record_consents(env, chance, profiles):
    vals_list = []
    for profile in profiles:
        draw = chance.random()
        if draw < 0.86:
            state, evidence = "granted", "Enrolment form"
        elif draw < 0.9:
            state, evidence = "refused", "Told the cashier"
        else:
            continue
        vals_list.append(
            {
                "profile_id": profile.id,
                "channel": "sms",
                "purpose": "promotion",
                "state": state,
                "source": "web" if profile.source == "web" else "pos",
                "evidence": evidence,
                "wording": "我愿意通过短信接收优惠信息，可随时回复TD退订。",
            }
        )
    env["member.consent"].create(vals_list)


# ------------------------------------------------------------------- what is written


def _set_up_gateway(env):
    gateway = env.ref("member_messaging.member_gateway_sandbox")
    gateway.write({"signature": "云朵茶舍", "optout_text": "拒收请回复R"})
    return gateway


def _create_programs(env, products):
    programs = env["loyalty.program"].create(
        [
            {
                "name": name,
                "program_type": "coupons",
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
                        }
                    ),
                ],
                "communication_plan_ids": [Command.clear()],
            }
            for name, mode, discount, minimum in (
                ("Come back: 15 % off", "percent", 15, 0),
                ("Autumn: 30 off", "per_order", 30, 150),
            )
        ]
    )
    return programs


def _create_templates(env):
    lang = "zh_CN" if _has_chinese(env) else "en_US"
    texts = (
        (
            "唤醒老会员",
            "{{ member_name ||| 会员 }}，好久不见！送您{{ coupon_value }}，券码"
            "{{ coupon_code }}，{{ coupon_expiry }}前到店出示即可：{{ link }}",
        ),
        (
            "新品抢先看",
            "{{ member_name ||| 会员 }}，您买过的{{ last_product ||| 好茶 }}有了新搭档。"
            "{{ tier ||| 会员 }}专享{{ coupon_value }}：{{ link }}",
        ),
        (
            "周末到店礼",
            "{{ member_name ||| 会员 }}，周末来{{ store ||| 门店 }}坐坐吗？凭"
            "{{ coupon_code }}享{{ coupon_value }}，详情{{ link }}",
        ),
    )
    return env["member.template"].create(
        [
            {"name": name, "category": "promotion", "lang": lang, "body": body}
            for name, body in texts
        ]
    )


def _create_segments(env):
    segments = env["member.segment"].create(
        [
            {
                "name": "Shanghai, active",
                "description": "Members in Shanghai who bought lately.",
                "domain": '["&", ("city", "=", "上海"), ("member_lifecycle", "in", ["new", "active"])]',
            },
            {
                "name": "Gold and VIP",
                "description": "The best members: first access to new products.",
                "domain": repr(
                    [
                        (
                            "member_tier_id",
                            "in",
                            [
                                env.ref("member_messaging.member_tier_gold").id,
                                env.ref("member_messaging.member_tier_vip").id,
                            ],
                        )
                    ]
                ),
            },
        ]
    )
    if _has_chinese(env):
        for segment, chinese in zip(segments, ("上海活跃会员", "金卡和贵宾会员"), strict=True):
            _translate(segment, "name", chinese)
    return segments


# ------------------------------------------------------------------------- campaigns


def _run_campaigns(env, chance, gateway, programs, templates, segments, products, tills):
    ref = env.ref
    sleeping = ref("member_messaging.member_segment_sleeping")
    everybody = ref("member_messaging.member_segment_all")
    session = open_history_session(env, tills[0])
    past = (
        # name, segment, template, programme, days ago, clicked, redeemed
        ("Spring: new teas", segments[1], 1, 1, 210, 0.19, 0.075),
        ("Summer come-back", sleeping, 0, 0, 140, 0.09, 0.028),
        ("Mid-autumn weekend", everybody, 2, 1, 62, 0.14, 0.051),
        ("Golden week, Shanghai", segments[0], 2, 1, 45, 0.22, 0.088),
        ("Autumn come-back", sleeping, 0, 0, 20, 0.13, 0.041),
    )
    for name, segment, template, program, days, clicked, redeemed in past:
        campaign = _create_campaign(
            env, name, segment, templates[template], programs[program], gateway
        )
        messages = _send(env, campaign, gateway)
        _let_members_act(env, chance, messages, clicked, redeemed, session, products)
        campaign.write({"state": "done", "done_date": fields.Datetime.now()})
        _move_back(env, campaign, days)
    _start_running_campaign(env, everybody, templates[1], programs[1], gateway)
    _create_campaign(
        env, "Double 12 preview", segments[1], templates[1], programs[1], gateway
    ).state = "review"
    _create_campaign(
        env, "New Year come-back", sleeping, templates[0], programs[0], gateway
    )


def _create_campaign(env, name, segment, template, program, gateway):
    return env["member.campaign"].create(
        {
            "name": name,
            "segment_ids": [Command.set(segment.ids)],
            "variant_ids": [Command.create({"template_id": template.id})],
            "program_id": program.id,
            "gateway_id": gateway.id,
            "holdout_rate": 5,
            "user_id": env.ref("base.user_admin").id,
        }
    )


def _send(env, campaign, gateway):
    campaign.write({"state": "sending", "scheduled_date": fields.Datetime.now()})
    env["member.message"]._plan(campaign)
    sent = env["member.message"]
    while claimed := sent._claim(gateway):
        sent._record(gateway, sent._call(gateway, claimed))
        sent |= claimed
    tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
    env["member.callback"]._query_providers(tomorrow)
    return sent.filtered(lambda message: message.state == "delivered")


def _let_members_act(env, chance, messages, clicked, redeemed, session, products):
    now = fields.Datetime.now()
    clicks, orders = [], []
    for message in messages:
        if chance.random() < clicked:
            clicks.append(message)
        if chance.random() < redeemed:
            product = chance.choice(products)
            date = now + timedelta(days=14 * chance.random() ** 2, hours=1)
            orders.append((message, date, product.list_price * 2, product.id))
    env["member.event"]._record(
        [
            {
                "message_id": message.id,
                "type": "clicked",
                "date": now + timedelta(hours=8 * chance.random() ** 2),
                "ref": "demo",
            }
            for message in clicks
        ]
    )
    _redeem(env, session, orders)


def _redeem(env, session, orders):
    before = env["pos.order"].search([], order="id desc", limit=1).id
    insert_pos_orders(
        env,
        session,
        [
            (message.partner_id.id, date, amount, product_id)
            for message, date, amount, product_id in orders
        ],
    )
    bought = env["pos.order"].search([("id", ">", before)]).grouped("partner_id")
    for message, _date, _amount, product_id in orders:
        order = bought[message.partner_id][:1]
        # the coupon's own line, as the till writes it
        env["pos.order.line"].create(
            {
                "order_id": order.id,
                "product_id": product_id,
                "qty": 1,
                "price_unit": -30,
                "price_subtotal": -30,
                "price_subtotal_incl": -30,
                "is_reward_line": True,
                "reward_id": message.card_id.program_id.reward_ids[:1].id,
                "coupon_id": message.card_id.id,
                "points_cost": 1,
            }
        )
        message.card_id.points = 0
        env["member.attribution"]._redeem(order, order.lines.filtered("coupon_id"))


def _move_back(env, campaign, days):
    """Move everything about a campaign into the past, orders included."""
    env.flush_all()
    params = {"campaign": campaign.id, "days": days}
    messages = "SELECT id FROM member_message WHERE campaign_id = %(campaign)s"
    for table, columns, where in (
        (
            "member_message",
            "due_date claimed_date sent_date delivered_date clicked_date redeemed_date "
            "replied_date unsubscribed_date create_date",
            "campaign_id = %(campaign)s",
        ),
        ("member_event", "date create_date", f"message_id IN ({messages})"),
        ("member_inbound", "date create_date", f"message_id IN ({messages})"),
        ("member_attribution", "date create_date", f"message_id IN ({messages})"),
        (
            "pos_order",
            "date_order",
            f"id IN (SELECT order_id FROM member_attribution WHERE message_id IN ({messages}))",
        ),
        (
            "loyalty_card",
            "expiration_date create_date",
            f"id IN (SELECT card_id FROM member_message WHERE id IN ({messages}))",
        ),
        (
            "member_campaign",
            "scheduled_date planned_date done_date create_date",
            "id = %(campaign)s",
        ),
    ):
        moves = ", ".join(
            f"{column} = {column} - make_interval(days => %(days)s)"
            for column in columns.split()
        )
        env.cr.execute(f"UPDATE {table} SET {moves} WHERE {where}", params)
    env.invalidate_all(flush=False)


def _start_running_campaign(env, segment, template, program, gateway):
    """A campaign whose messages are due over the next day, the first ones now."""
    campaign = _create_campaign(
        env, "November: thank you", segment, template, program, gateway
    )
    campaign.write({"state": "sending", "scheduled_date": fields.Datetime.now()})
    messages = env["member.message"]
    messages._plan(campaign)
    env.cr.execute(
        """
        UPDATE member_message
           SET due_date = due_date + make_interval(mins => (id * 7919) %% 1440)
         WHERE campaign_id = %s AND id %% 3 != 0
        """,
        (campaign.id,),
    )
    claimed = messages._claim(gateway)
    messages._record(gateway, messages._call(gateway, claimed))
