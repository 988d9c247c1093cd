"""``Runtime``: settings, plugins and apps brought together into managers."""

from __future__ import annotations

import threading
from contextlib import AsyncExitStack, ExitStack
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from sqlhelpers.config import Settings
from sqlhelpers.engines import failures_named
from sqlhelpers.exceptions import SeveralFailures, SqlhelpersError, UnknownBind
from sqlhelpers.managers import Database, DatabaseManager
from sqlhelpers.migrations.state import refuse_doubtful
from sqlhelpers.reports import PROBE_WITHIN
from sqlhelpers.runtime.apps import AppRegistry
from sqlhelpers.suggestions import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from sqlalchemy import Table

    from sqlhelpers.discovery import App, PluginManager
    from sqlhelpers.managers import AsyncDatabaseManager
    from sqlhelpers.migrations.running import Progress
    from sqlhelpers.reports import DatabaseReport, Readiness


class Runtime:
    """The databases of one configuration, with the apps that are installed.

    Nothing is read, imported or connected before it is needed. Several runtimes in one process do not
    see each other. A runtime can be used as a context manager, sync or async, which disposes of its engines.

    Args:
        settings: the configuration; None to read it from where the process runs.
        plugin_manager: plugins and apps registered by hand; None to find what is installed.
    """

    def __init__(self, settings: Settings | None = None, *, plugin_manager: PluginManager | None = None) -> None:
        self._given_settings = settings
        self._given_plugins = plugin_manager
        self._managers: dict[str, DatabaseManager] = {}
        self._async_managers: dict[str, AsyncDatabaseManager] = {}
        self._making = threading.RLock()  # threads that come at once share what is made

    @cached_property
    def settings(self) -> Settings:
        """The configuration."""
        return self._given_settings or Settings()

    @cached_property
    def registry(self) -> AppRegistry:
        """The plugins and apps."""
        return AppRegistry(self.settings, self._given_plugins)

    @property
    def plugins(self) -> PluginManager:
        """The plugins.

        Raises:
            DiscoveryError: plugins cannot be used.
        """
        return self.registry.plugins

    @property
    def apps(self) -> dict[str, App]:
        """The apps by name, in the order in which they are synced.

        Raises:
            DiscoveryError: plugins or apps cannot be used, with one error for each.
        """
        return self.registry.apps

    @property
    def tables(self) -> dict[str, tuple[Table, ...]]:
        """The tables of each app."""
        return self.registry.tables

    def binds(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the names of the configured databases, or ``names`` if all of them are configured.

        Raises:
            UnknownBind: one of them is not, or there is none at all.
        """
        known = self.settings.databases
        if not known:
            hint = "; set DATABASE_URL, or `default` under [tool.sqlhelpers.databases] in pyproject.toml"
            raise UnknownBind(names[0] if names else "default", known, hint)
        for name in names:
            if name not in known:
                raise UnknownBind(name, known, suggest(name, known))
        return tuple(names) or tuple(known)

    def database(self, bind: str = "default") -> Database:
        """Return what the managers of ``bind`` share: its settings, the apps in it, and the plugins."""
        self.binds([bind])
        registry = self.registry
        serves = partial(registry.serves, bind)
        return Database(bind, self.settings.databases[bind], partial(registry.histories, bind), self.plugins, serves)

    def manager(self, bind: str = "default") -> DatabaseManager:
        """Return the manager of a database, always the same one.

        Raises:
            UnknownBind: no such database is configured.
        """
        with self._making:
            if bind not in self._managers:
                self._managers[bind] = DatabaseManager.for_database(self.database(bind))
            return self._managers[bind]

    def async_manager(self, bind: str = "default") -> AsyncDatabaseManager:
        """Return the async manager of a database, always the same one.

        Raises:
            UnknownBind: no such database is configured.
        """
        from sqlhelpers.managers import AsyncDatabaseManager

        with self._making:
            if bind not in self._async_managers:
                self._async_managers[bind] = AsyncDatabaseManager.for_database(self.database(bind))
            return self._async_managers[bind]

    def run_sync(
        self,
        binds: Sequence[str] = (),
        *,
        dry_run: bool = False,
        wait: float = 0,
        progress: Progress | None = None,
        done: Callable[[DatabaseReport], None] | None = None,
    ) -> tuple[DatabaseReport, ...]:
        """Bring databases to the state that the installed code expects, one after another.

        An async driver serves where no sync one is installed. A database that fails does not keep
        the others from being synced.

        Args:
            binds: the names of the databases; all of them if empty.
            dry_run: only look, and raise what a run would refuse.
            wait: how many seconds to wait for a server that is not up yet.
            progress: called before each revision runs.
            done: called with the report on each database as soon as it is done.

        Returns:
            one report for each database.

        Raises:
            SeveralFailures: more than one database failed. If one did, its own error is raised.
        """

        def work(manager: DatabaseManager | AsyncDatabaseManager) -> Any:
            return manager.migrations.get_report() if dry_run else manager.migrations.sync(progress)

        def seen(report: DatabaseReport) -> None:
            if dry_run:
                refuse_doubtful(report)
            if done:
                done(report)

        return self.perform_on_all(binds, work, seen, wait=wait)

    async def async_run_sync(self, binds: Sequence[str] = ()) -> tuple[DatabaseReport, ...]:
        """Do as ``run_sync`` with the async managers, in the running event loop; the first that fails ends it.

        Raises:
            DatabaseFailure: a database cannot be reached, or failed.
        """
        reports = []
        for bind in self.binds(binds):
            manager = self.async_manager(bind)
            with failures_named(bind, manager.database.url):
                reports.append(await manager.migrations.sync())
        return tuple(reports)

    def status(
        self,
        binds: Sequence[str] = (),
        done: Callable[[DatabaseReport], None] | None = None,
    ) -> tuple[DatabaseReport, ...]:
        """Return the state of databases, all of them if ``binds`` is empty; errors are those of ``run_sync``."""
        return self.perform_on_all(binds, lambda manager: manager.migrations.get_report(), done)

    def readiness(self, timeout: float | None = PROBE_WITHIN) -> tuple[Readiness, ...]:
        """Return whether each database can serve, all asked at once; see ``sqlhelpers.managers.readiness``."""
        from sqlhelpers.runtime.readiness import ask_all

        return ask_all(lambda: [self.manager(bind) for bind in self.binds()], timeout)

    async def async_readiness(self, timeout: float | None = PROBE_WITHIN) -> tuple[Readiness, ...]:  # noqa: ASYNC109
        """Return the same, asked with the async managers."""
        from sqlhelpers.runtime.readiness import ask_all_async

        return await ask_all_async(lambda: [self.async_manager(bind) for bind in self.binds()], timeout)

    def perform_on_all(
        self,
        binds: Sequence[str],
        work: Callable[[DatabaseManager | AsyncDatabaseManager], Any],
        done: Callable[[Any], None] | None = None,
        *,
        wait: float = 0,
    ) -> tuple[Any, ...]:
        """Do as ``perform`` for several databases, all of them if ``binds`` is empty, one after another.

        Raises:
            SeveralFailures: more than one database failed. If one did, its own error is raised.
        """
        names = self.binds(binds)
        self.apps  # noqa: B018  # what is wrong with plugins and apps is wrong for every database
        results, errors = list[Any](), list[SqlhelpersError]()
        for bind in names:
            try:
                result = self.perform(bind, work, wait=wait)
                if done:
                    done(result)
            except SqlhelpersError as error:
                errors.append(error)
            else:
                results.append(result)
        if errors:
            raise SeveralFailures(errors) if len(errors) > 1 else errors[0]
        return tuple(results)

    def perform(
        self,
        bind: str,
        work: Callable[[DatabaseManager | AsyncDatabaseManager], Any],
        *,
        wait: float = 0,
    ) -> Any:
        """Let ``work`` use a database's manager: the sync one, or the async one where only its driver is installed.

        Args:
            bind: the name of the database.
            work: calls a method of the manager that it gets, and returns what that returns. No event loop runs then.
            wait: how many seconds to wait for a server that is not up yet.

        Returns:
            the result of the method, awaited if the manager is the async one.

        Raises:
            DatabaseFailure: the database cannot be reached, or failed.
        """
        database = self.database(bind)
        with failures_named(bind, database.url):
            if not database.has_sync_driver:
                from sqlhelpers.managers import perform

                return perform(database, work, wait)
            manager = self.manager(bind)
            if wait:
                manager.wait(wait)
            return work(manager)

    def attach(self, app: object) -> Self:
        """Wire this runtime into an application object of a framework.

        The adapter is the one that the settings name, or the one for the class of ``app``.

        Raises:
            AdapterNotInstalled: there is no adapter for it.
        """
        plugins, name = self.plugins, self.settings.adapter
        adapter = plugins.adapter(name) if name else plugins.adapter_for(app)
        adapter.attach(app, self)
        return self

    def dispose(self) -> None:
        """Close the pooled connections of the sync managers."""
        with ExitStack() as stack:
            for manager in self._managers.values():
                stack.callback(manager.dispose)

    async def dispose_async(self) -> None:
        """Close the pooled connections of all managers."""
        async with AsyncExitStack() as stack:
            stack.callback(self.dispose)
            for manager in self._async_managers.values():
                stack.push_async_callback(manager.dispose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispose_async()
