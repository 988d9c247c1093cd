"""Queries that every application writes: one row, one row or a new one, whether and how many, all of them in turn.

They are synchronous functions over a ``Session``. ``asyncqueries`` has the same for an ``AsyncSession``. A model is
any mapped class, or a Core ``Table``, whose rows are then what is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from sqlalchemy import CompoundSelect, FromClause, Select, func, select

from sqlhelpers.creation import called, change, create, find, present
from sqlhelpers.selects import as_select, is_single

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement, Executable
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

M = TypeVar("M")


@overload
def get_by_pk(pk: Any, *, session: Session, model: type[M]) -> M | None: ...
@overload
def get_by_pk(pk: Any, *, session: Session, model: FromClause) -> Any | None: ...
def get_by_pk(pk: Any, *, session: Session, model: Any) -> Any:
    """Return the row with this primary key; None if there is none. To raise, there is ``session.get_one``.

    Args:
        pk: the value; for a key of several columns a tuple, in the order of the columns.
        session: the session to ask with. What it has loaded already is not loaded again.
        model: a mapped class, or a table.
    """
    if not isinstance(model, FromClause):
        return session.get(model, pk)
    values = pk if isinstance(pk, tuple) else (pk,)
    same = (column == value for column, value in zip(model.primary_key, values, strict=True))
    return session.execute(select(model).where(*same)).one_or_none()


@overload
def get_one(session: Session, model: type[M], /, **attrs: Any) -> M: ...
@overload
def get_one(session: Session, model: FromClause, /, **attrs: Any) -> Any: ...
def get_one(session: Session, model: Any, /, **attrs: Any) -> Any:
    """Return the only row whose attributes have these values.

    Args:
        session: the session to ask with.
        model: a mapped class, or a table.
        attrs: the values by the names of the attributes.

    Raises:
        NoResultFound: there is none. (This and the next are those of SQLAlchemy.)
        MultipleResultsFound: there are several.
    """
    statement = select(model).filter_by(**attrs)
    if isinstance(model, FromClause):
        return session.execute(statement).one()
    return session.scalars(statement).one()


@overload
def get_or_create(
    session: Session,
    model: type[M],
    /,
    defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[M, bool]: ...
@overload
def get_or_create(
    session: Session,
    model: FromClause,
    /,
    defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[Any, bool]: ...
def get_or_create(
    session: Session,
    model: Any,
    /,
    defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[Any, bool]:
    """Return the only row whose attributes have these values, or a new one; and whether it is new.

    A new row is inserted in a savepoint. If somebody else has inserted the same one meanwhile, and a unique
    constraint says so, theirs is returned. The session, and what was done in its transaction before, stay usable.
    For that, the columns of ``attrs`` need a unique constraint: without one, there may be two rows in the end.

    Args:
        session: the session to work with. Who called commits.
        model: a mapped class, or a table.
        defaults: more attributes for a new row. A callable is called without arguments, and only for a new row.
        attrs: the values by the names of the attributes. Write ``defaults__exact`` for one called ``defaults``.

    Raises:
        MultipleResultsFound: there are several.
        IntegrityError: the new row violates a constraint, and nobody else has inserted the same one.
    """
    attrs = _criteria(attrs)
    found = find(session, model, attrs)
    if found is not None:
        return found, False
    return create(session, model, attrs, defaults)


@overload
def update_or_create(
    session: Session,
    model: type[M],
    /,
    defaults: Mapping[str, Any] | None = None,
    create_defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[M, bool]: ...
@overload
def update_or_create(
    session: Session,
    model: FromClause,
    /,
    defaults: Mapping[str, Any] | None = None,
    create_defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[Any, bool]: ...
def update_or_create(
    session: Session,
    model: Any,
    /,
    defaults: Mapping[str, Any] | None = None,
    create_defaults: Mapping[str, Any] | None = None,
    **attrs: Any,
) -> tuple[Any, bool]:
    """Set attributes of the only row whose attributes have these values, or make a new one; and tell whether it is new.

    As safe as ``get_or_create``, in the same way. What the session has pending is flushed.

    Args:
        session: the session to work with. Who called commits.
        model: a mapped class, or a table.
        defaults: the attributes to set. A callable is called without arguments, when its value is used.
        create_defaults: the attributes, beside those of ``attrs``, of a new row; ``defaults`` if None.
        attrs: the values by the names of the attributes. Write ``defaults__exact`` for one called ``defaults``,
            and ``create_defaults__exact`` for one called ``create_defaults``.

    Raises:
        MultipleResultsFound: there are several.
        IntegrityError: the row violates a constraint.
    """
    attrs = _criteria(attrs)
    if not session.autoflush:
        session.flush()  # what is pending would be overwritten by what is read
    found = find(session, model, attrs, anew=True)
    if found is None:
        chosen = defaults if create_defaults is None else create_defaults
        found, created = create(session, model, attrs, chosen, to_change=True)
        if created:
            return found, True
    with present(session, model):
        return change(session, model, found, attrs, called(defaults)), False


def exists(
    session: Session,
    source: type[Any] | FromClause | Executable,
    /,
    *criteria: ColumnElement[bool],
    **attrs: Any,
) -> bool:
    """Tell whether there is a row.

    Args:
        session: the session to ask with.
        source: a mapped class, a table, or a SELECT.
        criteria: more conditions: ``exists(session, Book, Book.price > 5)``.
        attrs: values by the names of attributes.
    """
    statement = _narrowed(source, criteria, attrs)
    return bool(session.scalar(select(statement.exists())))


def count(
    session: Session,
    source: type[Any] | FromClause | Executable,
    /,
    *criteria: ColumnElement[bool],
    **attrs: Any,
) -> int:
    """Return how many rows there are; arguments as for ``exists``."""
    statement = _narrowed(source, criteria, attrs)
    if isinstance(source, Select | CompoundSelect):
        return session.scalars(select(func.count()).select_from(statement.subquery())).one()
    return int(session.scalars(statement.with_only_columns(func.count(), maintain_column_froms=True)).one())


@overload
def stream(
    session: Session,
    source: type[M] | TypedReturnsRows[tuple[M]],
    /,
    *,
    size: int = 1000,
) -> Iterator[M]: ...
@overload
def stream(session: Session, source: TypedReturnsRows[M], /, *, size: int = 1000) -> Iterator[M]: ...
@overload
def stream(session: Session, source: FromClause | Executable, /, *, size: int = 1000) -> Iterator[Any]: ...
def stream(session: Session, source: Any, /, *, size: int = 1000) -> Iterator[Any]:
    """Yield all rows in turn, and hold only a few of them in memory, however many there are.

    The rows come through a cursor on the server, within the session's transaction. On MySQL and MariaDB the
    session can do nothing else until the last row was read, or the iterator was closed.

    Args:
        session: the session to ask with.
        source: a mapped class, a table, or a SELECT; one thing in each row is yielded as it is, several as a row.
        size: how many rows are held at a time.
    """
    result: Any = session.execute(as_select(source), execution_options={"yield_per": size})
    with result:
        yield from result.scalars() if is_single(source) else result


def _criteria(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return the values by names, where a column may be called as a parameter is."""
    for name in ("defaults", "create_defaults"):
        if f"{name}__exact" in attrs:
            attrs[name] = attrs.pop(f"{name}__exact")
    return attrs


def _narrowed(source: Any, criteria: tuple[ColumnElement[bool], ...], attrs: dict[str, Any]) -> Any:
    statement: Any = as_select(source)
    if criteria:
        statement = statement.where(*criteria)
    return statement.filter_by(**attrs) if attrs else statement
