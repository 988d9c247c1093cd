"""Collects the migration tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sqlhelpers import Runtime
from sqlhelpers.exceptions import SqlhelpersError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = pytest.StashKey[tuple[str, ...]]()


def app_names(config: pytest.Config) -> tuple[str, ...]:
    """Return the names of the apps in the configured databases."""
    if _NAMES not in config.stash:
        try:
            config.stash[_NAMES] = tuple(Runtime().apps)
        except SqlhelpersError as error:
            pytest.fail("\n".join(error.lines), pytrace=False)
    return config.stash[_NAMES]


def migration_tests(session: pytest.Session) -> Iterator[pytest.Item]:
    """Return the tests of ``sqlhelpers_pytest.migrations``, under the name ``sqlhelpers``."""
    path = Path(__file__).with_name("migrations.py")
    module = pytest.Module.from_parent(session, path=path, name="sqlhelpers", nodeid="sqlhelpers")
    return session.genitems(module)
