"""A handful of rows, so that there is something to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from bookshop.models import Author, Book, Customer, Order, OrderLine

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_AUTHORS = {
    "Jane Austen": "GB",
    "Mary Shelley": "GB",
    "William Wordsworth": "GB",
    "Samuel Taylor Coleridge": "GB",
    "Herman Melville": "US",
}
_BOOKS = {
    "9780141439587": ("Emma", ["Jane Austen"], "GBP", 899),
    "9780141439518": ("Pride and Prejudice", ["Jane Austen"], "GBP", 799),
    "9780141439471": ("Frankenstein", ["Mary Shelley"], "GBP", 750),
    "9780199601967": ("Lyrical Ballads", ["William Wordsworth", "Samuel Taylor Coleridge"], "GBP", 999),
    "9780142437247": ("Moby-Dick", ["Herman Melville"], "USD", 1800),
}
_CUSTOMERS = {
    "one@example.com": ("One", "DE", {"9780141439587": 1, "9780142437247": 2}),
    "two@example.com": ("Two", "JP", {"9780199601967": 1}),
    "three@example.com": ("Three", "BR", {"9780141439518": 3, "9780141439471": 1, "9780141439587": 1}),
}


def add_samples(session: Session) -> None:
    """Add the authors, books and customers that are not there yet; a new customer comes with one order."""
    authors = {each.name: each for each in session.scalars(select(Author))}
    for name, country in _AUTHORS.items():
        if name not in authors:
            authors[name] = Author(name=name, country_code=country)
            session.add(authors[name])
    books = {each.isbn: each for each in session.scalars(select(Book))}
    for isbn, (title, names, currency, cents) in _BOOKS.items():
        if isbn not in books:
            books[isbn] = Book(isbn=isbn, title=title, currency_code=currency, price_cents=cents, stock=10)
            books[isbn].authors = [authors[name] for name in names]
            session.add(books[isbn])
    known = set(session.scalars(select(Customer.email)))
    for email, (family_name, country, wanted) in _CUSTOMERS.items():
        if email not in known:
            lines = [OrderLine(book=books[isbn], quantity=quantity) for isbn, quantity in wanted.items()]
            customer = Customer(email=email, given_name="Customer", family_name=family_name, country_code=country)
            session.add(Order(customer=customer, lines=lines))
    session.flush()
