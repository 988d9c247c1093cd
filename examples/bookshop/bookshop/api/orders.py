"""Orders, which take copies from the stock."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import AfterValidator, AliasPath, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from bookshop.api.fields import Id, Isbn, Out, PathId, known, refusals
from bookshop.models import Book, Customer, Order, OrderLine
from sqlhelpers_fastapi import SessionDep

router = APIRouter(tags=["orders"])

#: Orders with their lines and the books of these.
ORDERS = select(Order).options(selectinload(Order.lines).joinedload(OrderLine.book))


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # SQLite and MariaDB keep no time zone


class LineIn(BaseModel):
    isbn: Isbn
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderIn(BaseModel):
    customer_id: Id
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=50)]


class LineOut(Out):
    isbn: Annotated[str, Field(validation_alias=AliasPath("book", "isbn"))]
    title: Annotated[str, Field(validation_alias=AliasPath("book", "title"))]
    quantity: int


class OrderOut(Out):
    id: int
    customer_id: int
    status: str
    placed_at: Annotated[datetime, AfterValidator(_in_utc)]
    lines: list[LineOut]


@router.post("/orders", status_code=201, responses=refusals(400, 404, 409))
async def place_order(given: OrderIn, session: SessionDep) -> OrderOut:
    """Order books. If there are not enough copies of one, nothing is ordered."""
    await known(session, Customer, given.customer_id)
    wanted: dict[str, int] = {}
    for line in given.lines:
        wanted[line.isbn] = wanted.get(line.isbn, 0) + line.quantity
    # who orders the same books at the same time waits here; all lock them in the same order
    query = select(Book).where(Book.isbn.in_(wanted)).order_by(Book.isbn).with_for_update()
    books = (await session.scalars(query)).all()
    if missing := wanted.keys() - {book.isbn for book in books}:
        raise HTTPException(404, f"there is no book {min(missing)}")
    for book in books:
        if book.stock < wanted[book.isbn]:
            raise HTTPException(409, f"there are {book.stock} copies left of {book.isbn}")
        book.stock -= wanted[book.isbn]
    lines = [OrderLine(book=book, quantity=wanted[book.isbn]) for book in books]
    order = Order(customer_id=given.customer_id, lines=lines)
    session.add(order)
    await session.flush()  # the database gives the id, the time and the status
    return OrderOut.model_validate(order)


@router.get("/orders/{order_id}", responses=refusals(404))
async def read_order(order_id: PathId, session: SessionDep) -> OrderOut:
    """One order."""
    return OrderOut.model_validate((await session.scalars(ORDERS.where(Order.id == order_id))).one())
