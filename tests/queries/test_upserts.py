"""``upsert`` and ``bulk_upsert``."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from decimal import Decimal
from typing import Any

import pytest
from querying import (
    IMMEDIATE,
    LOANS,
    Author,
    Book,
    Film,
    Kind,
    Medium,
    Reader,
    Shelf,
    Tag,
    async_library,
    library,
    statements,
)
from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    func,
    select,
)
from sqlalchemy.dialects import mssql
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from sqlhelpers import BulkUpserted, DatabaseManager, aio, bulk_upsert, count, get_one, upsert
from sqlhelpers.aio import AsyncDatabaseManager
from sqlhelpers.queries.upserts import Plan, unique_keys


@pytest.fixture
def session(url):
    """A session on a database of each dialect in turn."""
    with library(url) as sessions, sessions() as opened:
        yield opened


@pytest.fixture
def dialect(session):
    """The name of the session's dialect."""
    return session.get_bind().dialect.name


def test_a_row_is_inserted_and_then_updated(session, dialect):
    """The instance is as the database has it then, also one that the session had already."""
    book, inserted = upsert(session, Book, {"isbn": "x", "title": "T"})

    assert (book.title, book.price, book.changed) == ("T", 1, None)
    assert inserted is (True if dialect == "postgresql" else None)

    again, inserted = upsert(session, Book, {"isbn": "x", "title": "U", "price": 7})

    assert again is book
    assert (book.title, book.price) == ("U", 7)
    assert inserted is (False if dialect == "postgresql" else None)
    assert count(session, Book) == 1


def test_what_is_updated_can_be_chosen(session, dialect):
    """Some of the values, or none: then the row that is there is returned as it is."""
    upsert(session, Book, {"isbn": "x", "title": "T"})

    book, _ = upsert(session, Book, {"isbn": "x", "title": "U", "price": 7}, update="price")

    assert (book.title, book.price) == ("T", 7)

    book, inserted = upsert(session, Book, {"isbn": "x", "title": "V", "price": 8}, update=())
    told = dialect in ("postgresql", "sqlite")

    assert (book.title, book.price) == ("T", 7)
    assert inserted is (False if told else None)
    assert upsert(session, Book, {"isbn": "y"}, update=()).inserted is (True if told else None)


def test_onupdate_is_heeded(session):
    """SQLAlchemy's own constructs leave it out."""
    book, _ = upsert(session, Book, {"isbn": "x"})

    assert (book.changed, book.changed_by) == (None, None)

    upsert(session, Book, {"isbn": "x", "price": 2})

    assert book.changed is not None
    assert book.changed_by == "the 100% o'clock job"

    upsert(session, Book, {"isbn": "x", "price": 3, "changed_by": "me"})

    assert book.changed_by == "me"


def test_every_kind_of_model(session):
    """Dataclasses, SQLModel, tables, and classes that share one."""
    assert upsert(session, Tag, {"name": "x", "weight": 2}).row.weight == 2
    assert upsert(session, Tag, {"name": "x", "weight": 3}).row.weight == 3
    assert upsert(session, Reader, {"name": "x"}).row.age == 0
    assert upsert(session, Reader, {"name": "x", "age": 3}).row.age == 3

    row, _ = upsert(session, LOANS, {"code": "x", "count": 2})

    assert row._mapping["count"] == 2
    assert row._fields == ("id", "code", "count")
    assert upsert(session, LOANS, {"code": "x", "count": 3}, update=()).row._mapping["count"] == 2
    assert upsert(session, Film, {"id": 1, "name": "n"}).row.kind is Kind.FILM
    assert upsert(session, Medium, {"id": 2, "name": "n"}).row.kind is Kind.PAPER

    bulk_upsert(session, LOANS, [{"code": "x", "count": 4}, {"code": "y", "count": 5}])

    assert session.scalars(select(LOANS.c.count).order_by(LOANS.c.code)).all() == [4, 5]

    bulk_upsert(session, Film, [{"id": 1, "name": "m"}, {"id": 3}])

    assert {film.id: film.name for film in session.scalars(select(Film))} == {1: "m", 3: None}


def test_a_key_of_two_columns(session):
    """Is named like one."""
    upsert(session, Shelf, {"room": 1, "number": 1, "label": "a"})
    upsert(session, Shelf, {"room": 1, "number": 2, "label": "b"}, key=("room", "number"))
    upsert(session, Shelf, {"room": 1, "number": 1, "label": "c"}, key=("number", "room"))

    assert {shelf.number: shelf.label for shelf in session.scalars(select(Shelf))} == {1: "c", 2: "b"}


@pytest.mark.parametrize("bulk", [False, True])
def test_another_key_in_the_way_is_an_error(session, bulk):
    """On MariaDB too, whose own statement would change a row that was not meant; and the session goes on."""
    session.add(Book(isbn="other", slug="taken", price=5))
    session.commit()
    session.add(Author(name="earlier"))
    values = {"isbn": "x", "slug": "taken", "price": 9}
    with pytest.raises(IntegrityError), session.begin_nested():
        if bulk:
            bulk_upsert(session, Book, [values], key="isbn")
        else:
            upsert(session, Book, values, key="isbn")

    session.commit()

    assert (count(session, Author), count(session, Book, price=5)) == (1, 1)

    book, _ = upsert(session, Book, values, key="slug")

    assert (count(session, Book), book.price, book.isbn) == (1, 9, "x")


def test_other_violations_are_errors(session):
    """As they are."""
    with pytest.raises(IntegrityError):
        upsert(session, Author, {"name": None})


class Strange(DeclarativeBase):
    pass


class Versioned(Strange):
    __tablename__ = "versioned"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Parent(Strange):
    __tablename__ = "parent"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(9))
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "parent"}  # noqa: RUF012


class Child(Parent):
    __tablename__ = "child"
    id: Mapped[int] = mapped_column(ForeignKey("parent.id"), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "child"}  # noqa: RUF012


@pytest.mark.parametrize(
    ("model", "values", "options", "message"),
    [
        (Book, {"isbn": "x", "prize": 1}, {}, "Book has no column 'prize' .*price"),
        (Book, {"isbn": "x", "slug": "y"}, {}, r"Book: say .* key=.*'isbn'.* or .*'slug'"),
        (Book, {"title": "x"}, {}, "Book: the values have neither"),
        (Book, {"isbn": "x"}, {"key": "title"}, "Book has no unique constraint on title"),
        (Book, {"isbn": "x"}, {"key": "slug"}, "Book: slug is part of the key, but has no value"),
        (Book, {"isbn": "x"}, {"update": "price"}, "Book: price is to be updated, but has no value"),
        (LOANS, {"code": "x", "nope": 1}, {}, "loan has no column 'nope'"),
        (Versioned, {"id": 1}, {}, "Versioned counts its versions"),
        (Child, {"id": 1}, {}, "Child is not mapped to one table"),
    ],
)
def test_what_cannot_be_done_is_told(sqlite_url, model, values, options, message):
    """Before anything is sent."""
    with library(sqlite_url) as sessions, sessions() as session:
        with pytest.raises(ValueError, match=message):
            upsert(session, model, values, **options)
        with pytest.raises(ValueError, match=message):
            bulk_upsert(session, model, [values], **options)


def test_another_dialect_is_told():
    """What there is instead, too."""
    plan = Plan.of(mssql.dialect(), Book, ["isbn"], None, None)

    with pytest.raises(NotImplementedError, match="mssql: use update_or_create"):
        plan.statement(Book)


def test_only_indexes_of_whole_columns_and_all_rows_are_keys():
    """A partial index, or one of an expression, does not tell that a row is the same."""
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        *(Column(name, String(9)) for name in "abc"),
        Index("whole", "a", unique=True),
        Index("plain", "b"),
    )
    Index("partial", table.c.b, unique=True, postgresql_where=table.c.a == "x")
    Index("partial_too", table.c.b, unique=True, sqlite_where=table.c.a == "x")
    Index("expression", func.lower(table.c.c), unique=True)

    assert {tuple(column.name for column in key) for key in unique_keys(table)} == {("id",), ("a",)}
    assert list(unique_keys(Table("u", MetaData(), Column("a", Integer)))) == []


def test_many_rows(session, dialect):
    """More than fit into one statement, from a generator; the result says what the database can tell."""
    told = dialect == "postgresql"

    def rows(start, stop, price):
        return ({"isbn": str(number), "price": price, "title": "T"} for number in range(start, stop))

    found = bulk_upsert(session, Book, rows(0, 12_000, 2), chunk_size=5_000)

    assert found == BulkUpserted(12_000, 12_000 if told else None, 0 if told else None)

    found = bulk_upsert(session, Book, rows(6_000, 15_000, 3), update=["price"])

    assert found == BulkUpserted(9_000, 3_000 if told else None, 6_000 if told else None)
    assert session.execute(select(Book.price, func.count()).group_by(Book.price).order_by(Book.price)).all() == [
        *((2, 6_000), (3, 9_000)),
    ]
    assert bulk_upsert(session, Book, []).rows == 0


def test_nothing_to_update(session, dialect):
    """Then SQLite can tell, too, how many rows are new."""
    bulk_upsert(session, Book, [{"isbn": "a", "price": 2}])
    told = None if dialect in ("mysql", "mariadb") else 1

    found = bulk_upsert(session, Book, [{"isbn": "a", "price": 9}, {"isbn": "b", "price": 9}], update=())

    assert found == BulkUpserted(2, told, None if told is None else 0)
    assert get_one(session, Book, isbn="a").price == 2


def test_rows_need_not_be_alike(session):
    """Columns without a value keep theirs, or get their default."""
    bulk_upsert(session, Book, [{"isbn": "a", "price": 4, "title": "A"}, {"isbn": "b", "title": "B"}, {"isbn": "c"}])
    bulk_upsert(session, Book, [{"title": "C", "isbn": "a"}, {"isbn": "b", "title": "C"}, {"isbn": "c", "price": 5}])
    found = session.execute(select(Book.isbn, Book.title, Book.price).order_by(Book.isbn)).all()

    assert found == [("a", "C", 4), ("b", "C", 1), ("c", None, 5)]


def test_of_two_rows_with_one_key_the_later_wins(session):
    """In one call as in two: what it does not update stays as the earlier one made it."""
    rows = [{"isbn": "a", "title": "first", "price": 1}, {"isbn": "b", "title": "b", "price": 1}]
    rows += [{"isbn": "a", "title": "second", "price": price} for price in (2, 3)]
    bulk_upsert(session, Book, rows, update="price")
    book = get_one(session, Book, isbn="a")

    assert (book.title, book.price, count(session, Book)) == ("first", 3, 2)


def test_instances_of_the_session_are_expired(session):
    """So they are read anew, and what was pending is there to be updated."""
    book = Book(isbn="a", price=2)
    session.add(book)
    bulk_upsert(session, Book, [{"isbn": "a", "price": 3}])

    assert book.price == 3


def test_few_statements(session):
    """Not one for each row."""
    rows = [{"isbn": str(number), "price": number} for number in range(3_000)]
    with statements(session.get_bind()) as sent:
        bulk_upsert(session, Book, rows)

    assert len(sent) == 1


class Crate(Strange):
    """A column of every type that PostgreSQL can take in an array."""

    __tablename__ = "crate"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    flag: Mapped[bool | None]
    text: Mapped[str | None] = mapped_column(String(9))
    number: Mapped[float | None] = mapped_column(Double)
    money: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    moment: Mapped[dt.datetime | None]
    zoned: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    day: Mapped[dt.date | None]
    hour: Mapped[dt.time | None]
    span: Mapped[dt.timedelta | None]
    token: Mapped[uuid.UUID | None]
    blob: Mapped[bytes | None] = mapped_column(LargeBinary(30))
    kind: Mapped[str] = mapped_column(String(9), default="crate")
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "crate"}  # noqa: RUF012


class Lower(TypeDecorator[str]):
    """A type of one's own."""

    impl = String(9)
    cache_ok = True

    def process_bind_param(self, value, _dialect):
        return value and value.lower()


class Parcel(Strange):
    """What does not fit into arrays: a default that is called, types of one's own, and those that are no values."""

    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    name: Mapped[str | None] = mapped_column(Lower)
    notes: Mapped[Any] = mapped_column(JSON, nullable=True)
    kind: Mapped[Kind | None]


CRATE = {
    "id": 1,
    "flag": True,
    "text": 'ä"{,}\\',
    "number": 1 / 3,
    "money": Decimal("1.23"),
    "moment": dt.datetime(2024, 2, 29, 1, 2, 3),  # noqa: DTZ001
    "day": dt.date(2024, 2, 29),
    "hour": dt.time(1, 2, 3),
    "span": dt.timedelta(days=1, seconds=3),
    "token": uuid.UUID(int=7),
    "blob": b"\x00\xff",
}


@pytest.fixture
def crates(url):
    """A session on a database with crates and parcels."""
    with DatabaseManager(url, "migrations", base_model=Strange) as manager:
        Strange.metadata.create_all(manager.engine)
        with sessionmaker(manager.engine.execution_options(**IMMEDIATE))() as opened:
            yield opened


def test_every_type_in_bulk(crates):
    """Comes back as it was, NULL too."""
    empty = {**dict.fromkeys(CRATE), "id": 2}
    bulk_upsert(crates, Crate, [empty, CRATE, {**CRATE, "id": 3}])
    bulk_upsert(crates, Crate, [CRATE, empty])
    found = crates.scalars(select(Crate).order_by(Crate.id)).all()

    assert [{name: getattr(crate, name) for name in CRATE} for crate in found] == [CRATE, empty, {**CRATE, "id": 3}]
    assert {crate.kind for crate in found} == {"crate"}


async def test_every_type_in_bulk_asynchronously(url):
    """With every driver."""
    async with AsyncDatabaseManager(url, "migrations", base_model=Strange) as manager:
        async with manager.engine.begin() as connection:
            await connection.run_sync(Strange.metadata.create_all)
        async with manager.Session() as session:
            empty = {**dict.fromkeys(CRATE), "id": 2}
            await aio.bulk_upsert(session, Crate, [CRATE, empty])
            await aio.bulk_upsert(session, Crate, [CRATE, empty])
            found = (await session.scalars(select(Crate).order_by(Crate.id))).all()

            assert [{name: getattr(crate, name) for name in CRATE} for crate in found] == [CRATE, empty]


def test_moments_with_a_zone(crates):
    """Are the same moments, where the database keeps zones."""
    if crates.get_bind().dialect.name != "postgresql":
        pytest.skip("PostgreSQL alone does")
    moment = dt.datetime(2024, 2, 29, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    bulk_upsert(crates, Crate, [{"id": 1, "zoned": moment}])

    assert crates.get(Crate, 1).zoned == moment


def test_a_text_that_is_too_long_is_not_cut(crates):
    """It is an error, as in an INSERT; SQLite has no lengths."""
    if crates.get_bind().dialect.name == "sqlite":
        pytest.skip("it would be stored as it is")
    with pytest.raises(DataError):
        bulk_upsert(crates, Crate, [{"id": 1, "text": "0123456789"}])


def test_what_does_not_fit_into_arrays(crates):
    """Is sent in another way: the default is called for each row, and each type does what it does."""
    rows = [{"id": number, "name": "ABC", "notes": [number, {"a": 1}], "kind": Kind.FILM} for number in range(3)]
    bulk_upsert(crates, Parcel, rows)
    found = crates.scalars(select(Parcel).order_by(Parcel.id)).all()

    assert len({parcel.token for parcel in found}) == 3
    assert {parcel.name for parcel in found} == {"abc"}
    assert [parcel.notes[0] for parcel in found] == [0, 1, 2]
    assert {parcel.kind for parcel in found} == {Kind.FILM}

    bulk_upsert(crates, Parcel, [{"id": number} for number in range(3, 6)])

    assert len(set(crates.scalars(select(Parcel.token)))) == 6

    bulk_upsert(crates, Parcel, [{"id": 0, "name": "DEF", "token": uuid.UUID(int=1)}])

    assert crates.get(Parcel, 0).name == "def"


async def test_async_twins(url):
    """Do the same, with every driver."""
    async with async_library(url) as sessions, sessions() as session:
        book, _ = await aio.upsert(session, Book, {"isbn": "x", "price": 2})
        again, _ = await aio.upsert(session, Book, {"isbn": "x", "price": 3})

        assert again is book
        assert book.price == 3

        many = ({"isbn": str(number), "price": number} for number in itertools.islice(itertools.count(), 3_000))
        found = await aio.bulk_upsert(session, Author, [{"name": "a"}], update=())

        assert found.rows == 1
        assert (await aio.bulk_upsert(session, Book, many)).rows == 3_000
        assert await aio.count(session, Book) == 3_001

        with pytest.raises(IntegrityError):
            await aio.bulk_upsert(session, Book, [{"isbn": "y", "slug": "s"}, {"isbn": "z", "slug": "s"}], key="isbn")


def test_sessions_with_several_binds(sqlite_url, postgres_url):
    """The model tells which database is meant, and so which words."""
    with library(sqlite_url) as one, library(postgres_url) as other:
        engines = one.kw["bind"], other.kw["bind"]
        with Session(binds={Book: engines[0], Author: engines[1]}) as session:
            assert upsert(session, Book, {"isbn": "x", "price": 1}).inserted is None
            assert upsert(session, Author, {"name": "x"}).inserted is True
            assert bulk_upsert(session, Author, [{"name": "x"}]) == BulkUpserted(1, 0, 0)
            assert bulk_upsert(session, Book, [{"isbn": "x", "price": 2}]).updated is None


def test_a_server_without_returning(mariadb_url, monkeypatch):
    """As MySQL is: the row is then read by its key."""
    with library(mariadb_url) as sessions, sessions() as session:
        session.connection()
        monkeypatch.setattr(session.get_bind().dialect, "insert_returning", False)
        upsert(session, Book, {"isbn": "x", "price": 2})

        assert upsert(session, Book, {"isbn": "x", "price": 3}).row.price == 3
        assert upsert(session, Book.__table__, {"isbn": "x", "price": 4}).row.price == 4
