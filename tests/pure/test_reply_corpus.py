"""Refusals are understood, and nothing else is taken for one.

``data/replies.tsv`` holds replies as people type them, each with what a person says it
is; ``data/replies_held_out.tsv`` was written later, in three lots.
``data/replies_lots.tsv`` was written for a second generation of the rules, in fourteen
lots (first column): a lot was written, then it was counted what the rules made of it at
first sight, and only then they were changed. The same hand wrote rules and lots, which
flatters the rules. Wordings that could mean either ("不用了谢谢"), some of them noticed
after the count, were left out, and so is what an earlier lot holds already. The
refusals that were understood at first sight, and the ordinary sentences that were taken
for one:

===  ==========  ========  ===================================================
lot  refusals    ordinary
===  ==========  ========  ===================================================
a    337 of 392  4 of 521  the rules before
b    97 of 166   3 of 259  long and unusual wordings
c    195 of 234  7 of 314
d    231 of 274  2 of 357
e    202 of 243  11 of 307  from here on a general rule of stance and object
f    121 of 136  4 of 151
g    245 of 264  9 of 361
h    173 of 198  3 of 220
i    186 of 190  0 of 199  plain wordings
j    111 of 128  7 of 144  unusual ones, and typing errors, on purpose
k    91 of 106   1 of 105  the same
l    116 of 118  2 of 109  plain wordings
m    110 of 112  2 of 89   the same
n    113 of 114  2 of 94   the same
===  ==========  ========  ===================================================

So of a plain wording nobody had in mind 98 in a hundred are understood, of a strange
one 87; the others wait for a person in the inbox. Of a hundred ordinary sentences
made to look like a refusal, one or two are taken for one at first sight.
``data/replies_actions.tsv`` holds what else members ask for, with the action of the
rules a shop starts with.
"""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools.replies import complains, intent, matches, normalise

DATA = Path(__file__).parent / "data"
RULES = Path(__file__).parents[2] / "member_messaging/data/member_keyword_data.xml"


def read(name, columns=2):
    """:returns: the columns of a file, the last one is the text"""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t", columns - 1)) for line in lines]


LOTS = read("replies_lots.tsv", 3)
ALL = (
    read("replies.tsv")
    + read("replies_held_out.tsv")
    + [(label, text) for _lot, label, text in LOTS]
)


def read_rules():
    """:returns: (sequence, action, match, words) of the rules a shop starts with"""
    rules = []
    for record in ElementTree.parse(RULES).getroot().iter("record"):
        fields = {
            field.get("name"): field.get("eval") or field.text or ""
            for field in record.iter("field")
        }
        words = [word for word in fields.get("words", "").split("\n") if word]
        sequence = int(fields["sequence"])
        rules.append((sequence, fields["action"], fields["match"], words))
    return sorted(rules)


def test_corpus_is_large_and_mixed():
    assert len(set(ALL)) == len(ALL) >= 6000
    assert len({text for _label, text in ALL}) == len(ALL), "one label for each"
    for label in ("refuse", "ordinary"):
        texts = [text for kind, text in ALL if kind == label]
        assert len(texts) >= 2500
        assert sum(text.isascii() for text in texts) >= 800
        assert sum(not text.isascii() for text in texts) >= 800


def test_us_4_recall_on_refusals():
    """US-4, CN-2: at least 99 % of refusals are understood, 98 % of each lot."""
    refusals = [text for label, text in ALL if label == "refuse"]
    missed = {text for text in refusals if intent(text) != "refuse"}
    assert len(missed) <= len(refusals) / 100, missed
    for lot in {lot for lot, _label, _text in LOTS}:
        texts = {text for name, label, text in LOTS if (name, label) == (lot, "refuse")}
        assert len(missed & texts) <= len(texts) / 50, missed & texts


@pytest.mark.parametrize(("action", "text"), read("replies_actions.tsv"), ids=repr)
def test_i1_other_wishes(action, text):
    """I1: points, booking and subscription, by the rules a shop starts with."""
    assert intent(text) != "refuse"
    actions = (
        action
        for _sequence, action, match, words in read_rules()
        if matches(words, match, text)
    )
    assert next(actions, None) == action


def test_long_text():
    assert intent("stop texting me " + "please " * 10_000) == "refuse"
    assert intent("stop by at 5 " * 10_000) is None


def test_no_ordinary_sentence_is_a_refusal():
    ordinary = [text for label, text in ALL if label == "ordinary"]
    assert [text for text in ordinary if intent(text) == "refuse"] == []


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
