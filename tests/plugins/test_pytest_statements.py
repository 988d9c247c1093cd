"""Counting statements, and finding what is loaded row by row."""

from __future__ import annotations

import asyncio
import sys

import pytest
from sqlalchemy import ForeignKey, String, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

import sqlhelpers_pytest
from sqlhelpers import DatabaseManager
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers_pytest import assert_no_lazy_loads, assert_statements, record_lazy_loads, record_statements
from sqlhelpers_pytest.callers import calling_line


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str | None] = mapped_column(String(10), deferred=True)
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture
def manager(sqlite_url):
    """A manager of a database with three authors of two books each."""
    with DatabaseManager(sqlite_url, "nowhere", base_model=Base) as made:
        Base.metadata.create_all(made.engine)
        with made.session() as session:
            session.add_all(Author(books=[Book(), Book()]) for _ in range(3))
        yield made


def test_statements_are_counted(manager):
    """On a manager, a session, an engine, or everywhere; savepoints and BEGIN are not among them."""
    with manager.Session() as session:
        for target in (manager, session, manager.engine, None):
            with assert_statements(target, exactly=2) as found, session.begin_nested():
                session.execute(text("SELECT 1"))
                session.execute(text("SELECT 2"))
            assert [each.sql for each in found] == ["SELECT 1", "SELECT 2"]
            assert found[0].caller.partition(":")[0].endswith("test_pytest_statements.py")
            assert len(found[:1]) == 1


def test_async_statements_are_counted(sqlite_url):
    """With the line of the code that awaits them."""

    async def main():
        async with AsyncDatabaseManager(sqlite_url, "nowhere") as manager, manager.Session() as session:
            with record_statements(manager) as one, record_statements(session) as two, record_statements() as three:
                await session.execute(text("SELECT 1"))
            assert [len(each) for each in (one, two, three)] == [1, 1, 1]
            return one[0].caller

    assert "test_pytest_statements.py:" in asyncio.run(main())


def test_other_engines_are_not_counted(manager):
    """If one is named."""
    other = create_engine("sqlite://")
    with assert_statements(manager, at_most=0), other.connect() as connection:
        connection.execute(text("SELECT 1"))
    other.dispose()


def test_too_many_are_listed(manager):
    """Each with its line; those that are equal together, long ones cut short."""
    with pytest.raises(AssertionError) as caught, assert_statements(at_most=1), manager.Session() as session:
        for _ in range(3):
            session.execute(text("SELECT 1"))
        session.execute(text(f"SELECT '{'x' * 400}'"))
    lines = str(caught.value).splitlines()

    assert lines[0] == "4 statements, and there should be at most 1:"
    assert lines[1] == "   3 x  SELECT 1"
    assert "test_pytest_statements.py" in lines[2]
    assert lines[3].endswith("x...")


def test_too_few_are_too_few(manager):
    """If it was said exactly; and one of both has to be said."""
    problem = "0 statements, and there should be exactly 1"
    with pytest.raises(AssertionError, match=problem), assert_statements(manager, exactly=1):
        pass
    with pytest.raises(TypeError, match="say how many"), assert_statements(manager):
        pass


def test_a_relationship_that_is_loaded_row_by_row(manager):
    """The message names it, and what to add; once is no harm, unless it was said."""
    with (
        pytest.raises(
            AssertionError, match=r"Author\.books was loaded lazily 3 times at .*: add .*selectinload\(Author\.books\)"
        ),
        assert_no_lazy_loads(),
        manager.Session() as session,
    ):
        for author in session.scalars(select(Author)):
            assert author.books
    with manager.Session() as session:
        with assert_no_lazy_loads(session):
            assert session.scalars(select(Author)).first().books
        session.expire_all()
        with pytest.raises(AssertionError, match="lazily 1 times"), assert_no_lazy_loads(session, at_most=0):
            assert session.scalars(select(Book).limit(1)).one().author


def test_a_relationship_that_is_loaded_with_the_query(manager):
    """It is no lazy load."""
    with record_lazy_loads() as found, manager.Session() as session:
        for author in session.scalars(select(Author).options(selectinload(Author.books))):
            assert author.books

    assert found == []


def test_columns_that_are_loaded_row_by_row(manager):
    """They were deferred, or have expired."""
    with record_lazy_loads() as found, manager.Session() as session:
        for author in session.scalars(select(Author)):
            assert author.note is None

    assert [(each.attribute, each.is_relationship) for each in found] == [("Author", False)] * 3
    assert "undefer" in found[0].remedy


def test_the_line_is_that_of_the_users_code(monkeypatch):
    """If there is none, none is told."""
    monkeypatch.setattr("sqlhelpers_pytest.callers._PACKAGES", ("/",))

    assert calling_line() == ""


def test_names_are_loaded_when_they_are_used():
    """And others are not there."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sqlhelpers_pytest.nothing

    assert sqlhelpers_pytest.assert_statements is sys.modules["sqlhelpers_pytest.statements"].assert_statements
