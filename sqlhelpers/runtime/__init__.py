"""Settings, plugins and apps brought together into managers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.runtime.authoring import make_folder as make_folder
    from sqlhelpers.runtime.authoring import revision_files as revision_files
    from sqlhelpers.runtime.authoring import target as target
    from sqlhelpers.runtime.authoring import targets as targets
    from sqlhelpers.runtime.authoring import write_revisions as write_revisions
    from sqlhelpers.runtime.readiness import summary as summary
    from sqlhelpers.runtime.runtime import Runtime as Runtime
    from sqlhelpers.runtime.selection import Selection as Selection
    from sqlhelpers.runtime.selection import select as select
    from sqlhelpers.runtime.selection import select_app as select_app

__all__ = [
    "Runtime",
    "Selection",
    "make_folder",
    "revision_files",
    "select",
    "select_app",
    "summary",
    "target",
    "targets",
    "write_revisions",
]

__getattr__: Final = lazily(
    __name__,
    {
        "authoring": ("make_folder", "revision_files", "target", "targets", "write_revisions"),
        "readiness": ("summary",),
        "runtime": ("Runtime",),
        "selection": ("Selection", "select", "select_app"),
    },
)
