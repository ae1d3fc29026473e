import base64
import warnings
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import TransactionCase, new_test_user, tagged
from odoo.tools import float_compare, float_round

from ..demo import cdnow
from ..models import member_import
from ..tools.table import write_csv


class CdnowCases:
    """The figures of real customers agree with the package ``lifetimes``.

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

    Every purchase counts, also those of 0 dollars.
    """

    #: Name of the file, and its columns from left to right.
    file = None
    columns = ["customer", "date", "cds", "value"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tz": "Asia/Shanghai"})
        path = cdnow.find_file(cls.file)
        # member numbers are CD and the number of the customer
        cls.profiles = {
            profile.number.removeprefix("CD"): profile for profile in cls.load(path)
        }
        cls.customers = {
            profile.partner_id: customer for customer, profile in cls.profiles.items()
        }
        cls.today = fields.Date.context_today(cls.env.user)
        cls.purchases, cls.days, cls.repeats = cls.summarise(path)

    @classmethod
    def load(cls, path):
        """:returns: the members of a file, with their orders"""
        raise NotImplementedError

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
                names=cls.columns,
                dtype={"customer": str},
                skiprows=int(cls.file == cdnow.MASTER),
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
        self.assertEqual(len(theirs), self.customer_count)
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
            [("partner_id", "in", [partner.id for partner in self.customers])],
            ["partner_id", "date:day"],
            ["amount:sum"],
            order="partner_id, date:day",
        ):
            days[self.customers[partner]].append(amount)
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
        """They add nothing to the revenue."""
        orders = self.env["member.order"].search_count(
            [
                ("partner_id", "in", [partner.id for partner in self.customers]),
                ("amount", "=", 0),
            ]
        )
        self.assertEqual(orders, self.free_count)
        counted = sum(profile.order_count for profile in self.profiles.values())
        self.assertEqual(counted, self.order_count)


@tagged("post_install", "-at_install")
class TestCdnow(CdnowCases, TransactionCase):
    """A tenth of the customers, as the demonstration loads them."""

    file = cdnow.SAMPLE
    columns = ["master", *CdnowCases.columns]
    customer_count, order_count, free_count = 2357, 6919, 8

    @classmethod
    def load(cls, path):
        return cdnow.load(cls.env, path)


@tagged("post_install", "-at_install")
class TestCdnowMaster(CdnowCases, TransactionCase):
    """All customers, imported by staff from a member list, and then their orders."""

    file = cdnow.MASTER
    customer_count, order_count, free_count = 23570, 69659, 80

    @classmethod
    def load(cls, path):
        rows = cdnow.read(path)
        profiles = cls.import_members(sorted({row.customer for row in rows}))
        cdnow.insert_orders(
            cls.env,
            rows,
            {
                profile.number.removeprefix("CD"): profile.partner_id.id
                for profile in profiles
            },
        )
        profiles._refresh()
        return profiles

    @classmethod
    def import_members(cls, customers):
        """Bring customers in by the buttons of the import.

        :returns: their profiles
        """
        staff = new_test_user(
            cls.env,
            "importer",
            groups="member_messaging.group_member_messaging_user",
            lang="en_US",
        )
        table = [["姓名", "手机", "会员号"]]
        for customer in customers:
            phone = f"139 {int(customer):08d}"
            table.append([f"Customer {customer}", phone, f"CD{customer}"])
        job = (
            cls.env["member.import"]
            .with_user(staff)
            .create(
                {
                    "file": base64.b64encode(write_csv(table)),
                    "file_name": "cdnow.csv",
                    "country_id": cls.env.ref("base.cn").id,
                    "consent_source": "none",
                }
            )
        )
        # in the transaction of the test, not by the cron
        with patch.object(member_import, "DIRECT_SIZE", len(customers)):
            job.action_read()
            job.action_check()
            job.action_import()
        return cls.env["member.profile"].search([("source", "=", "import")])
