"""Texts registered at a provider."""

import pytest

from tools.template import fill_parameters, read_parameters


@pytest.mark.parametrize(
    ("registered", "text", "params"),
    [
        ("订单${no}已发货", "订单S00042已发货", {"no": "S00042"}),
        (
            "Dear {1}, see {2}.",
            "Dear Ann, see x.cn/a.b.",
            {"1": "Ann", "2": "x.cn/a.b"},
        ),
        ("${a} and ${a}", "x and x", {"a": "x"}),
        ("${a} and ${a}", "x and y", None),
        ("Open ${day}", "Open Monday\nand Tuesday", {"day": "Monday\nand Tuesday"}),
        ("Costs 5 (five).", "Costs 5 (five).", {}),
        ("Costs 5 (five).", "Costs 5 five.", None),
        ("Hi ${name}!", "Hi !", None),
        (" Hi ${name} ", "Hi Ann\n", {"name": "Ann"}),
    ],
)
def test_read_parameters(registered, text, params):
    assert read_parameters(registered, text) == params


def test_fill_parameters():
    assert fill_parameters("Hi ${a}, {1}!", {"a": "Ann", "1": "x"}) == "Hi Ann, x!"
    assert fill_parameters("Hi ${a}", {}) == "Hi ${a}"


def test_reading_is_the_reverse_of_filling():
    text, params = "${a}-{2}/${a}", {"a": "x", "2": "y z"}
    assert read_parameters(text, fill_parameters(text, params)) == params
