"""``Look``: what one function of one revision does, and what the rules find in it."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from sqlalchemy.exc import NoSuchModuleError

from sqlhelpers.exceptions import AppError, ConfigurationError, SqlhelpersError
from sqlhelpers.migrations.running import alembic_alone, work_offline
from sqlhelpers_lint.names import is_same, qualified
from sqlhelpers_lint.operations import hits_of
from sqlhelpers_lint.recording import record
from sqlhelpers_lint.rules import RULES
from sqlhelpers_lint.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.engine import Dialect

    from sqlhelpers_lint.findings import Hit
    from sqlhelpers_lint.recording import Recording, Step
    from sqlhelpers_lint.selection import Selected


@dataclass(frozen=True)
class Look:
    """What one function of one revision does.

    Attributes:
        selected: the app and the database.
        revision: the revision.
        direction: the function: ``upgrade`` or ``downgrade``.
        path: the revision file.
        recording: what it does.
        hits: the lines where the rules find something, and what.
        created: the tables that it makes.
    """

    selected: Selected
    revision: str
    direction: str
    path: str
    recording: Recording
    hits: tuple[tuple[int, Hit], ...]
    created: tuple[str, ...]

    def is_of_new_table(self, step: Step) -> bool:
        """Tell whether a step is about a table that the revision itself has made."""
        table = getattr(step.operation, "table_name", None)
        if table is None:
            return False
        name = qualified(table, getattr(step.operation, "schema", None))
        return any(is_same(name, each) for each in self.created)


def look_at(selected: Selected, directions: Sequence[str], seconds: float) -> list[Look]:
    """Return what the functions of the selected revisions of an app do; nothing is connected to.

    Args:
        selected: the app and its revisions.
        directions: the functions: ``upgrade``, ``downgrade``.
        seconds: how long to wait for others who use Alembic in this process.

    Raises:
        AppError: a revision file cannot be imported, or the folder's ``env.py`` cannot be used.
    """
    looks: list[Look] = []
    revisions, has_looked = selected.history.revisions, False
    assert revisions

    def work(_: object, context: MigrationContext) -> tuple[()]:
        nonlocal has_looked
        has_looked = True
        for revision in selected.revisions:
            module, path = revisions.script.get_revision(revision).module, revisions.path(revision)
            for direction in directions:
                function = vars(module).get(direction)
                if function is not None:
                    recording = record(context, path, function)
                    hits, created = _judge(recording, context.dialect)
                    looks.append(Look(selected, revision, direction, path, recording, hits, created))
        return ()

    with alembic_alone(f"database {selected.bind!r}", seconds):
        try:
            work_offline(selected.history, selected.dialect, work, StringIO())
        except SqlhelpersError:
            raise
        except NoSuchModuleError as error:
            raise ConfigurationError(f"SQLAlchemy knows no dialect {selected.dialect!r}: {error}") from error
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise AppError(f"{revisions.script.env_py_location} cannot be used without a database: {reason}") from error
    if not has_looked:
        raise AppError(f"{revisions.script.env_py_location} does not run migrations where there is no database")
    return looks


def _judge(recording: Recording, dialect: Dialect) -> tuple[tuple[tuple[int, Hit], ...], tuple[str, ...]]:
    scope = Scope(dialect.name)
    found = [
        (step.line, hit)
        for step in recording.steps
        for hit in hits_of(step.operation, scope, dialect, step=step)
        if RULES[hit.rule].applies_to(dialect.name) and not scope.has_made(hit)
    ]
    return tuple(each for each in found if not scope.has_settled(each[1])), tuple(scope.created)
