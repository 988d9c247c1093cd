"""Tests of migrations: ``pytest --sqlhelpers-migrations``, or ``from sqlhelpers_pytest.migrations import *``.

They run on databases of their own, which are dropped afterwards.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from sqlhelpers.backends import TableName
from sqlhelpers_pytest.modelfiles import modules_with_models
from sqlhelpers_pytest.schemas import differences

if TYPE_CHECKING:
    from sqlhelpers.backends import Naming
    from sqlhelpers.managers import Database
    from sqlhelpers_pytest.kit import Kit
    from sqlhelpers_pytest.migrating import MigratedDatabase

__all__ = [
    "test_created_equals_migrated",
    "test_down_and_up_again",
    "test_every_model_module_is_imported",
    "test_models_equal_migrations",
    "test_no_table_is_owned_twice",
    "test_one_head",
    "test_up_from_nothing",
]

pytestmark: pytest.MarkDecorator = pytest.mark.sqlhelpers_migrations


def test_one_head(sqlhelpers_kit: Kit, sqlhelpers_app: str) -> None:
    """An app's history has one head."""
    app = sqlhelpers_kit.runtime.apps[sqlhelpers_app]
    if app.migrations is None:
        pytest.skip(f"app {sqlhelpers_app!r} has no migrations")
    sqlhelpers_kit.runtime.database(app.bind).head_revision(sqlhelpers_app)


def test_up_from_nothing(sqlhelpers_migrated: MigratedDatabase) -> None:
    """All revisions run on an empty database."""
    sqlhelpers_migrated.upgrade()
    state = {report.app: report for report in sqlhelpers_migrated.report().apps}[sqlhelpers_migrated.app.name]
    _refuse([*state.pending], "revisions were not run")


def test_down_and_up_again(sqlhelpers_migrated: MigratedDatabase, request: pytest.FixtureRequest) -> None:
    """Every revision can be undone without a trace, and run again."""
    database, revisions = sqlhelpers_migrated, ["base", *sqlhelpers_migrated.revisions]
    schemas = {"base": database.schema()}
    for revision in database.revisions:
        database.upgrade(revision)
        schemas[revision] = database.schema()
    irreversible = request.config.getini("sqlhelpers_irreversible")
    for before, revision in reversed([*pairwise(revisions)]):
        if revision in irreversible:
            break
        database.downgrade(before)
        _refuse(differences(database.schema(), schemas[before]), f"the downgrade of {revision} leaves a trace")
        database.upgrade(revision)
        _refuse(differences(database.schema(), schemas[revision]), f"{revision} does something else the second time")
        database.downgrade(before)


def test_models_equal_migrations(sqlhelpers_migrated: MigratedDatabase) -> None:
    """The tables that the revisions make are those of the models."""
    app = sqlhelpers_migrated.app.name
    lines = [each.text for each in sqlhelpers_migrated.check() if each.kind == "drift" and each.app == app]
    _refuse(lines, "the models have changed, and no revision says so")


def test_created_equals_migrated(sqlhelpers_migrated: MigratedDatabase) -> None:
    """A new database has the same tables, whether they are created from the models or by the revisions."""
    app = sqlhelpers_migrated.app.name
    found = [each for each in sqlhelpers_migrated.check() if each.app in (app, None)]
    for each in found:
        if each.kind == "skipped":
            pytest.skip(each.text)
    _refuse([each.text for each in found if each.kind == "missing_revision"], "created and migrated databases differ")


def test_every_model_module_is_imported(sqlhelpers_kit: Kit, sqlhelpers_app: str) -> None:
    """No module of the app's package defines a table that nobody imports: a revision would drop it."""
    app = sqlhelpers_kit.runtime.apps[sqlhelpers_app]
    naming = _naming(sqlhelpers_kit.runtime.database(app.bind))
    known = {naming.of(table) for table in sqlhelpers_kit.runtime.tables[sqlhelpers_app]}
    found = {each.module: sorted(map(str, each.tables)) for each in modules_with_models(app)}
    forgotten = {
        module: [name for name in names if naming.normalised(TableName.parsed(name)) not in known]
        for module, names in found.items()
    }
    lines = [f"{module} defines {', '.join(names)}" for module, names in forgotten.items() if names]
    _refuse(lines, f"models of app {sqlhelpers_app!r} are not imported")


def test_no_table_is_owned_twice(sqlhelpers_kit: Kit, sqlhelpers_app: str) -> None:
    """No two apps of a database have a table of the same name."""
    runtime = sqlhelpers_kit.runtime
    bind = runtime.apps[sqlhelpers_app].bind
    naming = _naming(runtime.database(bind)).without_guess()
    mine = {naming.of(table) for table in runtime.tables[sqlhelpers_app]}
    others = [name for name, app in runtime.apps.items() if app.bind == bind and name != sqlhelpers_app]
    lines = [
        f"{table.fullname}: also of {name}"
        for name in others
        for table in runtime.tables[name]
        if naming.of(table) in mine
    ]
    _refuse(lines, "tables are owned twice")


def _naming(database: Database) -> Naming:
    """Return which names mean the same table, as far as the URL tells."""
    return database.backend.naming_by_url(database.url)


def _refuse(lines: list[str], what: str) -> None:
    if lines:
        pytest.fail("\n  ".join([f"{what}:", *lines]), pytrace=False)
