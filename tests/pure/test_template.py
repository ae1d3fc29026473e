"""Variables in message texts."""

import pytest

from tools import template
from tools.template import Placeholder, Problem, TemplateError, check, render


def test_find_variables():
    text = "{{ member_name ||| 会员 }}, {{points}} {{ link }} {{ points ||| }}"
    assert template.find_variables(text) == [
        Placeholder("member_name", "会员"),
        Placeholder("points"),
        Placeholder("link"),
        Placeholder("points", ""),
    ]
    assert template.find_variables("no { braces }") == []


def test_every_variable_is_usable():
    for name in template.VARIABLES:
        assert render(f"<{{{{ {name} }}}}>", {name: "x"}) == "<x>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "{{ tier }}",
        "{{tier|||gold member}}",
        "{{\n tier \n}}",
        "5 } 3 { 2",
        "{ tier }",
        "$5 #1 100%",
    ],
)
def test_fine(text):
    assert check(text) == []


@pytest.mark.parametrize(
    ("text", "code", "fragment"),
    [
        ("{{ nickname }}", "unknown", "nickname"),
        ("{{ object.name }}", "syntax", "{{ object.name }}"),
        ("{{ member_name.upper() }}", "syntax", "{{ member_name.upper() }}"),
        ("{{ 1 + 1 }}", "syntax", "{{ 1 + 1 }}"),
        ("{{ tier | upper }}", "syntax", "{{ tier | upper }}"),
        ("{{ tier or 'x' }}", "syntax", "{{ tier or 'x' }}"),
        ("{{ __class__ }}", "syntax", "{{ __class__ }}"),
        ("{{ Tier }}", "syntax", "{{ Tier }}"),
        ("{{ }}", "syntax", "{{ }}"),
        ("{{ ||| x }}", "syntax", "{{ ||| x }}"),
        ("{{{ tier }}", "syntax", "{{{ tier }}"),
        ("{{ tier ||| {x} }}", "syntax", "{{ tier ||| {x} }}"),
        ("{% if tier %}", "syntax", "{%"),
        ("${tier}", "syntax", "${"),
        ("a {{ tier", "unbalanced", "{{"),
        ("tier }} b", "unbalanced", "}}"),
        ("{{ tier {{ points }}", "unbalanced", "{{ tier {{ points }}"),
    ],
)
def test_refused(text, code, fragment):
    problems = check(text)
    assert (problems[0].code, problems[0].fragment) == (code, fragment)
    assert text[problems[0].position :].startswith(("{", "}", "$"))
    with pytest.raises(TemplateError) as info:
        render(text, {})
    assert info.value.problems == problems


def test_all_problems_in_order():
    assert check("a }} {{ foo }} {{ 1 }}") == [
        Problem("unbalanced", "}}", 2),
        Problem("unknown", "foo", 5),
        Problem("syntax", "{{ 1 }}", 15),
    ]


def test_other_names():
    assert check("{{ foo }}", names={"foo"}) == []
    assert render("{{ foo }}", {"foo": 1}, names={"foo"}) == "1"


@pytest.mark.parametrize("value", [None, False, "", "  ", "\n"])
def test_fallback(value):
    values = {"member_name": value}
    assert render("{{ member_name ||| friend }}", values) == "friend"
    assert render("<{{ member_name }}>", values) == "<>"
    assert render("<{{ member_name ||| x }}>", {}) == "<x>"


def test_zero_is_a_value():
    assert render("{{ points ||| none }}", {"points": 0}) == "0"


def test_values_are_not_templates():
    """A member cannot put a variable into a message by choosing a clever name."""
    values = {"member_name": "{{ coupon_code }} $1 \\1", "coupon_code": "X"}
    assert render("{{ member_name }}", values) == values["member_name"]


def test_compiled():
    compiled = template.compile("{{ member_name ||| 会员 }}: {{ link }}")
    assert compiled.names == {"member_name", "link"}
    assert compiled.render({"member_name": "张三", "link": "l"}) == "张三: l"
    assert compiled.render({}) == "会员: "
    assert template.compile("").render({}) == ""
