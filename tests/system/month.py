"""A month of a shop with members all over the world, played hour by hour.

The clock is the test's; crons, methods behind buttons and the code behind public pages
are the addon's. A provider in this process keeps a log of what it was handed. What
people say is also written down here, in :attr:`Month.told`, whatever becomes of it.
"""

import json
import random
from collections import Counter
from datetime import datetime, timedelta

import freezegun

from odoo.addons.member_messaging.gateways import ADAPTERS, base, types

from system.auditor import Told

#: A Tuesday; European clocks change on 25 October, American ones on 1 November.
START = datetime(2026, 10, 13)
HOURS = 31 * 24
#: A Wednesday on which France is closed.
HOLIDAY = datetime(2026, 11, 11)
RINGS = 10
#: SMS of a calendar month, and what of them is kept for care, in per cent: enough for
#: everything but the advertising of October.
QUOTA, RESERVE = 36_000, 50

#: Zone, country and state of the contact, begin of the number and its further digits,
#: part of the members in per cent.
PLACES = [
    (None, "CN", None, "+86138", 8, 30),
    ("Asia/Shanghai", "CN", None, "+86139", 8, 5),
    ("America/New_York", "US", "NY", "+1212", 7, 5),
    ("America/Chicago", "US", "TX", "+1214", 7, 5),
    ("America/New_York", "US", "FL", "+1305", 7, 5),
    (None, "US", "CA", "+1415", 7, 5),
    (None, "US", None, "+1312", 7, 5),
    (None, None, None, "+1602", 7, 3),
    (None, None, None, "+1808", 7, 2),
    ("Europe/Paris", "FR", None, "+336", 8, 5),
    (None, "FR", None, "+337", 8, 5),
    (None, "DE", None, "+49151", 8, 5),
    (None, None, None, "+4477009", 5, 5),
    (None, None, None, "+614", 8, 4),
    (None, None, None, "+9198", 8, 4),
    (None, None, None, "+55119", 8, 2),
    (None, None, None, "+79", 9, 2),
    # on a journey
    ("Asia/Tokyo", "DE", None, "+49152", 8, 3),
]
MEMBERS = """
    WITH partner AS (
        INSERT INTO res_partner (
               name, complete_name, ref, phone, phone_sanitized, country_id, state_id,
               city, tz, lang, type, active, color, is_company, partner_share,
               customer_rank, supplier_rank, autopost_bills, message_bounce, create_uid,
               write_uid, create_date, write_date)
        SELECT 'Member ' || i, 'Member ' || i, 'month', number, number, %(country)s,
               %(state)s, 'Ring ' || i %% %(rings)s, %(zone)s, 'en_US', 'contact', TRUE,
               0, FALSE, TRUE, 1, 0, 'ask', 0, 1, 1, %(now)s, %(now)s
          FROM generate_series(1, %(count)s) i,
               -- each fiftieth has the number of somebody else
               LATERAL (SELECT %(prefix)s || lpad(
                   (1000 + i - i %% 50 / 49)::text, %(digits)s, '5') AS number) n
     RETURNING id
    ), profile AS (
        INSERT INTO member_profile (
               partner_id, number, joined_date, source, lifecycle, engagement,
               create_uid, write_uid, create_date, write_date)
        SELECT id, 'month-' || id, %(now)s, 'import', 'prospect',
               (ARRAY['high', 'medium', 'low', NULL])[1 + id %% 4], 1, 1, %(now)s,
               %(now)s
          FROM partner
     RETURNING id, partner_id
    )
    INSERT INTO member_consent (
           profile_id, channel, purpose, state, source, date, expiry_date, is_current,
           create_uid, write_uid, create_date, write_date)
    SELECT id, 'sms', 'promotion', 'granted', 'import', %(now)s,
           -- some agreed for a while only
           CASE WHEN id %% 30 = 4 THEN %(expiry)s END, TRUE, 1, 1, %(now)s, %(now)s
      FROM profile
     -- some were never asked
     WHERE id %% 20 > 0
"""
LINK_PROFILES = """
    UPDATE res_partner pa SET commercial_partner_id = pa.id, member_profile_id = p.id
      FROM member_profile p WHERE p.partner_id = pa.id AND pa.ref = 'month'
"""
NO = ["TD", "退订", "请不要再发了", "STOP", "stop texting me", "Unsubscribe please"]
AGAIN = ["START", "恢复订阅"]
#: Messages in the queue, as its index has them.
WAITING = "m.state = 'queued' AND m.claimed_date IS NULL AND m.gateway_id IS NOT NULL"


class Provider(base.Gateway):
    """Accepts nearly everything. ``log`` has moment, message and outcome."""

    code = name = "month"
    capabilities = frozenset({types.Capability.REPORTS, types.Capability.WEBHOOK})
    batch_size = 1000
    default_rate = 0
    log: list = []

    def _send(self, batch):
        for message in batch:
            outcome = self._decide(message)
            self.log.append((datetime.now(), message, outcome))
            yield types.SendResult(message.key, outcome, f"ref-{message.key}")

    def _decide(self, message):
        """Some need a second try, which may be at another time of the day."""
        share = random.Random(f"{message.key} {datetime.now():%H}").random()
        for outcome, rate in (
            (types.Outcome.RETRY, 0.01),
            (types.Outcome.POSTPONE, 0.005),
            (types.Outcome.AMBIGUOUS, 0.002),
            (types.Outcome.BADNUM, 0.003),
            (types.Outcome.OPTOUT, 0.001),
        ):
            if share < rate:
                return outcome
            share -= rate
        return types.Outcome.OK

    def parse(self, request):
        return [
            types.InboundMessage(text=text, address=number, event_ref=reference)
            for number, text, reference in json.loads(request.body)
        ]


class Month:
    """The shop, its members, and a clock.

    :param env: over a database of its own, in which is committed
    :param int size: number of members
    """

    def __init__(self, env, size, seed=1):
        self.env = env
        self.cr = env.cr
        self.chance = random.Random(seed)
        self.told = []
        #: How often each cron had something to do.
        self.steps = Counter()
        self.agenda = {}
        Provider.log = self.log = []
        ADAPTERS["month"] = Provider
        self._set_up(size)

    def _set_up(self, size):
        env = self.env
        env["member.gateway"].search([]).active = False
        self.gateway = env["member.gateway"].create(
            {"name": "Month", "provider": "month", "rate_per_second": 0}
        )
        policies = env["member.send.policy"]
        self.policy = policies.browse(policies.action_open()["res_id"])
        # what the audit asks for is the default; nobody is there to start again
        self.policy.write(
            {
                "capped_action": "postpone",
                "complaint_limit": 0,
                "month_quota": QUOTA,
                "care_reserve_rate": RESERVE,
            }
        )
        env["resource.calendar.leaves"].create(
            {
                "name": "Armistice",
                "company_id": env.company.id,
                "calendar_id": env.company.resource_calendar_id.id,
                "date_from": HOLIDAY,
                "date_to": HOLIDAY + timedelta(hours=23, minutes=59),
            }
        )
        env.company.partner_id.tz = "UTC"
        countries = {c.code: c.id for c in env["res.country"].search([])}
        states = {
            (state.country_id.code, state.code): state.id
            for state in env["res.country.state"].search([])
        }
        for zone, country, state, prefix, digits, share in PLACES:
            self.cr.execute(
                MEMBERS,
                {
                    "zone": zone,
                    "country": country and countries[country],
                    "state": state and states[country, state],
                    "prefix": prefix,
                    "digits": digits,
                    "count": size * share // 100,
                    "rings": RINGS,
                    "now": START - timedelta(days=30),
                    "expiry": START.date() + timedelta(days=12),
                },
            )
        self.cr.execute(LINK_PROFILES)
        self.cr.execute("ANALYZE")
        self.templates = {
            category: env["member.template"].create(
                {
                    "name": category,
                    "category": category,
                    "lang": "en_US",
                    "body": f"{category} {{{{ unsubscribe_link }}}}",
                }
            )
            for category in ("promotion", "content", "notice", "care")
        }
        self.cr.commit()

    def close(self):
        del ADAPTERS["month"]

    def get_left(self):
        """:returns: moment and message of what the provider took, or may have taken;
        those of campaigns, and answers to replies
        """
        campaigns, answers = [], []
        for moment, message, outcome in self.log:
            if outcome in (types.Outcome.OK, types.Outcome.AMBIGUOUS):
                is_own = message.body.split()[0] in self.templates
                (campaigns if is_own else answers).append((moment, message))
        return campaigns, answers

    # ------------------------------------------------------------------------ plans

    def plan(self, hour, work, *args, **values):
        """Let something happen in an hour of the month."""
        self.agenda.setdefault(hour, []).append((work, args, values))

    def launch(self, category, rings, in_hours=0, ends_in_hours=None):
        """A campaign to some of the rings, now or later."""
        now = datetime.now()
        segment = self.env["member.segment"].create(
            {
                "name": f"Rings {rings}",
                "domain": repr([("city", "in", [f"Ring {ring}" for ring in rings])]),
            }
        )
        campaign = self.env["member.campaign"].create(
            {
                "name": f"{category} {now}",
                "category": category,
                "segment_ids": segment.ids,
                "template_id": self.templates[category].id,
                "gateway_id": self.gateway.id,
                "schedule_type": "date" if in_hours else "now",
                "scheduled_date": in_hours and now + timedelta(hours=in_hours),
                "not_after_date": ends_in_hours
                and now + timedelta(hours=ends_in_hours),
            }
        )
        campaign.action_launch()
        return campaign

    def pause_gateway(self):
        self.gateway._pause("Month")

    def activate_gateway(self):
        self.gateway.action_activate()

    # ----------------------------------------------------------------------- people

    def find(self, condition, count):
        """:returns: message id, number and profile of some messages, anywhere in the
        outbox; a number once
        """
        self.cr.execute("SELECT MIN(id), MAX(id) FROM member_message")
        first, last = (bound or 0 for bound in self.cr.fetchone())
        # a barrier, lest the few that wait are looked for by reading all by their ids
        barrier = "OFFSET 0" if condition.startswith(WAITING) else ""
        self.cr.execute(
            "SELECT id, address, profile_id FROM (SELECT * FROM member_message m"
            f" WHERE {condition} {barrier}) m WHERE id >= %s ORDER BY id LIMIT %s",
            (self.chance.randint(first, last), count),
        )
        return list({row[1]: row for row in self.cr.fetchall()}.values())

    def say(self, numbers, **values):
        self.told += [Told(number, datetime.now(), **values) for number in numbers]

    def reply(self, count, texts=NO, condition=WAITING):
        """Members answer, among them some for whom a message is queued."""
        found = self.find(condition, count) + self.find("m.state = 'sent'", count)
        numbers = sorted({number for _id, number, _profile in found})
        self.post_replies(numbers, texts)
        self.say(numbers, is_no=texts is NO)

    def post_replies(self, numbers, texts):
        replies = [
            (number, self.chance.choice(texts), f"{len(self.told)}-{number}")
            for number in numbers
        ]
        self.env["member.callback"]._store(
            self.gateway, types.WebhookRequest(body=json.dumps(replies).encode())
        )

    def come_back(self, count):
        """Some who refused want messages again."""
        refused = sorted({told.number for told in self.told if not told.is_everything})
        numbers = self.chance.sample(refused, min(count, len(refused)))
        self.post_replies(numbers, AGAIN)
        self.say(numbers, is_no=False)

    def follow_links(self, count):
        """Members press the button on the page behind the link."""
        found = self.find("m.state = 'sent' AND m.token IS NOT NULL", count)
        for message_id, _number, _profile in found:
            self.env["member.message"].browse(message_id)._unsubscribe()
        self.say([number for _id, number, _profile in found])

    def tell_staff(self, count):
        """Staff write down who said so in the shop; a number of two counts for one."""
        found = self.find(
            f"{WAITING} AND NOT EXISTS (SELECT FROM res_partner pa WHERE"
            " pa.phone_sanitized = m.address AND pa.id != m.partner_id)",
            count,
        )
        for _id, _number, profile_id in found:
            self.env["member.consent.record"].create(
                {"profile_id": profile_id, "evidence": "In the shop"}
            ).action_record()
        self.say([number for _id, number, _profile in found])

    def complain(self, count):
        found = self.find("m.state = 'sent' AND m.address LIKE '+86%%'", count)
        for _id, number, _profile in found:
            self.env["member.complaint"].create({"address": number})
        self.say([number for _id, number, _profile in found])

    def block(self, count):
        """Nothing at all any more."""
        found = self.find(f"{WAITING} AND m.address LIKE '+86%%'", count)
        numbers = [number for _id, number, _profile in found]
        self.env["phone.blacklist"].create([{"number": n} for n in numbers])
        self.say(numbers, is_everything=True)

    # ---------------------------------------------------------------------- running

    def run(self):
        """Play all hours; an hour in which nothing is due is passed over."""
        with freezegun.freeze_time(START) as clock:
            for hour in range(HOURS):
                seconds = self.chance.randrange(3600)
                clock.move_to(START + timedelta(hours=hour, seconds=seconds))
                self._play(hour)

    def _play(self, hour):
        for work, args, values in self.agenda.get(hour, ()):
            work(*args, **values)
            self.env.cr.commit()
        for step, question, method in (
            ("apply", self._WAITING_CALLBACKS, self.env["member.callback"]._cron_apply),
            ("plan", self._WAITING_CAMPAIGNS, self.env["member.message"]._cron_plan),
            ("send", self._WAITING_MESSAGES, self.env["member.message"]._cron_send),
        ):
            self.cr.execute(question, {"now": datetime.now()})
            if self.cr.fetchone()[0]:
                method()
                self.env.cr.commit()
                self.env.invalidate_all()
                self.steps[step] += 1

    _WAITING_CALLBACKS = (
        "SELECT EXISTS (SELECT FROM member_callback WHERE state = 'new')"
    )
    _WAITING_CAMPAIGNS = """
        SELECT EXISTS (SELECT FROM member_campaign
                        WHERE state = 'scheduled' AND planned_date IS NULL)
    """
    _WAITING_MESSAGES = f"""
        SELECT EXISTS (SELECT FROM member_service_message
                        WHERE state = 'queued' AND due_date <= %(now)s)
            OR EXISTS (SELECT FROM member_campaign c
                        WHERE c.state = 'scheduled' AND c.scheduled_date <= %(now)s)
            OR EXISTS (SELECT FROM member_campaign c
                        WHERE c.state = 'sending' AND EXISTS (
                              SELECT FROM member_message m
                               WHERE m.campaign_id = c.id AND {WAITING}
                                 AND m.due_date <= %(now)s))
    """
