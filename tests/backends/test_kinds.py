"""``sqlhelpers.backends``: a kind of database that nobody has described, and one that a plugin brings."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from alembic.ddl.sqlite import SQLiteImpl
from databases import tables
from projects import revision_text
from sqlalchemy import text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from sqlhelpers import Runtime, Settings, SyncResult, hookimpl
from sqlhelpers.backends.sqlite import SQLite
from sqlhelpers.discovery import PluginManager
from sqlhelpers.exceptions import ConfigurationError


class FileDialect(SQLiteDialect_pysqlite):
    """SQLite under another name: a kind that sqlhelpers does not know."""

    name = "filedb"
    supports_statement_cache = True


class FileImpl(SQLiteImpl):
    __dialect__ = "filedb"


class FileBackend(SQLite):
    """Describes it, and notes when its lock is held."""

    names = ("filedb",)

    def __init__(self):
        self.locked = []

    @contextmanager
    def lock(self, engine, seconds):
        with super().lock(engine, seconds) as lock:
            self.locked.append(engine.url.database)
            yield lock


registry.register("filedb", __name__, "FileDialect")
registry.register("filedb.pysqlite", __name__, "FileDialect")


@pytest.fixture
def runtime_with(project, tmp_path):
    """Makes a runtime whose database is of that kind, with an app that has one revision."""
    revision = revision_text("r1", upgrade='op.create_table("book", sa.Column("id", sa.Integer, primary_key=True))')
    project.write_app("shop", "", {"r1.py": revision})

    def make(*backends):
        plugins = PluginManager()
        if backends:
            plugins.register(SimpleNamespace(sqlhelpers_register_backend=hookimpl(lambda: backends)), "filedb")
        settings = Settings(
            databases={"default": f"filedb:///{tmp_path}/x.db"},
            apps={"shop": {"package": "shop"}},
            enable_apps=["shop"],
        )
        return Runtime(settings, plugin_manager=plugins)

    return make


def test_a_kind_that_nobody_has_described_is_not_changed(runtime_with, tmp_path):
    """Sessions work; whatever would change the schema names the database, the kind and the hook, before any write."""
    with runtime_with() as runtime:
        manager = runtime.manager()
        with manager.session() as session:
            session.execute(text("CREATE TABLE mine (id integer)"))
        for change in (runtime.run_sync, manager.create, manager.upgrade, manager.sync, manager.drop):
            with pytest.raises(ConfigurationError, match=r"'default' .*'filedb'.*sqlhelpers_register_backend"):
                change()

    assert tables(f"sqlite:///{tmp_path}/x.db") == {"mine"}


def test_a_plugin_describes_a_kind(runtime_with, tmp_path):
    """Its lock is held while the database is changed."""
    backend = FileBackend()
    with runtime_with(backend) as runtime:
        assert runtime.run_sync()[0].result is SyncResult.CREATED
        assert runtime.run_sync()[0].result is SyncResult.ALREADY_UP_TO_DATE

    assert backend.locked == [f"{tmp_path}/x.db"]
    assert "book" in tables(f"sqlite:///{tmp_path}/x.db")
