"""The documentation is built, and names all that there is: settings, hooks, commands, errors, public names."""

from __future__ import annotations

import html
import importlib
import inspect
import os
import re
import sys

import pytest
from filelock import FileLock
from pages import DOCS
from projects import run
from wheels import ROOT

from sqlhelpers import exceptions
from sqlhelpers.discovery import hookspecs
from sqlhelpers.exceptions import SqlhelpersError

pytest.importorskip("sphinx", reason="the group docs is not installed")
sys.path.append(str(DOCS / "_ext"))

from command_reference import all_commands
from error_samples import ROOTS
from setting_reference import all_settings

HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("sqlhelpers_")}
ERRORS = [
    name
    for name, value in vars(exceptions).items()
    if inspect.isclass(value) and issubclass(value, SqlhelpersError) and not name.startswith("_")
]
#: Modules whose ``__all__`` is in the reference of the API, and what is told elsewhere.
PUBLIC = {
    "sqlhelpers": {"SqlhelpersError"},
    "sqlhelpers.aio": {"DatabaseStatus", "SyncResult"},
    "sqlhelpers.cli": set(),
    "sqlhelpers_asyncio": set(),
    "sqlhelpers_click": set(),
    "sqlhelpers_diagram": {"sqlhelpers_register_commands"},
    "sqlhelpers_doctor": {"sqlhelpers_register_commands"},
    "sqlhelpers_fastapi": {"AsyncDatabaseManager", "SessionProvider", "SyncSessionProvider"},
    "sqlhelpers_flask": set(),
    "sqlhelpers_graph": {"sqlhelpers_register_commands"},
    "sqlhelpers_lint": set(),
    "sqlhelpers_pytest": set(),
    "sqlhelpers_shell": {"sqlhelpers_register_commands"},
}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built pages, with any warning an error; built once for all processes of a test run."""
    is_shared = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent / "site" if is_shared else tmp_path_factory.mktemp("site")
    with FileLock(f"{folder}.lock"):
        if not (folder / "built").exists():
            build(folder)
            (folder / "built").touch()
    return folder / "html"


def build(folder):
    """Build the pages into ``html`` below a folder."""
    options = ("-b", "html", "-W", "--keep-going", "-n", "-q", "-d", folder / "doctrees")
    env = {"SQLHELPERS_DISABLE_PLUGINS": "countries,bookshop"}
    done = run([sys.executable, "-m", "sphinx", *options, DOCS, folder / "html"], ROOT, env, timeout=300)
    assert done.status == 0, done.output


def text_of(page):
    """Return what a reader sees on a page, without what is around it."""
    (body,) = re.findall(r'<article[^>]*id="furo-main-content">(.*?)</article>', page.read_text("utf-8"), re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())


def ids_of(page):
    """Return the anchors of a page."""
    return set(re.findall(r' id="([^"]+)"', page.read_text("utf-8")))


def test_every_setting_is_told(site):
    """With its variable; what it is for stands in the docstring of its model, or the build would have ended."""
    told = text_of(site / "reference" / "settings.html")
    names = list(all_settings())

    assert len(names) > 40
    assert [name for name in names if f"{name}¶" not in told] == []
    assert [name for name in names if f"SQLHELPERS_{name.upper().replace('.', '__')}" not in told] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_told(site, hook):
    """With each of its arguments, and an example that implements it."""
    told = text_of(site / "reference" / "hooks.html")
    described = told.partition(f"hookspecs.{hook}(")[2].partition("hookspecs.")[0]

    assert f"@hookimpl def {hook}(" in described
    for argument in inspect.signature(HOOKS[hook]).parameters:
        assert re.search(f"\\b{argument}(?: \\(.*?\\))? \N{EN DASH} ", described), argument


@pytest.mark.parametrize("context", list(all_commands()), ids=lambda context: context.command_path)
def test_every_command_is_told(site, context):
    """With each of its arguments and options, but those that are hidden."""
    told = text_of(site / "reference" / "command-line.html")
    described = told.partition(f"{context.command_path}¶")[2].partition("¶ Usage: sqlhelpers")[0]

    assert f"Usage: {context.command_path}" in described
    for parameter in context.command.params:
        if getattr(parameter, "hidden", False):
            continue
        for name in parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]:
            assert name in described, name


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_told(site, error):
    """With its cause, its cure, its exit status, and what one says that was raised; a mere root is never raised."""
    told = text_of(site / "reference" / "errors.html")
    described = told.partition(f"sqlhelpers.exceptions.{error}¶")[2].partition("exception sqlhelpers.")[0]

    assert "Exit status" in described
    assert "Cure: " in described
    assert ("error: " in described) is (getattr(exceptions, error) not in ROOTS)


def test_the_tree_of_errors_has_all_of_them(site):
    """It is drawn at the top of the module, and of the page."""
    before = text_of(site / "reference" / "errors.html").partition("SqlhelpersError¶")[0]
    tree = before.partition("SqlhelpersError ├──")[2]

    assert [error for error in ERRORS[1:] if error not in tree] == []


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_told(site, module):
    """The reference of the API has all that a module lists."""
    anchors = set().union(*(ids_of(page) for page in (site / "reference").glob("api-*.html")))
    told = {anchor.removeprefix(f"{module}.") for anchor in anchors if anchor.startswith(f"{module}.")}
    listed = set(importlib.import_module(module).__all__)

    assert listed - PUBLIC[module] - told == set()


def test_every_page_has_a_place(site):
    """Sphinx warns of a page that is in no toctree; this is about entries that lead nowhere."""
    pages = {str(page.relative_to(site).with_suffix("")) for page in site.rglob("*.html")}
    named = re.findall(r"^(?:.*<)?([a-z][\w/-]*)>?$", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)

    assert set(named) - pages == set()
