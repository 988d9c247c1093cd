"""README.md and the pages in docs/: every block runs, and every link leads somewhere."""

from __future__ import annotations

import re

import pytest
import yaml
from fastapi import FastAPI
from pages import DOCS, PAGES, PageRun, blocks, links, run_by
from wheels import ROOT, Environment

import sqlhelpers_fastapi
from sqlhelpers import Runtime, Settings, cli

#: Pages that use the bookshop of the examples, which is installed beside the tests.
WITH_BOOKSHOP = {"README.md", "asyncio.md", "click.md"}
ANYWHERE = [page for page in PAGES if page.name not in WITH_BOOKSHOP and not run_by(page)]
#: What a fenced block may be, beside a directive of Sphinx.
KINDS = {"python", "toml", "console", "ini", "text", "yaml", "sql", "json", "mermaid"}

for_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(scope="session")
def fresh_environment(core_environment, tmp_path_factory):
    """An environment as a reader has it: sqlhelpers with what the pages install beside it."""
    environment = core_environment.clone(tmp_path_factory.mktemp("reader") / "environment")
    for requirement in ("sqlhelpers[fastapi,sqlite]", "uvicorn", "httpx2", "pytest"):
        environment.install_with_dependencies(requirement)
    return environment


@pytest.fixture
def environment(fresh_environment, tmp_path) -> Environment:
    """A copy of it, into which a page may install what it likes."""
    return fresh_environment.clone(tmp_path / "environment")


@pytest.mark.parametrize("page", ANYWHERE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page, project, request):
    """In an empty folder and a fresh environment, from the top of the page to its end."""
    is_installed = any(kind == "console" for kind, _ in blocks(page))
    programs = request.getfixturevalue("environment").folder / "bin" if is_installed else None
    run = PageRun(page, project, programs, {"SQLHELPERS_DISABLE_PLUGINS": None})

    run.run()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in WITH_BOOKSHOP], ids=lambda page: page.name)
def test_every_block_runs_with_the_bookshop(page, project, monkeypatch):
    """The same with the models of the example."""
    monkeypatch.delenv("SQLHELPERS_DISABLE_PLUGINS")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{project.folder}/shop.db")

    PageRun(page, project).run()


@for_each_page
def test_pages_that_are_run_elsewhere_are_run(page):
    """The test that such a page names is there, and names the page."""
    test = run_by(page)

    assert not test or f'"{page.name}"' in (ROOT / test).read_text("utf-8")


@for_each_page
def test_blocks_are_of_kinds_that_are_run(page):
    """A block that is called otherwise would run nowhere, and nobody would notice."""
    kinds = {info for info, _ in blocks(page) if not info.startswith("{")}

    assert kinds - KINDS == set()


@for_each_page
def test_what_is_left_out_says_why(page):
    """A block at a time, with its reason beside it in the source."""
    marks = re.findall(r"^<!-- skip.*", page.read_text("utf-8"), re.MULTILINE)

    assert [mark for mark in marks if not re.fullmatch(r'<!-- skip: next "[^"]{6,}" -->', mark)] == []


def test_the_deployment_of_kubernetes(project):  # noqa: ARG001  # no setting comes from elsewhere
    """Its command and its probes are those that there are."""
    (text,) = (text for kind, text in blocks(DOCS / "howto" / "kubernetes.md") if kind == "yaml")
    pod = yaml.safe_load(text)["spec"]["template"]["spec"]
    (first,), (service,) = pod["initContainers"], pod["containers"]
    app = FastAPI()
    sqlhelpers_fastapi.attach(app, Runtime(Settings(databases={})))

    with pytest.raises(cli.Failure, match="no database named"):  # which comes after the arguments have been understood
        cli.cli.main([*first["command"][1:]], standalone_mode=False)
    paths = {service[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert paths <= {route.path for route in app.routes}


@for_each_page
def test_links_lead_to_files(page):
    """From the page's own folder, as on a code host; Sphinx checks the anchors."""
    missing = [path for path, _ in links(page) if path and not (page.parent / path).exists()]

    assert missing == []
