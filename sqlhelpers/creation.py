"""One row or a new one, while others make the same: what ``get_or_create`` and ``update_or_create`` are made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import FromClause, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from sqlhelpers.selects import bind_arguments, primary_key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection, Result
    from sqlalchemy.orm import Session

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
