"""Characters as people type them."""

#: Full-width forms (U+FF01–U+FF5E) and the ideographic space to ASCII. Narrower than
#: NFKC on purpose: that would also turn ① into 1 and ㎏ into kg.
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}


def half_width(text: str) -> str:
    """Return ``text`` with full-width letters, digits and signs as ASCII."""
    return text if text.isascii() else text.translate(_HALF_WIDTH)
