"""Run by scripts/demo in an Odoo shell (`env` is there).

Loads the data set named by DEMO_DATA, runs the main job on it and prints the recap.
Each step is committed and noted; a second run prints what the database says.
"""

import os

from odoo.addons.member_messaging.demo import cdnow, job, recap, shop

NOTED = "member_messaging.demo_steps"


def set_up(env, name, currency, lang):
    """A Chinese company, in its time zone, and the people who work there."""
    for code in ("en_US", "zh_CN"):
        env["res.lang"]._activate_lang(code)
    env.ref(f"base.{currency}").active = True
    env.company.write(
        {
            "name": name,
            "country_id": env.ref("base.cn").id,
            "currency_id": env.ref(f"base.{currency}").id,
        }
    )
    # a month of campaigns passes in a minute
    env["member.send.policy"].create({"gap_hours": 0, "cap_ids": False})
    env.company.resource_calendar_id.tz = "Asia/Shanghai"
    env.ref("base.user_admin").write({"lang": "en_US", "tz": "Asia/Shanghai"})
    job.create_people(env, lang)


def load_shop(env):
    set_up(env, "云朵茶舍", "CNY", "zh_CN")
    shop.load(env)


def load_cdnow(env):
    set_up(env, "CDNOW", "USD", "en_US")
    # what a CD shop's best customers spend in a year
    for tier, revenue in (("silver", 100), ("gold", 300), ("vip", 800)):
        env.ref(f"member_messaging.member_tier_{tier}").min_revenue = revenue
    cdnow.load(env, cdnow.find_file(cdnow.MASTER))


def once(env, step, *args):
    """Run a step unless an earlier run has done it, and note its result."""
    notes = env["ir.config_parameter"]
    key = f"{NOTED}.{step.__name__}"
    if not notes.get_param(key):
        result = step(env, *args)
        notes.set_param(key, str(result and result.id or True))
        env.cr.commit()
    return notes.get_param(key)


env = env(context={**env.context, "lang": "en_US", "tz": "Asia/Shanghai"})
load, brief = {
    "shop": (load_shop, job.WIN_BACK),
    "cdnow": (load_cdnow, job.WIN_BACK_CDNOW),
}[os.environ.get("DEMO_DATA") or "shop"]
# It may be night where this runs; the people of the demonstration are awake.
hours = env["member.sending.hours"].with_context(active_test=False).search([])
hours.active = False
once(env, load)
campaign = env["member.campaign"].browse(int(once(env, job.launch, brief)))
once(env, job.send, campaign)
once(env, job.answer, campaign)
hours.active = True
env.cr.commit()

tables = [
    recap.describe_campaigns(env),
    "Delivered of sent, clicked and redeemed of delivered. ROI: revenue less cost of\n"
    "the messages, of that cost; goods and discounts are not counted as cost.",
    recap.describe_unreached(campaign),
    recap.describe_members(env, "tier_id"),
    recap.describe_members(env, "rfm_segment_id"),
]
if load is load_cdnow:
    free = env["member.order"].search_count([("amount", "=", 0)])
    tables.append(f"{free} orders of 0 dollars count as orders, with no revenue.")
print("\n\n".join(tables))
