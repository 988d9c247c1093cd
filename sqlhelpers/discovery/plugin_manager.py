"""Finds plugins, apps and adapters through entry points, and says of each that cannot be used why not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqlhelpers.discovery.adapter import Adapter
from sqlhelpers.discovery.app import App
from sqlhelpers.discovery.entry_points import (
    ADAPTERS,
    APPS,
    PLUGINS,
    by_name,
    distribution_of,
    installed,
    label_of,
    load,
    refuse_doubles,
    why_not,
)
from sqlhelpers.discovery.hooks import Hooks, wrong_type
from sqlhelpers.exceptions import (
    AdapterNotInstalled,
    AppError,
    ConfigurationError,
    DiscoveryError,
    HookFailed,
    PluginLoadError,
    SqlhelpersError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """One entry point, as ``sqlhelpers plugins`` lists it.

    Attributes:
        kind: ``app``, ``plugin`` or ``adapter``.
        name: the entry point's name.
        distribution: the installed distribution that registers it, and its version.
        value: the module, or the object in a module, that it points to.
        state: ``loaded``, ``available`` (an adapter that nobody asked for yet), ``disabled`` or ``failed``.
        hooks: the hooks that it implements.
        reason: why it is disabled or failed.
    """

    kind: str
    name: str
    distribution: str
    value: str
    state: str
    hooks: tuple[str, ...] = ()
    reason: str = ""


class PluginManager(Hooks):
    """The plugins of one runtime: those registered by hand, and those found through entry points."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, PluginInfo] = {}
        self._apps: dict[str, tuple[App, str]] = {}
        self._adapters: dict[str, EntryPoint] = {}

    def discover(self, *, disabled: Collection[str] = (), enabled_apps: Collection[str] | None = None) -> None:
        """Load every app and plugin that is installed, and take note of the adapters.

        Args:
            disabled: names that are not loaded.
            enabled_apps: the only apps that are loaded; None for all.

        Raises:
            DiscoveryError: with one error for each entry point that cannot be used. The others are loaded.
        """
        errors: list[SqlhelpersError] = []
        loading = {PLUGINS: self._load_plugin, APPS: self._load_app, ADAPTERS: self._note_adapter}
        for points in by_name(installed(*loading)):
            reason = why_not(points[0], disabled, enabled_apps)
            if reason:
                self._note(points, "disabled", reason=reason)
                continue
            try:
                refuse_doubles(points)
                hooks = loading[points[0].group](points[0])
            except ConfigurationError as error:
                errors.append(error)
                self._note(points, "failed", reason=str(error))
            else:
                self._note(points, "available" if points[0].group == ADAPTERS else "loaded", hooks=hooks)
        errors += self.collect_apps(enabled_apps)
        if errors:
            raise DiscoveryError(errors, self.unaffected(errors))

    @property
    def found(self) -> tuple[PluginInfo, ...]:
        """Every entry point that was looked at."""
        return tuple(self._found.values())

    def _note(self, points: Iterable[EntryPoint], state: str, hooks: tuple[str, ...] = (), reason: str = "") -> None:
        for point in points:
            self._found[label_of(point)] = PluginInfo(
                kind=point.group.rpartition(".")[2].removesuffix("s"),
                name=point.name,
                distribution=distribution_of(point),
                value=point.value,
                state=state,
                hooks=hooks,
                reason=reason,
            )

    def unaffected(self, errors: Iterable[SqlhelpersError]) -> str:
        """Return a line that names what is at no fault in ``errors``; what is ours need not be said."""
        at_fault = {app for error in errors if isinstance(error, AppError) for app in error.apps}
        names = [
            f"{info.kind} {info.name} ({info.distribution})"
            for info in self.found
            if info.state == "loaded" and info.name not in at_fault and info.distribution.split(" ")[0] != "sqlhelpers"
        ]
        return f"not affected: {', '.join(names)}" if names else ""

    def _load_plugin(self, point: EntryPoint) -> tuple[str, ...]:
        self.register(load(point), label_of(point))
        return self.hooks_of(label_of(point))

    def _load_app(self, point: EntryPoint) -> tuple[str, ...]:
        value = load(point)
        if isinstance(value, App):
            self.add_app(value, label_of(point))
            return ()
        if not isinstance(value, ModuleType):
            expected = "an App, or a package that has models and migrations"
            raise PluginLoadError(label_of(point), f"{point.value} is {type(value).__name__}, not {expected}")
        self.register(value, label_of(point))
        hooks = self.hooks_of(label_of(point))
        if "sqlhelpers_register_app" not in hooks:
            self.add_app(App(name=point.name, package=value.__name__), label_of(point))
        return hooks

    def _note_adapter(self, point: EntryPoint) -> tuple[str, ...]:
        self._adapters[point.name] = point
        return ()

    def collect_apps(self, enabled_apps: Collection[str] | None = None) -> Iterator[SqlhelpersError]:
        """Add the apps that plugins register, and yield what is wrong with them.

        Args:
            enabled_apps: the only apps that are added; None for all.
        """
        for plugin, result in self.outcomes("sqlhelpers_register_app"):
            try:
                for app in _apps_of(plugin, result):
                    if enabled_apps is None or app.name in enabled_apps:
                        self.add_app(app, plugin)
            except ConfigurationError as error:
                yield error
                if plugin in self._found:
                    self._found[plugin] = replace(self._found[plugin], state="failed", reason=str(error))

    def add_app(self, app: App, source: str) -> None:
        """Add an app.

        Args:
            app: the app.
            source: who registers it, for messages.

        Raises:
            AppError: there is an app with this name, or the name is not one word.
        """
        if not re.fullmatch(r"\w[\w.-]*", app.name):
            problem = f"app {app.name!r} ({source}): its name must be one word of letters, digits, _ and -"
            raise AppError(problem, [app.name])
        if app.name in self._apps:
            other = self._apps[app.name][1]
            raise AppError(f"two apps are named {app.name!r}: from {other} and from {source}", [app.name])
        self._apps[app.name] = (app, source)

    def apps(self) -> dict[str, App]:
        """Return the apps by name."""
        return {name: app for name, (app, _) in self._apps.items()}

    def adapter(self, name: str) -> Adapter:
        """Load the adapter for a framework.

        Args:
            name: the framework's top-level module.

        Raises:
            AdapterNotInstalled: there is no such adapter, or its framework is not installed.
            PluginLoadError: it cannot be imported.
        """
        if name not in self._adapters:
            known = ", ".join(sorted(self._adapters)) or "none"
            raise AdapterNotInstalled(f"there is no adapter for {name!r} (installed: {known})")
        point = self._adapters[name]
        if find_spec(name) is None:
            ours = point.dist is not None and point.dist.name == "sqlhelpers"
            how = f"'sqlhelpers[{name}]'" if ours else name
            raise AdapterNotInstalled(
                f"the adapter {label_of(point)} needs {name}, which is not installed: pip install {how}",
            )
        single = Hooks()
        single.register(load(point), label_of(point))
        for plugin, adapter in single.call("sqlhelpers_register_adapter"):
            if isinstance(adapter, Adapter):
                return adapter
            raise wrong_type(plugin, "sqlhelpers_register_adapter", "an Adapter", adapter)
        raise PluginLoadError(label_of(point), "it does not implement sqlhelpers_register_adapter")

    def adapter_for(self, app: object) -> Adapter:
        """Load the adapter for an application object, by the top-level module of its class or of a base of it."""
        modules = [cls.__module__.partition(".")[0] for cls in type(app).__mro__]
        name = next((module for module in modules if module in self._adapters), modules[0])
        return self.adapter(name)


def _apps_of(plugin: str, result: Any) -> Iterable[App]:
    if isinstance(result, HookFailed):
        raise result
    apps = [result] if isinstance(result, App) else result
    if not isinstance(apps, list | tuple) or not all(isinstance(app, App) for app in apps):
        raise wrong_type(plugin, "sqlhelpers_register_app", "an App or a list of them", result)
    return apps
