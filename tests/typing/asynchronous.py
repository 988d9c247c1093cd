"""What a type checker makes of the asynchronous functions and methods: mypy and pyright read it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, assert_type

from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from sqlhelpers import BulkUpserted, KeysetPage, Page, Upserted
from sqlhelpers.aio import (
    Base,
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
    from sqlalchemy.ext.asyncio import AsyncSession


class Book(Base):
    __tablename__ = "typed_async_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str]
    count: Mapped[int]
    exists: Mapped[bool]


async def methods(session: AsyncSession) -> None:
    assert_type(await Book.get_by_pk(session, 1), Book | None)
    assert_type(await Book.get_by_pk((1, 2), session=session), Book | None)
    assert_type(await Book.get_one(session, isbn="x"), Book)
    assert_type(await Book.get_or_create(session, isbn="x", defaults={"count": 1}), tuple[Book, bool])
    assert_type(await Book.update_or_create(session, isbn="x", defaults={}, create_defaults={}), tuple[Book, bool])


async def functions(session: AsyncSession, table: Table) -> None:
    assert_type(await get_by_pk(1, session=session, model=Book), Book | None)
    assert_type(await get_one(session, Book, isbn="x"), Book)
    assert_type(await get_or_create(session, Book, isbn="x"), tuple[Book, bool])
    assert_type(await update_or_create(session, Book, isbn="x", defaults={}), tuple[Book, bool])
    assert_type(await exists(session, Book, Book.id > 1, isbn="x"), bool)
    assert_type(await count(session, select(Book)), int)
    assert_type(await upsert(session, Book, {"isbn": "x"}, key="isbn"), Upserted[Book])
    assert_type((await upsert(session, Book, {"isbn": "x"})).row, Book)
    assert_type(await bulk_upsert(session, Book, ({"isbn": str(each)} for each in range(3))), BulkUpserted)
    assert_type(await get_one(session, table, isbn="x"), Any)


async def lists(session: AsyncSession, table: Table) -> None:
    assert_type(stream(session, Book), AsyncGenerator[Book])
    assert_type(stream(session, select(Book)), AsyncGenerator[Book])
    assert_type(stream(session, select(Book.isbn)), AsyncGenerator[str])
    assert_type(stream(session, table), AsyncGenerator[Any])
    assert_type(await paginate(session, Book), Page[Book])
    assert_type((await paginate(session, select(Book.id))).items, tuple[int, ...])
    assert_type(await paginate_by_key(session, Book, secret="s"), KeysetPage[Book])
    assert_type((await paginate_by_key(session, select(Book), secret="s")).next, str | None)


async def mistakes(session: AsyncSession) -> None:
    await Book.get_by_pk()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await Book.get_one("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (await Book.get_one(session, isbn="x")).isbm  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    await paginate_by_key(session, Book)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await get_one(Book, session)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
