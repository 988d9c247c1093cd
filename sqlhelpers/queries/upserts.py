"""INSERT statements that update the row that is there already, in the words of each dialect."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    FromClause,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy import column as sql_column
from sqlalchemy.exc import DBAPIError, IntegrityError

from sqlhelpers.queries.statements import bind_arguments, mapper_of, narrowed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Dialect, Index, Insert, Select
    from sqlalchemy.orm import Session

_SIMPLE = (Boolean, Date, DateTime, Integer, Interval, LargeBinary, Numeric, String, Time, Uuid)


def fit_arrays(table: Table, given: Collection[Column[Any]]) -> bool:
    """Tell whether rows of ``table`` with values for the columns ``given`` can be sent as arrays.

    A type of one's own may have a way of its own into the database, arrays in an array would be flattened, and a
    default that is called would be called once for all rows.
    """
    return all(_is_simple(each) for each in given) and all(
        each.default is None or each.default.is_scalar or each.default.is_clause_element
        for each in table.columns
        if each not in given
    )


def _is_simple(each: Column[Any]) -> bool:
    kind: Any = each.type
    is_own = not type(kind).__module__.startswith("sqlalchemy.") or kind._variant_mapping  # noqa: SLF001  # no public way
    return isinstance(kind, _SIMPLE) and not isinstance(kind, Enum) and not is_own


def select_from_arrays(columns: Mapping[str, Column[Any]], rows: Sequence[Mapping[str, Any]]) -> Select[Any]:
    """Return a SELECT of rows that come from here.

    Args:
        columns: the columns, by the names that the rows have.
        rows: the values by name.
    """
    arrays = (
        bindparam(None, [row[name] for row in rows], type_=ARRAY(_element(each)), unique=True)
        for name, each in columns.items()
    )
    named = (sql_column(f"c{number}", _element(each)) for number, each in enumerate(columns.values()))
    return select(*func.unnest(*arrays).table_valued(*named).render_derived().c)


def _element(each: Column[Any]) -> Any:
    """Return the type of an array's elements: a cast to VARCHAR(9) would cut a text where an INSERT refuses it."""
    return Text() if isinstance(each.type, String) else each.type


#: MySQL's error for ``_OTHER_KEY``, which stands where a row is in the way that has another key.
OTHER_KEY_ERROR = 1242
_OTHER_KEY: Any = literal_column("(SELECT 1 UNION SELECT 2)")


@dataclass(frozen=True)
class Plan:
    """What is done with rows that have values for the same columns."""

    dialect: Dialect
    table: Table
    columns: Mapping[str, Column[Any]]  # by the names that the rows have
    key: Sequence[Column[Any]]
    update: Sequence[Column[Any]]
    more: Mapping[Column[Any], Any]  # what each row has beside

    @classmethod
    def of(
        cls,
        dialect: Dialect,
        model: Any,
        names: Collection[str],
        key: str | Sequence[str] | None,
        update: str | Sequence[str] | None,
    ) -> Plan:
        """Return what to do with rows that have these names; the other arguments are those of ``upsert``.

        Raises:
            ValueError: there is no such attribute, or no one key.
        """
        target = _Target.of(model)
        columns = {name: target.column(name) for name in names}
        same = target.only_key(columns.values()) if key is None else target.key(key, columns)
        chosen = columns.values() if update is None else [target.column(name) for name in _listed(update)]
        for column in chosen:
            if column not in columns.values():
                raise ValueError(f"{target.name}: {column.key} is to be updated, but has no value")
        update_columns = [column for column in target.table.columns if column in chosen and column not in same]
        more = {column: value for column, value in target.more.items() if column not in columns.values()}
        return cls(dialect, target.table, columns, same, update_columns, more)

    def statement(self, target: Any) -> Any:
        """Return an INSERT, without values, that changes the row with the same key, or leaves it alone.

        Args:
            target: what to insert into: the table, or the class that is mapped to it.

        Raises:
            NotImplementedError: the dialect has no such statement.
        """
        name = self.dialect.name
        if name in ("mysql", "mariadb"):
            return self._on_duplicate_key(target)
        if name not in ("postgresql", "sqlite"):
            raise NotImplementedError(f"there is no upsert for {name}: use update_or_create")
        statement: Any = import_module(f"sqlalchemy.dialects.{name}").insert(target)
        if not self.update:
            return statement.on_conflict_do_nothing(index_elements=self.key)
        values = {column.key: statement.excluded[column.key] for column in self.update}
        values |= {column.key: value for column, value in self._on_update()}
        return statement.on_conflict_do_update(index_elements=self.key, set_=values)

    def _on_duplicate_key(self, target: Any) -> Insert:
        from sqlalchemy.dialects.mysql import insert

        statement = insert(target)
        inserted = statement.inserted
        first = self.key[0]
        values: list[tuple[str, Any]] = [(first.key, first)]
        if self._has_other_key():  # MySQL would take any unique key, and change a row that has another
            same = and_(*(column.op("<=>", is_comparison=True)(inserted[column.key]) for column in self.key))
            values = [(first.key, func.if_(same, first, _OTHER_KEY))]
        values += [(column.key, inserted[column.key]) for column in self.update]
        for column, value in self._on_update() if self.update else ():
            # the drivers repeat only what stands between VALUES and ON DUPLICATE, so there can be no parameters behind
            text = str(value.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True})).replace("%%", "%")
            values.append((column.key, literal_column(text)))
        return statement.on_duplicate_key_update(values)

    def _has_other_key(self) -> bool:
        """Tell whether a row could be in the way of another one by something else than the key."""
        given = self.given
        others = [set(columns) for columns in unique_keys(self.table) if set(columns) != set(self.key)]
        return any(columns & given or any(column.default for column in columns) for columns in others)

    def _on_update(self) -> Iterator[tuple[Column[Any], ColumnElement[Any]]]:
        """Yield what ``onupdate`` says of columns that have no value; SQLAlchemy passes it by."""
        given = self.given
        for column in self.table.columns:
            made: Any = column.onupdate
            if made is None or column in given or made.is_sequence:
                continue
            value = made.arg(None) if made.is_callable else made.arg
            yield column, value if made.is_clause_element else literal(value, column.type)

    @property
    def given(self) -> set[Column[Any]]:
        """The columns that have a value."""
        return {*self.columns.values(), *self.more}

    def parameters(self, rows: list[Mapping[str, Any]]) -> Any:
        """Return the rows by the keys of columns."""
        keys = {name: column.key for name, column in self.columns.items()}
        if not self.more and all(name == key for name, key in keys.items()):
            return rows
        more = {column.key: value for column, value in self.more.items()}
        return [{**{keys[name]: value for name, value in row.items()}, **more} for row in rows]


@dataclass(frozen=True)
class _Target:
    """A table to insert into, under the names of a mapped class or its own."""

    name: str
    table: Table
    known: Mapping[str, Column[Any]]
    more: Mapping[Column[Any], Any]

    @classmethod
    def of(cls, model: Any) -> _Target:
        mapper = mapper_of(model)
        if mapper is None:
            return cls(model.name, model, dict(model.columns.items()), {})
        name = mapper.class_.__name__
        if len(mapper.tables) > 1 or not isinstance(mapper.local_table, Table):
            raise ValueError(f"{name} is not mapped to one table: use update_or_create")
        if mapper.version_id_col is not None:
            raise ValueError(f"{name} counts its versions, which an upsert would pass by: use update_or_create")
        discriminator = mapper.polymorphic_on
        more = {discriminator: mapper.polymorphic_identity} if isinstance(discriminator, Column) else {}
        return cls(name, mapper.local_table, {k: c for k, c in mapper.columns.items() if isinstance(c, Column)}, more)

    def column(self, name: str) -> Column[Any]:
        if name not in self.known:
            raise ValueError(f"{self.name} has no column {name!r} (it has {', '.join(sorted(self.known))})")
        return self.known[name]

    def key(self, names: str | Sequence[str], given: Mapping[str, Column[Any]]) -> tuple[Column[Any], ...]:
        found = tuple(self.column(name) for name in _listed(names))
        if not any(set(found) == set(unique) for unique in unique_keys(self.table)):
            raise ValueError(f"{self.name} has no unique constraint on {', '.join(_listed(names))}")
        for column in found:
            if column not in given.values():
                raise ValueError(f"{self.name}: {column.key} is part of the key, but has no value")
        return found

    def only_key(self, given: Collection[Column[Any]]) -> tuple[Column[Any], ...]:
        found = {frozenset(unique): unique for unique in unique_keys(self.table) if set(unique) <= set(given)}
        if len(found) == 1:
            return next(iter(found.values()))
        several = " or ".join(sorted(repr(tuple(column.key for column in unique)) for unique in found.values()))
        raise ValueError(
            f"{self.name}: say what tells that a row is the same: key={several}"
            if found
            else f"{self.name}: the values have neither the primary key nor a unique constraint",
        )


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def unique_keys(table: Table) -> Iterator[tuple[Column[Any], ...]]:
    """Yield the columns of the primary key, of each unique constraint and of each unique index."""
    if table.primary_key:
        yield tuple(table.primary_key)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(constraint.columns)
    for index in table.indexes:
        if index.unique and _is_plain(index):
            yield tuple(index.columns)


def _is_plain(index: Index) -> bool:
    """Tell whether an index is one of columns, and of all rows."""
    partial = any(index.dialect_options[name].get("where") is not None for name in ("postgresql", "sqlite"))
    return not partial and all(isinstance(each, Column) for each in index.expressions)


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
