"""Coupon codes and link tokens."""

import math
from collections import Counter

import pytest
from stdnum import luhn

from tools import codes


def test_alphabet():
    assert len(codes.ALPHABET) % 2 == 0  # else the check misses some wrong symbols
    assert len(set(codes.ALPHABET)) == len(codes.ALPHABET)
    assert not set("01OILU") & set(codes.ALPHABET)
    assert math.log2(len(codes.ALPHABET)) * codes.RANDOM_LENGTH > 50
    assert math.log2(len(codes.TOKEN_ALPHABET)) * codes.TOKEN_LENGTH > 64


def test_generated():
    batch = codes.generate_codes(5000)
    assert len(set(batch)) == 5000
    for code in batch:
        assert len(code) == codes.CODE_LENGTH == 15 and code.startswith("044")
        assert codes.is_valid(code) and codes.normalise(code) == code
        # The fast check symbol is that of the general algorithm.
        assert code[-1] == luhn.calc_check_digit(code[3:-1], codes.ALPHABET)
    assert codes.generate_codes(0) == []


def test_every_symbol_is_as_likely():
    counts = Counter("".join(code[3:-1] for code in codes.generate_codes(20000)))
    mean = 20000 * codes.RANDOM_LENGTH / len(codes.ALPHABET)
    assert set(counts) == set(codes.ALPHABET)
    # Nine standard deviations: folding bytes would be off by an eighth.
    assert all(abs(n - mean) < 9 * math.sqrt(mean) for n in counts.values())


def test_repeated_draws_are_replaced(monkeypatch):
    draws = iter([b"2" * 11 + b"2" * 11, b"3" * 11])
    monkeypatch.setattr(codes, "_random_symbols", lambda alphabet, count: next(draws))
    assert len(set(codes.generate_codes(2))) == 2


def test_every_wrong_symbol_is_found():
    (code,) = codes.generate_codes(1)
    for position in range(3, len(code)):
        for symbol in codes.ALPHABET.replace(code[position], ""):
            assert not codes.is_valid(code[:position] + symbol + code[position + 1 :])


@pytest.mark.parametrize(
    "code", ["", "044", "0442222222222", "É" * 15, "044" + "0" * 12]
)
def test_foreign_codes(code):
    assert not codes.is_valid(code)


def test_prefix_belongs_to_the_code():
    (code,) = codes.generate_codes(1)
    assert not codes.is_valid("043" + code[3:])
    assert not codes.is_valid(code + "2") and not codes.is_valid(code[:-1])


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (" 044j9p-wzpy m5t47\n", "044J9PWZPYM5T47"),
        ("０４４Ｊ９ｐ　ｗｚｐｙｍ５ｔ４７", "044J9PWZPYM5T47"),
        ("044–J9PW—ZPYM.5T47", "044J9PWZPYM5T47"),
        ("O44IL0", "O44IL0"),
        ("", ""),
    ],
)
def test_normalise(typed, code):
    assert codes.normalise(typed) == code


def test_tokens():
    tokens = codes.generate_tokens(5000)
    assert len(set(tokens)) == 5000
    assert all(len(token) == 11 and token.isalnum() for token in tokens)
    assert set("".join(tokens)) == set(codes.TOKEN_ALPHABET)
