"""Functions over a session that look for rows, and make or change them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sqlalchemy import CompoundSelect, FromClause, Select, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sqlhelpers.queries.statements import as_select, bind_arguments, is_single, primary_key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection, Executable, Result
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

#: What a query is asked with, when an instance that the session has shall become what the database has.
_ANEW = {"populate_existing": True}

_SNAPSHOT = "innodb_snapshot_isolation"


def called(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values, and what those that are callable return."""
    return {name: value() if callable(value) else value for name, value in (values or {}).items()}


def find(session: Session, model: Any, attrs: dict[str, Any], *, anew: bool = False) -> Any:
    """Return the only row that has these values, or None; with ``anew`` as it is in the database now."""
    return _only(session.execute(select(model).filter_by(**attrs), execution_options=_ANEW if anew else {}), model)


def create(
    session: Session,
    model: Any,
    attrs: dict[str, Any],
    defaults: Mapping[str, Any] | None,
    *,
    to_change: bool = False,
) -> tuple[Any, bool]:
    """Return a new row and True, or the one that somebody else has inserted meanwhile and False."""
    values = {**attrs, **called(defaults)}
    savepoint = session.begin_nested()  # flushes first, so that a violation below is the new row's
    try:
        with savepoint:
            made = None if isinstance(model, FromClause) else model(**values)  # in here: its relationships may cascade
            if made is None:
                table: Any = model
                session.execute(insert(table).values(**values))
            else:
                session.add(made)
    except IntegrityError:
        winner = _find_winner(session, model, attrs, to_change=to_change)
        if winner is None:
            raise
        return winner, False
    return (find(session, model, attrs) if made is None else made), True


def _find_winner(session: Session, model: Any, attrs: dict[str, Any], *, to_change: bool) -> Any:
    """Return the row that somebody else has committed since this transaction began to read, or None.

    Under InnoDB's REPEATABLE READ only a locking read sees it. All who have lost hold a shared lock on the key by
    now. So none may ask for more of it, or two of them wait for each other: the row is locked by its primary key.
    """
    if session.get_bind(**bind_arguments(model)).dialect.name not in ("mysql", "mariadb"):
        return find(session, model, attrs, anew=True)
    shared = select(model).filter_by(**attrs).with_for_update(read=True)
    keys = primary_key_of(model)
    with present(session, model):
        if not to_change or not keys:
            return _only(session.execute(shared, execution_options=_ANEW), model)
        found = session.execute(shared.with_only_columns(*keys)).one_or_none()
        if found is None:
            return None
        same = (key == value for key, value in zip(keys, found, strict=True))
        return _only(session.execute(select(model).where(*same).with_for_update(), execution_options=_ANEW), model)


@contextmanager
def present(session: Session, model: Any) -> Iterator[None]:
    """Let the block lock and change rows that have changed since the transaction began to read.

    MariaDB from 11.6.2 on refuses that under REPEATABLE READ (error 1020), and rolls back the whole transaction.
    """
    connection = session.connection(bind_arguments=bind_arguments(model))
    if not _is_snapshot(connection):
        yield
        return
    _set_snapshot(connection, "OFF")
    try:
        with session.begin_nested():  # an error in the block does not lose us the connection
            yield
    finally:
        if not connection.closed and not connection.invalidated:
            _set_snapshot(connection, "ON")


def _set_snapshot(connection: Connection, state: str) -> None:
    """Set the variable, also where SQLAlchemy sends nothing more because the transaction has failed."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(f"SET SESSION {_SNAPSHOT} = {state}")
    finally:
        cursor.close()


def _is_snapshot(connection: Connection) -> bool:
    """Tell whether MariaDB checks what a transaction locks against what it has read; it is asked once a connection."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return False
    if _SNAPSHOT not in connection.info:
        found = connection.exec_driver_sql(f"SHOW VARIABLES LIKE '{_SNAPSHOT}'").first()  # none on MySQL
        connection.info[_SNAPSHOT] = found is not None and found[1] == "ON"
    return bool(connection.info[_SNAPSHOT])


def change(session: Session, model: Any, found: Any, attrs: dict[str, Any], values: dict[str, Any]) -> Any:
    """Return the row with new values."""
    if not isinstance(model, FromClause):
        for name, value in values.items():
            setattr(found, name, value)
        session.flush()
        return found
    if not values:
        return found
    table: Any = model
    keys = tuple(model.primary_key)
    if not keys:
        session.execute(update(table).filter_by(**attrs).values(**values))
        return find(session, model, {**attrs, **values})
    same = and_(*(key == found._mapping[key] for key in keys))  # noqa: SLF001  # its documented name
    session.execute(update(table).where(same).values(**values))
    return session.execute(select(model).where(same)).one()


def _only(result: Result[Any], model: Any) -> Any:
    return result.one_or_none() if isinstance(model, FromClause) else result.scalars().one_or_none()


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
