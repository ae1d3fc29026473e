"""A short proof that something is still what it was."""

import hashlib
import json


def fingerprint(value) -> str:
    """Return the SHA-256 of a value in hexadecimal digits.

    :param value: lists, dicts, texts, numbers and what can be written as text; the
        order of a dict does not matter
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
