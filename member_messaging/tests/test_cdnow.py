import warnings
from datetime import timedelta

from odoo import fields
from odoo.tests import TransactionCase, tagged
from odoo.tools import float_compare, float_round

from ..demo import cdnow


@tagged("post_install", "-at_install")
class TestCdnow(TransactionCase):
    """The figures of 2,357 real customers agree with the package ``lifetimes``.

    ``summary_data_from_transaction_data`` gives per customer, in periods of some
    length: ``frequency`` (periods with a purchase, the first one left out),
    ``recency`` (from first to last such period), ``T`` (from the first one to the end
    of the data) and ``monetary_value`` (mean of the sums of repeat periods); with
    ``include_first_transaction`` the first period takes part in frequency and mean.

    It is called three times, on a table that pandas reads from the file by itself:

    ``purchases``
        each purchase in a period (a second) of its own, first included. Then frequency
        is the number of orders and monetary value their mean; the product is revenue.
    ``days``
        periods of a day, first included: recency is last day minus first day, T counts
        from the first day to that of the last purchase of the file.
    ``repeats``
        periods of a day, as the package means it: days with a repeat purchase and the
        mean of their sums.

    The figures compared are those users see: fields of ``member.profile`` and groups of
    ``member.order`` by day.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tz": "Asia/Shanghai"})
        path = cdnow.find_file(cdnow.SAMPLE)
        profiles = cdnow.load(cls.env, path)
        cls.profiles = {profile.partner_id.ref: profile for profile in profiles}
        cls.today = fields.Date.context_today(cls.env.user)
        cls.purchases, cls.days, cls.repeats = cls.summarise(path)

    @classmethod
    def summarise(cls, path):
        """:returns: customer → figures of ``lifetimes``, as the class describes"""
        with warnings.catch_warnings():
            # lifetimes is older than the pandas it runs on
            warnings.simplefilter("ignore")
            import pandas
            from lifetimes.utils import summary_data_from_transaction_data

            log = pandas.read_csv(
                path,
                sep=r"\s+",
                names=["master", "customer", "date", "cds", "value"],
                dtype={"customer": str},
            )
            log["date"] = pandas.to_datetime(log["date"], format="%Y%m%d")
            apart = log.assign(
                date=log["date"]
                + pandas.to_timedelta(log.groupby("customer").cumcount(), unit="s")
            )
            return [
                summary_data_from_transaction_data(
                    table,
                    "customer",
                    "date",
                    "value",
                    freq=period,
                    include_first_transaction=is_first_included,
                ).to_dict("index")
                for table, period, is_first_included in (
                    (apart, "s", True),
                    (log, "D", True),
                    (log, "D", False),
                )
            ]

    def assert_equal(self, figure, ours, theirs):
        """Compare a figure of every customer, to the cent.

        :param dict ours, theirs: customer → figure
        """
        self.assertEqual(len(theirs), 2357)
        self.assertEqual(ours.keys(), theirs.keys())
        different = {
            customer: (ours[customer], theirs[customer])
            for customer in theirs
            if float_compare(ours[customer], theirs[customer], precision_digits=2)
        }
        self.assertFalse(different, figure)

    def get_days(self):
        """:returns: customer → amounts of the days with orders, the first day first"""
        days = {customer: [] for customer in self.profiles}
        for partner, _day, amount in self.env["member.order"]._read_group(
            [("partner_id.ref", "in", list(self.profiles))],
            ["partner_id", "date:day"],
            ["amount:sum"],
            order="partner_id, date:day",
        ):
            days[partner.ref].append(amount)
        return days

    def test_orders_and_revenue(self):
        self.assert_equal(
            "number of orders",
            {c: profile.order_count for c, profile in self.profiles.items()},
            {c: figures["frequency"] for c, figures in self.purchases.items()},
        )
        self.assert_equal(
            "mean order",
            {c: profile.average_order for c, profile in self.profiles.items()},
            {
                customer: float_round(figures["monetary_value"], 2)
                for customer, figures in self.purchases.items()
            },
        )
        revenue = {c: profile.revenue for c, profile in self.profiles.items()}
        for figures in (self.purchases, self.days):
            self.assert_equal(
                "revenue",
                revenue,
                {c: f["frequency"] * f["monetary_value"] for c, f in figures.items()},
            )

    def test_recency(self):
        first, last = (
            {
                customer: fields.Datetime.context_timestamp(
                    profile, profile[name]
                ).date()
                for customer, profile in self.profiles.items()
            }
            for name in ("first_order_date", "last_order_date")
        )
        self.assertEqual(max(last.values()), self.today - timedelta(days=1))
        self.assert_equal(
            "recency",
            {customer: (last[customer] - first[customer]).days for customer in last},
            {customer: figures["recency"] for customer, figures in self.days.items()},
        )
        self.assert_equal(
            "T",
            {
                customer: (max(last.values()) - day).days
                for customer, day in first.items()
            },
            {customer: figures["T"] for customer, figures in self.days.items()},
        )

    def test_repeat_days(self):
        days = self.get_days()
        self.assert_equal(
            "frequency",
            {customer: len(amounts) - 1 for customer, amounts in days.items()},
            {
                customer: figures["frequency"]
                for customer, figures in self.repeats.items()
            },
        )
        self.assert_equal(
            "monetary value",
            {
                customer: sum(repeats) / len(repeats) if repeats else 0
                for customer, (_first, *repeats) in days.items()
            },
            {c: figures["monetary_value"] for c, figures in self.repeats.items()},
        )

    def test_free_purchases_are_orders(self):
        """Eight purchases of 0 dollars are orders, and add nothing to the revenue."""
        orders = self.env["member.order"].search(
            [("partner_id.ref", "in", list(self.profiles)), ("amount", "=", 0)]
        )
        self.assertEqual(len(orders), 8)
        counted = sum(profile.order_count for profile in self.profiles.values())
        self.assertEqual(counted, 6919)
