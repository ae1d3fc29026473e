"""Coupon codes people can type, link tokens nobody can guess.

A coupon code is ``044`` (the prefix by which point-of-sale scanners know a coupon),
11 random symbols (54 bits) and a check symbol. The check is the Luhn algorithm modulo
30 (ISO/IEC 7812-1 annex B, generalised to an alphabet of even size): it finds every
wrong symbol and nearly every swap of neighbours.
"""

import secrets

from stdnum import luhn
from stdnum.exceptions import ValidationError

from .text import half_width

COUPON_PREFIX = "044"
#: Without 0 O, 1 I L and U, which people mistake for one another.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_LENGTH = 11
CODE_LENGTH = len(COUPON_PREFIX) + RANDOM_LENGTH + 1

#: Letters and digits only: a link that ends in ``-`` or ``_`` is cut by some phones.
TOKEN_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: 62 ** 11 is more than 65 bits.
TOKEN_LENGTH = 11

_SEPARATORS = str.maketrans("", "", " \t\r\n\u00a0-‐‑‒–—―_.")


def _doubled(value: int) -> int:
    """Luhn: double, then add up the digits to base 30."""
    return sum(divmod(value * 2, len(ALPHABET)))


#: By the code point of a symbol, its value and its doubled value.
_PLAIN = bytes(max(ALPHABET.find(chr(code)), 0) for code in range(256))
_DOUBLE = bytes(_doubled(value) for value in _PLAIN)


def generate_codes(n: int) -> list[str]:
    """Return ``n`` different coupon codes.

    They differ from one another; that they differ from those already stored is for the
    unique constraint to say, once in some hundred million.
    """
    codes: dict[str, None] = {}
    while len(codes) < n:
        symbols = _random_symbols(ALPHABET, (n - len(codes)) * RANDOM_LENGTH)
        for start in range(0, len(symbols), RANDOM_LENGTH):
            body = symbols[start : start + RANDOM_LENGTH]
            codes[f"{COUPON_PREFIX}{body.decode()}{_check_symbol(body)}"] = None
    return list(codes)


def is_valid(code: str) -> bool:
    """Tell whether ``code``, already normalised, could be a coupon code of ours.

    ``False`` means mistyped or foreign; ``True`` does not mean that it exists.
    """
    if len(code) != CODE_LENGTH or not code.startswith(COUPON_PREFIX):
        return False
    try:
        luhn.validate(code[len(COUPON_PREFIX) :], ALPHABET)
    except ValidationError:
        return False
    return True


def normalise(text: str) -> str:
    """Return what a person typed or a scanner read in the form codes are stored.

    Width, case, blanks, dashes and dots are evened out. Letters are not guessed: a
    typed O is left alone and fails the check, rather than becoming another's code.
    """
    return half_width(text).translate(_SEPARATORS).upper()


def generate_tokens(n: int) -> list[str]:
    """Return ``n`` different tokens for short links, fit for a URL path."""
    tokens: dict[str, None] = {}
    while len(tokens) < n:
        missing = (n - len(tokens)) * TOKEN_LENGTH
        symbols = _random_symbols(TOKEN_ALPHABET, missing).decode()
        for start in range(0, len(symbols), TOKEN_LENGTH):
            tokens[symbols[start : start + TOKEN_LENGTH]] = None
    return list(tokens)


def _random_symbols(alphabet: str, count: int) -> bytes:
    """Return ``count`` symbols, each equally likely, as ASCII.

    Bytes beyond the last multiple of the alphabet's size are thrown away: folding them
    in would favour the first symbols.
    """
    fair = 256 - 256 % len(alphabet)
    table = bytes(ord(alphabet[byte % len(alphabet)]) for byte in range(256))
    unfair = bytes(range(fair, 256))
    symbols = b""
    while len(symbols) < count:
        missing = count - len(symbols)
        raw = secrets.token_bytes(missing * 256 // fair + 16)
        symbols += raw.translate(table, unfair)[:missing]
    return symbols


def _check_symbol(body: bytes) -> str:
    """Luhn check symbol, by tables: ten times as fast as the general algorithm."""
    total = sum(body[::-2].translate(_DOUBLE)) + sum(body[-2::-2].translate(_PLAIN))
    return ALPHABET[-total % len(ALPHABET)]
