from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..models.member_gateway_alarm import ACTIVITY
from .common import MemberMessagingCommon


@tagged("post_install", "-at_install")
class TestGatewayReport(MemberMessagingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.env["member.gateway"].create(
            {"name": "Other Account", "provider": "sandbox"}
        )

    def make_service_messages(self, delays, gateway=None, **values):
        """Messages that were handed over, one per delay in seconds.

        :param delays: None: failed; negative: no report so far
        """
        sent = fields.Datetime.now() - timedelta(days=1)
        return self.env["member.service.message"].create(
            [
                {
                    "gateway_id": (gateway or self.gateway).id,
                    "kind": "odoo",
                    "address": "+8613800138000",
                    "claimed_date": sent,
                    "sent_date": sent,
                    "cost": 0.05,
                    "state": "failed"
                    if delay is None
                    else "sent"
                    if delay < 0
                    else "delivered",
                    "delivered_date": delay is not None
                    and delay >= 0
                    and sent + timedelta(seconds=delay),
                    **values,
                }
                for delay in delays
            ]
        )

    def group(self, groupby, *aggregates, user=None):
        reports = self.env["member.gateway.report"].with_user(user or self.manager)
        self.env.flush_all()
        domain = [("gateway_id", "in", (self.gateway | self.other).ids)]
        return reports._read_group(domain, groupby, aggregates)

    def test_percentiles_and_rates_of_a_group_are_its_own(self):
        self.make_service_messages([*range(1, 100), 1000, None, -1])
        self.make_service_messages([7], self.other)
        measures = (
            "accepted_count:sum",
            "delivered_count:sum",
            "failed_count:sum",
            "open_count:sum",
            "delivery_rate:avg",
            "delay_median:avg",
            "delay_p95:avg",
            "cost:sum",
        )
        rows = {row[0]: row[1:] for row in self.group(["gateway_id"], *measures)}
        first, second = rows[self.gateway], rows[self.other]
        self.assertEqual(first[:4], (102, 100, 1, 1))
        self.assertAlmostEqual(first[4], 100 * 100 / 102)
        self.assertAlmostEqual(first[5], 50.5)
        self.assertAlmostEqual(first[6], 95.05)
        self.assertAlmostEqual(first[7], 5.1)
        self.assertEqual((second[0], second[4], second[5]), (1, 100, 7))
        [total] = self.group([], *measures)
        self.assertAlmostEqual(total[4], 100 * 101 / 103)
        self.assertAlmostEqual(total[5], 50, msg="of all messages, no mean of medians")

    def test_pivot(self):
        self.make_service_messages([10, 20, 30])
        self.make_service_messages([40], self.other)
        sets = (
            self.env["member.gateway.report"]
            .with_user(self.manager)
            .formatted_read_grouping_sets(
                [("gateway_id", "in", (self.gateway | self.other).ids)],
                [[], ["gateway_id"]],
                ["delay_median:avg", "delivery_rate:avg"],
            )
        )
        [[total], rows] = sets
        self.assertEqual(total["delay_median:avg"], 25)
        self.assertEqual(
            {row["gateway_id"][0]: row["delay_median:avg"] for row in rows},
            {self.gateway.id: 20, self.other.id: 40},
        )

    def test_campaigns_and_refusals(self):
        messages = self.make_sent(self.make_members(4))
        messages.write({"state": "delivered", "delivered_date": fields.Datetime.now()})
        messages[0].unsubscribed_date = fields.Datetime.now()
        measures = "refusal_rate:avg", "complaint_count:sum", "complaint_limit_rate:avg"
        [row] = self.group(["category"], *measures)
        self.assertEqual(row, ("promotion", 25, 0, 0))

    def test_complaints(self):
        """Not everybody who refuses complains, and somebody may complain twice."""
        messages = self.make_sent(self.make_members(4))
        messages.write({"state": "delivered", "delivered_date": fields.Datetime.now()})
        self.make_service_messages([1], self.other)
        complaints = self.env["member.complaint"].with_user(self.manager)
        for address in messages.mapped("address")[:2]:
            complaints.create({"address": address, "source": "12321"})
        measures = (
            "message_count:sum",
            "complaint_count:sum",
            "complaint_rate:avg",
            "complaint_limit_rate:avg",
            "refusal_count:sum",
        )
        rows = {row[0]: row[1:] for row in self.group(["gateway_id"], *measures)}
        self.assertEqual(rows[self.gateway][:3], (4, 2, 50))
        self.assertAlmostEqual(rows[self.gateway][3], 100 * 0.5 / 0.0003, places=3)
        self.assertEqual(rows[self.other][1:4], (0, 0, 0))
        complaints.create({"address": messages[0].address, "source": "staff"})
        [total] = self.group([], "message_count:sum", "complaint_count:sum")
        self.assertEqual(total, (5, 3), "a message stays one row")

    def test_origins(self):
        for address, country, carrier in (
            ("+8613800138000", "base.cn", "China Mobile"),
            ("+8613000138000", "base.cn", "China Unicom"),
            ("+85251234567", "base.hk", False),
            ("+12025550123", "base.us", False),
        ):
            self.make_service_messages([1], address=address)
            self.assertIn(
                (self.env.ref(country), carrier),
                [row[:2] for row in self.group(["country_id", "carrier"], "__count")],
            )

    def test_hour_weekday_and_holiday(self):
        self.manager.tz = "Asia/Shanghai"
        date = fields.Datetime.now().replace(hour=18, minute=0, second=0) - timedelta(2)
        self.make_service_messages([1], claimed_date=date, sent_date=date)
        local = date + timedelta(hours=8)
        [(hour, weekday, kind, _count)] = self.group(
            ["hour", "weekday", "day_type"], "__count"
        )
        self.assertEqual((hour, weekday), ("02:00", str(local.isoweekday())))
        self.assertEqual(kind, "weekend" if local.isoweekday() > 5 else "work")
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "company_id": self.company.id,
                "date_from": date - timedelta(hours=1),
                "date_to": date + timedelta(hours=1),
            }
        )
        self.assertEqual(self.group(["day_type"], "__count"), [("holiday", 1)])

    def test_three_months_back(self):
        old = fields.Datetime.now() - timedelta(days=100)
        self.make_service_messages([1], claimed_date=old, sent_date=old)
        self.make_service_messages([1], self.other)
        self.assertEqual(self.group(["gateway_id"], "__count"), [(self.other, 1)])

    def test_rights(self):
        self.make_service_messages([1])
        self.assertTrue(self.group(["gateway_id"], "__count", user=self.staff))
        _company, stranger = self.make_other_company()
        self.assertFalse(self.group(["gateway_id"], "__count", user=stranger))
        with self.assertRaises(AccessError):
            self.group([], "__count", user=self.salesperson)

    # ----------------------------------------------------------------------- alarm

    def add_history(self, recent, past):
        """:param recent, past: delivered and sent of the last day and before it"""
        now = fields.Datetime.now()
        for (delivered, sent), date in (
            (recent, now - timedelta(hours=6)),
            (past, now - timedelta(days=10)),
        ):
            self.env.cr.execute(
                """
                INSERT INTO member_service_message (gateway_id, company_id, kind,
                       address, state, due_date, claimed_date, sent_date,
                       delivered_date)
                SELECT %s, %s, 'odoo', '+8613800138000', 'sent', %s, %s, %s,
                       CASE WHEN n <= %s THEN %s END
                  FROM generate_series(1, %s) n
                """,
                (
                    self.gateway.id,
                    self.company.id,
                    *[date] * 3,
                    delivered,
                    date + timedelta(minutes=1),
                    sent,
                ),
            )
        self.env.invalidate_all()

    def get_alarms(self):
        return self.gateway.activity_search([ACTIVITY])

    def test_alarm_once_while_open(self):
        self.gateway.user_id = self.manager
        self.add_history(recent=(250, 300), past=(1900, 2000))
        self.run_cron("quality")
        self.run_cron("quality")
        [alarm] = self.get_alarms()
        self.assertEqual(alarm.user_id, self.manager)
        self.assertIn("Of 300 messages of the last day 83.3 %", alarm.note)
        self.assertIn("95.0 %", alarm.note)
        alarm.with_user(self.manager).action_done()
        self.assertFalse(self.get_alarms())
        self.run_cron("quality")
        self.assertEqual(len(self.get_alarms()), 1, "it has not recovered")

    def test_no_alarm(self):
        self.add_history(recent=(284, 300), past=(1900, 2000))
        self.run_cron("quality")
        self.assertFalse(self.get_alarms())

    def test_late_reports_are_missing_on_both_sides(self):
        self.add_history(recent=(285, 300), past=(1900, 2000))
        just_now = fields.Datetime.now() - timedelta(minutes=5)
        self.make_service_messages(
            [-1] * 300, claimed_date=just_now, sent_date=just_now
        )
        self.run_cron("quality")
        self.assertFalse(self.get_alarms(), "their reports may still come")
