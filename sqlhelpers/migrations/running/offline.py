"""Revisions as SQL, without a connection and without a secret."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from sqlhelpers.backends import built_in
from sqlhelpers.exceptions import MigrationFailed
from sqlhelpers.migrations.running.run import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TextIO

    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory

    from sqlhelpers.migrations.state import History

    #: Given where an empty database is, and Alembic's context, returns the steps to take. It may do all by itself.
    Work = Callable[[Any, MigrationContext], Iterable[RevisionStep]]


@dataclass(frozen=True, kw_only=True)
class Script:
    """What is to be told as SQL.

    Attributes:
        action: ``upgrade``, ``downgrade`` or ``stamp``.
        start: the revision that the database is at; ``base`` for an empty one.
        targets: the revision to go to; for a stamp there may be several.
        tag: what ``context.get_tag_argument()`` returns in revisions and in an ``env.py``.
        x: what ``context.get_x_argument()`` returns there.
    """

    action: str = "upgrade"
    start: str = "base"
    targets: tuple[str, ...] = ("heads",)
    tag: str | None = None
    x: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the script does, in a few words."""
        return f"{self.action} {self.start} -> {', '.join(self.targets)}"

    def steps(self, script: ScriptDirectory, heads: Any) -> Any:
        """Return the steps of Alembic that lead from ``heads`` to the targets."""
        if self.action == "stamp":
            return script._stamp_revs(self.targets, heads)
        find = script._upgrade_revs if self.action == "upgrade" else script._downgrade_revs
        return find(self.targets[0], heads)


def all_as_sql(bind: str, histories: Sequence[History], dialect: str, wanted: Script) -> str:
    """Return what revisions of several apps do to a database, each under a comment that says what it is.

    Raises:
        MultipleHeads: an app has several heads, and that is a mistake.
    """
    for history in histories:
        history.heads()  # raises before anything is told
    order = reversed(histories) if wanted.action == "downgrade" else histories
    place = f"-- database {bind} ({dialect}), app"
    return "".join(f"{place} {each.name}: {wanted.title}\n\n{as_sql(each, dialect, wanted)}" for each in order)


def as_sql(history: History, dialect: str, wanted: Script) -> str:
    """Return what revisions of an app do to a database, the record of its position included.

    On SQLite and PostgreSQL it is a transaction.

    Raises:
        MigrationFailed: a revision needs a connection.
        AppError: the app has no migrations, or no such revision.
    """
    revisions = history.require_revisions()
    with revisions.told(wanted.start, *wanted.targets):
        start = revisions.resolve(wanted.start)
        wanted.steps(revisions.script, start)
    running: list[str] = []
    try:
        return _written(history, dialect, wanted, start, running)
    except (Exception, SystemExit) as error:
        reason = f"this revision cannot be told without a database: {type(error).__name__}: {error}"
        path = revisions.path(running[-1]) if running else str(revisions.folder)
        raise MigrationFailed(history.app, running[-1] if running else "-", path, reason) from error


def _written(history: History, dialect: str, wanted: Script, start: tuple[str, ...], running: list[str]) -> str:
    script, written, version_table = history.require_revisions().script, StringIO(), ""
    backend = built_in(dialect)

    def steps(heads: Any, context: MigrationContext) -> Iterator[Any]:
        nonlocal version_table
        version_table = context.dialect.identifier_preparer.format_table(context._version)
        backend.prepare_offline(context.dialect)
        for step in wanted.steps(script, heads):
            running.extend([] if wanted.action == "stamp" else [step.revision.revision])
            yield step

    work_offline(history, dialect, steps, written, wanted.x, starting_rev=start or None, tag=wanted.tag)
    text = written.getvalue()
    if backend.has_if_not_exists:  # it stays when all is undone
        text = text.replace(f"CREATE TABLE {version_table} (", f"CREATE TABLE IF NOT EXISTS {version_table} (", 1)
    return text


def work_offline(
    history: History,
    dialect: str,
    work: Work,
    written: TextIO,
    x: Sequence[str] = (),
    **options: Any,
) -> None:
    """Let ``work`` use a context of Alembic's that writes SQL and runs none: that of ``env.py``, if the folder has one.

    Alembic's ``op`` belongs to the whole process: call this within ``locks.alembic_alone``.

    Args:
        history: the app, which has migrations.
        dialect: SQLAlchemy's name of the dialect.
        work: called within a transaction, as the dialect has it.
        written: gets the SQL.
        x: what ``context.get_x_argument()`` returns in revisions and in an ``env.py``.
        **options: more of what Alembic's ``configure`` takes.
    """
    from alembic.runtime.environment import EnvironmentContext

    from sqlhelpers.migrations.revisions import alembic_config

    revisions = history.require_revisions()
    script, config = revisions.script, alembic_config(revisions.folder, x)
    config.set_main_option("sqlalchemy.url", f"{dialect}://")
    given = history.options() | {
        "dialect_name": dialect,
        "dialect_opts": {"paramstyle": "named"},
        "output_buffer": written,
        **({"transactional_ddl": True} if built_in(dialect).undoes_ddl else {}),
        **options,
    }
    with EnvironmentContext(config, script, fn=work, as_sql=True, literal_binds=True, **given) as environment:
        if revisions.has_environment:
            with kept():
                script.run_env()
        else:
            environment.configure(literal_binds=True, **given)
            with environment.begin_transaction():
                environment.run_migrations()
