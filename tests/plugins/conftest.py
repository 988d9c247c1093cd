"""A fixture of the tests of adapters: nothing is configured elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> None:  # noqa: ARG001
    """The working directory is an empty folder, and no setting comes from anywhere."""
    monkeypatch.chdir(tmp_path)
