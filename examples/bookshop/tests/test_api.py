"""The API over its test client; rows are put in and looked at with a session beside it."""

import httpx
import pytest
from bookshop.api import app
from bookshop.models import Author, Book, Order
from conftest import AuthorFactory, BookFactory, CustomerFactory
from sqlalchemy import func, select

from sqlhelpers_pytest import assert_no_lazy_loads, assert_statements


def test_countries_are_there(client):
    """The data of the other app is in the database from the start."""
    assert client.get("/countries?size=1").json()["items"][0]["alpha_2"] == "AD"


def test_an_author_is_added(client, db_session):
    """What the API has committed is there for others."""
    answer = client.post("/authors", json={"name": "Jane Austen", "country_code": "GB"})

    assert answer.status_code == 201
    assert db_session.scalars(select(Author.name)).all() == ["Jane Austen"]


@pytest.mark.parametrize("number", [1, 2])
def test_no_author_is_left(db_session, number):
    """Each test begins with an empty table."""
    assert db_session.scalar(select(func.count()).select_from(Author)) == 0


def test_a_book_is_ordered(client, db_session):
    """The order takes its copies from the stock, and is refused when there are too few."""
    book, customer = BookFactory.create_sync(stock=3), CustomerFactory.create_sync()
    order = {"customer_id": customer.id, "lines": [{"isbn": book.isbn, "quantity": 2}]}

    assert [client.post("/orders", json=order).status_code for _ in range(2)] == [201, 409]
    db_session.refresh(book)
    assert book.stock == 1
    assert db_session.scalar(select(func.count()).select_from(Order)) == 1


def test_the_same_isbn_is_a_conflict(client):
    """The second one is refused, and what was there stays."""
    author, book = AuthorFactory.create_sync(), BookFactory.create_sync()
    given = {"isbn": book.isbn, "title": "Emma", "price_cents": 1, "currency_code": "GBP", "author_ids": [author.id]}

    assert client.post("/books", json=given).status_code == 409
    assert client.get(f"/books/{book.isbn}").json()["title"] == book.title


def test_a_page_of_books_takes_two_statements(client):
    """One for the books and one for the authors of all of them, however many there are."""
    for _ in range(5):
        BookFactory.create_sync(authors=[AuthorFactory.create_sync()])

    with assert_statements(at_most=2), assert_no_lazy_loads():
        assert len(client.get("/books").json()["items"]) == 5


@pytest.mark.asyncio
async def test_in_a_loop(async_db_session):
    """The same with an async client and an async session."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bookshop") as client:
        await client.post("/authors", json={"name": "Mary Shelley"})

    assert (await async_db_session.scalars(select(Author.name))).all() == ["Mary Shelley"]


def test_real_commits(fresh_db, client, db_session):
    """A database of the test's own, for what needs several connections."""
    isbn = BookFactory.create_sync().isbn
    db_session.commit()  # SQLite has one writer at a time, and sessions are writers

    assert client.get(f"/books/{isbn}").status_code == 200
    assert db_session.scalars(select(Book.isbn)).all() == [isbn]
    assert "fresh" in fresh_db["default"]
