"""Everything that can be found out about an installation and its databases, and what to do about it.

Nothing is changed anywhere. What cannot be examined does not keep the rest from being examined.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlhelpers.config import Settings
from sqlhelpers.discovery import PluginManager
from sqlhelpers.exceptions import AppError, DiscoveryError, SqlhelpersError
from sqlhelpers.reports import Diagnosis
from sqlhelpers.runtime import Runtime
from sqlhelpers_doctor import installation
from sqlhelpers_doctor.databases import examine_database
from sqlhelpers_doctor.findings import MISCONFIGURED, error, of_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Diagnosis", "diagnose", "diagnose_async", "exit_status"]


def diagnose(
    runtime: Runtime,
    binds: Sequence[str] = (),
    done: Callable[[Diagnosis], None] | None = None,
) -> tuple[Diagnosis, ...]:
    """Examine an installation and its databases, and return what was found.

    Args:
        runtime: the settings, plugins and apps. Databases are connected to beside its engines.
        binds: the names of the databases; all of them if empty.
        done: called with each diagnosis as soon as it is made.

    Raises:
        UnknownBind: there are databases, and none has one of the names.
    """
    found: list[Diagnosis] = []

    def tell(diagnoses: Iterable[Diagnosis]) -> None:
        for each in diagnoses:
            found.append(each)
            if done:
                done(each)

    _examine(runtime, binds, tell)
    return tuple(found)


async def diagnose_async(
    runtime: Runtime,
    binds: Sequence[str] = (),
    done: Callable[[Diagnosis], None] | None = None,
) -> tuple[Diagnosis, ...]:
    """Return the same, without blocking the event loop; ``done`` is called in another thread."""
    return await asyncio.to_thread(diagnose, runtime, binds, done)


def exit_status(found: Iterable[Diagnosis]) -> int:
    """Return what a command ends with: 0 if nothing is worse than a note, else the highest status of what was found.

    3 a person must decide, 2 configuration, 1 the database.
    """
    return max((each.exit_status for each in found), default=0)


def _examine(runtime: Runtime, binds: Sequence[str], tell: Callable[[Iterable[Diagnosis]], None]) -> None:
    tell(installation.examine_versions())
    try:
        settings = runtime.settings
    except SqlhelpersError as raised:
        tell(of_error("settings", raised))
        try:
            settings = Settings.usable()
        except SqlhelpersError:
            return
        runtime = Runtime(settings)
    if settings.databases:
        names = runtime.binds(binds)
    else:
        step = "set DATABASE_URL, or `default` under [tool.sqlhelpers.databases] in pyproject.toml"
        tell([error("settings", "no database is configured", step, MISCONFIGURED)])
        names = ()
    tell(installation.examine_settings(settings, names))
    runtime, unusable = _usable(runtime, settings, tell)
    tell(installation.examine_plugins(runtime.plugins, settings))
    tell(installation.examine_apps(runtime.apps.values(), settings, unusable))
    for bind in names:
        examine_database(runtime, bind, unusable, tell)


def _usable(
    runtime: Runtime,
    settings: Settings,
    tell: Callable[[Iterable[Diagnosis]], None],
) -> tuple[Runtime, frozenset[str]]:
    """Tell what is wrong with plugins and apps; return a runtime without them, and their names."""
    try:
        runtime.apps  # noqa: B018  # they are loaded
    except DiscoveryError as raised:
        errors = raised.errors
    else:
        return runtime, frozenset()
    plugins = PluginManager()
    with suppress(DiscoveryError):
        plugins.discover(disabled=settings.disable_plugins, enabled_apps=settings.enable_apps)
    names = {info.name for info in plugins.found if info.state == "failed"}
    names |= {app for each in errors if isinstance(each, AppError) for app in each.apps}
    for each in errors:
        tell(of_error("plugins", each, _advice(each, names)))
    enabled = settings.enable_apps
    changes = {
        "disable_plugins": (*settings.disable_plugins, *sorted(names)),
        "enable_apps": None if enabled is None else tuple(name for name in enabled if name not in names),
    }
    rest = Runtime(settings.model_copy(update=changes))
    try:
        rest.apps  # noqa: B018  # they are loaded
    except DiscoveryError:  # whatever is left needs what is gone
        changes["enable_apps"] = ()
        rest = Runtime(settings.model_copy(update={**changes, "apps": {}}), plugin_manager=PluginManager())
    return rest, frozenset(names)


def _advice(raised: SqlhelpersError, names: Iterable[str]) -> str:
    named = [name for name in sorted(names) if f"'{name}'" in str(raised)]
    without = f", or do without for now: SQLHELPERS_DISABLE_PLUGINS={','.join(named)}" if named else ""
    return f"correct or reinstall it{without}"
