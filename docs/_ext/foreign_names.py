"""Names in annotations that are SQLAlchemy's, and that Sphinx would take for those of ours that are called alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.addnodes import pending_xref

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_FOREIGN = {"Session": "sqlalchemy.orm.Session"}


def name_in_full(_app: Sphinx, doctree: nodes.document) -> None:
    """Let references to these names lead to the other project, which means nowhere."""
    for reference in doctree.findall(pending_xref):
        if reference.get("refdomain") == "py" and reference["reftarget"] in _FOREIGN:
            reference["reftarget"] = _FOREIGN[reference["reftarget"]]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Listen for pages that have been read."""
    app.connect("doctree-read", name_in_full)
    return {"parallel_read_safe": True}
