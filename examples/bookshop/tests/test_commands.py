"""The command and the worker."""

import asyncio

from bookshop import worker
from bookshop.cli import cli
from bookshop.models import Book, Order
from click.testing import CliRunner
from conftest import BookFactory, CustomerFactory
from sqlalchemy import select

from sqlhelpers_asyncio import running


def test_a_book_is_added(db_session):
    """Twice is an error, which changes nothing."""
    words = ["add-book", "9780140449136", "Crime and Punishment", "--author", "Dostoevsky", "--cents", "1099"]

    assert [CliRunner().invoke(cli, words).exit_code for _ in range(2)] == [0, 1]
    assert db_session.scalars(select(Book.title)).all() == ["Crime and Punishment"]


def test_orders_are_sent(db_session):
    """All that are open, once."""
    BookFactory.create_sync()
    db_session.add(Order(customer_id=CustomerFactory.create_sync().id))
    db_session.commit()

    async def work():
        async with running():
            await worker.work(once=True)

    asyncio.run(work())

    assert db_session.scalars(select(Order.status)).all() == ["sent"]
