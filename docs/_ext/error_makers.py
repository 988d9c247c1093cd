"""What raises each error, for ``error_samples``: most of it is a command in a project that is written for it.

Every function is called in an empty folder, which is the working directory, and on the import path.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psycopg
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from sqlhelpers import Runtime, cli, exceptions, paginate_by_key
from sqlhelpers.backends import suspect_pooler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlhelpers.exceptions import SqlhelpersError

_URL = "sqlite:///shop.db"
_AWAY = "postgresql://shop:secret@127.0.0.1:1/{name}"  # a port at which nobody listens
_PROJECT = """
[tool.sqlhelpers]
disable_plugins = ["countries", "bookshop"]
[tool.sqlhelpers.databases]
default = "sqlite:///shop.db"
[tool.sqlhelpers.apps.shop]
package = "shop"
"""
_MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlhelpers import ModelQueries
class Base(DeclarativeBase, ModelQueries): pass
class Book(Base):
    __tablename__ = "books"
    isbn: Mapped[str] = mapped_column(primary_key=True)
"""
_REVISION = """
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = {before!r}
def upgrade():
    {upgrade}
"""
_BOOKS = 'op.create_table("books", sa.Column("isbn", sa.String(), nullable=False), sa.PrimaryKeyConstraint("isbn"))'


def command(*words: str) -> None:
    """Run ``sqlhelpers``, in this process."""
    cli.cli.main([*words], standalone_mode=False)


def write(files: Mapping[str, str]) -> None:
    """Write files into the working directory."""
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, "utf-8")


def shop(settings: str = "", models: str = _MODELS, **upgrades: str) -> None:
    """Write a project with an app, and a revision for each of ``upgrades``, one after the other."""
    write({"pyproject.toml": _PROJECT + settings, "shop/__init__.py": "", "shop/models.py": models})
    before = None
    for revision, upgrade in upgrades.items():
        text = _REVISION.format(revision=revision, before=before, upgrade=upgrade)
        write({f"shop/migrations/versions/{revision}.py": text})
        before = revision


def plugin(name: str, text: str, group: str = "plugins") -> None:
    """Write an installed distribution with one plugin."""
    write(
        {
            f"{name}.py": text,
            f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{name}-1.0.dist-info/entry_points.txt": f"[sqlhelpers.{group}]\n{name} = {name}\n",
        }
    )


def a_program_that_fails() -> None:
    """Draw with a ``dot`` that cannot."""
    shop(r1=_BOOKS)
    write({"bin/dot": "#!/bin/sh\necho 'Error: out of memory' >&2\nexit 1\n"})
    Path("bin/dot").chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{Path('bin').resolve()}:{path}"
    try:
        command("diagram", "--format", "svg")
    finally:
        os.environ["PATH"] = path


def a_database_without_a_client() -> None:
    """Open the client of a database in memory."""
    write({"pyproject.toml": _PROJECT.replace("///shop.db", "//")})
    command("dbshell")


def a_misspelt_setting() -> None:
    """Misspell an option of the engine."""
    write({"pyproject.toml": f'[tool.sqlhelpers.databases.default.sqlalchemy]\nurl = "{_URL}"\npol_size = 5\n'})
    command("run-sync")


def a_misspelt_driver() -> None:
    """Misspell the driver in a URL."""
    write({"pyproject.toml": '[tool.sqlhelpers.databases]\ndefault = "postgresql+pyscopg://db/shop"\n'})
    command("status")


def a_bind_that_is_not_there() -> None:
    """Misspell a database."""
    shop(r1=_BOOKS)
    command("status", "-d", "defualt")


def a_driver_that_is_missing() -> None:
    """Use PostgreSQL where none of its drivers is installed."""
    write({"pyproject.toml": '[tool.sqlhelpers.databases]\ndefault = "postgresql://db/shop"\n'})
    with patch("sqlhelpers.backends.base.find_spec", return_value=None):
        command("status")


def a_plugin_that_cannot_be_imported() -> None:
    """Install a plugin without what it needs."""
    shop(r1=_BOOKS)
    plugin("shop_seeds", "import polars_of_ours\n")
    command("run-sync")


def a_misspelt_hook() -> None:
    """Misspell a hook."""
    shop(r1=_BOOKS)
    plugin("shop_seeds", "import sqlhelpers\n@sqlhelpers.hookimpl\ndef sqlhelpers_after_synch(): pass\n")
    command("run-sync")


def a_hook_that_raises() -> None:
    """Let a hook fail."""
    shop(r1=_BOOKS)
    text = (
        "import sqlhelpers\n@sqlhelpers.hookimpl\ndef sqlhelpers_resolve_url(): raise OSError('the vault is sealed')\n"
    )
    plugin("shop_vault", text)
    command("run-sync")


def a_framework_without_an_adapter() -> None:
    """Attach to what nobody knows."""
    write({"pyproject.toml": _PROJECT, "bottle.py": "class Bottle: pass\n"})
    Runtime().attach(importlib.import_module("bottle").Bottle())


def a_table_of_two_apps() -> None:
    """Define a table twice."""
    shop('[tool.sqlhelpers.apps.archive]\npackage = "archive"\nmigrations = false\n', r1=_BOOKS)
    write({"archive.py": _MODELS})
    command("run-sync")


def an_app_without_revisions() -> None:
    """Leave the migrations folder out."""
    shop()
    command("run-sync")


def a_query_without_a_session() -> None:
    """Ask a model outside of any session."""
    shop()
    importlib.import_module("shop.models").Book.get_one(isbn="9780141439587")


def several_faults() -> None:
    """Have a plugin and an app that are wrong."""
    shop()
    plugin("shop_seeds", "import polars_of_ours\n")
    command("run-sync")


def a_server_that_is_away() -> None:
    """Connect to a port at which nobody listens."""
    write({"pyproject.toml": f'[tool.sqlhelpers.databases]\ndefault = "{_AWAY.format(name="shop")}"\n'})
    command("status")


def a_revision_that_fails() -> None:
    """Drop what is not there."""
    shop(r1=_BOOKS, r2='op.drop_table("magazines")')
    command("upgrade", "shop", "r2")


def a_pooler_that_was_not_set() -> None:
    """Lose a prepared statement, with the words of the server; tests/faults/test_poolers.py does so with PgBouncer."""
    lost = psycopg.errors.InvalidSqlStatementName('prepared statement "_pg3_0" does not exist')
    context: Any = SimpleNamespace(original_exception=lost)  # as much of it as is asked for
    error = suspect_pooler("default", context)
    if error:
        raise error


def two_servers_that_are_away() -> None:
    """Connect to two databases, neither of which is there."""
    urls = "".join(f'{name} = "{_AWAY.format(name=name)}"\n' for name in ("default", "reports"))
    write({"pyproject.toml": f"[tool.sqlhelpers.databases]\n{urls}"})
    command("run-sync")


def a_name_that_is_taken() -> None:
    """Give a revision the name of another."""
    shop(r1=_BOOKS)
    command("revision", "shop", "-m", "again", "--empty", "--rev-id", "r1")


def two_heads() -> None:
    """Have two revisions that follow none."""
    shop(r1=_BOOKS)
    write({"shop/migrations/versions/r2.py": _REVISION.format(revision="r2", before=None, upgrade="pass")})
    command("run-sync")


def no_change() -> None:
    """Ask for a revision where the tables are as the models say."""
    shop(r1=_BOOKS)
    command("-q", "run-sync")
    command("revision", "shop", "-m", "nothing")


def tables_without_a_revision() -> None:
    """Have the tables already."""
    shop(r1=_BOOKS)
    engine = create_engine(_URL)
    importlib.import_module("shop.models").Base.metadata.create_all(engine)
    engine.dispose()
    command("run-sync")


def a_cursor_that_was_made_up() -> None:
    """Take a cursor from a client that changed it."""
    shop()
    book = importlib.import_module("shop.models").Book
    with Session(create_engine("sqlite://")) as session:
        paginate_by_key(session, select(book), cursor="bm9uc2Vuc2U", secret=book.__name__)


def a_lock_that_is_held() -> None:
    """Begin a run while another is at work."""
    shop(r1="__import__('shop.second')")
    second = (
        "import os, subprocess, sys\n"
        'env = {**os.environ, "SQLHELPERS_DATABASES__DEFAULT__LOCK_TIMEOUT": "0.1"}\n'
        'with open("said", "w") as said:\n'
        '    subprocess.run([sys.executable, "-m", "sqlhelpers", "run-sync"], stderr=said, env=env)\n'
    )
    write({"shop/second.py": second})
    command("-q", "upgrade", "shop", "r1")
    (line,) = (line for line in Path("said").read_text("utf-8").splitlines() if line.startswith("error: "))
    raise exceptions.LockTimeout(line.removeprefix("error: "))


#: What raises it, for each error that is raised.
MAKERS: dict[type[SqlhelpersError], Callable[[], object]] = {
    exceptions.SqlhelpersError: a_program_that_fails,
    exceptions.ConfigurationError: a_database_without_a_client,
    exceptions.SettingsError: a_misspelt_setting,
    exceptions.InvalidURL: a_misspelt_driver,
    exceptions.UnknownBind: a_bind_that_is_not_there,
    exceptions.DriverNotInstalled: a_driver_that_is_missing,
    exceptions.PluginLoadError: a_plugin_that_cannot_be_imported,
    exceptions.InvalidHook: a_misspelt_hook,
    exceptions.HookFailed: a_hook_that_raises,
    exceptions.AdapterNotInstalled: a_framework_without_an_adapter,
    exceptions.AppError: a_table_of_two_apps,
    exceptions.MigrationsNotFound: an_app_without_revisions,
    exceptions.NoSession: a_query_without_a_session,
    exceptions.DiscoveryError: several_faults,
    exceptions.DatabaseFailure: a_server_that_is_away,
    exceptions.MigrationFailed: a_revision_that_fails,
    exceptions.PoolerNotSet: a_pooler_that_was_not_set,
    exceptions.SeveralFailures: two_servers_that_are_away,
    exceptions.Refused: a_name_that_is_taken,
    exceptions.MultipleHeads: two_heads,
    exceptions.NothingToWrite: no_change,
    exceptions.StateRefused: tables_without_a_revision,
    exceptions.InvalidCursor: a_cursor_that_was_made_up,
    exceptions.LockTimeout: a_lock_that_is_held,
}
