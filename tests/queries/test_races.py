"""Many who want the same row at once: one makes it, and all get it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from querying import LOANS, Author, Book, async_library, library
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from sqlhelpers import aio, count, exists, get_one, get_or_create, update_or_create
from sqlhelpers.queries.rows import present

MANY = 50
ROUNDS = int(os.environ.get("RACE_ROUNDS", "1"))
ASKED = pytest.mark.parametrize("ask", ["get_or_create", "update_or_create"])


@ASKED
def test_threads(url, ask):
    """Fifty threads ask for one key: no error, one row, one of them has made it."""
    functions = {"get_or_create": get_or_create, "update_or_create": update_or_create}
    with library(url, pool_size=MANY) as sessions:

        def one(number, key, barrier):
            with sessions() as session:
                barrier.wait()
                session.add(Author(name=f"{key} {number}"))
                _, created = functions[ask](session, Book, {"price": number}, isbn=key)
                session.commit()
                return created

        with ThreadPoolExecutor(MANY) as pool:
            for turn in range(ROUNDS):
                barrier = threading.Barrier(MANY)
                made = list(pool.map(lambda number: one(number, f"key {turn}", barrier), range(MANY)))  # noqa: B023

                assert Counter(made) == {True: 1, False: MANY - 1}

        with sessions() as session:
            assert session.scalar(select(func.count(Book.id))) == ROUNDS
            assert session.scalar(select(func.count(Author.id))) == ROUNDS * MANY


@ASKED
async def test_tasks(url, ask):
    """Fifty tasks ask for one key: no error, one row, one of them has made it."""
    async with async_library(url, pool_size=MANY) as sessions:

        async def one(number, key):
            async with sessions() as session:
                session.add(Author(name=f"{key} {number}"))
                _, created = await getattr(aio, ask)(session, Book, {"price": number}, isbn=key)
                await session.commit()
                return created

        for turn in range(ROUNDS):
            made = await asyncio.gather(*(one(number, f"key {turn}") for number in range(MANY)))

            assert Counter(made) == {True: 1, False: MANY - 1}

        async with sessions() as session:
            assert await aio.count(session, Book) == ROUNDS
            assert await aio.count(session, Author) == ROUNDS * MANY


@pytest.fixture(params=["postgresql", "mariadb", "mariadb with snapshot isolation"])
def rivals(request):
    """A session that has done some work, and one of a rival, who can commit between its SELECT and its INSERT."""
    dialect, *with_ = request.param.split()
    url = request.getfixturevalue("postgres_url" if dialect == "postgresql" else "mariadb_url")
    with library(url) as sessions, sessions() as session, sessions() as rival:
        if with_:
            session.execute(text("SET SESSION innodb_snapshot_isolation = ON"))
        session.add(Author(name="earlier"))
        session.flush()
        assert not exists(session, Book)  # REPEATABLE READ: it sees no book from now on
        yield session, rival
        if with_:
            session.rollback()
            session.execute(text("SET SESSION innodb_snapshot_isolation = OFF"))


def committed(session, row):
    """Return a default that, when it is called, lets ``session`` commit a row."""

    def default():
        session.add(row)
        session.commit()
        return 9

    return default


def test_the_winners_row_is_returned(rivals):
    """And what the session had done before is kept."""
    session, rival = rivals
    book, created = get_or_create(session, Book, {"price": committed(rival, Book(isbn="x", price=3))}, isbn="x")

    assert (book.price, created) == (3, False)

    session.add(Author(name="later"))
    session.commit()

    assert (count(rival, Author), count(rival, Book)) == (2, 1)


def test_the_winners_row_is_updated(rivals):
    """With what was to be set."""
    session, rival = rivals
    late = {"price": committed(rival, Book(isbn="x", price=3))}
    book, created = update_or_create(session, Book, {"price": 4}, late, isbn="x")

    assert (book.price, created) == (4, False)

    session.commit()

    assert get_one(rival, Book, isbn="x").price == 4
    assert exists(rival, Author, name="earlier")


def test_a_table_without_a_class(rivals):
    """Is as safe."""
    session, rival = rivals

    def late():
        rival.execute(LOANS.insert().values(code="x", count=3))
        rival.commit()
        return 9

    row, created = update_or_create(session, LOANS, {"count": 4}, {"count": late}, code="x")
    session.commit()

    assert (row._mapping["count"], created) == (4, False)
    assert get_one(rival, LOANS, code="x")._mapping["count"] == 4


@pytest.mark.parametrize("ask", [get_or_create, update_or_create])
def test_somebody_elses_other_key_is_an_error(rivals, ask):
    """A rival who takes another unique value has not made the row that was asked for."""
    session, rival = rivals
    with pytest.raises(IntegrityError):
        ask(session, Book, {"slug": "taken", "price": committed(rival, Book(isbn="y", slug="taken"))}, isbn="x")

    session.commit()

    assert exists(rival, Author, name="earlier")
    assert not exists(rival, Book, isbn="x")


def test_what_fails_to_change_the_winners_row_is_undone(rivals):
    """The session goes on where the database lets it, and its connection is as it was."""
    session, rival = rivals
    rival.add(Book(isbn="y", slug="taken"))
    rival.commit()
    with pytest.raises(IntegrityError):
        update_or_create(session, Book, {"slug": "taken"}, {"price": committed(rival, Book(isbn="x"))}, isbn="x")

    session.rollback()

    assert get_one(session, Book, isbn="x").slug is None
    if session.get_bind().dialect.name != "postgresql":
        shown = session.execute(text("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'")).one()
        assert shown[1] == ("ON" if session.connection().info.get("innodb_snapshot_isolation") else "OFF")


def test_a_transaction_that_is_lost_meanwhile(mariadb_url):
    """Leaves the connection as it was, whether the session still has it or not; the error is the first one."""
    with library(mariadb_url) as sessions, sessions() as session:
        session.execute(text("SET SESSION innodb_snapshot_isolation = ON"))
        with pytest.raises(OperationalError, match="SAVEPOINT"), present(session, Book):
            session.execute(text("ROLLBACK"))  # as a deadlock does
        session.rollback()

        assert session.scalar(text("SELECT @@innodb_snapshot_isolation")) == 1

        with pytest.raises(ZeroDivisionError), present(session, Book):
            session.close()
            raise ZeroDivisionError
