"""Models of several kinds, and sessions on a database that has their tables."""

from __future__ import annotations

import datetime as dt  # noqa: TC003  # annotations of columns are read
import enum
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import sqlmodel
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, UniqueConstraint, event, func
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship, sessionmaker

from sqlhelpers import DatabaseManager
from sqlhelpers.aio import AsyncDatabaseManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

METADATA = MetaData()
IMMEDIATE = {"sqlhelpers_begin": "IMMEDIATE"}  # a transaction that has read what is old now could not write


class Base(DeclarativeBase):
    metadata = METADATA


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(String(50), unique=True)
    slug: Mapped[str | None] = mapped_column(String(50), unique=True)
    title: Mapped[str | None] = mapped_column("book_title", String(50))
    price: Mapped[int] = mapped_column(default=1)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author | None] = relationship(back_populates="books")
    changed: Mapped[dt.datetime | None] = mapped_column(onupdate=func.now())
    changed_by: Mapped[str | None] = mapped_column(String(50), onupdate=lambda: "the 100% o'clock job")


class Odd(Base):
    """Columns that are called as parameters are."""

    __tablename__ = "odd"
    id: Mapped[int] = mapped_column(primary_key=True)
    session: Mapped[str] = mapped_column(String(50), unique=True)
    model: Mapped[str | None] = mapped_column(String(50))
    defaults: Mapped[str | None] = mapped_column(String(50))
    create_defaults: Mapped[str | None] = mapped_column(String(50))
    fn: Mapped[str | None] = mapped_column(String(50))
    pk: Mapped[str | None] = mapped_column(String(50))
    cls: Mapped[str | None] = mapped_column(String(50))


class Shelf(Base):
    """A primary key of two columns."""

    __tablename__ = "shelf"
    room: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str | None] = mapped_column(String(50))


class Kind(enum.Enum):
    PAPER = "p"
    FILM = "f"


class Medium(Base):
    """One table for several classes."""

    __tablename__ = "medium"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": Kind.PAPER}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[Kind]
    name: Mapped[str | None] = mapped_column(String(50))


class Film(Medium):
    __mapper_args__ = {"polymorphic_identity": Kind.FILM}  # noqa: RUF012


class Data(MappedAsDataclass, DeclarativeBase):
    metadata = METADATA


class Tag(Data):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    weight: Mapped[int] = mapped_column(default=0)


class Reader(sqlmodel.SQLModel, table=True):
    metadata = METADATA
    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    name: str = sqlmodel.Field(unique=True, max_length=50)
    age: int = 0


LOANS = Table(
    "loan",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("code", String(50), nullable=False),
    Column("count", Integer, nullable=False, default=0),
    UniqueConstraint("code"),
)


@contextmanager
def library(url: str, **engine_args: Any) -> Iterator[sessionmaker[Session]]:
    """Create all tables, and yield a factory of sessions."""
    with DatabaseManager(url, "migrations", base_model=Base, engine_args=engine_args) as manager:
        METADATA.create_all(manager.engine)
        yield sessionmaker(manager.engine.execution_options(**IMMEDIATE))


@asynccontextmanager
async def async_library(url: str, **engine_args: Any) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Do the same, asynchronously."""
    async with AsyncDatabaseManager(url, "migrations", base_model=Base, engine_args=engine_args) as manager:
        async with manager.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        yield async_sessionmaker(manager.engine.execution_options(**IMMEDIATE), expire_on_commit=False)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect what an engine sends in the block, but for what begins a transaction on SQLite."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
