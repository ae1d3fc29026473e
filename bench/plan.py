"""Plan a campaign to all members, beside a plain INSERT of the same rows.

Everything that leaves a member out is there: no number, a second member with the same
number, no consent, a refusal, a blocked number, a number given up, enough promotions
already, the control group. The floor copies the rows that were planned into a table
with a key and four indexes.
"""

import members
from benchlib import DATABASE, Bench, fresh_database
from send import add_instant_gateway, launch, make_program

from odoo import fields

SMALL = 100_000
FULL = 1_000_000
#: Of a campaign before: every tenth member has had enough promotions, every hundredth
#: has a number that three campaigns found to be out of reach.
PAST = """
    INSERT INTO member_message (
           campaign_id, variant_id, company_id, profile_id, partner_id, channel,
           gateway_id, address, state, reason, due_date, claimed_date, sent_date,
           attempt_count)
    SELECT %(campaign)s, %(variant)s, %(company)s, p.id, p.partner_id, 'sms',
           %(gateway)s, r.phone_sanitized,
           CASE WHEN p.id %% 100 = 3 THEN 'failed' ELSE 'delivered' END,
           CASE WHEN p.id %% 100 = 3 THEN 'rejected_number' END,
           %(now)s, %(now)s, %(now)s, 1
      FROM member_profile p JOIN res_partner r ON r.id = p.partner_id
     WHERE p.id %% 10 = 3 AND r.phone_sanitized IS NOT NULL
        ON CONFLICT DO NOTHING
"""
BLOCKED = """
    INSERT INTO phone_blacklist (number, active, create_uid, write_uid, create_date,
                                 write_date)
    SELECT DISTINCT phone_sanitized, TRUE, 1, 1, now(), now()
      FROM res_partner WHERE ref = 'bench' AND id %% 50 = 9
        ON CONFLICT DO NOTHING
"""
FLOOR_TABLE = """
    CREATE TABLE bench_message (LIKE member_message);
    ALTER TABLE bench_message ADD PRIMARY KEY (id);
    CREATE INDEX ON bench_message (campaign_id, channel, profile_id);
    CREATE INDEX ON bench_message (campaign_id, channel, address);
    CREATE INDEX ON bench_message (gateway_id, due_date, id) WHERE state = 'queued';
    CREATE INDEX ON bench_message (partner_id)
"""
FLOOR = """
    INSERT INTO bench_message SELECT * FROM member_message WHERE campaign_id = %s
"""


def make_members(env, count):
    params = {"members": count, "country": env.ref("base.cn").id}
    env.cr.execute("SET LOCAL session_replication_role = replica")
    env.cr.execute(members.PARTNERS, params)
    env.cr.execute(members.PROFILES, params)
    env.cr.execute(BLOCKED, {})
    env.cr.commit()


def make_past(env, campaigns):
    for campaign in campaigns:
        env.cr.execute(
            PAST,
            {
                "campaign": campaign.id,
                "variant": campaign.variant_ids[:1].id,
                "company": campaign.company_id.id,
                "gateway": campaign.gateway_id.id,
                "now": fields.Datetime.now(),
            },
        )
        campaign.write(
            {
                "state": "done",
                "frozen_date": fields.Datetime.now(),
                "planned_date": fields.Datetime.now(),
                "done_date": fields.Datetime.now(),
            }
        )
    env.cr.commit()


def main():
    bench = Bench("plan", __doc__)
    count = FULL if bench.full else SMALL
    with bench.environment(fresh_database(DATABASE, "plan")) as env:
        with bench.measure("make members", count):
            make_members(env, count)
        gateway, program = add_instant_gateway(env), make_program(env)
        domain = [("ref", "=", "bench")]
        make_past(env, [launch(env, gateway, program, domain) for _turn in range(3)])
        members.vacuum(env)
        campaign = launch(env, gateway, program, domain)
        campaign.holdout_rate = 5
        env.cr.commit()
        with bench.measure("ours: plan", count) as plan:
            env["member.message"]._cron_plan()
        counts = dict(
            env["member.message"]._read_group(
                [("campaign_id", "=", campaign.id)], ["reason"], ["__count"]
            )
        )
        assert sum(counts.values()) == count, f"{sum(counts.values())} of {count}"
        missing = {
            "no_address",
            "duplicate_address",
            "no_consent",
            "refused",
            "blocked",
            "bad_number",
            "frequency_cap",
            "holdout",
        } - counts.keys()
        assert not missing, f"nobody was left out for {missing}"
        bench.say(
            ", ".join(f"{reason or 'queued'} {n:,}" for reason, n in counts.items())
        )
        env.cr.execute(FLOOR_TABLE)
        env.cr.commit()
        with bench.measure("SQL: INSERT … SELECT", count) as floor:
            env.cr.execute(FLOOR, (campaign.id,))
            env.cr.commit()
    bench.report(
        size=count,
        rows_per_second=plan.rate,
        plan_over_floor=plan.seconds / floor.seconds,
    )


if __name__ == "__main__":
    main()
