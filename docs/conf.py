"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

_project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = _project["name"]
author = _project["authors"][0]["name"]
release = version = _project["version"]
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "command_reference",
    "error_reference",
    "foreign_names",
    "setting_reference",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_inherit_docstrings = False
napoleon_attr_annotations = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!sqlhelpers).*"),  # what others document: building needs no network
    (r"py:.*", r"sqlhelpers[\w.]*\.[A-Z](_co)?"),  # type variables
    (
        r"py:.*",
        r"sqlhelpers\.(managers\.database\.Database|runtime\.apps\.AppRegistry|backends\.\w+\.\w+)",
    ),  # what public classes are made of
    (r"py:.*", r"sqlhelpers_click\.passing\.\w+"),  # what a decorator returns
    (r"py:.*", r"sqlhelpers_diagram\.drawing\.Colour"),  # of drawings alone
]

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"


def setup(app: Sphinx) -> None:
    """Show Mermaid as the text that it is: drawing it would need a script from elsewhere."""
    app.add_lexer("mermaid", TextLexer)
