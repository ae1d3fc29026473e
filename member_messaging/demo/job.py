"""The main job once, by the people who do it in a shop.

Staff enrols customers and prepares a campaign, a manager launches it, the crons send
it through the sandbox gateway, members click, one refuses, salespeople and cashiers
redeem coupons. Everybody has the rights of their role and no others.
"""

import random
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError

from .past import move_back

#: Login and password → name, groups.
PEOPLE = {
    "staff": (
        "李小雨",
        (
            "member_messaging.group_member_messaging_user",
            "base.group_partner_manager",
            "sales_team.group_sale_salesman",
        ),
    ),
    "manager": (
        "陈静",
        (
            "member_messaging.group_member_messaging_manager",
            # coupon programmes belong to Sales, and each reward is a product
            "sales_team.group_sale_manager",
            "product.group_product_manager",
        ),
    ),
    "cashier": ("王芳", ("base.group_user", "point_of_sale.group_pos_user")),
}
#: Walk-in customers: name, telephone, whether they agree to promotions.
WALK_INS = (
    ("周小蕙", "+86 136 0123 4567", True),
    ("赵一鸣", "+86 158 2345 6789", True),
    ("孙大力", "+86 187 6543 2100", False),
    ("Anna Schmidt", "1860 12", True),
)
#: What an order must come to for the coupon.
LEAST_AMOUNT = 100


class Brief(NamedTuple):
    """What the campaign of the main job is about."""

    name: str
    program: str
    offer: str
    template: str
    body: str
    lang: str


WIN_BACK = Brief(
    "老友召回 · Win Back",
    "20 off from 100",
    "满100减20",
    "老友召回",
    "{{ member_name ||| 会员 }}，好久不见！凭{{ coupon_code }}享{{ coupon_value }}，"
    "{{ coupon_expiry }}前有效，详情{{ link }}",
    "zh_CN",
)
WIN_BACK_CDNOW = Brief(
    "Win back our best",
    "20 off from 100",
    "20 off from 100",
    "Win back",
    "{{ member_name ||| Hello }}, we miss you: {{ coupon_value }} with code "
    "{{ coupon_code }} until {{ coupon_expiry }}. {{ link }} "
    "Stop: {{ unsubscribe_link }}",
    "en_US",
)


def create_people(env, lang):
    """Create a user for each role, with the login as the password."""
    env["res.users"].with_context(no_reset_password=True).create(
        [
            {
                "name": name,
                "login": login,
                "password": login,
                "lang": lang,
                "tz": "Asia/Shanghai",
                "group_ids": [Command.link(env.ref(group).id) for group in groups],
            }
            for login, (name, groups) in PEOPLE.items()
        ]
    )


def _as(env, login):
    """:returns: the environment of one of ``PEOPLE``"""
    user = env["res.users"].search([("login", "=", login)])
    return env(user=user.id, context={"lang": "en_US", "tz": user.tz})


def launch(env, brief):
    """Enrol walk-in customers, prepare a campaign and launch it.

    :returns: the campaign
    """
    _enrol(_as(env, "staff"))
    program = _create_program(_as(env, "manager"), brief)
    campaign = _create_campaign(_as(env, "staff"), brief, program)
    campaign.action_request_review()
    campaign.with_env(_as(env, "manager")).action_launch()
    return campaign.with_env(env)


def _enrol(env):
    for name, phone, is_granted in WALK_INS:
        partner = env["res.partner"].create(
            {"name": name, "phone": phone, "country_id": env.ref("base.cn").id}
        )
        env["member.profile.enrol"].create(
            {
                "partner_ids": partner.ids,
                "source": "pos",
                "is_granted": is_granted,
                "evidence": "Enrolment form",
            }
        ).action_enrol()


def _create_program(env, brief):
    program = env["loyalty.program"].create(
        {
            "name": brief.program,
            "program_type": "coupons",
            # else every order gets the discount
            "trigger": "with_code",
            "rule_ids": [
                Command.clear(),
                Command.create({"minimum_amount": LEAST_AMOUNT, "minimum_qty": 0}),
            ],
            "reward_ids": [
                Command.clear(),
                Command.create(
                    {
                        "reward_type": "discount",
                        "discount_mode": "per_order",
                        "discount": 20,
                        "required_points": 1,
                        "description": brief.program,
                    }
                ),
            ],
            "communication_plan_ids": [Command.clear()],
        }
    )
    _translate(program, "name", brief, brief.offer)
    _translate(program.reward_ids, "description", brief, brief.offer)
    return program


def _translate(record, field, brief, text):
    if brief.lang != "en_US":
        # written, not translated: what a reward is called names its product as well
        record.with_context(lang=brief.lang)[field] = text


def _create_campaign(env, brief, program):
    at_risk = env.ref("member_messaging.member_rfm_segment_at_risk")
    segments = env["member.segment"].create(
        [
            {
                "name": "At risk",
                "description": "Bought often, but not lately.",
                "domain": str([("member_rfm_segment_id", "=", at_risk.id)]),
            },
            {
                "name": "Joined this week",
                "domain": '[("member_joined_date", ">=", "today -7d")]',
            },
        ]
    )
    for segment, chinese in zip(segments, ("流失预警会员", "本周新会员"), strict=True):
        _translate(segment, "name", brief, chinese)
    _translate(segments[0], "description", brief, "以前常买，最近没来。")
    template = env["member.template"].create(
        {"name": brief.template, "lang": brief.lang, "body": brief.body}
    )
    return env["member.campaign"].create(
        {
            "name": brief.name,
            "segment_ids": segments.ids,
            "variant_ids": [Command.create({"template_id": template.id})],
            "program_id": program.id,
            "holdout_rate": 5,
        }
    )


def send(env, campaign):
    """Let the crons work and the carrier report, five minutes later."""
    for name in ("plan", "send"):
        cron = env.ref(f"member_messaging.ir_cron_member_messaging_{name}")
        cron.method_direct_trigger()
        # a cron works in a transaction of its own; the next one sees what it has done
        env.cr.commit()  # pylint: disable=invalid-commit
    now = fields.Datetime.now()
    move_back(campaign, now, now - timedelta(minutes=5))
    env["member.callback"]._query_providers(now)


def answer(env, campaign):
    """Members follow the link, one refuses, some come and redeem their coupon."""
    chance = random.Random(campaign.id)
    messages = env["member.message"].search(
        [("campaign_id", "=", campaign.id), ("state", "=", "delivered")], order="id"
    )
    for message in messages:
        draw = chance.random()
        if draw < 0.14:
            message._record_visit(is_machine=draw < 0.01)
    chance.choice(messages)._unsubscribe()
    buyers = chance.sample(messages, max(2, len(messages) // 20))
    online, store = buyers[: len(buyers) // 4 or 1], buyers[len(buyers) // 4 or 1 :]
    _redeem_online(_as(env, "staff"), chance, online)
    _redeem_in_store(_as(env, "cashier"), chance, store)
    env["member.profile"]._fold_engagement()


def _choose(env, chance):
    """:returns: a product and how many of it cost more than the least amount"""
    products = env["product.product"].search(
        [("available_in_pos", "=", True), ("type", "=", "consu")]
    )
    product = chance.choice(products)
    return product, int(LEAST_AMOUNT // product.list_price) + 1


def _redeem_online(env, chance, messages):
    """Sales orders: the code, its reward, confirmation."""
    for message in messages:
        product, quantity = _choose(env, chance)
        line = {"product_id": product.id, "product_uom_qty": quantity, "tax_ids": False}
        order = env["sale.order"].create(
            {
                "partner_id": message.partner_id.id,
                "order_line": [Command.create(line)],
            }
        )
        claimable = order._try_apply_code(message.card_id.code)
        if "error" in claimable:
            raise UserError(claimable["error"])
        [(coupon, reward)] = claimable.items()
        order._apply_program_reward(reward, coupon)
        order.action_confirm()


def _redeem_in_store(env, chance, messages):
    """POS orders: what the till calls from opening to closing."""
    config = env["pos.config"].search([], order="id desc", limit=1)
    config.open_ui()
    session = config.current_session_id
    session.set_opening_control(0, "")
    for message in messages:
        _sell(session, message, *_choose(env, chance))
    cash = sum(session.order_ids.mapped("amount_paid"))
    session.post_closing_cash_details(cash)
    session.close_session_from_ui()


def _sell(session, message, product, quantity):
    env = session.env
    now = fields.Datetime.to_string(fields.Datetime.now())
    owner = env["loyalty.card"].get_member_coupon_owner(message.card_id.code)
    found = session.config_id.use_coupon_code(
        owner["code"], now, owner["partner_id"], False
    )
    if not found["successful"]:
        raise UserError(found["payload"]["error_message"])
    # sudo: the till has loaded the rewards of its programmes when it opened
    reward = (
        env["loyalty.program"].sudo().browse(found["payload"]["program_id"]).reward_ids
    )
    coupon_id = found["payload"]["coupon_id"]
    lines = [
        _prepare_line(product, quantity, product.list_price),
        {
            **_prepare_line(reward.discount_line_product_id, 1, -reward.discount),
            "is_reward_line": True,
            "reward_id": reward.id,
            "coupon_id": coupon_id,
            "reward_identifier_code": f"reward-{coupon_id}",
            "points_cost": reward.required_points,
        },
    ]
    total = sum(line["price_subtotal_incl"] for line in lines)
    payment = {
        "amount": total,
        "name": now,
        "payment_method_id": session.payment_method_ids[:1].id,
    }
    stored = env["pos.order"].sync_from_ui(
        [
            {
                "uuid": str(uuid4()),
                "session_id": session.id,
                "user_id": env.uid,
                "partner_id": owner["partner_id"],
                "date_order": now,
                "amount_total": total,
                "amount_paid": total,
                "amount_tax": 0,
                "amount_return": 0,
                "lines": [Command.create(line) for line in lines],
                "payment_ids": [Command.create(payment)],
                "last_order_preparation_change": "{}",
            }
        ]
    )
    order = env["pos.order"].browse(stored["pos.order"][0]["id"])
    order.confirm_coupon_programs(
        {
            coupon_id: {
                "points": -reward.required_points,
                "program_id": reward.program_id.id,
                "coupon_id": coupon_id,
                "barcode": False,
                "line_codes": [f"reward-{coupon_id}"],
            }
        }
    )


def _prepare_line(product, quantity, price):
    amount = quantity * price
    return {
        "product_id": product.id,
        "qty": quantity,
        "price_unit": price,
        "price_subtotal": amount,
        "price_subtotal_incl": amount,
        "tax_ids": [],
        "uuid": str(uuid4()),
    }
