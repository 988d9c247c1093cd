"""A small shop whose revisions leave a trace of every time that they run, and revisions that do it harm."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import databases
from databases import AUTHOR, BOOK, TITLE, rows
from processes import until
from projects import revision_text

from sqlhelpers import Runtime, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processes import Child, Children
    from projects import Project

    from sqlhelpers.discovery.plugin_manager import PluginManager

#: How often the tests about concurrent runs repeat themselves: SQLHELPERS_ROUNDS=20 make test ARGS=tests/faults
ROUNDS = int(os.environ.get("SQLHELPERS_ROUNDS", "1"))

MODELS = f"""{databases.MODELS}

class Ran(Base):
    __tablename__ = "ran"
    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[str] = mapped_column(String(32))
"""

RAN = """op.create_table(
    "ran",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("revision", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_ran")),
)
"""

#: Tells that it is here, and waits to be told to go on.
WAIT = """import os, pathlib, time
pathlib.Path("at-{revision}").write_text(str(os.getpid()))
deadline = time.monotonic() + 60
while not pathlib.Path("go-{revision}").exists() and time.monotonic() < deadline:
    time.sleep(0.01)"""

#: Adds a column, so that something is half done, and waits.
WAITING = f"""op.add_column("author", sa.Column("{{revision}}", sa.Integer))
{WAIT}"""

#: Adds a column, tells that it is here, and keeps the server busy for half a minute.
BUSY = """import os, pathlib
op.add_column("author", sa.Column("{revision}", sa.Integer))
pathlib.Path("at-{revision}").write_text(str(os.getpid()))
op.execute("SELECT " + ("pg_sleep(30)" if op.get_bind().dialect.name == "postgresql" else "SLEEP(30)"))"""

#: Fails after it has changed the schema.
HALF_WAY = """op.add_column("author", sa.Column("{revision}", sa.Integer))
op.execute("UPDATE ran SET revision = 'lost'")
raise RuntimeError("half-way")"""

#: Drops the table ``author`` and renames a copy of it, which on SQLite would take the rows of ``book`` along.
REBUILD = """with op.batch_alter_table("author", recreate="always") as batch:
    batch.alter_column("name", existing_type=sa.String(50), type_=sa.String(60))"""

#: Waits for every transaction that could still see the table without the index.
CONCURRENT_INDEX = """with op.get_context().autocommit_block():
    op.create_index("ix_author_name", "author", ["name"], postgresql_concurrently=True)"""


#: Syncs with a manager of the kind that is the first argument, and prints what was done.
SYNC = """
import asyncio, sys
from sqlhelpers import Runtime, Settings


async def with_await():
    async with Runtime() as runtime:
        return await runtime.async_manager().sync()


def without():
    with Runtime() as runtime:
        return runtime.manager().sync()


print((asyncio.run(with_await()) if sys.argv[1] == "async" else without()).name)
"""

#: Runs ``sqlhelpers`` where no sync driver is installed: the async manager does the work.
ASYNC_ONLY = """
import sys
from importlib import util

find_spec = util.find_spec
util.find_spec = lambda name, *rest: None if name in ("psycopg", "pymysql", "sqlite3") else find_spec(name, *rest)
from sqlhelpers.cli import main

main(sys.argv[1:])
"""


#: Runs ``sqlhelpers``, and tells when it waits between two attempts to get a lock or a server.
TELLS_WHEN_IT_WAITS = """
import pathlib, sys, time
from sqlhelpers.cli import main

sleep = time.sleep


def tell(seconds):
    pathlib.Path("is-waiting").touch()
    sleep(seconds)


time.sleep = tell
main(sys.argv[1:])
"""


def _indented(body: str, depth: int) -> str:
    return "\n".join(" " * depth + line for line in body.splitlines())


#: More of the model module: it waits when the table ``author`` has been created.
WAIT_IN_CREATE = f"""
from sqlalchemy import event


@event.listens_for(Author.__table__, "after_create")
def wait(*_, **__):
{_indented(WAIT.replace("{revision}", "create"), 4)}
"""

#: Syncs with a plugin that adds a row after the sync, and waits.
WAIT_AFTER_SYNC = f"""
import sys
from sqlhelpers import Runtime, hookimpl
from sqlhelpers.discovery.plugin_manager import PluginManager


class Seeds:
    @hookimpl
    def sqlhelpers_after_sync(self, bind, connection, result):
        connection.exec_driver_sql("INSERT INTO ran (revision) VALUES ('seed')")
{_indented(WAIT.replace("{revision}", "seed"), 8)}


plugins = PluginManager()
plugins.register(Seeds(), "seeds")
with Runtime(plugin_manager=plugins) as runtime:
    runtime.run_sync()
"""


@dataclass
class Shop:
    """The app ``shop`` in the project of the test, ready for processes and for managers.

    Attributes:
        project: its folder.
        children: starts processes there.
        runtimes: every runtime that was made.
        url: the URL of its database, for tests whose fixtures choose it.
        pooler: what is in front of its database.
    """

    project: Project
    children: Children
    runtimes: list[Runtime] = field(default_factory=list)
    url: str = ""
    pooler: str | None = None

    def write(self) -> None:
        """Write the models and three revisions."""
        self.project.write_app("shop", MODELS)
        self.revision("r1", RAN + AUTHOR, after=None)
        self.revision("r2", BOOK)
        self.revision("r3", TITLE)

    def revision(
        self, name: str, body: str = "pass", after: str | None = "", head: str = "", *, leaves_trace: bool = True
    ) -> None:
        """Write a revision.

        Args:
            name: its identifier, a letter and a number.
            body: what it does; ``{revision}`` in it stands for its name.
            after: the revision before it; by default the number before.
            head: lines for the top of the file.
            leaves_trace: whether it inserts a row into ``ran``.
        """
        trace = f"op.execute(\"INSERT INTO ran (revision) VALUES ('{name}')\")"
        text = body.replace("{revision}", name) + (f"\n{trace}" if leaves_trace else "")
        before = f"{name[0]}{int(name[1:]) - 1}" if after == "" else after
        written = f"{head}\n{revision_text(name, text, before)}"
        self.project.write(f"shop/migrations/versions/{name}.py", written)

    def use(self, databases: str | Mapping[str, Any], *, bootstrap: str = "migrations", **options: Any) -> None:
        """Write ``pyproject.toml``.

        Args:
            databases: the URL of the default database, or the settings of all.
            bootstrap: how an empty database gets its tables.
            options: settings of the default database; ``sqlalchemy`` has more than the URL then.
        """
        if self.pooler:
            options.setdefault("pooler", self.pooler)
        if isinstance(databases, str):
            sqlalchemy = {"url": databases, **options.pop("sqlalchemy", {})}
            databases = {"default": {**options, "sqlalchemy": sqlalchemy}}
        apps = {"shop": {"package": "shop", "bootstrap": bootstrap}}
        settings = {"databases": databases, "apps": apps}
        lines = "".join(f"{name} = {_toml(value)}\n" for name, value in settings.items())
        self.project.write_pyproject(f"[tool.sqlhelpers]\n{lines}")

    def runtime(self, url: str | None = None, plugins: PluginManager | None = None) -> Runtime:
        """Return a new runtime with the settings of the project; who asks for it closes it.

        Args:
            url: another default database.
            plugins: the only plugins.
        """
        settings = Settings(databases={"default": {"sqlalchemy": {"url": url}}}) if url else None
        runtime = Runtime(settings, plugin_manager=plugins)
        self.runtimes.append(runtime)
        return runtime

    def upgrade(self, target: str, url: str | None = None) -> None:
        """Bring the default database, or the one of ``url``, to a revision, in this process."""
        with self.runtime(url) as runtime:
            runtime.manager().upgrade(target)

    def sync(self) -> None:
        """Bring the default database up to date, in this process."""
        with self.runtime() as runtime:
            runtime.manager().sync()

    def start(self, *arguments: str) -> Child:
        """Start ``sqlhelpers`` beside the test; ``run-sync`` if there are no arguments."""
        return self.children.sqlhelpers(*(arguments or ("run-sync",)))

    def start_at(self, revision: str, *arguments: str) -> Child:
        """Start ``sqlhelpers``, and return when it is in the middle of a revision that is ``WAITING``."""
        child = self.start(*arguments)
        self.wait_for(child, revision)
        return child

    def wait_for(self, child: Child, revision: str) -> None:
        """Return when a process is in the middle of a revision that is ``WAITING``."""
        marker = self.project.folder / f"at-{revision}"
        until(lambda: (marker.exists() and marker.read_text()) or not child.is_running, f"revision {revision} runs")
        assert marker.exists(), child.printed
        marker.unlink()

    def let_go(self, revision: str) -> None:
        """Let a revision that is ``WAITING`` go on, now and whenever it runs."""
        self.project.write(f"go-{revision}", "")


def ran(url: str) -> list[str]:
    """Return the revisions whose traces are in a database, sorted: one for each time that it ran."""
    return sorted(row[0] for row in rows(url, "SELECT revision FROM ran"))


def position(url: str) -> list[str]:
    """Return what the version table says."""
    return [row[0] for row in rows(url, "SELECT version_num FROM alembic_version_shop")]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
