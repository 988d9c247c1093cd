"""The plugin manager, for plugins and apps that are registered by hand."""

from __future__ import annotations

from sqlhelpers.discovery import PluginInfo, PluginManager

__all__ = ["PluginInfo", "PluginManager"]
