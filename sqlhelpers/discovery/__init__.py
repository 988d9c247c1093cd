"""What is installed: plugins, the apps and adapters that they bring, their hooks, and whose each table is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.discovery.adapter import Adapter as Adapter
    from sqlhelpers.discovery.app import App as App
    from sqlhelpers.discovery.entry_points import APPS as APPS
    from sqlhelpers.discovery.entry_points import PLUGINS as PLUGINS
    from sqlhelpers.discovery.entry_points import by_name as by_name
    from sqlhelpers.discovery.entry_points import installed as installed
    from sqlhelpers.discovery.entry_points import label_of as label_of
    from sqlhelpers.discovery.entry_points import load as load
    from sqlhelpers.discovery.entry_points import may_implement as may_implement
    from sqlhelpers.discovery.entry_points import refuse_doubles as refuse_doubles
    from sqlhelpers.discovery.entry_points import why_not as why_not
    from sqlhelpers.discovery.hooks import Hooks as Hooks
    from sqlhelpers.discovery.hooks import everywhere as everywhere
    from sqlhelpers.discovery.hooks import merge_options as merge_options
    from sqlhelpers.discovery.hookspecs import hookimpl as hookimpl
    from sqlhelpers.discovery.plugin_manager import PluginInfo as PluginInfo
    from sqlhelpers.discovery.plugin_manager import PluginManager as PluginManager
    from sqlhelpers.discovery.tables import Claim as Claim
    from sqlhelpers.discovery.tables import ModelModules as ModelModules
    from sqlhelpers.discovery.tables import shared_tables as shared_tables

__all__ = [
    "APPS",
    "PLUGINS",
    "Adapter",
    "App",
    "Claim",
    "Hooks",
    "ModelModules",
    "PluginInfo",
    "PluginManager",
    "by_name",
    "everywhere",
    "hookimpl",
    "installed",
    "label_of",
    "load",
    "may_implement",
    "merge_options",
    "refuse_doubles",
    "shared_tables",
    "why_not",
]

__getattr__: Final = lazily(
    __name__,
    {
        "adapter": ("Adapter",),
        "app": ("App",),
        "entry_points": (
            "APPS",
            "PLUGINS",
            "by_name",
            "installed",
            "label_of",
            "load",
            "may_implement",
            "refuse_doubles",
            "why_not",
        ),
        "hooks": ("Hooks", "everywhere", "merge_options"),
        "hookspecs": ("hookimpl",),
        "plugin_manager": ("PluginInfo", "PluginManager"),
        "tables": ("Claim", "ModelModules", "shared_tables"),
    },
)
