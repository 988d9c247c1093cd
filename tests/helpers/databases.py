"""A small app in several shapes, and ways to look at a database without sqlhelpers."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from projects import revision_text
from sqlalchemy import Column, MetaData, create_engine, inspect, text

from sqlhelpers import Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlhelpers import DatabaseReport

MODELS = """
from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlhelpers import NAMING_CONVENTION


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"))
    title: Mapped[str | None] = mapped_column(String(50), index=True)
"""

AUTHOR = """op.create_table(
    "author",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(50), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_author")),
)"""
BOOK = """op.create_table(
    "book",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("author_id", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_book")),
    sa.ForeignKeyConstraint(["author_id"], ["author.id"], name=op.f("fk_book_author_id_author"), ondelete="CASCADE"),
)"""
TITLE = """op.add_column("book", sa.Column("title", sa.String(50)))
op.create_index(op.f("ix_book_title"), "book", ["title"])"""

REVISIONS = {
    "r1.py": revision_text("r1", AUTHOR),
    "r2.py": revision_text("r2", BOOK, "r1"),
    "r3.py": revision_text("r3", TITLE, "r2"),
}

#: The same with docstrings, and with what undoes them.
REVERSIBLE = {
    "r1.py": revision_text("r1", AUTHOR, downgrade="op.drop_table('author')", doc="Add authors."),
    "r2.py": revision_text("r2", BOOK, "r1", downgrade="op.drop_table('book')", doc="Add books.\n\nOf authors."),
    "r3.py": revision_text(
        "r3",
        TITLE,
        "r2",
        downgrade="op.drop_index('ix_book_title', 'book')\nop.drop_column('book', 'title')",
        doc="Give books a title.",
    ),
}


@contextmanager
def runtime(databases: str | Mapping[str, Any], **settings: Any) -> Iterator[Runtime]:
    """Make a runtime for the app ``shop`` of the working directory, in one database or several.

    Args:
        databases: the URL of the default database, or all of them.
        settings: more settings.
    """
    settings.setdefault("apps", {"shop": {"package": "shop"}})
    binds = {"default": databases} if isinstance(databases, str) else databases
    plugins = settings.pop("plugins", None) or PluginManager()
    with Runtime(Settings(databases=binds, **settings), plugin_manager=plugins) as made:
        yield made


def sync(kind: str, url: str, **settings: Any) -> DatabaseReport:
    """Sync the default database with the manager of a kind, ``sync`` or ``async``."""

    async def with_await(made: Runtime) -> DatabaseReport:
        async with made.async_manager() as manager:
            return await manager.migrations.sync()

    with runtime(url, **settings) as made:
        return made.manager().migrations.sync() if kind == "sync" else asyncio.run(with_await(made))


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Connect to a database without any help of ours."""
    drivers = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite+pysqlite"}
    dialect, _, rest = url.partition(":")
    # or PyMySQL reads all certificates of the machine for each connection
    options = {"connect_args": {"ssl_disabled": True}} if dialect == "mariadb" else {}
    engine = create_engine(f"{drivers[dialect]}:{rest}", **options)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def execute(url: str, *statements: str) -> None:
    """Run statements."""
    with connected(url) as connection:
        for statement in statements:
            connection.execute(text(statement))


def allow_scratch(request: Any, url: str) -> None:
    """Let the role of a URL create scratch databases."""
    role = re.search("//(.*?):", url)
    if role and url.startswith("postgresql"):
        request.getfixturevalue("postgres_server").execute(f'ALTER ROLE "{role[1]}" CREATEDB')
    elif role and url.startswith("mariadb"):
        server = request.getfixturevalue("mariadb_server")
        server.execute(f"GRANT ALL ON `sqlhelpers\\_scratch\\_%`.* TO `{role[1]}`@'%'")


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def tables(url: str) -> set[str]:
    """Return the names of all tables."""
    with connected(url) as connection:
        return set(inspect(connection).get_table_names())


def app_tables(url: str) -> set[str]:
    """Return the names of all tables but the journal."""
    return tables(url) - {"sqlhelpers_journal"}


def snapshot(url: str) -> dict[str, Any]:
    """Return everything in a database, to be compared with itself later."""
    metadata, found = MetaData(), {}
    with connected(url) as connection:
        metadata.reflect(connection)
        for name, table in sorted(metadata.tables.items()):
            shape = [(each.name, str(each.type), each.nullable, _default(each)) for each in table.columns]
            shape += sorted(str(index.name) for index in table.indexes)
            found[name] = (shape, sorted(map(tuple, connection.execute(table.select())), key=repr))
    return found


def _default(column: Column[Any]) -> str:
    return str(getattr(column.server_default, "arg", None))
