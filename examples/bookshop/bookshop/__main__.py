"""``python -m bookshop``: add the samples, and print who ordered what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countries.models import Country
from sqlalchemy import select

from bookshop.models import Book, Customer, Order, OrderLine
from bookshop.sample import add_samples
from sqlhelpers import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session


def ordered(session: Session) -> Iterator[tuple[str, ...]]:
    """Yield one row of texts for each line of an order."""
    query = (
        select(Customer, Country, OrderLine, Book)
        .join(Country, Customer.country_code == Country.alpha_2)
        .join(Order, Order.customer_id == Customer.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Book, OrderLine.book_id == Book.id)
        .order_by(Order.id, OrderLine.id)
    )
    for customer, country, line, book in session.execute(query):
        price = f"{line.quantity} x {book.price_cents / 100:5.2f} {book.currency_code}"
        authors = ", ".join(author.name for author in book.authors)
        yield f"{customer.given_name} {customer.family_name}", country.name, price, book.title, authors


def main() -> None:
    with Runtime() as runtime, runtime.manager().session() as session:
        add_samples(session)
        rows = [("customer", "country", "ordered", "book", "authors"), *ordered(session)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())  # noqa: T201


if __name__ == "__main__":
    main()
