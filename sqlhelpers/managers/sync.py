"""``DatabaseManager``: one database's engine, sessions and migrations. Its async twin is in ``aio``."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import inspect

from sqlhelpers.backends import empty_database
from sqlhelpers.engines import make_engine, wait_for
from sqlhelpers.managers.writing import WritingManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from sqlalchemy import orm
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.orm import sessionmaker

    from sqlhelpers.reports import Readiness

R = TypeVar("R")

_making = threading.Lock()


class DatabaseManager(WritingManager):
    """The engine, the sessions and the migrations of one database.

    The engine is made when it is first used. A manager can be used as a context manager, which
    disposes of the engine at the end.

    Args:
        url: the database's URL, with or without a driver.
        alembic_location: the migrations folder, which holds ``versions/``.
        engine_args: options for ``create_engine``. The mapping is not changed.
        base_model: the declarative base of the models; ``sqlhelpers.Base`` if None.

    Raises:
        SettingsError: the URL or an option is wrong.
    """

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine."""
        with _making:  # threads that come at once share one engine
            made = vars(self).get("engine") or make_engine(
                self.database.bind, self.database.settings, self.database.hooks
            )
            return vars(self).setdefault("engine", made)  # type: ignore[no-any-return]

    @cached_property
    def Session(self) -> sessionmaker[orm.Session]:  # noqa: N802  # the ancestor's and SQLAlchemy's name
        """The session factory. Who calls it also commits and closes; ``session()`` does both."""
        from sqlalchemy.orm import sessionmaker

        return sessionmaker(self.database.backend.for_sessions(self.engine))

    @contextmanager
    def session(self) -> Iterator[orm.Session]:
        """Open a session: commit when the block succeeds, roll back when it raises, close in any case.

        Within the block, query methods of models that are called without a session use this one.
        """
        from sqlhelpers.sessions import opened

        with self.Session() as session, opened(session, self, self.database.serves):
            yield session  # not in begin(): the block may commit for itself, and go on
            session.commit()

    def _read(self, session: orm.Session | None, work: Callable[..., R], *arguments: Any) -> R:
        if session is not None:
            return work(session.connection(), *arguments)
        if self.database.backend.is_absent(self.database.url):  # connecting would make the file
            with empty_database() as connection:
                return work(connection, *arguments)
        with self.engine.connect() as connection:
            return work(connection, *arguments)

    def _on_engine(self, work: Callable[..., R], *arguments: Any, **options: Any) -> R:
        return work(self.engine, *arguments, **options)

    def get_readiness(self, timeout: float | None = None) -> Readiness:
        """Return whether the database can serve the installed code, with one small query; see ``managers.readiness``.

        Args:
            timeout: how many seconds it may take; None for as long as the limits of the database let it.
        """

        def read() -> Readiness:
            try:
                return self._read(None, self._probe.read, self._probe.expected())
            except Exception as error:  # noqa: BLE001  # what is no failure of the database is raised again
                return self._probe.failed(error)

        return self._probe.ask(read, timeout)

    def wait(self, seconds: float) -> None:
        """Wait until the server lets us in, at most for so many seconds; then raise what it said.

        What will not pass by itself, a wrong password for instance, is raised at once.
        """
        wait_for(self.engine, seconds)

    def dispose(self) -> None:
        """Close the pooled connections. The manager can be used again; it then connects anew."""
        if "engine" in vars(self):
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()


def exists_in_db(bind: Engine | Connection, tablename: str, columnname: str | None = None) -> bool:
    """Tell whether a table, and a column of it, exist. For use in revisions.

    Args:
        bind: an engine or a connection.
        tablename: the table to look for.
        columnname: the column to look for in it; None to look for the table alone.
    """
    inspector = inspect(bind)
    if columnname is None or not inspector.has_table(tablename):
        return inspector.has_table(tablename)
    return any(column["name"] == columnname for column in inspector.get_columns(tablename))
