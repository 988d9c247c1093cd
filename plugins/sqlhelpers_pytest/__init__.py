"""The testing kit: a plugin of pytest that lets tests use real databases, and leaves no trace of them.

pytest imports this module in every run where ``sqlhelpers`` is installed, so that it imports nothing until a test asks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from sqlhelpers_pytest.fixtures import *  # noqa: F403  # pytest finds them here
from sqlhelpers_pytest.fixtures import KIT, SERVER, asks, wanted_mode
from sqlhelpers_pytest.options import add_options

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlhelpers_pytest.lazyloads import assert_no_lazy_loads as assert_no_lazy_loads
    from sqlhelpers_pytest.lazyloads import record_lazy_loads as record_lazy_loads
    from sqlhelpers_pytest.statements import assert_statements as assert_statements
    from sqlhelpers_pytest.statements import record_statements as record_statements

__all__ = ["assert_no_lazy_loads", "assert_statements", "record_lazy_loads", "record_statements"]

_MODULES = {
    "assert_no_lazy_loads": "lazyloads",
    "assert_statements": "statements",
    "record_lazy_loads": "lazyloads",
    "record_statements": "statements",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"sqlhelpers_pytest.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the kit."""
    add_options(parser)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let the processes of pytest-xdist share the throwaway server."""
    if node.config.getoption("sqlhelpers_server"):
        from sqlhelpers_pytest.serving import server_of

        node.workerinput["sqlhelpers_server"] = server_of(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the throwaway server."""
    server = config.stash.get(SERVER, None)
    if server is not None:
        server.stop()


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the migration tests."""
    config.addinivalue_line("markers", "sqlhelpers_migrations: tests of migrations that sqlhelpers brings")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test the migrations of each app for themselves."""
    if "sqlhelpers_app" in metafunc.fixturenames:
        from sqlhelpers_pytest.collecting import app_names

        metafunc.parametrize("sqlhelpers_app", app_names(metafunc.config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the migration tests, and let every test be isolated, if that is what the project wants."""
    if config.getoption("sqlhelpers_migrations"):
        from sqlhelpers_pytest.collecting import migration_tests

        items += migration_tests(session)
    if config.getini("sqlhelpers_all_tests"):
        for item in items:
            names = getattr(item, "fixturenames", None)
            if names is not None and not asks(names):
                names.append("sqlhelpers_runtime")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin before the first fixture of the test."""
    kit = item.config.stash.get(KIT, None)
    if kit is not None and (mode := wanted_mode(getattr(item, "fixturenames", ()))):
        kit.begin(mode)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """End after the last fixture of the test."""
    kit = item.config.stash.get(KIT, None)
    if kit is not None:
        kit.wind_up()
    try:
        return (yield)
    finally:
        if kit is not None:
            kit.end()
