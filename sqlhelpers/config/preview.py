"""``Preview``: what the settings name, for what should be quick: help, completion, the list of plugins.

It needs neither pydantic nor SQLAlchemy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlhelpers.config.sources import merged, read_layers, split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlhelpers.config.settings import Settings


@dataclass(frozen=True)
class Preview:
    """What the settings name; nothing else in them has been checked.

    Attributes:
        databases: the names of the databases.
        apps: the names of the apps that the settings declare or correct.
        enable_apps: the only apps that are wanted; None for all.
        disable_plugins: the names of plugins and apps that are not loaded.
        values: all that is set, nested as the settings are.
    """

    databases: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    enable_apps: tuple[str, ...] | None = None
    disable_plugins: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_preview(folder: Path, environ: Mapping[str, str]) -> Preview:
    """Return what the settings name, from where ``Settings`` would read them.

    Args:
        folder: the working directory.
        environ: the environment variables.

    Raises:
        SettingsError: one of the sources cannot be read.
    """
    whole = merged(layer.values for layer in read_layers(folder, environ))
    return Preview(
        databases=_keys(whole.get("databases")),
        apps=_keys(whole.get("apps")),
        enable_apps=None if whole.get("enable_apps") is None else _words(whole["enable_apps"]),
        disable_plugins=_words(whole.get("disable_plugins")),
        values=whole,
    )


def preview_of(settings: Settings) -> Preview:
    """Return what settings name that were read already."""
    return Preview(
        databases=tuple(settings.databases),
        apps=tuple(settings.apps),
        enable_apps=settings.enable_apps,
        disable_plugins=settings.disable_plugins,
        values=settings.model_dump(exclude_unset=True),
    )


def _keys(table: Any) -> tuple[str, ...]:
    return tuple(map(str, table)) if isinstance(table, dict) else ()


def _words(value: Any) -> tuple[str, ...]:
    found = split(value)
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()
