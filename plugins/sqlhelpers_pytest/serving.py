"""The throwaway server of a run: one, whatever the number of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers_pytest.fixtures import SERVER

if TYPE_CHECKING:
    import pytest


def server_of(config: pytest.Config) -> str | None:
    """Return the URL of the server of this run, which is started if need be; None if none is wanted."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        url: str | None = worker.get("sqlhelpers_server")
        return url
    kind = config.getoption("sqlhelpers_server")
    if not kind:
        return None
    if SERVER not in config.stash:
        from sqlhelpers_pytest.servers import start_server

        config.stash[SERVER] = start_server(kind)
    started = config.stash[SERVER]
    return started.url
