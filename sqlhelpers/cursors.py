"""Cursors: a place in an ordered list as a text that only we can make.

A cursor is base64 of JSON, and a signature. Its holder can read the values in it, but not change one, nor make one.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

from sqlhelpers.exceptions import InvalidCursor

_SIGNATURE_BYTES = 16


class Place(NamedTuple):
    """A place in a list: beside the row that has these values in the columns of the order.

    Attributes:
        values: the values.
        backwards: whether what is before the row is wanted, and not what is behind it.
        inclusive: whether the row itself is wanted too.
    """

    values: tuple[Any, ...]
    backwards: bool = False
    inclusive: bool = False


def encode(place: Place, order: str, secret: str | bytes) -> str:
    """Return the cursor for a place.

    Args:
        place: the place.
        order: what the list is, and how it is ordered. The cursor is good for no other.
        secret: what to sign with.

    Raises:
        TypeError: a value is of a type that a cursor cannot hold.
    """
    content = [[_packed(value) for value in place.values], int(place.backwards) + 2 * int(place.inclusive)]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_signature(text, order, secret) + text).rstrip(b"=").decode()


def decode(cursor: str, order: str, secret: str | bytes) -> Place:
    """Return the place that a cursor stands for.

    Raises:
        InvalidCursor: it was changed, or was made for another order or with another secret.
    """
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise InvalidCursor("this is no cursor") from error
    signature, text = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(text, order, secret)):
        raise InvalidCursor("this cursor was changed, or was made for another order or with another secret")
    values, flags = json.loads(text)
    return Place(tuple(_unpacked(value) for value in values), bool(flags & 1), bool(flags & 2))


def _signature(text: bytes, order: str, secret: str | bytes) -> bytes:
    if not secret:
        raise ValueError("the secret is empty, so anybody could make a cursor")
    given = secret.encode() if isinstance(secret, str) else secret
    key = hmac.digest(given, b"sqlhelpers cursor", hashlib.sha256)  # the application signs other things with its secret
    return hmac.digest(key, order.encode() + b"\0" + text, hashlib.sha256)[:_SIGNATURE_BYTES]


def _packed(value: Any) -> Any:
    """Return a value as JSON can hold it: as it is, or as a list of the kind and a text."""
    if value is None or type(value) in (bool, int, str):
        return value
    for kind, (cls, pack, _) in _KINDS.items():
        if isinstance(value, cls):  # asyncpg has UUIDs of its own
            return [kind, pack(value)]
    raise TypeError(f"a cursor cannot hold a {type(value).__name__}: order by a column of numbers, texts or times")


def _unpacked(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, text = value
    return _KINDS[kind][2](text)


#: By the kind: the type, what makes a text of a value, and what makes a value of that. A datetime is a date too.
_KINDS: dict[str, tuple[type[Any], Any, Any]] = {
    "float": (float, float.hex, float.fromhex),
    "decimal": (Decimal, str, Decimal),
    "datetime": (dt.datetime, dt.datetime.isoformat, dt.datetime.fromisoformat),
    "date": (dt.date, dt.date.isoformat, dt.date.fromisoformat),
    "time": (dt.time, dt.time.isoformat, dt.time.fromisoformat),
    "interval": (
        dt.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: dt.timedelta(*parts),
    ),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
}
