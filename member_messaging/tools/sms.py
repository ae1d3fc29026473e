"""How many parts a text message takes.

International: GSM 03.38 (3GPP TS 23.038) with 160 units in a single message and 153 in
each part of a longer one, otherwise UCS-2 with 70 and 67. Mainland China: every
character counts the same, 70 and 67.
"""

from collections.abc import Callable
from dataclasses import dataclass

#: Basic character set of 3GPP TS 23.038 §6.2.1 without the escape. ``ç`` is missing
#: because the table has the capital ``Ç``.
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Extension table, §6.2.1.1: each takes an escape and one more unit.
GSM_EXTENSION = frozenset("^{}\\[~]|€\f")
GSM = GSM_BASIC | GSM_EXTENSION

GSM_LIMITS = (160, 153)
UCS2_LIMITS = (70, 67)


@dataclass(frozen=True, slots=True)
class SmsSize:
    """Size of a text as the carrier bills it.

    ``encoding`` is ``"GSM-7"`` or ``"UCS-2"``; ``units`` are septets or UTF-16 code
    units; ``parts`` the billed messages (0 for an empty text); ``per_part`` the units
    that fit into one part of this text.
    """

    encoding: str
    units: int
    parts: int
    per_part: int


def size(text: str, country_code: str | None) -> SmsSize:
    """Size of a text sent to a country, given as ISO 3166 code (``"CN"``).

    Hong Kong, Macao and Taiwan have codes of their own and count internationally.
    """
    is_mainland = (country_code or "").upper() == "CN"
    return count_mainland(text) if is_mainland else count(text)


def count(text: str) -> SmsSize:
    """Size of a text outside mainland China."""
    if not GSM.issuperset(text):
        return _count_ucs2(text, _pack_ucs2)
    units = len(text)
    if not GSM_BASIC.issuperset(text):
        units += sum(character in GSM_EXTENSION for character in text)
    pairs = units != len(text)
    return _size("GSM-7", text, units, GSM_LIMITS, _pack_gsm if pairs else None)


def count_mainland(text: str) -> SmsSize:
    """Size of a text in mainland China, as the big platforms there bill it.

    There is no discount for plain letters. ``text`` is what the member gets: the
    signature with its brackets 【】 and the words about refusing count as well.
    """
    # Billed by length alone, hence no packing.
    return _count_ucs2(text, None)


def _count_ucs2(text: str, pack: Callable | None) -> SmsSize:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units == len(text):
        pack = None
    return _size("UCS-2", text, units, UCS2_LIMITS, pack)


def _size(
    encoding: str,
    text: str,
    units: int,
    limits: tuple[int, int],
    pack: Callable[[str, int], int] | None,
) -> SmsSize:
    single, concatenated = limits
    if units <= single:
        return SmsSize(encoding, units, min(units, 1), single)
    parts = pack(text, concatenated) if pack else -(-units // concatenated)
    return SmsSize(encoding, units, parts, concatenated)


def _pack_gsm(text: str, limit: int) -> int:
    return _pack((1 + (character in GSM_EXTENSION) for character in text), limit)


def _pack_ucs2(text: str, limit: int) -> int:
    return _pack((1 + (character > "\uffff") for character in text), limit)


def _pack(widths, limit: int) -> int:
    """Fill parts one after the other; a character never straddles two of them, which
    may take a part more than the sum of the widths suggests."""
    parts, used = 1, 0
    for width in widths:
        if used + width > limit:
            parts, used = parts + 1, 0
        used += width
    return parts
