"""What the tests with real wheels share: sources of apps and plugins, and a project to try them in."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from projects import revision_text
from wheels import Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from projects import Finished
    from wheels import Environment

HEALTHY = Source(
    "healthy",
    {
        "healthy/__init__.py": "",
        "healthy/models.py": (
            "from sqlalchemy.orm import Mapped, mapped_column\n"
            "from sqlhelpers import Base\n\n\n"
            "class Apple(Base):\n"
            "    __tablename__ = 'apple'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        ),
        "healthy/migrations/versions/a1_first.py": revision_text("a1", "op.create_table('apple', sa.Column('id'))"),
    },
    {"sqlhelpers.apps": {"healthy": "healthy"}},
)


@dataclass(frozen=True)
class Site:
    """A project folder, the environment that serves it, and its SQLite database."""

    environment: Environment
    folder: Path

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.folder / "x.db"

    @property
    def leftovers(self) -> list[str]:
        """The names of all files that belong to the database."""
        return sorted(path.name for path in self.folder.glob("x.db*"))

    def sqlhelpers(self, *arguments: str, **env: str) -> Finished:
        """Run the installed ``sqlhelpers``."""
        variables = {"SQLHELPERS_DATABASES__DEFAULT": "sqlite:///x.db", **env}
        return self.environment.run("sqlhelpers", *arguments, cwd=self.folder, env=variables)

    def sync_and_list(self, *options: str, **env: str) -> tuple[Finished, Finished]:
        """Run ``run-sync``, and ``plugins`` with options, at the same time."""
        with ThreadPoolExecutor() as pool:
            synced = pool.submit(self.sqlhelpers, "run-sync", **env)
            listed = pool.submit(self.sqlhelpers, "plugins", *options, **env)
        return synced.result(), listed.result()

    def python(self, code: str) -> Finished:
        """Run Python code."""
        return self.environment.run("python", "-c", code, cwd=self.folder)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Run a statement in the database, and return its rows."""
        connection = sqlite3.connect(self.database)
        try:
            with connection:
                return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def dump(self) -> list[str]:
        """Return the schema and the rows of the database."""
        connection = sqlite3.connect(self.database)
        try:
            return list(connection.iterdump())
        finally:
            connection.close()


def plugin(code: str, group: str = "sqlhelpers.plugins", value: str = "shop_module") -> Source:
    """Return a distribution whose names are all different, so that a message shows which of them it has."""
    return Source("broken-dist", {"shop_module/__init__.py": code}, {group: {"shop": value}})


def app(
    name: str,
    models: str = "",
    code: str = "",
    files: Mapping[str, str] | None = None,
    exclude: tuple[str, ...] = (),
) -> Source:
    """Return a distribution ``NAME-dist`` with an app ``NAME``, its package ``NAME_package`` and one revision."""
    package = f"{name}_package"
    conventional = {
        f"{package}/__init__.py": code,
        f"{package}/models.py": models,
        f"{package}/migrations/versions/{name}1_first.py": revision_text(f"{name}1"),
    }
    value = f"{package}:app" if code else package
    return Source(f"{name}-dist", {**conventional, **(files or {})}, {"sqlhelpers.apps": {name: value}}, exclude)


def assert_refused(finished: Finished, *words: str, status: int = 2) -> None:
    """Check that a command ended with one line that says all ``words``, and without a traceback."""
    assert finished.status == status, finished
    assert "Traceback" not in finished.output
    assert len(finished.errors) == 1, finished.stderr
    for word in words:
        assert word in finished.errors[0]
