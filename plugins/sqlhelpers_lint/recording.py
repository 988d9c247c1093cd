"""Lets a revision run without a database, and keeps what it does: operations, SQL, and the lines that they stand in."""

from __future__ import annotations

import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from alembic.operations import Operations
from sqlalchemy import TextClause, text
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import CompileError

from sqlhelpers_lint.sqltext import statements_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.operations.ops import MigrateOperation
    from alembic.runtime.migration import MigrationContext


@dataclass(frozen=True)
class Step:
    """One thing that a revision does.

    Attributes:
        line: the line in the revision file.
        operation: Alembic's operation; None for SQL that was given to the connection.
        in_transaction: whether a transaction is open.
        sql: the statements that it comes to; none where that takes a database to know.
    """

    line: int
    operation: MigrateOperation | None
    in_transaction: bool
    sql: list[str] = field(default_factory=list)


@dataclass
class Recording:
    """What a revision does.

    Attributes:
        steps: in their order.
        script: the whole SQL, in pieces, each with the step that it is of; None for BEGIN and COMMIT.
        queries: the lines that ask the database something.
        failure: the line that could not be run, and why.
    """

    steps: list[Step] = field(default_factory=list)
    script: list[tuple[str, Step | None]] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    failure: tuple[int, str] | None = None


def record(context: MigrationContext, path: str, function: Callable[[], Any]) -> Recording:
    """Return what ``upgrade()`` or ``downgrade()`` of a revision does.

    Queries are answered with no rows, so that what comes after them is seen as well.

    Args:
        context: Alembic's, which writes SQL and runs none.
        path: the revision file.
        function: one of its functions.
    """
    recorder = _Recorder(context, path)
    kept = context.connection, context.impl.output_buffer
    context.connection = context.impl.connection = _NoDatabase(context, recorder)  # type: ignore[assignment]
    context.impl.output_buffer = recorder  # type: ignore[assignment]  # all that Alembic uses of a file
    try:
        with Operations.context(context) as operations:
            recorder.watch(operations)
            function()
    except (Exception, SystemExit) as error:
        frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == path]
        line = (frames[-1].lineno if frames else None) or 1
        recorder.recording.failure = line, " ".join(f"{type(error).__name__}: {error}".split())
    finally:
        context.connection, context.impl.output_buffer = kept
        context.impl.connection = kept[0]
    recorder.end()
    return recorder.recording


class _Recorder:
    """Takes the place of Alembic's output, and is told of each operation."""

    def __init__(self, context: MigrationContext, path: str) -> None:
        self.recording = Recording()
        self._path = path
        self._step: Step | None = None
        self._is_transactional = self._in_transaction = bool(context.impl.transactional_ddl)
        if self._is_transactional:
            self.recording.script.append(("BEGIN;", None))

    def watch(self, operations: Operations) -> None:
        """Be told of what is done with Alembic's ``op``."""
        batch = operations.batch_alter_table
        vars(operations)["invoke"] = partial(self._invoke, operations.invoke)
        vars(operations)["batch_alter_table"] = partial(self._batch, batch)

    def _invoke(self, invoke: Callable[[MigrateOperation], Any], operation: MigrateOperation) -> Any:
        step = Step(self.line(), operation, self._in_transaction)
        self.recording.steps.append(step)
        before, self._step = self._step, step
        try:
            return invoke(operation)
        finally:
            self._step = before

    @contextmanager
    def _batch(self, batch_alter_table: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
        before, rest = self._step, Step(self.line(), None, self._in_transaction)
        with batch_alter_table(*arguments, **options) as batch:
            impl: Any = batch.impl
            impl.batch = entries = _Entries(self, rest)
            vars(batch)["invoke"] = partial(self._invoke, batch.invoke)
            yield batch
            if impl.copy_from is None and impl._should_recreate():  # the table has to be looked at: no SQL
                entries.clear()
                impl.recreate = "never"
        self._step = before

    def line(self) -> int:
        """Return the line of the revision file that runs now."""
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code.co_filename != self._path:
            frame = frame.f_back
        return frame.f_lineno if frame.f_code.co_filename == self._path else 1

    @property
    def step(self) -> Step | None:
        """The step whose SQL comes next."""
        return self._step

    @step.setter
    def step(self, step: Step | None) -> None:
        self._step = step

    def write(self, sql: str) -> None:
        """Take a statement, as the output that Alembic writes to."""
        sql = sql.strip()
        if sql in ("BEGIN;", "COMMIT;"):
            self._in_transaction = sql == "BEGIN;"
            self.recording.script.append((sql, None))
            return
        step = self._step
        if step is None:
            step = Step(self.line(), None, self._in_transaction)
            self.recording.steps.append(step)
        step.sql.append(sql)
        self.recording.script.append((sql, step))

    def flush(self) -> None:
        """Do nothing: all is kept."""

    def ask(self) -> None:
        """Remember that the database is asked something."""
        self.recording.queries.append(self.line())

    def end(self) -> None:
        """Close the transaction."""
        if self._is_transactional:
            self.recording.script.append(("COMMIT;", None))


class _Entries(list[Any]):
    """What a batch has to do at its end; it tells the recorder whose SQL comes, entry by entry."""

    def __init__(self, recorder: _Recorder, rest: Step) -> None:
        super().__init__()
        self._recorder = recorder
        self._rest = rest
        self._steps: list[Step | None] = []

    def append(self, entry: Any) -> None:
        super().append(entry)
        self._steps.append(self._recorder.step)

    def __iter__(self) -> Iterator[Any]:
        for position, step in enumerate(self._steps[: len(self)]):
            self._recorder.step = step
            yield self[position]
        self._recorder.step = self._rest  # a table that is rebuilt is dropped and renamed, which no rule is about


class _NoDatabase(MockConnection):
    """A connection that writes what changes something, and answers queries with no rows."""

    def __init__(self, context: MigrationContext, recorder: _Recorder) -> None:
        super().__init__(context.dialect, self.execute)
        self._context = context
        self._recorder = recorder

    def execute(self, obj: Any, parameters: Any = None, execution_options: Any = None) -> Any:  # noqa: ARG002
        """Do as a connection does."""
        statement = text(obj) if isinstance(obj, str) else obj
        if _returns_rows(statement, self._context):
            self._recorder.ask()
        else:
            self._write(statement)
        return _Nothing(self._recorder)

    def _write(self, statement: Any) -> None:
        try:
            self._context.execute(statement)
        except CompileError:  # its values are in the parameters, and of no interest
            self._recorder.write(f"{statement.compile(dialect=self._context.dialect)};")

    exec_driver_sql = execute

    def scalar(self, *arguments: Any, **options: Any) -> Any:
        """Do as a connection does."""
        return self.execute(*arguments, **options).scalar()

    def scalars(self, *arguments: Any, **options: Any) -> Any:
        """Do as a connection does."""
        return self.execute(*arguments, **options).scalars()


class _Nothing(IteratorResult[Any]):
    """A result without rows."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__(SimpleResultMetaData(["nothing"]), iter(()))
        self._recorder = recorder

    @property
    def rowcount(self) -> int:
        """How many rows were changed, which only a database knows."""
        self._recorder.ask()
        return 0


_ASKS = r"(SELECT|SHOW|PRAGMA|VALUES|EXPLAIN)\b|WITH\b(?!.*\b(INSERT|UPDATE|DELETE)\b)|.*\bRETURNING\b"


def _returns_rows(statement: Any, context: MigrationContext) -> bool:
    if getattr(statement, "is_select", False):
        return True
    if isinstance(statement, TextClause):
        return any(re.match(_ASKS, each, re.IGNORECASE) for each in statements_in(statement.text, context.dialect.name))
    return bool(getattr(statement, "_returning", ()))
