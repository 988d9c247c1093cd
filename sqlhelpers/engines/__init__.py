"""Settings become engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.engines.builtin import Defaults as Defaults
    from sqlhelpers.engines.builtin import default_hooks as default_hooks
    from sqlhelpers.engines.create import database_url as database_url
    from sqlhelpers.engines.create import make_async_engine as make_async_engine
    from sqlhelpers.engines.create import make_engine as make_engine
    from sqlhelpers.engines.create import make_scratch_engine as make_scratch_engine
    from sqlhelpers.engines.dialects import connected_once as connected_once
    from sqlhelpers.engines.dialects import empty_database as empty_database
    from sqlhelpers.engines.dialects import failures_named as failures_named
    from sqlhelpers.engines.dialects import for_sessions as for_sessions
    from sqlhelpers.engines.dialects import is_absent as is_absent
    from sqlhelpers.engines.dialects import refuse_hidden_tables as refuse_hidden_tables
    from sqlhelpers.engines.dialects import schema_transaction as schema_transaction
    from sqlhelpers.engines.dialects import undoes_ddl as undoes_ddl
    from sqlhelpers.engines.sqlite import without_waiting as without_waiting
    from sqlhelpers.engines.timeouts import limit_commands as limit_commands
    from sqlhelpers.engines.timeouts import pause as pause
    from sqlhelpers.engines.timeouts import wait_for as wait_for

__all__ = [
    "Defaults",
    "connected_once",
    "database_url",
    "default_hooks",
    "empty_database",
    "failures_named",
    "for_sessions",
    "is_absent",
    "limit_commands",
    "make_async_engine",
    "make_engine",
    "make_scratch_engine",
    "pause",
    "refuse_hidden_tables",
    "schema_transaction",
    "undoes_ddl",
    "wait_for",
    "without_waiting",
]

__getattr__ = lazily(
    __name__,
    {
        "builtin": ("Defaults", "default_hooks"),
        "create": ("database_url", "make_async_engine", "make_engine", "make_scratch_engine"),
        "dialects": (
            "connected_once",
            "empty_database",
            "failures_named",
            "for_sessions",
            "is_absent",
            "refuse_hidden_tables",
            "schema_transaction",
            "undoes_ddl",
        ),
        "sqlite": ("without_waiting",),
        "timeouts": ("limit_commands", "pause", "wait_for"),
    },
)
