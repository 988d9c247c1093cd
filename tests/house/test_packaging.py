"""What is built and shipped: the lists in ``pyproject.toml``, the wheel, the sdist, and what an import costs."""

from __future__ import annotations

import ast
import importlib
import sys
import tarfile
import tomllib
import zipfile

import pytest
from projects import run
from wheels import ROOT, build

import sqlhelpers
from sqlhelpers import manager

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
BUILT = PYPROJECT["tool"]["hatch"]["build"]["targets"]
GROUPS = PYPROJECT["project"]["entry-points"]
ENTRY_POINTS = {
    **GROUPS["sqlhelpers.adapters"],
    **GROUPS["sqlhelpers.plugins"],
    "pytest": GROUPS["pytest11"]["sqlhelpers"],
}
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
FOR_DEVELOPMENT = {"lint", "pytest", "shell"}  # extras that `all` leaves out
TOP_LEVEL = {"sqlhelpers", "plugins", "tests", "examples", "docs"}
ADAPTERS = sorted(path.name for path in (ROOT / "plugins").glob("sqlhelpers_*") if path.is_dir())
ALWAYS_THERE = {*sys.stdlib_module_names, "sqlhelpers", "sqlalchemy", "alembic", "click", "pluggy", "pydantic"}
FRAMEWORKS = {"aiohttp", "bottle", "django", "falcon", "fastapi", "flask", "litestar", "quart", "sanic", "starlette"}

for_each_adapter = pytest.mark.parametrize("adapter", ADAPTERS)


def imported(folder):
    """Return the top-level modules that the Python files below ``folder`` import, anywhere in them."""
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def names(wheel):
    """Return the names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def loaded_after(python, code, folder):
    """Return the modules that a fresh interpreter has loaded after it ran ``code``."""
    done = run([python, "-c", f"{code}\nimport sys; print(*sys.modules)"], folder)
    assert done.status == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """The source tree as the sdist has it."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, "sdist", folder / "dist")) as archive:
        archive.extractall(folder / "tree", filter="data")
    (tree,) = (folder / "tree").iterdir()
    return tree


def test_the_wheel_lists_every_package():
    """The wheel's packages are the core and every folder ``plugins/sqlhelpers_*``."""
    packages = BUILT["wheel"]["packages"]

    assert sorted(packages) == sorted(["sqlhelpers", *(f"plugins/{adapter}" for adapter in ADAPTERS)])


def test_the_sdist_lists_every_folder():
    """The sdist includes the five folders of the top level and no other."""
    folders = {entry.strip("/") for entry in BUILT["sdist"]["include"] if (ROOT / entry.strip("/")).is_dir()}

    assert folders == TOP_LEVEL


def test_the_sdist_lists_nothing_that_is_missing():
    """Every entry of the sdist's list exists."""
    missing = [entry for entry in BUILT["sdist"]["include"] if not (ROOT / entry.strip("/")).exists()]

    assert missing == []


def test_every_entry_point_has_its_package():
    """The entry points of adapters and plugins, and their folders, are the same."""
    packages = {value.partition(".")[0].partition(":")[0] for value in ENTRY_POINTS.values()}

    assert sorted(packages) == ADAPTERS


@for_each_adapter
def test_an_adapter_has_an_extra_or_needs_none(adapter):
    """An adapter that imports more than the core needs has an extra named as its framework, which ``all`` includes."""
    frameworks = {name for name, value in ENTRY_POINTS.items() if value.partition(".")[0] == adapter}
    needed = imported(ROOT / "plugins" / adapter) - ALWAYS_THERE - {*ADAPTERS}
    extras = frameworks & EXTRAS.keys()

    assert extras or not needed, needed
    assert extras - FOR_DEVELOPMENT <= {*EXTRAS["all"][0].partition("[")[2].strip("]").split(",")}


@for_each_adapter
def test_an_adapter_uses_public_names_only(adapter):
    """An adapter imports nothing from the core that begins with an underscore."""
    files = (ROOT / "plugins" / adapter).rglob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlh")]

    assert [alias.name for node in imports for alias in node.names if alias.name.startswith("_")] == []


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    """The wheel has every Python file, template and ``py.typed`` of its packages, its metadata, and nothing stray."""
    roots = {"sqlhelpers": ROOT, **dict.fromkeys(ADAPTERS, ROOT / "plugins")}
    files = {
        path.relative_to(root).as_posix()
        for package, root in roots.items()
        for path in (root / package).rglob("*")
        if path.suffix in (".py", ".mako") or path.name == "py.typed"
    }
    info = f"sqlhelpers-{PYPROJECT['project']['version']}.dist-info"
    metadata = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}

    assert names(wheel) == files | metadata


def test_every_package_is_typed(wheel):
    """Each package in the wheel says by ``py.typed`` that it has types."""
    missing = {f"{package}/py.typed" for package in ("sqlhelpers", *ADAPTERS)} - names(wheel)

    assert missing == set()


def test_the_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    """A wheel that is built from the sdist has the same files as one from the repository."""
    rebuilt = build(sdist, "wheel", tmp_path / "dist")

    assert rebuilt.name == wheel.name
    assert names(rebuilt) == names(wheel)


def test_the_sdist_can_test_itself(sdist):
    """The sdist has the tests, what they read, and no caches."""
    stray = [path for path in sdist.rglob("*") if path.suffix == ".pyc" or path.name == "__pycache__"]

    assert (sdist / "tests" / "conftest.py").is_file()
    assert (sdist / "pyproject.toml").is_file()
    assert stray == []


@pytest.mark.parametrize("command", ["--help", "--version", "run-sync --help", "completion bash"])
def test_a_quick_command_imports_no_sqlalchemy(core_environment, tmp_path, command):
    """Help and completion come without SQLAlchemy and Alembic, which take a while."""
    code = (
        "from sqlhelpers.cli import main\n"
        f"try: main({command.split()})\n"
        "except SystemExit as ended: assert not ended.code, ended.code"
    )
    loaded = loaded_after(core_environment.folder / "bin" / "python", code, tmp_path)

    assert "sqlhelpers.cli" in loaded
    assert not {"sqlalchemy", "alembic"} & loaded


def test_importing_the_package_imports_no_sqlalchemy(core_environment, tmp_path):
    """``import sqlhelpers`` is quick: what its names stand for is imported when they are used."""
    loaded = loaded_after(core_environment.folder / "bin" / "python", "import sqlhelpers", tmp_path)

    assert not {"sqlalchemy", "alembic", "pydantic", "click"} & loaded


def test_the_public_names_are_those_that_type_checkers_see():
    """``__all__`` has the names that are imported under ``TYPE_CHECKING``, each from the same module."""
    tree = ast.parse((ROOT / "sqlhelpers" / "__init__.py").read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: node.module for node in block.body for alias in node.names}

    assert sorted(sqlhelpers.__all__) == sorted(seen)
    for name, module in seen.items():
        assert getattr(sqlhelpers, name) is getattr(importlib.import_module(module), name)


def test_a_name_that_is_not_public_is_an_attribute_error():
    """An unknown name of the package is reported as Python does it, and ``dir()`` has all public ones."""
    with pytest.raises(AttributeError, match="module 'sqlhelpers' has no attribute 'Nothing'"):
        _ = sqlhelpers.Nothing

    assert set(sqlhelpers.__all__) <= set(dir(sqlhelpers))


def test_the_ancestors_names_are_in_the_module_where_it_has_them():
    """``sqlhelpers.manager`` has its models and queries too, and no others."""
    found = {name: getattr(manager, name) for name in manager.__all__}

    assert found["Base"] is sqlhelpers.Base
    assert found["get_or_create"] is sqlhelpers.get_or_create
    with pytest.raises(AttributeError, match=r"'sqlhelpers\.manager' has no attribute 'Nothing'"):
        _ = manager.Nothing


def test_the_core_imports_no_framework_and_no_adapter():
    """No module of the core imports a framework or an adapter, not even inside a function."""
    found = imported(ROOT / "sqlhelpers")

    assert not (FRAMEWORKS | ({*ENTRY_POINTS} - ALWAYS_THERE) | {*ADAPTERS}) & found
