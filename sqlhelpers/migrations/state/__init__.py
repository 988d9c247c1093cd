"""Where a database is compared with the code, and how it got there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.migrations.state.compare import comparison_options as comparison_options
    from sqlhelpers.migrations.state.compare import differences as differences
    from sqlhelpers.migrations.state.compare import primary_keys as primary_keys
    from sqlhelpers.migrations.state.compare import settle_defaults as settle_defaults
    from sqlhelpers.migrations.state.compare import shape as shape
    from sqlhelpers.migrations.state.compare import shape_differences as shape_differences
    from sqlhelpers.migrations.state.describe import heads as heads
    from sqlhelpers.migrations.state.describe import named as named
    from sqlhelpers.migrations.state.describe import newest_first as newest_first
    from sqlhelpers.migrations.state.describe import position as position
    from sqlhelpers.migrations.state.describe import text_of as text_of
    from sqlhelpers.migrations.state.describe import traces as traces
    from sqlhelpers.migrations.state.history import ALEMBICS_OWN as ALEMBICS_OWN
    from sqlhelpers.migrations.state.history import ExistingTables as ExistingTables
    from sqlhelpers.migrations.state.history import History as History
    from sqlhelpers.migrations.state.history import apps_of_version_tables as apps_of_version_tables
    from sqlhelpers.migrations.state.history import current_revisions as current_revisions
    from sqlhelpers.migrations.state.history import misplaced as misplaced
    from sqlhelpers.migrations.state.history import read_app as read_app
    from sqlhelpers.migrations.state.history import read_status as read_status
    from sqlhelpers.migrations.state.history import refuse_doubtful as refuse_doubtful
    from sqlhelpers.migrations.state.history import refuse_shared as refuse_shared
    from sqlhelpers.migrations.state.history import single_revision as single_revision
    from sqlhelpers.migrations.state.history import version_rows as version_rows
    from sqlhelpers.migrations.state.history import version_table_of as version_table_of
    from sqlhelpers.migrations.state.journal import JOURNAL as JOURNAL
    from sqlhelpers.migrations.state.journal import Journal as Journal
    from sqlhelpers.migrations.state.journal import read_journal as read_journal

__all__ = [
    "ALEMBICS_OWN",
    "JOURNAL",
    "ExistingTables",
    "History",
    "Journal",
    "apps_of_version_tables",
    "comparison_options",
    "current_revisions",
    "differences",
    "heads",
    "misplaced",
    "named",
    "newest_first",
    "position",
    "primary_keys",
    "read_app",
    "read_journal",
    "read_status",
    "refuse_doubtful",
    "refuse_shared",
    "settle_defaults",
    "shape",
    "shape_differences",
    "single_revision",
    "text_of",
    "traces",
    "version_rows",
    "version_table_of",
]

__getattr__: Final = lazily(
    __name__,
    {
        "compare": (
            "comparison_options",
            "differences",
            "primary_keys",
            "settle_defaults",
            "shape",
            "shape_differences",
        ),
        "describe": ("heads", "named", "newest_first", "position", "text_of", "traces"),
        "history": (
            "ALEMBICS_OWN",
            "ExistingTables",
            "History",
            "apps_of_version_tables",
            "current_revisions",
            "misplaced",
            "read_app",
            "read_status",
            "refuse_doubtful",
            "refuse_shared",
            "single_revision",
            "version_rows",
            "version_table_of",
        ),
        "journal": ("JOURNAL", "Journal", "read_journal"),
    },
)
