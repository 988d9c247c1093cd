"""Authors and their books."""

from countries.models import Country, Currency
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from bookshop.api.fields import (
    SECRET,
    Amount,
    CountryCode,
    CurrencyCode,
    Cursor,
    Id,
    Isbn,
    Name,
    Out,
    Page,
    Size,
    Title,
    known,
    refusals,
)
from bookshop.models import Author, Book
from sqlhelpers.aio import paginate_by_key
from sqlhelpers_fastapi import SessionDep

router = APIRouter(tags=["books"])

#: Books with their authors: async code cannot load these when it comes to them.
BOOKS = select(Book).options(selectinload(Book.authors))


class AuthorIn(BaseModel):
    name: Name
    country_code: CountryCode | None = None


class AuthorOut(Out):
    id: int
    name: str
    country_code: str | None


class BookIn(BaseModel):
    isbn: Isbn
    title: Title
    price_cents: Amount
    currency_code: CurrencyCode
    stock: Amount = 0
    author_ids: list[Id] = Field(min_length=1, max_length=20)


class BookOut(Out):
    isbn: str
    title: str
    price_cents: int
    currency_code: str
    stock: int
    authors: list[AuthorOut]


@router.get("/authors")
async def list_authors(session: SessionDep, cursor: Cursor = None, size: Size = 50) -> Page[AuthorOut]:
    """All authors, by name."""
    query = select(Author).order_by(Author.name)
    return Page[AuthorOut].model_validate(
        await paginate_by_key(session, query, secret=SECRET, cursor=cursor, size=size)
    )


@router.post("/authors", status_code=201, responses=refusals(400, 404))
async def add_author(given: AuthorIn, session: SessionDep) -> AuthorOut:
    """Add an author; two may have the same name."""
    if given.country_code is not None:
        await known(session, Country, given.country_code)
    author = Author(**given.model_dump())
    session.add(author)
    await session.flush()  # the database gives the id
    return AuthorOut.model_validate(author)


@router.get("/books")
async def list_books(session: SessionDep, cursor: Cursor = None, size: Size = 50) -> Page[BookOut]:
    """All books, by title."""
    query = BOOKS.order_by(Book.title)
    return Page[BookOut].model_validate(await paginate_by_key(session, query, secret=SECRET, cursor=cursor, size=size))


@router.post("/books", status_code=201, responses=refusals(400, 404, 409))
async def add_book(given: BookIn, session: SessionDep) -> BookOut:
    """Add a book by authors that are there. An ISBN that is known already is a conflict."""
    await known(session, Currency, given.currency_code)
    authors = (await session.scalars(select(Author).where(Author.id.in_(given.author_ids)))).all()
    if missing := set(given.author_ids) - {author.id for author in authors}:
        raise HTTPException(404, f"there is no author {min(missing)}")
    book = Book(**given.model_dump(exclude={"author_ids"}), authors=authors)
    session.add(book)
    await session.flush()
    return BookOut.model_validate(book)


@router.get("/books/{isbn}", responses=refusals(404))
async def read_book(isbn: Isbn, session: SessionDep) -> BookOut:
    """One book."""
    return BookOut.model_validate((await session.scalars(BOOKS.where(Book.isbn == isbn))).one())
