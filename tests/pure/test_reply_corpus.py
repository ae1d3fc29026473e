"""Refusals are understood, and nothing else is taken for one.

``data/replies.tsv`` holds replies as people type them, each with what a person says it
is. ``data/replies_held_out.tsv`` was written in three lots after the rules. At first
sight of each lot they understood 27 of 34, 18 of 25 and 14 of 20 refusals and took none
of the 74 ordinary sentences for one; only then the rules learnt from it. That, and not
the figure below, is what to expect of a wording nobody had in mind: such a reply waits
for a person in the inbox.
"""

from pathlib import Path

import pytest

from tools.replies import complains, intent, matches, normalise

DATA = Path(__file__).parent / "data"


def read(name):
    """:returns: label and text of each reply"""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t", 1)) for line in lines]


ALL = read("replies.tsv") + read("replies_held_out.tsv")


def test_corpus_is_large_and_mixed():
    assert len(set(ALL)) == len(ALL) >= 200
    for label in ("refuse", "ordinary"):
        texts = [text for kind, text in ALL if kind == label]
        assert len(texts) >= 90
        assert sum(text.isascii() for text in texts) >= 30
        assert sum(not text.isascii() for text in texts) >= 30


def test_us_4_recall_on_refusals():
    """US-4, CN-2: at least 99 % of refusals are understood."""
    refusals = [text for label, text in ALL if label == "refuse"]
    missed = [text for text in refusals if intent(text) != "refuse"]
    assert len(missed) <= len(refusals) / 100, missed


@pytest.mark.parametrize(
    "text", [text for label, text in ALL if label == "ordinary"], ids=repr
)
def test_ordinary_sentence_is_no_refusal(text):
    assert intent(text) != "refuse"


@pytest.mark.parametrize(
    "text",
    [
        "再发我就投诉",
        "垃圾短信，退订",
        "我要打12321",
        "This is spam",
        "stop or I'll sue",
    ],
)
def test_complaints(text):
    assert complains(text)


@pytest.mark.parametrize(
    "text", ["退订", "STOP", "我要投诉你们店员态度差", "I complain", None]
)
def test_no_complaints(text):
    assert not complains(text)


@pytest.mark.parametrize(
    ("match", "text", "fits"),
    [
        ("whole", "积分", True),
        ("whole", " ｐｏｉｎｔｓ！ ", True),
        ("whole", "查 积分。", False),
        ("contains", "帮我查积分，谢谢", True),
        ("contains", "how many POINTS?", True),
        ("contains", "查points", True),
        ("contains", "pointsman", False),
        ("contains", "my pts", False),
        ("refusal", "不要再发", True),
        ("refusal", "积分", False),
        ("whole", "", False),
        ("whole", None, False),
    ],
)
def test_matches(match, text, fits):
    assert matches(["积分", "", "Points"], match, text) is fits


def test_normalise():
    assert normalise(" Don’t ＳＴＯＰ，now!!!  😡") == "dont stop now"
    assert normalise("請別發") == "请别发"
