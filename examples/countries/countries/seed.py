"""The hooks: a database that cannot hold the rows is refused, and the rows follow pycountry on every sync."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import pycountry
from sqlalchemy import bindparam, insert, select, text, update

from countries.models import Country, Currency, Subdivision
from sqlhelpers import DatabaseReport, DatabaseStatus, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

_log = logging.getLogger(__name__)
_COUNTRY = ("alpha_2", "alpha_3", "numeric", "name", "official_name", "flag")

Row = dict[str, Any]


@hookimpl
def sqlhelpers_before_sync(connection: Connection, status: DatabaseReport) -> None:
    """Refuse to create the tables where names such as Şəki, or flags, cannot be stored."""
    missing = any(app.app == "countries" and app.status is DatabaseStatus.NO_INFO for app in status.apps)
    if missing and connection.dialect.name in ("mysql", "mariadb"):
        charset = connection.scalar(text("SELECT @@character_set_database"))
        if charset != "utf8mb4":
            raise ValueError(f"the database has the character set {charset}; ALTER DATABASE CHARACTER SET utf8mb4")


@hookimpl
def sqlhelpers_after_sync(bind: str, connection: Connection, result: DatabaseReport) -> None:
    """Add the rows that are missing, and update those that differ."""
    if "countries" not in result:
        return
    for model, rows in ((Country, _countries()), (Subdivision, _subdivisions()), (Currency, _currencies())):
        added, changed = _merge(connection, cast("Table", model.__table__), rows)
        if added or changed:
            _log.info("%s: %s: %d rows added, %d changed", bind, model.__tablename__, added, changed)


def _merge(connection: Connection, table: Table, rows: Iterable[Row]) -> tuple[int, int]:
    """Bring the table to ``rows``, and return how many were added and changed.

    One SELECT tells what there is; what differs takes one INSERT and one UPDATE. A row that is no longer in
    ``rows`` stays: a foreign key may refer to it.
    """
    key = next(iter(table.primary_key))
    there = {row[key]: dict(row) for row in connection.execute(select(table)).mappings()}
    added, changed = [], []
    for row in rows:
        if row[key.name] not in there:
            added.append(row)
        elif row != there[row[key.name]]:
            changed.append({**row, "key": row[key.name]})
    if added:
        connection.execute(insert(table), added)
    if changed:
        connection.execute(update(table).where(key == bindparam("key")), changed)
    return len(added), len(changed)


def _countries() -> Iterable[Row]:
    for each in pycountry.countries:
        fields = dict(each)
        yield {"official_name": None} | {name: fields[name] for name in _COUNTRY if name in fields}


def _subdivisions() -> Iterable[Row]:
    """Yield parents before what lies within them, as their foreign key wants it."""
    parents = {each.code: each.parent_code for each in pycountry.subdivisions}

    def depth(code: str) -> int:
        parent = parents[code]
        return 1 + depth(parent) if parent else 0

    for each in sorted(pycountry.subdivisions, key=lambda each: depth(each.code)):
        yield {
            "code": each.code,
            "country_code": each.country_code,
            "name": each.name,
            "kind": each.type,
            "parent_code": each.parent_code,
        }


def _currencies() -> Iterable[Row]:
    for each in pycountry.currencies:
        yield {"alpha_3": each.alpha_3, "numeric": each.numeric, "name": each.name}
