"""A month of 10,000 members in many time zones, audited from outside.

Nobody gets too much, nobody at night, nobody after saying no, and nobody twice.
"""

from collections import Counter
from datetime import timedelta

import pytest

from system import auditor
from system.auditor import Limit, Sent
from system.month import HOLIDAY, HOURS, QUOTA, RESERVE, RINGS, Month

SIZE = 10_000
#: What the addon promises a shop that has set nothing.
LIMITS = [
    Limit(3, timedelta(days=30)),
    Limit(1, timedelta(hours=24)),
    Limit(2, timedelta(days=7), ("content",)),
    Limit(1, timedelta(days=7), engagement="medium"),
    Limit(1, timedelta(days=14), engagement="low"),
]


@pytest.fixture(scope="module")
def month(module_connect):
    """The month after it has been played."""
    month = Month(module_connect(), SIZE)
    plan(month)
    month.run()
    yield month
    month.close()


def plan(month):
    """Campaigns of all categories, at any hour, often two at once."""
    chance = month.chance
    for hour in range(5, HOURS - 60, 80):
        for category in chance.sample(["promotion", "promotion", "content"], 2):
            month.plan(
                hour,
                month.launch,
                category,
                chance.sample(range(RINGS), 3),
                in_hours=chance.choice([0, 0, 11]),
                ends_in_hours=chance.choice([None, 50, 120]),
            )
    for hour in range(20, HOURS - 60, 150):
        month.plan(hour, month.launch, "notice", chance.sample(range(RINGS), 2))
        month.plan(hour + 70, month.launch, "care", chance.sample(range(RINGS), 2))
    for hour in range(8, HOURS):
        for rate, work, *args in (
            (0.1, month.reply, 4),
            (0.1, month.follow_links, 3),
            (0.1, month.tell_staff, 3),
            (0.05, month.block, 2),
            (0.03, month.complain, 1),
            (0.03, month.come_back, 3),
        ):
            if chance.random() < rate:
                month.plan(hour, work, *args)
    # an account that is closed at noon in China and open again at night
    month.plan(100, month.pause_gateway)
    month.plan(112, month.activate_gateway)


@pytest.fixture(scope="module")
def sent(month):
    return auditor.read_sent(month.cr)


def assert_none(offences):
    assert not offences, "\n".join([f"{len(offences)} offences", *offences[:5]])


def test_something_happened(month, sent):
    """Without messages and refusals the audit would be worth nothing."""
    by_category = Counter(message.category for message in sent)
    assert min(by_category.values()) > SIZE / 20 and len(by_category) == 4, by_category
    assert len(month.told) > 500
    month.cr.execute("SELECT reason, COUNT(*) FROM member_message GROUP BY 1")
    reasons = dict(month.cr.fetchall())
    assert {"frequency_cap", "refused", "blocked", "expired"} <= reasons.keys(), reasons


def test_the_provider_was_handed_what_the_outbox_says(month, sent):
    campaigns, _answers = month.get_left()
    left = {
        int(message.key): (moment.replace(microsecond=0), message.address)
        for moment, message in campaigns
    }
    assert len(left) == len(campaigns), "handed over twice"
    assert left == {message.message: (message.date, message.number) for message in sent}


def test_nobody_gets_a_campaign_twice(sent):
    assert_none(auditor.check_once(sent))


def test_nobody_gets_more_than_the_limits(month, sent):
    engagements = auditor.read_engagements(month.cr)
    assert_none(auditor.check_limits(sent, LIMITS, engagements))


def test_nobody_is_advertised_to_at_night(sent):
    assert_none(auditor.check_hours(sent, {HOLIDAY.date()}))


def test_everybody_had_agreed(month, sent):
    assert_none(auditor.check_words(sent, auditor.read_words(month.cr)))


def test_nobody_gets_anything_after_saying_no(month, sent):
    assert_none(auditor.check_refusals(sent, month.told))


def test_care_keeps_its_reserve(sent):
    assert_none(auditor.check_reserve(sent, QUOTA, RESERVE))
    # and advertising would have used more
    assert auditor.check_reserve(sent, QUOTA, RESERVE + 1)


def test_no_answer_to_who_is_on_the_block_list(month):
    _campaigns, answers = month.get_left()
    assert len(answers) > 100
    assert_none(
        auditor.check_refusals(
            [
                Sent(int(m.key), 0, "answer", 0, m.address, moment)
                for moment, m in answers
            ],
            month.told,
        )
    )
