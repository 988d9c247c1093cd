"""Many statements of DDL on PostgreSQL, sent without waiting for each answer: psycopg's pipeline mode."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

_AT_ONCE = 50  # statements: what they take together is what the limit of one is held against


def in_pipeline(connection: Connection, work: Callable[[], object]) -> None:
    """Call ``work``, which executes DDL on a connection, and let it go ahead of the server's answers.

    Answers to anything but DDL are waited for, so that listeners of ``work`` can ask. The first error would be told
    of too late; so all is then undone, and done again without a pipeline, for the error to name its statement.

    Args:
        connection: a connection in a transaction.
        work: can be called again.
    """
    if not _can_pipeline(connection):
        work()
        return
    try:
        with connection.begin_nested(), _pipeline(connection):
            work()
    except DBAPIError:
        if connection.invalidated:
            raise
        work()


def _can_pipeline(connection: Connection) -> bool:
    if connection.dialect.name != "postgresql" or connection.dialect.driver != "psycopg" or connection.dialect.is_async:
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()


@contextmanager
def _pipeline(connection: Connection) -> Iterator[None]:
    number = 0

    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        nonlocal number
        if context.root_connection is not connection:
            return False
        cursor.execute(statement, parameters)
        number += 1
        if not context.isddl or number % _AT_ONCE == 0:
            pipeline.sync()
        return True

    def execute_as_it_is(cursor: Any, statement: str, context: Any) -> bool:
        return execute(cursor, statement, None, context)

    listeners: dict[str, Callable[..., bool]] = {"do_execute": execute, "do_execute_no_params": execute_as_it_is}
    with connection.connection.driver_connection.pipeline() as pipeline:  # type: ignore[union-attr]  # psycopg's
        for name, listener in listeners.items():
            event.listen(connection.engine, name, listener)
        try:
            yield
        except BaseException:
            with suppress(Exception):  # it is a consequence, which psycopg would log
                pipeline.sync()
            raise
        finally:
            for name, listener in listeners.items():
                event.remove(connection.engine, name, listener)
