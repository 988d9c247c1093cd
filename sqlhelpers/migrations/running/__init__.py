"""Running revisions, and keeping other runs out meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.migrations.running.locks import alembic_alone as alembic_alone
    from sqlhelpers.migrations.running.locks import holder_of as holder_of
    from sqlhelpers.migrations.running.locks import only_run as only_run
    from sqlhelpers.migrations.running.offline import Script as Script
    from sqlhelpers.migrations.running.offline import all_as_sql as all_as_sql
    from sqlhelpers.migrations.running.offline import work_offline as work_offline
    from sqlhelpers.migrations.running.run import Progress as Progress
    from sqlhelpers.migrations.running.run import Run as Run
    from sqlhelpers.migrations.running.run import Steps as Steps
    from sqlhelpers.migrations.running.run import run_in as run_in
    from sqlhelpers.migrations.running.sync import create_database as create_database
    from sqlhelpers.migrations.running.sync import create_tables as create_tables
    from sqlhelpers.migrations.running.sync import downgrade_database as downgrade_database
    from sqlhelpers.migrations.running.sync import report_if_up_to_date as report_if_up_to_date
    from sqlhelpers.migrations.running.sync import stamp as stamp
    from sqlhelpers.migrations.running.sync import sync_database as sync_database
    from sqlhelpers.migrations.running.sync import upgrade as upgrade
    from sqlhelpers.migrations.running.sync import upgrade_database as upgrade_database

__all__ = [
    "Progress",
    "Run",
    "Script",
    "Steps",
    "alembic_alone",
    "all_as_sql",
    "create_database",
    "create_tables",
    "downgrade_database",
    "holder_of",
    "only_run",
    "report_if_up_to_date",
    "run_in",
    "stamp",
    "sync_database",
    "upgrade",
    "upgrade_database",
    "work_offline",
]

__getattr__: Final = lazily(
    __name__,
    {
        "locks": ("alembic_alone", "holder_of", "only_run"),
        "offline": ("Script", "all_as_sql", "work_offline"),
        "run": ("Progress", "Run", "Steps", "run_in"),
        "sync": (
            "create_database",
            "create_tables",
            "downgrade_database",
            "report_if_up_to_date",
            "stamp",
            "sync_database",
            "upgrade",
            "upgrade_database",
        ),
    },
)
