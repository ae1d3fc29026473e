"""Reading what providers answer and post: whatever comes, values that can be stored."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping

from .errors import PayloadError
from .types import DeliveryReport, InboundMessage, Outcome

_logger = logging.getLogger(__name__)

Event = DeliveryReport | InboundMessage


def outcome_by_status(status: int, has_code: bool) -> Outcome:
    """Judge a refusal whose code is not known by its HTTP status.

    Never "not sent" in doubt: a proxy in between answers 502 and 504 without knowing
    what the provider did.

    :param has_code: the provider itself answered, with a code of its own
    """
    if status == 429:
        return Outcome.RETRY
    if status >= 500 or status == 408:
        return Outcome.AMBIGUOUS
    if has_code:
        return Outcome.BUG
    return Outcome.AMBIGUOUS if status < 300 else Outcome.PAUSE


def read_body(body: bytes) -> dict | list:
    """Return the JSON object or array of a callback.

    :raises PayloadError: it is neither
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadError("body is not JSON") from error
    if not isinstance(content, dict | list):
        raise PayloadError("body is neither an object nor an array")
    return content


def read_each(entries: Iterable, read: Callable[[dict], Event | None]) -> list[Event]:
    """Read the entries of a callback; one that cannot be read spoils no other.

    :param read: returns what an entry tells, ``None`` if that is nothing to us
    :raises PayloadError: not a single entry can be read
    """
    events: list[Event] = []
    errors: list[PayloadError] = []
    for entry in entries:
        try:
            if not isinstance(entry, dict):
                raise PayloadError("entry is not an object")
            event = read(entry)
        except PayloadError as error:
            _logger.warning("callback: %s", error)
            errors.append(error)
            continue
        if event:
            events.append(event)
    if errors and not events:
        raise errors[0]
    return events


def objects(values) -> list[dict]:
    """Return the objects of what should be an array of them."""
    if not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, dict)]


def clean_text(value) -> str:
    """Return a value as text that can be stored: no NUL, no half of an emoji."""
    text = str(value if value is not None else "")
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "") if "\0" in text else text


def required(entry: Mapping, name: str) -> str:
    """Return a text of a callback.

    :raises PayloadError: it is empty or missing
    """
    value = clean_text(entry.get(name))
    if not value:
        raise PayloadError(f"{name} is missing")
    return value


def read_integer(value) -> int | None:
    """Return a whole number, ``None`` when it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def read_parts(value) -> int | None:
    """Return how many SMS a message was billed as, ``None`` when that is no possible
    number: a message has at most 255 parts (3GPP TS 23.040 §9.2.3.24.1)."""
    parts = read_integer(value)
    return parts if parts and 0 < parts <= 255 else None


def get_object(entry: Mapping, name: str) -> Mapping:
    """Return the object a name stands for, an empty one if it is none."""
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def compact_json(value) -> str:
    """Return JSON as providers sign it: no blanks, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
