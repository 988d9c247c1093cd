"""Fixtures of the tests of adapters: nothing that is configured elsewhere, and processes beside the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from processes import Children

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:  # noqa: ARG001
    """The working directory is an empty folder, and no setting comes from anywhere."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def children(tmp_path: Path, clean_environment: None) -> Iterator[Children]:  # noqa: ARG001
    """Starts processes in a folder of the test; they are ended after it."""
    started = Children(tmp_path, tmp_path)
    yield started
    started.end()
