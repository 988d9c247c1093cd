"""Pages of a query's rows, counted from a row: they do not move when rows are inserted or deleted before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from sqlalchemy import Select

from sqlhelpers.cursors import Place, decode, encode
from sqlhelpers.ordering import after, keys_of
from sqlhelpers.selects import as_select, bind_arguments, first_source, is_entity, is_single, narrowed, refuse_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from sqlhelpers.ordering import Key

M = TypeVar("M")
T_co = TypeVar("T_co", covariant=True)


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
