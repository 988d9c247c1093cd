"""The face of a room: its public names, each imported when it is first used (PEP 562), for a quick start."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def lazily(room: str, modules: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a room.

    Args:
        room: the package's name.
        modules: the names that each of its modules provides.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name in homes:
            found = getattr(import_module(f"{room}.{homes[name]}"), name)
            setattr(import_module(room), name, found)  # the next time, nobody asks here
            return found
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return get
