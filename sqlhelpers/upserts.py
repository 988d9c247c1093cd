"""Rows that are inserted, or update those that are there: ``upsert`` for one, ``bulk_upsert`` for any number.

Each is one statement of the database (``ON CONFLICT``, ``ON DUPLICATE KEY``), so nobody can come between.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from sqlalchemy import FromClause, and_, literal, literal_column, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from sqlhelpers.arrays import fit_arrays, select_from_arrays
from sqlhelpers.conflicts import OTHER_KEY_ERROR, Plan
from sqlhelpers.selects import bind_arguments, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.orm import Session

M = TypeVar("M")

#: True for a row that PostgreSQL has inserted: nobody has locked it yet, to update it.
_INSERTED: Any = literal_column("(xmax = 0)")


class Upserted(NamedTuple, Generic[M]):
    """The row, and whether it is new: None where the database cannot say.

    PostgreSQL can; SQLite can if nothing was to be updated; MySQL and MariaDB cannot.
    """

    row: M
    inserted: bool | None


@dataclass(frozen=True)
class BulkUpserted:
    """How many rows were given, inserted and updated.

    ``inserted`` and ``updated`` are None where the database cannot say, as with ``Upserted``.
    """

    rows: int
    inserted: int | None
    updated: int | None


@overload
def upsert(
    session: Session,
    model: type[M],
    values: Mapping[str, Any],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
) -> Upserted[M]: ...
@overload
def upsert(
    session: Session,
    model: Table,
    values: Mapping[str, Any],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
) -> Upserted[Any]: ...
def upsert(
    session: Session,
    model: Any,
    values: Mapping[str, Any],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
) -> Upserted[Any]:
    """Insert a row, or update the one with the same key, in one statement; return it as it is then.

    Args:
        session: the session to work with. What it has pending is flushed first; who called commits.
        model: a class that is mapped to one table, or a table. Constructors are not called.
        values: the values by the names of attributes, or of the table's columns.
        key: what tells that a row is the same: the names of a primary key or a unique constraint. None for
            the only one that all have values.
        update: what to change in a row that is there; None for all values but those of the key, ``()`` for nothing.

    Raises:
        ValueError: there is no such attribute, or no one key.
        IntegrityError: a constraint is violated, other than that of the key.
        NotImplementedError: the database is none of PostgreSQL, SQLite, MySQL and MariaDB.
    """
    dialect = session.get_bind(**bind_arguments(model)).dialect
    plan = Plan.of(dialect, model, values.keys(), key, update)
    session.flush()
    given = {plan.columns[name]: value for name, value in values.items()}
    statement = plan.statement(model).values({**given, **plan.more})
    options: dict[str, Any] = {"populate_existing": True}
    if plan.dialect.insert_returning:
        flag = _INSERTED if plan.dialect.name == "postgresql" else literal_column(_told_otherwise(plan))
        with _explained():
            row = session.execute(statement.returning(model, flag), execution_options=options).one_or_none()
        if row is not None:
            is_table = isinstance(model, FromClause)
            inserted = None if row[-1] is None else bool(row[-1])
            return Upserted(narrowed(row, len(row) - 1) if is_table else row[0], inserted)
    else:
        with _explained():
            session.execute(statement, bind_arguments=bind_arguments(model))
    same = and_(*(column == values[name] for name, column in plan.columns.items() if column in plan.key))
    found: Any = session.execute(select(model).where(same), execution_options=options)
    told = False if plan.dialect.insert_returning and not plan.update else None
    return Upserted(found.one() if isinstance(model, FromClause) else found.scalar_one(), told)


def _told_otherwise(plan: Plan) -> str:
    """Return what says whether a row that comes back is new, where PostgreSQL's columns are not there to say it."""
    return "1" if plan.dialect.name == "sqlite" and not plan.update else "NULL"  # it returns no row that was there


def bulk_upsert(
    session: Session,
    model: type[Any] | Table,
    rows: Iterable[Mapping[str, Any]],
    /,
    *,
    key: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
    chunk_size: int = 10_000,
) -> BulkUpserted:
    """Insert rows, or update those with the same key, in as few statements as the database can take.

    The rows may come from a generator: only a chunk of them is held. Of two with the same key, the later one wins.
    Instances of ``model`` that the session has are expired.

    Args:
        session: the session to work with. What it has pending is flushed first; who called commits.
        model: as for ``upsert``, like ``key``, ``update`` and what is raised.
        rows: the values of each row by name. They need not have the same names, but it is quicker if they do.
        key: what tells that a row is the same.
        update: what to change in a row that is there.
        chunk_size: how many rows are held at a time.
    """
    session.flush()
    dialect = session.get_bind(**bind_arguments(model)).dialect
    plans: dict[frozenset[str], Plan] = {}
    total, inserted, can_say = 0, 0, True
    for alike in _alike(rows, chunk_size):
        names = frozenset(alike[0])
        plan = plans.get(names) or plans.setdefault(names, Plan.of(dialect, model, names, key, update))
        for chunk in _without_repeats(alike, plan) if dialect.name == "postgresql" else (alike,):
            with _explained():
                new = _send(session, model, plan, chunk)
            total += len(chunk)
            inserted, can_say = (inserted, False) if new is None else (inserted + new, can_say)
    _expire(session, model)
    if not can_say:
        return BulkUpserted(total, None, None)
    does_nothing = all(not plan.update for plan in plans.values())
    return BulkUpserted(total, inserted, 0 if does_nothing else total - inserted)


def _alike(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    """Yield chunks of rows that have the same names."""
    chunk: list[Mapping[str, Any]] = []
    for row in rows:
        if chunk and (len(chunk) >= size or row.keys() != chunk[0].keys()):
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _without_repeats(rows: list[Mapping[str, Any]], plan: Plan) -> Iterator[list[Mapping[str, Any]]]:
    """Yield chunks in which no key comes twice: PostgreSQL does not change a row twice in one statement."""
    key = itemgetter(*(name for name, column in plan.columns.items() if column in plan.key))
    if len(set(map(key, rows))) == len(rows):
        yield rows
        return
    start, seen = 0, set[Any]()
    for place, row in enumerate(rows):
        if key(row) in seen:
            yield rows[start:place]
            start, seen = place, set()
        seen.add(key(row))
    yield rows[start:]


def _send(session: Session, model: Any, plan: Plan, rows: list[Mapping[str, Any]]) -> int | None:
    """Send a chunk of rows; return how many were inserted, or None if the database cannot say."""
    bind = bind_arguments(model)
    statement = plan.statement(plan.table)
    if plan.dialect.name == "postgresql":
        statement = statement.returning(_INSERTED)
        if fit_arrays(plan.table, plan.given):
            columns = [*plan.columns.values(), *plan.more]
            more = (literal(value, column.type) for column, value in plan.more.items())
            source = select_from_arrays(plan.columns, rows).add_columns(*more)
            flags = session.scalars(statement.from_select(columns, source), bind_arguments=bind)
        else:
            flags = session.scalars(statement, plan.parameters(rows), bind_arguments=bind)
        return flags.all().count(True)
    counted: dict[str, Any] = {"preserve_rowcount": True}
    result: Any = session.execute(statement, plan.parameters(rows), bind_arguments=bind, execution_options=counted)
    return int(result.rowcount) if plan.dialect.name == "sqlite" and not plan.update else None


def _expire(session: Session, model: Any) -> None:
    if isinstance(model, type):
        for instance in session:
            if isinstance(instance, model):
                session.expire(instance)


@contextmanager
def _explained() -> Iterator[None]:
    """Say what MySQL was made to say when a row with another key is in the way."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "args", (None,))[0] != OTHER_KEY_ERROR or error.orig is None:
            raise
        problem = "another row has one of these values, in a column that may have it once, but not the key"
        raise IntegrityError(error.statement, None, Exception(problem)) from error
