"""A foreign adapter, ``examples/third_party_plugin``, as a wheel beside ours in a fresh environment."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from wheels import ROOT, build

if TYPE_CHECKING:
    from pathlib import Path

    from wheels import Environment

EXAMPLE = ROOT / "examples" / "third_party_plugin"

WHICH = """
from fastapi import FastAPI
from starlette.applications import Starlette

from sqlhelpers import Runtime

plugins = Runtime().plugins
for kind in (FastAPI, Starlette, type("Site", (Starlette,), {})):
    print(type(plugins.adapter_for(kind())).__name__)
"""


@pytest.fixture(scope="module")
def environment(core_environment: Environment, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the two wheels, FastAPI, and what the example's own tests need."""
    folder = tmp_path_factory.mktemp("third_party")
    tree = shutil.copytree(EXAMPLE, folder / "tree", ignore=shutil.ignore_patterns("__pycache__", "dist", "build"))
    environment = core_environment.clone(folder / "environment")
    environment.install_with_dependencies(f"sqlhelpers[fastapi] @ {wheel.as_uri()}")
    foreign = build(tree, "wheel", folder / "dist")
    environment.install_with_dependencies(f"sqlhelpers-example-starlette[test] @ {foreign.as_uri()}")
    return environment


@pytest.fixture
def folder(tmp_path: Path, clean_environment: None) -> Path:  # noqa: ARG001
    """A working directory without settings."""
    return tmp_path


def test_it_is_found(environment, folder):
    """``sqlhelpers plugins`` lists it with its distribution, beside ours, without importing it."""
    listed = environment.run("sqlhelpers", "plugins", cwd=folder)
    lines = [line.split() for line in listed.stdout.splitlines()]

    assert listed.status == 0
    assert ["adapter", "starlette", "sqlhelpers-example-starlette", "1.0", "sqlhelpers_starlette", "available"] in lines
    assert "fastapi" in [line[1] for line in lines]


def test_it_works(environment, folder):
    """Its own tests pass there: they attach it with ``Runtime.attach``."""
    shutil.copytree(EXAMPLE / "tests", folder / "tests")
    tested = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=folder)

    assert tested.status == 0, tested.output
    assert " passed" in tested.stdout


def test_each_application_gets_its_own_adapter(environment, folder):
    """A FastAPI application, which is a Starlette application too, gets ours; a subclass of Starlette gets this one."""
    asked = environment.run("python", "-c", WHICH, cwd=folder)

    assert asked.stdout.split() == ["FastAPIAdapter", "StarletteAdapter", "StarletteAdapter"], asked.stderr
