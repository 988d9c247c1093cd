"""Fixtures: a project in an environment of its own, with one healthy app and the wheels of a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest
from bookshops import Bookshop, bookshop
from sites import HEALTHY, Site
from wheels import Environment, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def healthy_environment(core_environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with sqlhelpers and one app, ``healthy``."""
    folder = tmp_path_factory.mktemp("healthy")
    environment = core_environment.clone(folder / "environment")
    environment.install(HEALTHY.build(folder))
    return environment


@pytest.fixture
def install(
    healthy_environment: Environment,
    tmp_path: Path,
    clean_environment: None,  # noqa: ARG001
) -> Callable[..., Site]:
    """A function that builds wheels from sources, and installs them beside ``healthy`` in a fresh environment."""

    def install(*sources: Source) -> Site:
        (tmp_path / "project").mkdir()
        with ThreadPoolExecutor() as pool:
            cloned = pool.submit(healthy_environment.clone, tmp_path / "environment")
            built = list(pool.map(partial(Source.build, folder=tmp_path), sources))
        site = Site(cloned.result(), tmp_path / "project")
        if built:
            site.environment.install(*built)
        return site

    return install


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookshop]:
    """A bookshop that is served over HTTP, and has something in it, on each database in turn."""
    folder = tmp_path_factory.mktemp("shop")
    if request.param == "sqlite":
        with bookshop(f"sqlite:///{folder}/shop.db", folder) as made:
            yield made
    else:
        server = request.getfixturevalue("postgres_server")
        with server.fresh_database() as url, bookshop(url, folder) as made:
            yield made
