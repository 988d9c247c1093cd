"""Pages of a query: by number, and by the key of the last row."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from sqlalchemy import Select

from sqlhelpers.exceptions import InvalidCursor
from sqlhelpers.queries.ordering import after, in_full_order, keys_of
from sqlhelpers.queries.rows import count
from sqlhelpers.queries.statements import (
    as_select,
    bind_arguments,
    first_source,
    is_entity,
    is_single,
    narrowed,
    refuse_limit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Executable, FromClause
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from sqlhelpers.queries.ordering import Key

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


M = TypeVar("M")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Page(Generic[T_co]):
    """Some of the rows of a query, in their order.

    Attributes:
        items: the rows: instances, values, or rows of several columns.
        page: the number of this page, from 1.
        size: how many rows a page has; the last one may have fewer.
        has_next: whether there are rows behind these.
        total: how many rows there are in all; None if they were not counted.
    """

    items: tuple[T_co, ...]
    page: int
    size: int
    has_next: bool
    total: int | None

    @property
    def has_previous(self) -> bool:
        """Whether there is a page before this one."""
        return self.page > 1

    @property
    def pages(self) -> int | None:
        """How many pages there are; None if the rows were not counted."""
        return None if self.total is None else -(-self.total // self.size)


@overload
def paginate(
    session: Session,
    source: type[M] | TypedReturnsRows[tuple[M]],
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[M]: ...
@overload
def paginate(
    session: Session,
    source: TypedReturnsRows[M],
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[M]: ...
@overload
def paginate(
    session: Session,
    source: FromClause | Executable,
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[Any]: ...
def paginate(
    session: Session,
    source: Any,
    /,
    *,
    page: int = 1,
    size: int = 50,
    counted: bool = True,
) -> Page[Any]:
    """Return a page of the rows, and how many there are in all.

    Rows that the statement's own order leaves equal are put in the order of the primary key, so that they do not
    change places between two pages. A row that is inserted or deleted meanwhile moves those behind it.

    Args:
        session: the session to ask with.
        source: a mapped class, a table, or a SELECT; one thing in each row is an item as it is, several are a row.
        page: which page, from 1. One behind the last is empty.
        size: how many rows a page has.
        counted: False saves counting, which reads the whole list.

    Raises:
        ValueError: ``page`` or ``size`` is less than 1, or the statement has a LIMIT of its own.
    """
    if page < 1 or size < 1:
        raise ValueError(f"page {page} of size {size}: neither can be less than 1")
    statement: Any = as_select(source)
    refuse_limit(statement)
    before = (page - 1) * size
    limited: Any = in_full_order(statement).limit(size + 1).offset(before)
    result: Any = session.execute(limited)
    if is_entity(statement):
        result = result.unique()  # joined eager loading repeats rows
    found = (result.scalars() if is_single(source) else result).all()
    items, has_next = tuple(found[:size]), len(found) > size
    total = None
    if counted:
        is_last = not has_next and (items or page == 1)
        total = before + len(items) if is_last else count(session, statement)
    return Page(items, page, size, has_next, total)


@dataclass(frozen=True)
class KeysetPage(Generic[T_co]):
    """Some of the rows of a query, in their order.

    Attributes:
        items: the rows: instances, values, or rows of several columns.
        next: the cursor of the page behind this one; None if this is the last.
        previous: the cursor of the page before this one; None if this is the first.
    """

    items: tuple[T_co, ...]
    next: str | None
    previous: str | None


@overload
def paginate_by_key(
    session: Session,
    source: type[M] | TypedReturnsRows[tuple[M]],
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[M]: ...
@overload
def paginate_by_key(
    session: Session,
    source: TypedReturnsRows[M],
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[M]: ...
@overload
def paginate_by_key(
    session: Session,
    source: FromClause | Select[Any],
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[Any]: ...
def paginate_by_key(
    session: Session,
    source: Any,
    /,
    *,
    secret: str | bytes,
    cursor: str | None = None,
    size: int = 50,
) -> KeysetPage[Any]:
    """Return the page of rows before or behind a cursor, or the first one.

    The rows are in the order of the statement, and of the primary key where that leaves them equal. The columns of
    the order may be ascending or descending, and may have NULLs. The page costs the same wherever it is, if an
    index has the columns of the order.

    Args:
        session: the session to ask with.
        source: a mapped class, a table, or a SELECT; one thing in each row is an item as it is, several are a row.
        secret: what cursors are signed with, the same for all processes of a service. It keeps clients from sending
            a place that they did not get from us. It hides nothing: who has a cursor can read the values of its row
            in the columns of the order. Nor does it say who may see what: that is for the statement.
        cursor: ``next`` or ``previous`` of another page of the same statement; None for the first page.
        size: how many rows a page has.

    Raises:
        InvalidCursor: the cursor was changed, or was made for another order or with another secret.
        ValueError: ``size`` is less than 1, the secret is empty, the statement has a LIMIT of its own, is not a
            SELECT with a primary key, or is ordered by a text.
    """
    statement: Any = as_select(source)
    if size < 1:
        raise ValueError(f"pages of {size} rows: it cannot be less than 1")
    if not isinstance(statement, Select):
        raise ValueError("a UNION has no primary key: make it a subquery, or use paginate")  # noqa: TRY004
    refuse_limit(statement)
    keys = keys_of(statement, session.get_bind(**bind_arguments(first_source(statement))).dialect)
    signed = _Signed(keys, secret)
    place = None if cursor is None else signed.place(cursor)
    walked = [key.reversed for key in keys] if place and place.backwards else keys
    query = statement.order_by(None).order_by(*(clause for key in walked for clause in key.clauses()))
    named = (key.exact.label(f"sqlhelpers_key_{number}") for number, key in enumerate(keys))
    query = query.add_columns(*named).limit(size + 1)
    if place is not None:
        query = query.where(after(walked, place.values, inclusive=place.inclusive))
    result: Any = session.execute(query)
    if is_entity(statement):  # joined eager loading repeats rows
        result = result.unique(lambda row: id(row[0]))
    rows = result.all()
    width = len(rows[0]) - len(keys) if rows else 0
    kept = rows[:size]
    values = [tuple(row[width:]) for row in kept]
    items = [row[0] if is_single(source) else narrowed(row, width) for row in kept]
    if place and place.backwards:
        items.reverse()
        values.reverse()
    return KeysetPage(tuple(items), *signed.cursors(place, values, is_more=len(rows) > size))


@dataclass(frozen=True)
class _Signed:
    """The cursors of a list in an order."""

    keys: Sequence[Key]
    secret: str | bytes

    @property
    def order(self) -> str:
        return ", ".join(map(str, self.keys))

    def place(self, cursor: str) -> Place:
        found = decode(cursor, self.order, self.secret)
        return found._replace(values=tuple(key.rich(value) for key, value in zip(self.keys, found.values, strict=True)))

    def cursor(self, values: Sequence[Any], *, backwards: bool, inclusive: bool = False) -> str:
        plain = tuple(key.plain(value) for key, value in zip(self.keys, values, strict=True))
        return encode(Place(plain, backwards, inclusive), self.order, self.secret)

    def cursors(
        self,
        place: Place | None,
        values: Sequence[Sequence[Any]],
        *,
        is_more: bool,
    ) -> tuple[str | None, str | None]:
        """Return the cursors of the next and of the previous page.

        Args:
            place: where this page was read from.
            values: those of its rows, in their order.
            is_more: whether there are more rows in the direction in which it was read.
        """
        came_backwards = place is not None and place.backwards
        if not values:  # the rows are gone, but not the place
            back = None if place is None else self.cursor(place.values, backwards=not came_backwards, inclusive=True)
            return (back, None) if came_backwards else (None, back)
        has_next = is_more if not came_backwards else True
        has_previous = is_more if came_backwards else place is not None
        return (
            self.cursor(values[-1], backwards=False) if has_next else None,
            self.cursor(values[0], backwards=True) if has_previous else None,
        )
