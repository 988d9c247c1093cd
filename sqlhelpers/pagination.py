"""Pages of a query's rows, counted from the start. For long or living lists, ``keysets`` has those that do not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from sqlhelpers.ordering import in_full_order
from sqlhelpers.queries import count
from sqlhelpers.selects import as_select, is_entity, is_single, refuse_limit

if TYPE_CHECKING:
    from sqlalchemy import Executable, FromClause
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

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
