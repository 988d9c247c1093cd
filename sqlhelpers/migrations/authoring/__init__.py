"""Writing revisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.migrations.authoring.autogenerate import adjusted as adjusted
    from sqlhelpers.migrations.authoring.autogenerate import autogenerate_options as autogenerate_options
    from sqlhelpers.migrations.authoring.files import documented as documented
    from sqlhelpers.migrations.authoring.files import heading as heading
    from sqlhelpers.migrations.authoring.files import literal as literal
    from sqlhelpers.migrations.authoring.ownership import droppable as droppable
    from sqlhelpers.migrations.authoring.write import Wanted as Wanted
    from sqlhelpers.migrations.authoring.write import blank as blank
    from sqlhelpers.migrations.authoring.write import draft_revision as draft_revision
    from sqlhelpers.migrations.authoring.write import init_hint as init_hint
    from sqlhelpers.migrations.authoring.write import merged as merged
    from sqlhelpers.migrations.authoring.write import refuse_installed as refuse_installed

__all__ = [
    "Wanted",
    "adjusted",
    "autogenerate_options",
    "blank",
    "documented",
    "draft_revision",
    "droppable",
    "heading",
    "init_hint",
    "literal",
    "merged",
    "refuse_installed",
]

__getattr__: Final = lazily(
    __name__,
    {
        "autogenerate": ("adjusted", "autogenerate_options"),
        "files": ("documented", "heading", "literal"),
        "ownership": ("droppable",),
        "write": ("Wanted", "blank", "draft_revision", "init_hint", "merged", "refuse_installed"),
    },
)
