"""``AppRegistry``: which apps there are, the tables of each, and their order."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import NoReferencedColumnError, NoReferencedTableError

from sqlhelpers.config import cache_folder
from sqlhelpers.discovery import App, PluginManager
from sqlhelpers.exceptions import AppError, DiscoveryError, MigrationsNotFound, SqlhelpersError
from sqlhelpers.migrations.revisions import RevisionFiles, Revisions
from sqlhelpers.migrations.state import ALEMBICS_OWN, History, refuse_shared, version_table_of
from sqlhelpers.suggestions import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy import ForeignKey, FromClause, Table

    from sqlhelpers.backends import Naming, TableName
    from sqlhelpers.config import Settings

    #: The tables of an app, each with the module that defines it.
    Origins = dict[Table, str]


class AppRegistry:
    """The plugins and apps of one runtime. Nothing is imported before it is asked for.

    Args:
        settings: which of them are wanted, and what is corrected about them.
        plugins: plugins and apps registered by hand; None to find what is installed.
    """

    def __init__(self, settings: Settings, plugins: PluginManager | None = None) -> None:
        self.settings = settings
        self._given_plugins = plugins
        self._known_files: dict[Path, RevisionFiles] = {}
        self._known_namings: dict[str, Naming] = {}

    @cached_property
    def plugins(self) -> PluginManager:
        """The plugins.

        Raises:
            DiscoveryError: plugins cannot be used.
        """
        plugins, errors = self._discovered
        if errors:
            raise DiscoveryError(errors, plugins.unaffected(errors))
        return plugins

    @cached_property
    def _discovered(self) -> tuple[PluginManager, tuple[SqlhelpersError, ...]]:
        settings = self.settings
        if self._given_plugins is not None:
            return self._given_plugins, tuple(self._given_plugins.collect_apps(settings.enable_apps))
        plugins = PluginManager()
        try:
            plugins.discover(disabled=settings.disable_plugins, enabled_apps=settings.enable_apps)
        except DiscoveryError as error:
            return plugins, error.errors
        return plugins, ()

    @property
    def apps(self) -> dict[str, App]:
        """The apps by name, in the order in which they are synced.

        Raises:
            DiscoveryError: plugins or apps cannot be used, with one error for each.
        """
        return self._usable()[0]

    @property
    def tables(self) -> dict[str, tuple[Table, ...]]:
        """The tables of each app."""
        return {name: tuple(found) for name, found in self._usable()[1].items()}

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """The apps that each app comes after, by its foreign keys and ``requires``, sorted."""
        apps, tables = self._usable()
        return self._needs(apps, tables)

    def serves(self, bind: str, table: FromClause) -> bool:
        """Tell whether a table belongs to an app in this database."""
        return self._binds_by_table.get(table) == bind

    @cached_property
    def _binds_by_table(self) -> dict[FromClause, str]:
        return {table: self.apps[name].bind for name, tables in self.tables.items() for table in tables}

    def for_authors(self) -> dict[str, App]:
        """Return the apps, those included whose migrations folder is missing or holds no revisions yet."""
        return self._usable(unwritten=True)[0]

    def declared(self, name: str) -> App | None:
        """Return an app as its declarations have it, without importing its models; None if there is no such app."""
        return self._configured(self.plugins.apps()).get(name)

    def naming(self, bind: str) -> Naming:
        """Return which names mean the same table in a database, as far as its settings tell."""
        if bind not in self._known_namings:
            self._known_namings[bind] = self._read_naming(bind)
        return self._known_namings[bind]

    def _read_naming(self, bind: str) -> Naming:
        from sqlhelpers.backends import Naming

        plugins, settings = self._discovered[0], self.settings.databases.get(bind)
        if settings is None:
            return Naming(is_certain=False)
        try:
            found = plugins.backend(settings.url).naming_by_url(settings.url)
        except SqlhelpersError:  # who connects is told
            return Naming(is_certain=False)
        # a hook may give another URL, and may ask a secret store for it
        return replace(found, is_certain=False) if plugins.implements("sqlhelpers_resolve_url") else found

    def _usable(self, *, unwritten: bool = False) -> tuple[dict[str, App], dict[str, Origins]]:
        """Return the apps in order, and their tables.

        Args:
            unwritten: whether apps without revisions are let in.
        """
        apps, tables, errors = self._apps_and_tables
        counting = [each for each in errors if not (unwritten and isinstance(each, MigrationsNotFound))]
        if errors:
            vars(self).pop("_apps_and_tables")  # to look again the next time
        if counting:
            raise DiscoveryError(counting, self._discovered[0].unaffected(counting))
        return apps, tables

    @cached_property
    def _apps_and_tables(self) -> tuple[dict[str, App], dict[str, Origins], list[SqlhelpersError]]:
        plugins, found = self._discovered
        errors = list(found)
        apps = self._configured(plugins.apps())
        errors += self._unknown_names(apps)
        if not apps and not errors:
            return {}, {}, []
        from sqlhelpers.discovery import ModelModules  # brings SQLAlchemy's ORM

        modules = ModelModules(apps)
        for name, app in apps.items():
            try:
                modules.load(name)
                app.migrations_folder()
            except AppError as error:
                errors.append(error)
        tables = modules.tables(lambda bind, table: self.naming(bind).without_guess().of(table), errors)
        order: tuple[str, ...] = ()
        try:
            order = _in_order(self._needs(apps, tables))
        except AppError as error:
            errors.append(error)
        return {name: apps[name] for name in order}, tables, errors

    def _needs(self, apps: Mapping[str, App], tables: Mapping[str, Origins]) -> dict[str, tuple[str, ...]]:
        """Return for each app the names of those that its foreign keys and ``requires`` point to, sorted."""
        owners: dict[tuple[str, TableName], str] = {}
        for name, owned in tables.items():
            bind = apps[name].bind
            owners |= {(bind, self.naming(bind).of(table)): name for table in owned}
        found: dict[str, tuple[str, ...]] = {}
        for name, app in apps.items():
            keys = (key for table in tables.get(name, ()) for key in table.foreign_keys)
            targets = [(app.bind, self.naming(app.bind).normalised(_target(key))) for key in keys]
            before = {owners.get(target, name) for target in targets} | {each for each in app.requires if each in apps}
            found[name] = tuple(sorted(before - {name}))
        return found

    def _configured(self, registered: Mapping[str, App]) -> dict[str, App]:
        """Return the registered apps as the settings correct them, and those that only the settings declare."""
        apps = dict(registered)
        for name, settings in self.settings.apps.items():
            if name in self.settings.disable_plugins:
                continue
            changes: dict[str, Any] = {field: getattr(settings, field) for field in settings.model_fields_set}
            if changes.get("migrations") is False:
                changes["migrations"] = None
            if name not in apps and not (settings.package or settings.models):
                continue  # it corrects an app that is not there
            if name not in apps:
                module = (settings.models or (name,))[0]
                apps[name] = App(name=name, package=settings.package or module.rpartition(".")[0] or module)
            apps[name] = replace(apps[name], **changes)
        wanted = self.settings.enable_apps
        return {name: app for name, app in sorted(apps.items()) if wanted is None or name in wanted}

    def _unknown_names(self, apps: Mapping[str, App]) -> Iterable[AppError]:
        for name in self.settings.enable_apps or ():
            if name not in apps:
                yield AppError(f"enable_apps names {name!r}, which is not installed{suggest(name, apps)}")
        for name, app in apps.items():
            for required in app.requires:
                if required not in apps:
                    problem = f"app {name!r} requires {required!r}, which is not installed{suggest(required, apps)}"
                    yield AppError(problem, [name])
            if app.bind not in self.settings.databases and self.settings.databases:
                known = ", ".join(self.settings.databases)
                problem = f"app {name!r} belongs to database {app.bind!r}, which is not configured (there is {known})"
                yield AppError(problem, [name])

    def histories(self, bind: str, *, unwritten: bool = False) -> tuple[History, ...]:
        """Return the histories of a database, in the order in which they are synced.

        Args:
            bind: the name of the database.
            unwritten: whether apps without revisions are let in.
        """
        apps, tables = self._usable(unwritten=unwritten)
        folders = {
            name: app.migrations_place() if unwritten else app.migrations_folder()
            for name, app in apps.items()
            if app.bind == bind
        }
        if unwritten:
            folders = {name: folder if folder and folder.is_dir() else None for name, folder in folders.items()}
        needs = self._needs(apps, tables)
        histories = [self._history(apps[name], tables[name], folder, needs[name]) for name, folder in folders.items()]
        alembic = self.settings.databases[bind].alembic
        if alembic.migrations_path is not None:
            histories.append(
                History(
                    revisions=Revisions(self._files(alembic.migrations_path)),
                    version_table=alembic.version_table,
                    version_table_schema=alembic.version_table_schema,
                ),
            )
        own = [history for history in histories if history.version_table == ALEMBICS_OWN]
        histories = [replace(history, shares_alembics_own=bool(own)) for history in histories]
        refuse_shared(self.naming(bind).without_guess(), bind, histories)
        return tuple(histories)

    def _files(self, folder: Path) -> RevisionFiles:
        """Return the files of a migrations folder, always the same object, which remembers what it has read."""
        if folder not in self._known_files:
            self._known_files[folder] = RevisionFiles(folder, cache_folder())
        return self._known_files[folder]

    def _history(self, app: App, tables: Origins, folder: Path | None, needs: tuple[str, ...]) -> History:
        return History(
            app=app.name,
            package=app.package,
            tables=tuple(tables),
            modules=tables,
            revisions=Revisions(self._files(folder), app.name) if folder else None,
            version_table=app.version_table or version_table_of(app.name),
            version_table_schema=app.version_table_schema,
            bootstrap=app.bootstrap,
            needs=needs,
        )


def _in_order(needs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of the apps, each after those that it needs.

    Raises:
        AppError: there is no such order.
    """
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        way = error.args[1]
        problem = f"the apps depend on each other in a circle: {' -> '.join(way)} (by foreign keys or `requires`)"
        raise AppError(problem, way) from error
    order: list[str] = []
    while ready := sorted(sorter.get_ready()):
        order += ready
        sorter.done(*ready)
    return tuple(order)


def _target(key: ForeignKey) -> TableName:
    """Return the name of the table that a foreign key points to."""
    from sqlhelpers.backends import TableName

    try:
        return TableName.of(key.column.table)
    except (NoReferencedTableError, NoReferencedColumnError):  # it is in another MetaData, or nowhere
        found = TableName.parsed(key.target_fullname.rpartition(".")[0])
        return TableName(found.schema or key.parent.table.metadata.schema, found.name)
