"""Revisions as SQL, without a connection and without a secret."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import AppError, MigrationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

    from alembic.runtime.migration import MigrationContext, RevisionStep

    from sqlhelpers.histories import History

    #: Given where an empty database is, and Alembic's context, returns the steps to take. It may do all by itself.
    Work = Callable[[Any, MigrationContext], Iterable[RevisionStep]]


def revisions_as_sql(history: History, dialect: str) -> str:
    """Return what all revisions of an app do to an empty database, the record of its position included.

    Args:
        history: the app.
        dialect: SQLAlchemy's name of the dialect.

    Raises:
        MigrationFailed: a revision needs a connection.
        AppError: the app has no migrations.
    """
    if history.revisions is None:
        raise AppError(f"app {history.app!r} has no migrations")
    script, written, running = history.revisions.script, StringIO(), ""

    def steps(heads: object, _: object) -> Iterator[RevisionStep]:
        nonlocal running
        for step in script._upgrade_revs("heads", heads):  # type: ignore[arg-type]  # several are taken as well
            running = step.revision.revision
            yield step

    try:
        work_offline(history, dialect, steps, written)
    except (Exception, SystemExit) as error:
        reason = f"this revision cannot be told without a database: {type(error).__name__}: {error}"
        path = history.revisions.path(running) if running else str(history.revisions.folder)
        raise MigrationFailed(history.app, running or "-", path, reason) from error
    return written.getvalue()


def work_offline(history: History, dialect: str, work: Work, written: TextIO) -> None:
    """Let ``work`` use a context of Alembic's that writes SQL and runs none: that of ``env.py``, if the folder has one.

    Alembic's ``op`` belongs to the whole process: call this within ``locks.alembic_alone``.

    Args:
        history: the app, which has migrations.
        dialect: SQLAlchemy's name of the dialect.
        work: called within a transaction, as the dialect has it.
        written: gets the SQL.
    """
    from alembic.runtime.environment import EnvironmentContext

    from sqlhelpers.scripts import alembic_config

    assert history.revisions
    script, config = history.revisions.script, alembic_config(history.revisions.folder)
    config.set_main_option("sqlalchemy.url", f"{dialect}://")
    options: dict[str, Any] = {
        "dialect_name": dialect,
        "dialect_opts": {"paramstyle": "named"},
        "output_buffer": written,
    }
    with EnvironmentContext(config, script, fn=work, as_sql=True, literal_binds=True, **options) as environment:
        if history.revisions.has_environment:
            script.run_env()
        else:
            environment.configure(literal_binds=True, **history.options(), **options)
            with environment.begin_transaction():
                environment.run_migrations()
