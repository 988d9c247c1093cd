"""What a type checker makes of the synchronous functions and methods: mypy and pyright read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, assert_type

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sqlhelpers import (
    Base,
    BulkUpserted,
    KeysetPage,
    Page,
    Upserted,
    bulk_upsert,
    count,
    exists,
    get_by_pk,
    get_one,
    get_or_create,
    paginate,
    paginate_by_key,
    stream,
    update_or_create,
    upsert,
)

if TYPE_CHECKING:
    from sqlalchemy import Table


class Book(Base):
    __tablename__ = "typed_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str]
    count: Mapped[int]
    exists: Mapped[bool]


def methods(session: Session) -> None:
    assert_type(Book.get_by_pk(session, 1), Book | None)
    assert_type(Book.get_by_pk(1), Book | None)
    assert_type(Book.get_by_pk((1, 2), session=session), Book | None)
    assert_type(Book.get_one(session, isbn="x"), Book)
    assert_type(Book.get_one(isbn="x"), Book)
    assert_type(Book.get_or_create(session, isbn="x", defaults={"count": 1}), tuple[Book, bool])
    assert_type(Book.get_or_create(isbn="x"), tuple[Book, bool])
    assert_type(Book.update_or_create(session, isbn="x", defaults={}, create_defaults={}), tuple[Book, bool])
    assert_type(Book.update_or_create(isbn="x"), tuple[Book, bool])


def functions(session: Session, table: Table) -> None:
    assert_type(get_by_pk(1, session=session, model=Book), Book | None)
    assert_type(get_one(session, Book, isbn="x"), Book)
    assert_type(get_or_create(session, Book, isbn="x"), tuple[Book, bool])
    assert_type(update_or_create(session, Book, isbn="x", defaults={}), tuple[Book, bool])
    assert_type(exists(session, Book, Book.id > 1, isbn="x"), bool)
    assert_type(count(session, select(Book)), int)
    assert_type(upsert(session, Book, {"isbn": "x"}, key="isbn"), Upserted[Book])
    assert_type(upsert(session, Book, {"isbn": "x"}).row, Book)
    assert_type(bulk_upsert(session, Book, ({"isbn": str(each)} for each in range(3))), BulkUpserted)
    assert_type(get_one(session, table, isbn="x"), Any)


def lists(session: Session, table: Table) -> None:
    assert_type(stream(session, Book), Iterator[Book])
    assert_type(stream(session, select(Book)), Iterator[Book])
    assert_type(stream(session, select(Book.isbn)), Iterator[str])
    assert_type(stream(session, table), Iterator[Any])
    assert_type(paginate(session, Book), Page[Book])
    assert_type(paginate(session, select(Book.id)).items, tuple[int, ...])
    assert_type(paginate_by_key(session, Book, secret="s"), KeysetPage[Book])
    assert_type(paginate_by_key(session, select(Book), secret="s").next, str | None)


def mistakes(session: Session) -> None:
    Book.get_by_pk()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Book.get_one("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Book.get_one(session, isbn="x").isbm  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    paginate_by_key(session, Book)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    get_one(Book, session)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
