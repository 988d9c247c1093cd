"""Revision files: read without running them, named, ordered, described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlhelpers.faces import lazily

if TYPE_CHECKING:
    from sqlhelpers.migrations.revisions.alembic import ATTRIBUTE as ATTRIBUTE
    from sqlhelpers.migrations.revisions.alembic import ENVIRONMENT as ENVIRONMENT
    from sqlhelpers.migrations.revisions.alembic import alembic_config as alembic_config
    from sqlhelpers.migrations.revisions.alembic import standalone_config as standalone_config
    from sqlhelpers.migrations.revisions.files import RevisionFiles as RevisionFiles
    from sqlhelpers.migrations.revisions.files import checksum_of as checksum_of
    from sqlhelpers.migrations.revisions.folder import Revisions as Revisions
    from sqlhelpers.migrations.revisions.folder import docstring as docstring
    from sqlhelpers.migrations.revisions.graph import RevisionFile as RevisionFile
    from sqlhelpers.migrations.revisions.graph import RevisionGraph as RevisionGraph
    from sqlhelpers.migrations.revisions.names import known_names as known_names
    from sqlhelpers.migrations.revisions.names import knows as knows
    from sqlhelpers.migrations.revisions.names import split_range as split_range
    from sqlhelpers.migrations.revisions.names import words_of as words_of

__all__ = [
    "ATTRIBUTE",
    "ENVIRONMENT",
    "RevisionFile",
    "RevisionFiles",
    "RevisionGraph",
    "Revisions",
    "alembic_config",
    "checksum_of",
    "docstring",
    "known_names",
    "knows",
    "split_range",
    "standalone_config",
    "words_of",
]

__getattr__: Final = lazily(
    __name__,
    {
        "alembic": ("ATTRIBUTE", "ENVIRONMENT", "alembic_config", "standalone_config"),
        "files": ("RevisionFiles", "checksum_of"),
        "folder": ("Revisions", "docstring"),
        "graph": ("RevisionFile", "RevisionGraph"),
        "names": ("known_names", "knows", "split_range", "words_of"),
    },
)
