"""Rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import click
import pytest

from sqlhelpers import cli
from sqlhelpers.discovery import hookspecs

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("sqlhelpers/**/*.py"), *ROOT.glob("plugins/*/*.py")])
TESTS = sorted(ROOT.glob("tests/**/test_*.py"))


def functions(file):
    """Return the functions and methods in a file."""
    tree = ast.parse(file.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_every_test_says_what_it_is_about(file):
    """In one line, which is what a reader sees first when it fails."""
    silent = [node.name for node in functions(file) if node.name.startswith("test_") and not ast.get_docstring(node)]

    assert silent == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_modules_and_functions_stay_short(file):
    """Five hundred lines for a module, forty for a function without its docstring."""
    long = [node.name for node in functions(file) if body_length(node) > 40]

    assert long == []
    assert len(file.read_text("utf-8").splitlines()) <= 500


def body_length(node):
    """Return how many lines the statements of a function take, its docstring left out."""
    first = 1 if ast.get_docstring(node) else 0
    return node.end_lineno - node.body[first].lineno + 1 if len(node.body) > first else 0


def test_the_readme_knows_every_command():
    """And has none that there is not."""
    readme = (ROOT / "README.md").read_text("utf-8")
    told = set(re.findall(r"`?\bsqlhelpers ((?:run-)?[a-z]+)\b", readme.replace("import sqlhelpers", "")))
    commands = set(cli.cli.list_commands(click.Context(cli.cli)))

    assert commands - told == set()


def test_every_room_has_its_place_in_the_architecture():
    """Once, in the layer that the contract has it in, with the sentence of its docstring; and there is no other."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    told = re.findall(r"^\| (\d) \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["id"] == "layers")
    places = {name: str(len(layers) - number) for number, layer in enumerate(layers) for name in layer.split(" : ")}
    rooms = [*(ROOT / "sqlhelpers").glob("*/__init__.py"), *(ROOT / "sqlhelpers").glob("*[!_].py")]
    rooms.append(ROOT / "sqlhelpers" / "__main__.py")

    def sentence(file):
        first = ast.get_docstring(ast.parse(file.read_text("utf-8"))).split("\n\n")[0]
        return " ".join(first.split()).replace("``", "`")

    names = {file: file.parent.name if file.name == "__init__.py" else file.stem for file in rooms}
    assert sorted(told) == sorted((places[names[file]], names[file], sentence(file)) for file in rooms)


@pytest.mark.parametrize("room", [ROOT / "sqlhelpers", *ROOT.glob("sqlhelpers/**/")], ids=lambda room: room.name)
def test_a_room_is_small_enough_to_be_known(room):
    """It has a face, and at most ten children beside it; the house itself has its rooms and the ground."""
    children = [each for each in room.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()]

    if room != ROOT / "sqlhelpers" and children:
        assert (room / "__init__.py").exists()
        assert len(children) - 1 <= 10


def test_contributors_are_sent_to_modules_that_there_are():
    """In the table of places."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = page.partition("| a line that ...")[2].partition("\n\n")[0]
    told = re.findall(r"`([\w/]+)`", "".join(re.findall(r"\|([^|]*)\|$", table, re.MULTILINE)))
    top = ROOT / "sqlhelpers"

    assert told
    assert [name for name in told if not (top / f"{name}.py").exists() and not (top / name).is_dir()] == []


def test_every_hook_has_a_caller():
    """A hook that is specified is also called."""
    code = "".join(file.read_text("utf-8") for file in MODULES if file.name != "hookspecs.py")

    for name in vars(hookspecs):
        if name.startswith("sqlhelpers_"):
            assert f'"{name}"' in code, name


_COMPARES_A_DIALECT = re.compile(
    r"""(dialect\.name|\.driver\b|backend_name\(\)|driver_name\(\)|\bdialect\b)\s*(==|!=|in\b|not\ in\b)\s*[("'\[{]"""
    r"""|["'](sqlite|postgresql|mysql|mariadb)["']\s*(==|!=|in\b)"""
)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_only_backends_know_what_differs_between_databases(file):
    """No line outside them, and outside the SQL of queries, compares the name of a dialect or a driver."""
    if file.is_relative_to(ROOT / "sqlhelpers") and file.parent.name not in ("backends", "queries"):
        lines = file.read_text("utf-8").splitlines()

        assert [line.strip() for line in lines if _COMPARES_A_DIALECT.search(line)] == []
