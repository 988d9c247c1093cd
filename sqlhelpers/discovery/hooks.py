"""Calls the hooks: plugins are checked when they are registered, and a hook that fails is named."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pluggy

from sqlhelpers.discovery import hookspecs
from sqlhelpers.exceptions import (
    DatabaseFailure,
    DriverNotInstalled,
    HookFailed,
    InvalidHook,
    PluginLoadError,
    Refused,
)
from sqlhelpers.reports import Diagnosis
from sqlhelpers.suggestions import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import URL, Connection, Engine

    from sqlhelpers.backends import Backend
    from sqlhelpers.config import DatabaseSettings
    from sqlhelpers.reports import DatabaseReport

_PREFIX = "sqlhelpers_"
_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(_PREFIX))


class Hooks:
    """The plugins of one runtime, and a typed method for each hook that the runtime calls."""

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    def register(self, plugin: object, name: str) -> None:
        """Register a module or an object that has hook implementations.

        Args:
            plugin: the module or object.
            name: what to call it in messages.

        Raises:
            InvalidHook: a hook is misspelt, not marked, a wrapper, or takes an argument that there is not.
            PluginLoadError: a plugin with this name is registered already.
        """
        _check_names(plugin, name)
        try:
            self._pluggy.register(plugin, name)
        except pluggy.PluginValidationError as error:
            hook = re.search(rf"{_PREFIX}\w+", str(error))
            problem = str(error).splitlines()[-1]
            raise InvalidHook(name, f"wrong signature of {hook[0] if hook else 'a hook'}: {problem}") from error
        except ValueError as error:
            raise PluginLoadError(name, "it is registered already") from error

    def hooks_of(self, name: str) -> tuple[str, ...]:
        """Return the names of the hooks that the plugin ``name`` implements."""
        callers = self._pluggy.get_hookcallers(self._pluggy.get_plugin(name)) or ()
        return tuple(sorted(caller.name for caller in callers))

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Return the implementations of ``hook``, in pluggy's order."""
        return list(reversed(getattr(self._pluggy.hook, hook).get_hookimpls()))

    def unregister(self, name: str) -> None:
        """Forget the plugin ``name``."""
        self._pluggy.unregister(name=name)

    def implements(self, *hooks: str) -> bool:
        """Tell whether a plugin implements one of ``hooks``."""
        return any(self._all_implementations(hook) for hook in hooks)

    def _all_implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return [*_EVERYWHERE.implementations(hook), *self.implementations(hook)]

    def outcomes(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Yield what each implementation of ``hook`` returned, with the plugin's name; None is left out.

        Every implementation is called for itself, in pluggy's order. For one that raises, a ``HookFailed`` is yielded.
        """
        for implementation in self._all_implementations(hook):
            name = implementation.plugin_name
            try:
                result = implementation.function(*(arguments[each] for each in implementation.argnames))
            except (Exception, SystemExit) as error:
                original = getattr(error, "orig", None) or error  # SQLAlchemy's text would show parameters
                cause = " ".join(f"{type(original).__name__}: {original}".split())
                result = HookFailed(name, f"{hook} raised {cause}")
                result.__cause__ = error
            if result is not None:
                yield name, result

    def call(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Yield what each implementation of ``hook`` returned, with the plugin's name; None is left out.

        Raises:
            HookFailed: an implementation raised; those after it are not called.
        """
        for name, result in self.outcomes(hook, **arguments):
            if isinstance(result, HookFailed):
                raise result
            yield name, result

    def _notify(self, hook: str, **arguments: Any) -> None:
        for _ in self.call(hook, **arguments):
            pass

    def backend(self, url: URL) -> Backend:
        """Return the backend for a URL: that of the plugin loaded last which brings one, else one of ours.

        Raises:
            InvalidHook: a plugin returned something else.
        """
        from sqlhelpers.backends import Backend, built_in  # they bring SQLAlchemy

        name = url.get_backend_name()
        for plugin, result in self.call("sqlhelpers_register_backend"):
            found = [result] if isinstance(result, Backend) else result
            if not isinstance(found, list | tuple) or not all(isinstance(each, Backend) for each in found):
                raise wrong_type(plugin, "sqlhelpers_register_backend", "a Backend or a list of them", result)
            for each in found:
                if name in each.names:
                    return each  # type: ignore[no-any-return]
        return built_in(name)

    def has_sync_driver(self, url: URL) -> bool:
        """Tell whether a driver for sync managers is installed; where there is none, the async manager serves."""
        try:
            self.backend(url).resolve(url, aio=False)
        except DriverNotInstalled:
            return False
        return True

    def resolve_url(self, bind: str, settings: DatabaseSettings) -> str | None:
        """Return the URL that the first plugin which knows one gives for ``bind``; None if none does."""
        for name, result in self.call("sqlhelpers_resolve_url", bind=bind, settings=settings):
            if not isinstance(result, str):
                raise wrong_type(name, "sqlhelpers_resolve_url", "a URL as text", result)
            return result
        return None

    def engine_options(self, bind: str, url: URL) -> dict[str, Any]:
        """Return the ``create_engine`` options of all plugins; ``connect_args`` are merged."""
        options: dict[str, Any] = {}
        for name, result in reversed(list(self.call("sqlhelpers_engine_options", bind=bind, url=url))):
            if not isinstance(result, Mapping):
                raise wrong_type(name, "sqlhelpers_engine_options", "a mapping", result)
            options = merge_options(options, result)
        return options

    def engine_created(self, bind: str, engine: Engine) -> None:
        """Tell the plugins about a new engine."""
        self._notify("sqlhelpers_engine_created", bind=bind, engine=engine)

    def before_sync(self, bind: str, connection: Connection, status: DatabaseReport) -> None:
        """Let the plugins refuse a run.

        Raises:
            Refused: one of them raised.
        """
        try:
            self._notify("sqlhelpers_before_sync", bind=bind, connection=connection, status=status)
        except HookFailed as error:
            raise Refused(f"{error}; the run is refused") from error.__cause__

    def after_sync(self, bind: str, connection: Connection, result: DatabaseReport) -> None:
        """Let the plugins seed or check data.

        Raises:
            DatabaseFailure: one of them raised.
        """
        try:
            self._notify("sqlhelpers_after_sync", bind=bind, connection=connection, result=result)
        except HookFailed as error:
            raise DatabaseFailure(str(error)) from error.__cause__

    def examine(self, bind: str, connection: Connection) -> Iterator[tuple[str, Iterable[Diagnosis] | HookFailed]]:
        """Yield what each plugin has found in a database, or that its hook failed, with the plugin's name."""
        for name, result in self.outcomes("sqlhelpers_examine", bind=bind, connection=connection):
            is_fine = isinstance(result, list | tuple) and all(isinstance(each, Diagnosis) for each in result)
            if not isinstance(result, HookFailed) and not is_fine:
                raise wrong_type(name, "sqlhelpers_examine", "a list of Diagnosis", result)
            yield name, result


#: What serves all runtimes and managers, whoever makes them: empty, unless a test kit is at work. It has nobody else
#: to go by, since applications make their runtimes for themselves.
_EVERYWHERE = Hooks()


@contextmanager
def everywhere(plugin: object, name: str) -> Iterator[None]:
    """Let a plugin serve every runtime and every manager of the process in the block, also those that exist already.

    This is for test kits, which turn applications to databases of their own. The plugin is asked before all others.
    An engine that a manager has made before the block stays as it is.

    Args:
        plugin: the module or object with hook implementations; of the hooks that are called for engines.
        name: what to call it in messages.
    """
    _EVERYWHERE.register(plugin, name)
    try:
        yield
    finally:
        _EVERYWHERE.unregister(name)


def merge_options(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings of ``create_engine`` options in one; ``connect_args`` are merged, not replaced."""
    merged = {**weak, **strong}
    if "connect_args" in merged:
        merged["connect_args"] = {**(weak.get("connect_args") or {}), **(strong.get("connect_args") or {})}
    return merged


def _check_names(plugin: object, name: str) -> None:
    for attribute in dir(plugin):
        if not attribute.startswith(_PREFIX):
            continue
        function = getattr(plugin, attribute, None)
        options = getattr(function, f"{hookspecs.PROJECT}_impl", None)
        if inspect.ismodule(function) or (options is None and not callable(function)):
            continue
        if attribute not in _HOOKS:
            raise InvalidHook(name, f"there is no hook {attribute}{suggest(attribute, _HOOKS)}")
        if options is None:
            raise InvalidHook(name, f"{attribute} is not marked @hookimpl")
        if options["wrapper"] or options["hookwrapper"]:
            raise InvalidHook(name, f"{attribute} is a wrapper; sqlhelpers calls every implementation for itself")
        if inspect.iscoroutinefunction(function):
            raise InvalidHook(name, f"{attribute} is async; hooks are synchronous")


def wrong_type(plugin: str, hook: str, expected: str, got: object) -> InvalidHook:
    """Return the error for a hook of ``plugin`` that returned something else than ``expected``."""
    return InvalidHook(plugin, f"{hook} should return {expected}, not {type(got).__name__}")
