"""INSERT statements that update the row that is there already: which columns, and the words of each dialect."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table, UniqueConstraint, and_, func, literal, literal_column

from sqlhelpers.selects import mapper_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Dialect, Index, Insert

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
