"""What people write into the cells of a member list, and above them."""

from datetime import date

import pytest

from tools.cells import (
    CellError,
    clean_number,
    clean_phone,
    get_date_order,
    parse_date,
    split_tags,
)
from tools.columns import NAMES, SAMPLES, guess


@pytest.mark.parametrize(
    "text, number",
    [
        ("138 0013 8000", "138 0013 8000"),
        ("+86 138-0013-8000", "+86 138-0013-8000"),
        ("１３８００１３８０００", "13800138000"),
        ("＋８６ １３８００１３８０００", "+86 13800138000"),
        ("13800138000.0", "13800138000"),
        ("\u202d13800138000\u202c", "13800138000"),
        ("138\u20130013\u20138000", "138-0013-8000"),
        ("Tel: 010-12345678", "010-12345678"),
        ("010-1234/5678", "010-1234/5678"),
    ],
)
def test_phones(text, number):
    assert clean_phone(text) == number


@pytest.mark.parametrize("text", ["1.38E+10", "1.3800138E+10", "1,38e10", "１.38Ｅ+10"])
def test_phones_that_lost_digits(text):
    with pytest.raises(CellError) as error:
        clean_phone(text)
    assert error.value.code == "rounded"


@pytest.mark.parametrize(
    "text",
    ["13800138000/13900139000", "13800138000；13900139000", "1380013800、1390013"],
)
def test_several_phones(text):
    with pytest.raises(CellError) as error:
        clean_phone(text)
    assert error.value.code == "several"


def test_member_numbers():
    assert clean_number(" 00123 ") == "00123"
    assert clean_number("1001.0") == "1001"
    assert clean_number("M-1.0") == "M-1.0"
    with pytest.raises(CellError):
        clean_number("6.22848E+18")


@pytest.mark.parametrize(
    "text",
    [
        "1990-01-31",
        "1990/1/31",
        "1990.1.31",
        "1990年1月31日",
        "1990 年 01 月 31 日",
        "１９９０－０１－３１",
        "19900131",
        "32904",
        "32904.0",
        "1990-01-31 00:00:00",
        "1990/1/31 8:30",
        "31.01.1990",
    ],
)
@pytest.mark.parametrize("order", ["ymd", "mdy", "dmy"])
def test_days(text, order):
    assert parse_date(text, order) == date(1990, 1, 31)


def test_order_of_the_country():
    assert parse_date("02/01/1990", get_date_order("US")) == date(1990, 2, 1)
    assert parse_date("02/01/1990", get_date_order("DE")) == date(1990, 1, 2)
    assert parse_date("31/01/1990", get_date_order("CN")) == date(1990, 1, 31)
    assert parse_date("01/31/1990", get_date_order("CN")) == date(1990, 1, 31)
    assert parse_date("01/01/1990", get_date_order("CN")) == date(1990, 1, 1)
    with pytest.raises(CellError) as error:
        parse_date("02/01/1990", get_date_order("CN"))
    assert error.value.code == "ambiguous"


@pytest.mark.parametrize(
    "text",
    ["1990", "31.02.1990", "1990-13-01", "19901301", "1/31/90", "Jan", "0000-00-00"]
    + ["13/13/1990", "32/1/1990", "1990-02-30", "123456"],
)
@pytest.mark.parametrize("order", ["ymd", "mdy", "dmy"])
def test_no_days(text, order):
    with pytest.raises(CellError) as error:
        parse_date(text, order)
    assert error.value.code == "date"


def test_tags():
    assert split_tags("茶、咖啡; VIP,茶 ，") == ["茶", "咖啡", "VIP"]
    assert split_tags(" ") == []


# ---------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    "header, field",
    [
        ("姓名", "name"),
        ("Full Name", "name"),
        ("手机号", "phone"),
        ("联系电话*", "phone"),
        ("Phone-Number (required)", "phone"),
        ("mobile_phone", "phone"),
        ("E-mail", "email"),
        ("EMAIL", "email"),
        ("邮箱", "email"),
        ("会员号", "number"),
        ("卡号", "number"),
        ("Member No.", "number"),
        ("生日（阳历）", "birthday"),
        ("出生日期", "birthday"),
        ("入会日期", "joined_date"),
        ("标签", "tags"),
        ("城市", "city"),
        ("省", "state"),
        ("省/自治区", "state"),
        ("地址", "street"),
        ("备注", "note"),
        ("Points", None),
        ("", None),
    ],
)
def test_names_of_columns(header, field):
    assert guess([header]) == [field]


def test_each_field_once():
    """The mobile number is the one that gets messages."""
    assert guess(["电话", "手机", "Telephone"]) == [None, "phone", None]
    assert guess(["phone", "tel"]) == ["phone", None]


def test_no_name_means_two_fields():
    names = [name for names in NAMES.values() for name in names.split("|")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rows", SAMPLES.values(), ids=SAMPLES)
def test_samples(rows):
    fields = guess(rows[0])
    assert None not in fields
    assert {"name", "phone", "email", "number", "birthday"} < set(fields)
    assert all(len(row) == len(fields) for row in rows)
