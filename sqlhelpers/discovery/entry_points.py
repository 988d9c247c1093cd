"""Entry points: which of them the settings let in, and what is behind each. Nothing else is loaded with them."""

from __future__ import annotations

from collections import defaultdict
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlhelpers.exceptions import PluginLoadError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from importlib.metadata import EntryPoint

APPS = "sqlhelpers.apps"
PLUGINS = "sqlhelpers.plugins"
ADAPTERS = "sqlhelpers.adapters"


def installed(*groups: str) -> list[EntryPoint]:
    """Return all entry points in some groups, in the order of the groups; those of all distributions are read once."""
    found = entry_points()
    return [point for group in groups for point in found.select(group=group)]


def by_name(points: Iterable[EntryPoint]) -> list[list[EntryPoint]]:
    """Return entry points sorted by name, group after group: for each name those that have it, by mistake several."""
    found: dict[str, dict[str, list[EntryPoint]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        found[point.group][point.name].append(point)
    return [same for names in found.values() for _, same in sorted(names.items())]


def refuse_doubles(points: list[EntryPoint]) -> None:
    """Raise if several distributions have registered one name.

    Raises:
        PluginLoadError: naming them.
    """
    if len(points) > 1:
        point, names = points[0], " and ".join(sorted(map(distribution_of, points)))
        raise PluginLoadError(point.name, f"the entry point {point.group}:{point.name} is registered by {names}")


def why_not(point: EntryPoint, disabled: Iterable[str], enabled_apps: Collection[str] | None) -> str:
    """Return why the settings do not let in an entry point; empty if they do."""
    if point.name in disabled:
        return "disabled by disable_plugins"
    if point.group == APPS and enabled_apps is not None and point.name not in enabled_apps:
        return "not in enable_apps"
    return ""


def load(point: EntryPoint) -> Any:
    """Return the module or the object that an entry point points to.

    Raises:
        PluginLoadError: it cannot be imported, whatever it raises.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginLoadError(label_of(point), f"{point.value} cannot be imported: {cause}") from error


def may_implement(point: EntryPoint, hook: str) -> bool:
    """Tell whether a plugin may implement a hook, without running it: most do not, and may take long to import."""
    if point.attr and point.group != APPS:
        return True  # an object has its hooks from anywhere
    try:
        spec = find_spec(point.module)
        if point.attr:  # an App, which has none, or a module of a package
            places = [Path(place, point.attr) for place in (spec and spec.submodule_search_locations) or ()]
            return any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)
        source = Path(spec.origin or "").read_bytes() if spec else b""
    except Exception:
        return True  # loading it tells what is wrong
    return not source or hook.encode() in source or b"import *" in source


def distribution_of(point: EntryPoint) -> str:
    """Return the name and the version of the distribution that registers an entry point."""
    if not point.dist:
        return "an unknown distribution"
    metadata = point.dist.metadata  # parsed anew each time that it is asked for
    return f"{metadata['Name']} {metadata['Version']}"


def label_of(point: EntryPoint) -> str:
    """Return how messages call a plugin: entry point, module, group and distribution."""
    return f"{point.name!r} ({point.value}, {point.group} of {distribution_of(point)})"
