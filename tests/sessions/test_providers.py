"""Sessions for what goes on after a response has started."""

import asyncio

import pytest
from sqlalchemy import text

from sqlhelpers import DatabaseManager
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.sessions.providers import SessionProvider, SyncSessionProvider

INSERT = text("INSERT INTO x VALUES (1)")


@pytest.fixture
async def manager(sqlite_url, tmp_path):
    """A manager of a database with one table."""
    async with AsyncDatabaseManager(sqlite_url, tmp_path) as manager:
        async with manager.session() as session:
            await session.execute(text("CREATE TABLE x (y INTEGER)"))
        yield manager


async def count(manager):
    """Count what is committed."""
    async with manager.engine.connect() as connection:
        return await connection.scalar(text("SELECT count(*) FROM x"))


async def writing(sessions):
    """Write a row and wait to be resumed, within a block."""
    async with sessions() as session:
        await session.execute(INSERT)
        yield session


async def test_a_block_commits_or_rolls_back(manager):
    """As that of the manager, as often as it is wanted."""
    async with SessionProvider(manager.session) as sessions:
        async with sessions() as session:
            await session.execute(INSERT)
        with pytest.raises(ZeroDivisionError):
            async with sessions() as session:
                await session.execute(INSERT)
                raise ZeroDivisionError
        async with sessions() as session:
            await session.execute(INSERT)
        held = manager.engine.pool.checkedout()

    assert held == 0
    assert await count(manager) == 2


async def test_an_abandoned_block_is_rolled_back(manager):
    """A generator that nobody resumes holds no connection when the request is over, and ends without a word."""
    async with SessionProvider(manager.session) as sessions:
        generator = writing(sessions)
        await anext(generator)
        held = manager.engine.pool.checkedout()

    assert (held, manager.engine.pool.checkedout()) == (1, 0)
    await generator.aclose()
    assert await count(manager) == 0


async def test_a_block_of_a_task_that_is_over_is_abandoned(manager):
    """Frameworks stream in a task of their own, which is cancelled."""
    async with SessionProvider(manager.session) as sessions:
        generator = writing(sessions)
        await asyncio.create_task(anext(generator))
        held = manager.engine.pool.checkedout()

    assert (held, manager.engine.pool.checkedout()) == (1, 0)
    await generator.aclose()


async def test_a_block_of_another_task_goes_on(manager):
    """A task that outlives the request commits what it does."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def write():
        async with sessions() as session:
            await session.execute(INSERT)
            begun.set()
            await go_on.wait()

    async with SessionProvider(manager.session) as sessions:
        task = asyncio.create_task(write())
        await begun.wait()
    go_on.set()
    await task

    assert await count(manager) == 1


async def test_a_failed_start_leaves_nothing():
    """A block whose session cannot be opened is not one that is open."""

    class Broken:
        async def __aenter__(self):
            raise ZeroDivisionError

        async def __aexit__(self, *_):
            raise AssertionError

    async with SessionProvider(Broken) as sessions:
        with pytest.raises(ZeroDivisionError):
            async with sessions():
                pass


def test_sync_blocks_commit_roll_back_or_are_abandoned(sqlite_url, tmp_path):
    """The twin: a generator that nobody resumes holds nothing when the request is over, and ends without a word."""

    def writing():
        with sessions() as session:
            session.execute(INSERT)
            yield

    with DatabaseManager(sqlite_url, tmp_path) as manager:
        with manager.session() as session:
            session.execute(text("CREATE TABLE x (y INTEGER)"))
        with SyncSessionProvider(manager.session) as sessions:
            with sessions() as session:
                session.execute(INSERT)
            with pytest.raises(ZeroDivisionError), sessions() as session:
                session.execute(INSERT)
                raise ZeroDivisionError
            generator = writing()
            next(generator)
            held = manager.engine.pool.checkedout()
        after = manager.engine.pool.checkedout()
        generator.close()
        with manager.session() as session:
            found = session.scalar(text("SELECT count(*) FROM x"))

    assert (held, after, found) == (1, 0, 1)
