"""Parts of text messages."""

import pytest

from tools.sms import GSM_BASIC, SmsSize, count, count_mainland, size

FAMILY = "👨\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts", "mainland_units", "mainland_parts"),
    [
        ("a" * 160, "GSM-7", 160, 1, 160, 3),
        ("a" * 161, "GSM-7", 161, 2, 161, 3),
        ("a" * 306, "GSM-7", 306, 2, 306, 5),
        ("a" * 307, "GSM-7", 307, 3, 307, 5),
        ("a" * 158 + "€", "GSM-7", 160, 1, 159, 3),
        ("a" * 159 + "€", "GSM-7", 161, 2, 160, 3),
        ("中" * 70, "UCS-2", 70, 1, 70, 1),
        ("中" * 71, "UCS-2", 71, 2, 71, 2),
        ("中" * 134, "UCS-2", 134, 2, 134, 2),
        ("中" * 135, "UCS-2", 135, 3, 135, 3),
        ("a" * 69 + "中", "UCS-2", 70, 1, 70, 1),
        ("中" * 68 + "😀", "UCS-2", 70, 1, 70, 1),
        ("中" * 69 + "😀", "UCS-2", 71, 2, 71, 2),
        (FAMILY, "UCS-2", 8, 1, 8, 1),
    ],
)
def test_table(text, encoding, units, parts, mainland_units, mainland_parts):
    here, there = count(text), count_mainland(text)
    assert (here.encoding, here.units, here.parts) == (encoding, units, parts)
    assert (there.units, there.parts) == (mainland_units, mainland_parts)
    assert there.encoding == "UCS-2"


def test_mainland_example():
    text = "【云会员】尊敬的张三,您的会员将于3天后到期,续费享8折。拒收请回复R"
    assert count_mainland(text) == SmsSize("UCS-2", 35, 1, 70)
    assert count_mainland("【云会员】").units == 5


def test_nothing_is_split_between_parts():
    # 67 units would end inside the pair: it moves on and leaves a hole.
    assert count("中" * 66 + "😀" + "中" * 65).parts == 2
    assert count("中" * 66 + "😀" + "中" * 66).parts == 3
    assert count("a" * 152 + "€" + "a" * 151).parts == 2
    assert count("a" * 152 + "€" + "a" * 152).parts == 3
    # Mainland platforms bill by length.
    assert count_mainland("中" * 66 + "😀" + "中" * 66).parts == 2


@pytest.mark.parametrize("character", "çê`’“”…–\t中")
def test_outside_the_alphabet(character):
    assert count(character).encoding == "UCS-2"


@pytest.mark.parametrize("character", "Çéèàñü@£$¥ΔΩß\n\r ")
def test_basic_alphabet(character):
    assert count(character) == SmsSize("GSM-7", 1, 1, 160)


@pytest.mark.parametrize("character", "^{}\\[~]|€\f")
def test_extension_table(character):
    assert count(character) == SmsSize("GSM-7", 2, 1, 160)


def test_alphabet_is_complete():
    assert len(GSM_BASIC) == 127  # 128 places, one of them the escape


def test_edges():
    assert count("") == SmsSize("GSM-7", 0, 0, 160)
    assert count_mainland("") == SmsSize("UCS-2", 0, 0, 70)
    assert count("中" * 71).per_part == 67
    assert count("\ud83d").units == 1  # half a pair, from a careless cut


def test_choice_by_country():
    assert size("a" * 160, "CN").parts == size("a" * 160, "cn").parts == 3
    for country in ("HK", "TW", "US", "", None):
        assert size("a" * 160, country).parts == 1
