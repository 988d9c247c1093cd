"""A run that finds a database up to date takes no lock; where it cannot be sure, it takes one, and looks again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from databases import MODELS, REVISIONS, execute, runtime, sync
from projects import revision_text

from sqlhelpers import SyncResult, hookimpl
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import LockTimeout, StateRefused
from sqlhelpers.migrations.running.sync import sync_database


@pytest.fixture(autouse=True)
def shop(project):
    """The app of these tests."""
    project.write_app("shop", MODELS, REVISIONS)
    return project


@pytest.fixture
def locks(monkeypatch):
    """What was done under a lock: the name of each function."""
    from sqlhelpers.managers.database import Database

    done = []
    change = Database.change

    def counted(self, engine, progress, work, *arguments, **options):
        done.append(work.__name__)
        return change(self, engine, progress, work, *arguments, **options)

    monkeypatch.setattr(Database, "change", counted)
    return done


def test_a_second_run_takes_no_lock(url, kind, locks):
    """The first one does; both report in the same words, and the second as one under the lock would."""
    created, found = sync(kind, url), sync(kind, url)

    assert locks == ["sync_database"]
    assert created.result is SyncResult.CREATED
    assert found.result is SyncResult.ALREADY_UP_TO_DATE
    with runtime(url) as made:
        histories = made.database().checked_histories()
        assert made.database().change(made.manager().engine, None, sync_database, histories) == found


@pytest.mark.parametrize("hook", ["before_sync", "after_sync"])
def test_plugins_that_take_part_are_asked_under_the_lock(sqlite_url, locks, hook):
    """They may refuse, or have something to do, whatever the state is."""
    asked = []

    def ask(bind):
        asked.append(bind)

    plugins = PluginManager()
    plugins.register(SimpleNamespace(**{f"sqlhelpers_{hook}": hookimpl(ask)}), "mine")
    for _ in range(2):
        sync("sync", sqlite_url, plugins=plugins)

    assert asked == ["default", "default"]
    assert locks == ["sync_database"] * 2


def test_doubts_are_told_of_under_the_lock(url, locks, shop):
    """A file that was edited is a note, or a refusal; so are positions that the code does not know."""
    settings = {"sqlalchemy": {"url": url}, "alembic": {"strict": True}}
    apps = {"shop": {"package": "shop", "bootstrap": "migrations"}}
    sync("sync", url, apps=apps)
    shop.write("shop/migrations/versions/r2.py", revision_text("r2", "pass", "r1"))
    edited = sync("sync", url, apps=apps)
    with pytest.raises(StateRefused, match="edited after it ran"), runtime({"default": settings}, apps=apps) as made:
        made.run_sync()
    execute(url, "UPDATE alembic_version_shop SET version_num = 'r9'")
    with pytest.raises(StateRefused, match="r9"):
        sync("sync", url, apps=apps)

    assert edited.apps[0].edited == ("r2",)
    assert locks == ["sync_database"] * 3


def test_no_database_is_taken_for_up_to_date_if_nobody_lives_there(sqlite_url, locks):
    """A run without apps does what it always did."""
    sync("sync", sqlite_url, apps={})
    sync("sync", sqlite_url, apps={})

    assert locks == ["sync_database"] * 2


def test_tables_without_revisions_are_looked_at_again_where_ddl_is_not_undone(mariadb_url, postgres_url, locks):
    """On MariaDB, another run may be about to make the indexes of tables that are all there."""
    for url in (mariadb_url, postgres_url):
        for _ in range(2):
            sync("sync", url, apps={"shop": {"package": "shop", "migrations": False}})

    assert locks == ["sync_database"] * 3


def test_a_run_in_a_run_looks_at_nothing(shop):
    """It gets its error, and the outer run of a database in memory, whose connection it would share, can go on."""
    shop.write("shop/migrations/versions/r4.py", revision_text("r4", "from shop import outer\nouter.sync()", "r3"))
    sync_again = "    try:\n        manager.sync()\n    except Exception as error:\n        errors.append(error)\n"
    shop.write("shop/outer.py", f"errors = []\n\n\ndef sync():\n{sync_again}")
    with runtime("sqlite://", apps={"shop": {"package": "shop", "bootstrap": "migrations"}}) as made:
        from shop import outer

        outer.manager = made.manager()

        assert outer.manager.sync() is SyncResult.CREATED
        assert isinstance(outer.errors[0], LockTimeout)
        assert outer.manager.sync() is SyncResult.ALREADY_UP_TO_DATE


def test_a_writer_on_sqlite_is_not_waited_for(sqlite_url, kind, locks):
    """Nothing is to be written, so the lock of another writer does not matter."""
    sync(kind, sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO author VALUES (1, 'Austen')")

        assert sync(kind, sqlite_url).result is SyncResult.ALREADY_UP_TO_DATE
    assert locks == ["sync_database"]


def test_a_file_that_cannot_be_read_just_now_is_waited_for_as_ever(sqlite_url, locks):
    """A writer that keeps readers out is waited for as long as ``lock_timeout`` says, not ``command_timeout``."""
    sync("sync", sqlite_url)
    execute(sqlite_url, "PRAGMA journal_mode = delete")
    settings = {"sqlalchemy": {"url": sqlite_url}, "lock_timeout": 0.1}
    with runtime({"default": settings}) as made:
        made.status()  # the manager is connected
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            with pytest.raises(LockTimeout, match="lock_timeout"):
                made.manager().sync()

    assert locks == ["sync_database"] * 2


def test_a_run_of_which_a_file_tells_is_waited_for(sqlite_url, locks):
    """The lock file of SQLite names its holder; of one that was killed as well, which costs the next run the lock."""
    sync("sync", sqlite_url)
    lock = Path(f"{sqlite_url.removeprefix('sqlite:///')}-lock")
    lock.write_text("somebody")
    sync("sync", sqlite_url)
    sync("sync", sqlite_url)
    lock.unlink()
    sync("sync", sqlite_url)

    assert locks == ["sync_database"] * 2
    assert not lock.exists()
