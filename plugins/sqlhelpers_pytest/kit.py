"""``Kit``: turns every engine of the process that would use a configured database to one of the kit's own."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.util import greenlet_spawn

from sqlhelpers import Runtime, hookimpl
from sqlhelpers.discovery import everywhere
from sqlhelpers_asyncio.loops import at_shutdown
from sqlhelpers_pytest.access import OURS, is_ours
from sqlhelpers_pytest.connections import VirtualConnection
from sqlhelpers_pytest.errors import NotIsolated
from sqlhelpers_pytest.guarding import Guard
from sqlhelpers_pytest.testdatabases import TestDatabase
from sqlhelpers_pytest.virtualdialects import let_share

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Dialect

    from sqlhelpers import DatabaseSettings, Settings
    from sqlhelpers_pytest.options import Options

_PATIENCE = 10.0  # seconds until a loop in another thread has closed its connections
_SERVERS_OWN = "numeric_dollar"  # how asyncpg writes parameters; all others understand each other
_USES = "sqlhelpers_pytest"  # in the info of a pooled connection: which test database it is connected to
_OUTSIDE = "the database is used outside of a test; ask for db_session, db_manager, sqlhelpers_runtime or fresh_db"


class Kit:
    """The databases of the project's settings, as its tests see them.

    Args:
        settings: the settings of the project.
        options: what the user has asked for.
    """

    def __init__(self, settings: Settings, options: Options) -> None:
        self.runtime: Runtime = Runtime(settings)
        self.options = options
        self.mode: str = ""
        self.async_sessions: list[Any] = []  # of the test that is running
        self._exits = ExitStack()
        self._engines: WeakKeyDictionary[Engine, asyncio.AbstractEventLoop | None] = WeakKeyDictionary()
        by_url: dict[URL, list[str]] = {}
        for bind in self.runtime.binds():
            by_url.setdefault(self.runtime.database(bind).url, []).append(bind)
        found = [TestDatabase(self.runtime, binds, url, options) for url, binds in by_url.items()]
        self.databases: dict[str, TestDatabase] = {bind: database for database in found for bind in database.binds}

    @property
    def all(self) -> tuple[TestDatabase, ...]:
        """The databases, each once."""
        return tuple({id(each): each for each in self.databases.values()}.values())

    def start(self) -> None:
        """Turn the engines of the process to the databases of tests."""
        self._exits.enter_context(everywhere(self, f"sqlhelpers_pytest {id(self)}"))
        self._exits.enter_context(Guard(self.all).watching())
        for database in self.all:
            self._exits.callback(database.close)
        self._exits.callback(self.runtime.dispose)

    def stop(self) -> None:
        """Let go of everything; the databases stay for the next run."""
        with self._exits:
            self.end()  # the last test may not have ended: what has the scope of the session ends within it

    def begin(self, mode: str) -> None:
        """Let a test use the databases: ``isolated``, or ``fresh`` for copies of its own."""
        if self.mode:
            return
        for database in self.all:  # now: later might be within a run, which lets no other one in
            database.prepare(mode)
            database.is_isolated = mode == "isolated"
        self.mode = mode

    def wind_up(self) -> None:
        """Let sessions be closed in any order: the test itself is over."""
        for database in self.all:
            database.wind_up()

    def finish(self) -> None:
        """Close what only can be closed while the loop of the test is there."""
        if self.mode == "fresh":
            self.disconnect()

    def end(self) -> None:
        """Leave no trace of the test."""
        if not self.mode:
            return
        mode, self.mode = self.mode, ""
        self.async_sessions.clear()
        with ExitStack() as stack:
            for database in self.all:
                stack.callback(database.end_fresh if mode == "fresh" else database.end_isolated)
            if mode == "fresh":
                self.disconnect()

    def disconnect(self) -> None:
        """Close the connections to copies, those of a loop in the loop, if that is still there."""
        for loop in {loop for loop in self._engines.values() if loop is not None and not loop.is_closed()}:
            if loop.is_running():  # in another thread: fixtures of a test end outside of its own
                asyncio.run_coroutine_threadsafe(self.leave(loop), loop).result(_PATIENCE)
            else:
                loop.run_until_complete(self.leave(loop))
        for engine in self._engines:
            engine.dispose(close=not engine.dialect.is_async)

    async def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the sessions and the connections of a loop, in it."""
        for session in self.async_sessions:
            if session.sync_session.loop is loop:
                await session.close()
        for engine, its_loop in [*self._engines.items()]:
            if its_loop is loop:
                self._engines[engine] = None
                await greenlet_spawn(engine.dispose)

    def find(self, bind: str, settings: DatabaseSettings) -> TestDatabase | None:
        """Return what stands in for a database; None if it is not one of the configured ones."""

        def is_meant(name: str) -> bool:
            return (
                self.runtime.settings.databases[name].url == settings.url
                or self.databases[name].configured == settings.url
            )

        names = sorted(self.databases, key=lambda name: name != bind)
        return next((self.databases[name] for name in names if is_meant(name)), None)

    @hookimpl
    def sqlhelpers_resolve_url(self, bind: str, settings: DatabaseSettings) -> str | None:
        """Return the URL of the database that the tests use instead."""
        if is_ours(settings):
            return settings.url.render_as_string(hide_password=False)
        found = self.find(bind, settings)
        return found.url.render_as_string(hide_password=False) if found else None

    @hookimpl
    def sqlhelpers_engine_created(self, engine: Engine) -> None:
        """Let an engine of the code under test connect to what the current test uses."""
        if OURS in engine.get_execution_options():
            return
        for database in self.all:
            url = database.maker.url(database.work)
            if (engine.url.host, engine.url.port, engine.url.database) == (url.host, url.port, url.database):
                self._serve(engine, database)

    def _serve(self, engine: Engine, database: TestDatabase) -> None:
        def connect(dialect: Dialect, record: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
            self._refuse_outside()
            let_share(dialect)
            if self.mode == "isolated":
                record.info[_USES] = "shared"
                return self._share(database, dialect)
            database.begin_fresh()
            record.info[_USES] = database.name
            self._note(engine)
            _turn_to(database.maker.url(database.name), arguments, parameters)
            return None

        def checkout(_: object, record: Any, __: object) -> None:
            self._refuse_outside()
            wanted = "shared" if self.mode == "isolated" else database.name
            if record.info.get(_USES) != wanted:
                raise DisconnectionError("it is connected to the database of another test")

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "checkout", checkout)

    def _note(self, engine: Engine) -> None:
        """Remember which loop has to close the connections of an engine, at the latest when it ends."""
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop() if engine.dialect.is_async else None
            if loop is not None and loop not in self._engines.values():
                at_shutdown(loop, partial(self.leave, loop))
            self._engines[engine] = loop

    def _share(self, database: TestDatabase, dialect: Dialect) -> VirtualConnection:
        shared = database.shared
        home = shared.home.engine.dialect
        if (dialect.paramstyle == _SERVERS_OWN) != (home.paramstyle == _SERVERS_OWN):
            raise NotIsolated(
                f"isolated tests share one connection, that of the driver {home.driver}, which an engine for"
                f" {dialect.driver} cannot use: set sqlhelpers_driver to {'sync' if home.is_async else 'async'} in the"
                " configuration of pytest, or ask for the fixture fresh_db",
            )
        return VirtualConnection(shared, dialect)

    def _refuse_outside(self) -> None:
        if not self.mode:
            raise NotIsolated(_OUTSIDE)


def _turn_to(url: URL, arguments: list[Any], parameters: dict[str, Any]) -> None:
    """Change the arguments of a driver so that they name the database of ``url``."""
    if url.get_backend_name() == "sqlite":
        arguments[0] = url.database
        return
    for name in ("dbname", "database", "db"):
        if name in parameters:
            parameters[name] = url.database
