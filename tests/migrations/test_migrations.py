"""``sqlhelpers.migrations``: tables are created, upgraded and downgraded, and what is recorded of it."""

from __future__ import annotations

import pytest
from databases import MODELS, REVERSIBLE, execute, rows, runtime, snapshot, tables
from projects import revision_text
from sqlalchemy import inspect, text

from sqlhelpers import DatabaseStatus, SyncResult, hookimpl
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import AppError, DatabaseFailure

#: Ends the connection that holds the lock of the run.
LOSE = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
LOSING_MODELS = f"""
from sqlalchemy import event, text


@event.listens_for(Base.metadata, "after_create")
def lose(_target, connection, **_options):
    connection.execute(text({LOSE!r}))
"""


@pytest.fixture
def shop(project):
    """The app of these tests."""
    project.write_app("shop", MODELS, REVERSIBLE)
    return project


@pytest.mark.usefixtures("shop")
def test_created_tables_are_in_the_journal(url):
    """With the revision that they have the shape of."""
    with runtime(url) as made:
        made.manager().create()
        (entry,) = made.manager().migrations.journal()

    assert (entry.app, entry.action, entry.revision) == ("shop", "create", "r3")
    assert entry.finished


@pytest.mark.usefixtures("shop")
def test_tables_are_created_without_a_journal(sqlite_url):
    """Where the settings say so, there is none."""
    with runtime({"default": {"sqlalchemy": {"url": sqlite_url}, "alembic": {"journal": False}}}) as made:
        assert made.manager().sync() is SyncResult.CREATED

    assert tables(sqlite_url) == {"alembic_version_shop", "author", "book"}


@pytest.mark.usefixtures("shop")
def test_tables_of_an_app_without_migrations(sqlite_url):
    """They are created, and there is no position to be recorded."""
    with runtime(sqlite_url, apps={"shop": {"package": "shop", "migrations": False}}) as made:
        assert made.manager().sync() is SyncResult.CREATED

    assert tables(sqlite_url) == {"author", "book"}


class Seeding:
    """A plugin that looks at what is there before a run, and adds to it afterwards."""

    @hookimpl
    def sqlhelpers_before_sync(self, bind, connection, status):
        self.before = (status.bind, status.url, inspect(connection).get_table_names(), status.apps[0].status)
        assert bind == status.bind

    @hookimpl
    def sqlhelpers_after_sync(self, bind, connection, result):
        connection.execute(text("INSERT INTO author (id, name) VALUES (1, 'Ada')"))
        self.after = (bind, [each.result for each in result.apps])


@pytest.mark.usefixtures("shop")
def test_plugins_look_before_a_run_and_add_to_it(sqlite_url):
    """They are told of which database, with its state and what came of it, and share its transaction."""
    plugins = PluginManager()
    plugins.register(plugin := Seeding(), "seeding")
    with runtime(sqlite_url, plugins=plugins) as made:
        made.manager().sync()

    assert plugin.before == ("default", sqlite_url, [], DatabaseStatus.NO_INFO)
    assert plugin.after == ("default", [SyncResult.CREATED])
    assert rows(sqlite_url, "SELECT name FROM author") == [("Ada",)]


def test_a_type_that_is_there_already(project, postgres_url):
    """Another app has made it, or a run long ago: it is used."""
    execute(postgres_url, "CREATE TYPE mood AS ENUM ('good')")
    column = 'mood: Mapped[str] = mapped_column(Enum("good", name="mood"))'
    project.write_app("shop", f"from sqlalchemy import Enum\n{MODELS}    {column}\n", REVERSIBLE)
    with runtime(postgres_url) as made:
        assert made.manager().sync() is SyncResult.CREATED


def test_a_foreign_key_to_a_table_of_nobody(project, sqlite_url):
    """The app is named, and nothing is left of it."""
    models = MODELS.replace('ForeignKey("author.id"', 'ForeignKey("writer.id"')
    project.write_app("shop", models, REVERSIBLE)
    with runtime(sqlite_url) as made, pytest.raises(AppError, match=r"^app 'shop': .*'writer'"):
        made.manager().create()

    assert tables(sqlite_url) == set()


@pytest.mark.parametrize("action", ["create", "upgrade", "downgrade", "sync"])
def test_a_run_that_has_lost_its_lock_is_undone(shop, postgres_url, action):
    """Also when that comes to light at its end: another run may have begun meanwhile."""
    if action != "create":
        with runtime(postgres_url) as made:
            made.manager().upgrade("r2")
    lost = f'op.execute("{LOSE}")'
    models, revisions, target = {
        "create": (MODELS + LOSING_MODELS, {}, []),
        "upgrade": (MODELS, {"r3.py": revision_text("r3", lost, "r2")}, ["r3"]),
        "downgrade": (MODELS, {"r2.py": revision_text("r2", "pass", "r1", downgrade=lost)}, ["r1"]),
        "sync": (MODELS, {"r3.py": revision_text("r3", lost, "r2")}, []),
    }[action]
    shop.forget()
    shop.write_app("shop", models, revisions)
    before = snapshot(postgres_url)

    with runtime(postgres_url) as made, pytest.raises(DatabaseFailure, match="connection that holds the lock is lost"):
        getattr(made.manager().migrations, action)(*target)

    assert snapshot(postgres_url) == before
