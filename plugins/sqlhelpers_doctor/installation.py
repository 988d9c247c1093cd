"""What is installed and configured: versions, settings, plugins, apps, adapters. Nothing is connected to."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlhelpers import urls
from sqlhelpers.exceptions import ConfigurationError, DriverNotInstalled, InvalidURL, MultipleHeads, SqlhelpersError
from sqlhelpers_doctor.findings import (
    MISCONFIGURED,
    Examined,
    error,
    listed,
    note,
    of_error,
    ok,
    warning,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlhelpers.config import Settings
    from sqlhelpers.discovery import App, PluginInfo, PluginManager
    from sqlhelpers.migrations.state import History
    from sqlhelpers.reports import Diagnosis

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?>=([\d.]+)(?:.*extra == ['\"](\w+))?")


def examine_versions() -> Iterator[Diagnosis]:
    """Yield the versions of what does the work, and which installed packages are older than sqlhelpers can use."""
    names = {"sqlhelpers": "sqlhelpers", "SQLAlchemy": "sqlalchemy", "Alembic": "alembic"}
    shown = ", ".join(f"{shown} {version(name)}" for shown, name in names.items())
    yield ok("versions", f"{shown}, Python {platform.python_version()}")
    required = [found.groups() for each in requires("sqlhelpers") or () if (found := _REQUIREMENT.match(each))]
    always = {name for name, _, extra in required if not extra}
    for name, floor, extra in required:
        installed = installed_version(name)
        if installed and (not extra or name not in always) and _numbers(installed) < _numbers(floor):
            package = f"'sqlhelpers[{extra}]'" if extra else "sqlhelpers"
            text = f"{name} {installed} is installed, and {floor} is the oldest that works"
            yield error("versions", text, f"pip install --upgrade {package} {name}", MISCONFIGURED)


def installed_version(name: str) -> str:
    """Return the version of an installed distribution; empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def examine_settings(settings: Settings, binds: Sequence[str]) -> Iterator[Diagnosis]:
    """Yield every setting that was set, and where; of the databases those in ``binds``."""
    said = False
    for name, value, origin in settings.origins():
        parts = name.split(".")
        if origin == "default" or (parts[0] == "databases" and parts[1:] and parts[1] not in binds):
            continue
        said = True
        in_file = origin.endswith("pyproject.toml")
        yield ok("settings", f"{name} = {value} ({'in ' + origin.rpartition(' in ')[2] if in_file else origin})")
        if in_file and name.endswith(".url") and urls.parse(settings.databases[parts[1]].url).password:
            step = f"give it as SQLHELPERS_DATABASES__{parts[1].upper()}, in the secrets directory, or in .env"
            yield note("settings", "a password stands in pyproject.toml, which is shared with the code", step)
        if (
            name == "databases.default.sqlalchemy.url"
            and os.environ.get("DATABASE_URL")
            and "DATABASE_URL" not in origin
        ):
            yield note(
                "settings", f"DATABASE_URL is set as well, and not used: {origin} is stronger", "unset one of them"
            )
    if not said:
        yield ok("settings", "nothing is set")


def examine_plugins(plugins: PluginManager, settings: Settings) -> Iterator[Diagnosis]:
    """Yield which plugins, apps and adapters are installed, and why those that are not loaded are not."""
    for kind in ("plugin", "app"):
        loaded = [_described(info) for info in plugins.found if info.kind == kind and info.state == "loaded"]
        if loaded:
            yield ok(f"{kind}s", listed(loaded, 8))
    for info in plugins.found:
        if info.state == "disabled":
            yield ok(f"{info.kind}s", f"{info.name} ({info.distribution}) is not loaded: {info.reason}")
    adapters = [info for info in plugins.found if info.kind == "adapter" and info.state == "available"]
    usable = [info.name for info in adapters if find_spec(info.name)]
    absent = [info.name for info in adapters if info.name not in usable]
    if adapters:
        rest = f" (without their framework: {', '.join(absent)})" if absent else ""
        yield ok("adapters", f"{', '.join(usable) or 'none'}{rest}")
    if settings.adapter:
        try:
            plugins.adapter(settings.adapter)
        except ConfigurationError as raised:
            yield from of_error("adapters", raised)


def _described(info: PluginInfo) -> str:
    hooks = f": {', '.join(name.removeprefix('sqlhelpers_') for name in info.hooks)}" if info.hooks else ""
    return f"{info.name} ({info.distribution}{hooks})"


def examine_apps(apps: Iterable[App], settings: Settings, unusable: Iterable[str]) -> Iterator[Diagnosis]:
    """Yield what the settings say of apps that are not there, and whether there is anything to keep up to date."""
    names = [*(app.name for app in apps), *unusable]
    for name, app in settings.apps.items():
        if name not in names and not (app.package or app.models) and name not in settings.disable_plugins:
            step = f"install the app, or remove [tool.sqlhelpers.apps.{name}]"
            yield note("apps", f"apps.{name} is set, and no app of that name is installed", step)
    if not names and not any(each.alembic.migrations_path for each in settings.databases.values()):
        step = "install the project (pip install -e .), or name its package under [tool.sqlhelpers.apps.NAME]"
        yield note("apps", "no app is registered under sqlhelpers.apps", step)


def examine_drivers(examined: Examined) -> Iterator[Diagnosis]:
    """Yield the drivers that a database has for sync and for async code."""
    found: dict[str, str] = {}
    missing: list[ConfigurationError] = []
    for kind in ("sync", "async"):
        try:
            driver = examined.hooks.backend(examined.url).resolve(examined.url, aio=kind == "async").get_driver_name()
            found[kind] = f"{driver} {_driver_version(driver)}".strip()
        except (DriverNotInstalled, InvalidURL) as raised:
            missing.append(raised)
    if not found:
        text, _, step = str(missing[0]).partition(": ")
        yield error("drivers", text, step or "write another driver in the URL", MISCONFIGURED)
        return
    shown = ", ".join(f"{driver} for {kind} code" for kind, driver in found.items())
    rest = ", none for " + ("async" if "sync" in found else "sync") + " code" if missing else ""
    yield ok("drivers", shown + rest)


def _driver_version(driver: str) -> str:
    if driver == "pysqlite":
        import sqlite3

        return f"with SQLite {sqlite3.sqlite_version}"
    return installed_version(driver)


def examine_database_settings(examined: Examined) -> Iterator[Diagnosis]:
    """Yield the settings of a database that have no effect on it, or contradict each other."""
    settings, dialect = examined.settings, examined.url.get_backend_name()
    where = f"databases.{examined.bind}"
    if settings.pooler and dialect != "postgresql":
        yield note("settings", f"{where}.pooler has no effect on {dialect}", "remove it")
    if settings.sqlite_pragmas and dialect != "sqlite":
        yield note("settings", f"{where}.sqlite_pragmas has no effect on {dialect}", "remove it")
    alembic = settings.alembic
    if 0 < alembic.ddl_statement_timeout < alembic.ddl_lock_timeout:
        text = f"{where}.alembic.ddl_lock_timeout is longer than ddl_statement_timeout, which ends the wait before it"
        yield note("settings", text, "let ddl_statement_timeout be the longer one")
    if str(settings.sqlite_pragmas.get("foreign_keys", 1)).lower() in ("0", "off", "false"):
        text = f"{where}.sqlite_pragmas turns foreign keys off: rows can lose their parents"
        yield warning("settings", text, "remove foreign_keys from sqlite_pragmas", MISCONFIGURED)


def examine_files(histories: Iterable[History]) -> Iterator[tuple[History, Diagnosis]]:
    """Yield the histories whose revision files are wrong, and why; the database need not be there for it."""
    for history in histories:
        try:
            if history.revisions is not None:
                history.revisions.head()
        except MultipleHeads as raised:
            text, _, step = str(raised).rpartition("; ")
            yield history, error("revisions", text, step, raised.exit_status)
        except SqlhelpersError as raised:
            step = "correct that file, or put back the one that worked"
            yield history, error("revisions", str(raised), step, raised.exit_status)
