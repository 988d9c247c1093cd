"""Lends the transaction of a run to Alembic, whose revisions may end it and begin another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlhelpers.dialects import undoes_ddl

if TYPE_CHECKING:
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.engine import Connection

    from sqlhelpers.runs import Steps


def run_in(environment: EnvironmentContext, connection: Connection, steps: Steps, options: dict[str, Any]) -> None:
    """Run what an environment of Alembic is for, within ``schema_transaction``.

    Args:
        environment: the environment, which is not configured yet.
        connection: a connection, within ``schema_transaction``.
        steps: told of each revision that was run.
        options: for ``configure``.
    """
    if not undoes_ddl(connection):
        connection.commit()  # Alembic then commits after each revision, as its DDL does
        environment.configure(connection=connection, on_version_apply=steps.applied, **options)
    else:
        whole = _Whole(connection)
        environment.configure(
            connection=connection,
            transactional_ddl=True,
            on_version_apply=(steps.applied, whole.keep_what_was_committed),  # type: ignore[arg-type]  # or several
            **options,
        )
        whole.lend_to(environment.get_context())
    with environment.begin_transaction():
        environment.run_migrations()


class _Whole:
    """The transaction of a run, which a revision may end and replace by ``autocommit_block()``.

    ``schema_transaction()`` began it, and commits whichever is open at the end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open = connection.get_transaction()

    def lend_to(self, context: MigrationContext) -> None:
        """Let Alembic end the transaction; one that is under way when it starts it would take for a foreign one."""
        context._transaction = self._open

    def keep_what_was_committed(self, ctx: MigrationContext, *_: object, **__: object) -> None:
        """Commit the position of a revision together with what its ``autocommit_block()`` has committed already.

        Otherwise a later failure would undo the position alone, and the revision would be run again.
        """
        if self._connection.get_transaction() is not self._open:
            self._connection.commit()
            self._open = self._connection.begin()
            self.lend_to(ctx)
