"""The command ``bookshop``: books and their stock, and under ``bookshop db`` the commands of ``sqlhelpers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from countries.models import Currency
from sqlalchemy import select

import sqlhelpers_click
from bookshop.models import Author, Book
from sqlhelpers import exists, get_or_create
from sqlhelpers_click import pass_session

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@click.group()
def cli() -> None:
    """Look after the bookshop."""


sqlhelpers_click.attach(cli)


@cli.command()
@click.argument("isbn")
@click.argument("title")
@click.option("--author", "authors", multiple=True, required=True, help="Who wrote it; added if not there yet.")
@click.option("--cents", type=click.IntRange(0), required=True, help="The price.")
@click.option("--currency", default="EUR", show_default=True, help="The currency of the price.")
@click.option("--stock", type=click.IntRange(0), default=0, help="How many copies there are.")
@pass_session
def add_book(
    session: Session, isbn: str, title: str, authors: tuple[str, ...], cents: int, currency: str, stock: int
) -> None:
    """Add a book."""
    if exists(session, Book, isbn=isbn):
        raise click.ClickException(f"there is a book {isbn} already")
    if session.get(Currency, currency) is None:
        raise click.ClickException(f"there is no currency {currency}")
    book = Book(isbn=isbn, title=title, price_cents=cents, currency_code=currency, stock=stock)
    book.authors = [get_or_create(session, Author, name=name)[0] for name in dict.fromkeys(authors)]
    session.add(book)
    click.echo(f"added {isbn}")


@cli.command()
@click.option("--below", type=click.IntRange(1), help="Only books with fewer copies than that.")
@pass_session
def stock(session: Session, below: int | None) -> None:
    """Show how many copies of each book there are."""
    query = select(Book).order_by(Book.title)
    for book in session.scalars(query if below is None else query.where(Book.stock < below)):
        click.echo(f"{book.stock:5}  {book.isbn}  {book.title}")
