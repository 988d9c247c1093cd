"""``get_by_pk``, ``get_one``, ``get_or_create``, ``update_or_create``, ``exists``, ``count`` and ``stream``."""

from __future__ import annotations

import inspect

import pytest
from querying import LOANS, Author, Base, Book, Odd, Reader, Shelf, Tag, async_library, library, statements
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
    union,
)
from sqlalchemy.exc import ArgumentError, IntegrityError, InvalidRequestError, MultipleResultsFound, NoResultFound
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

import sqlhelpers
from sqlhelpers import (
    AsyncModelQueries,
    aio,
    count,
    exists,
    get_by_pk,
    get_one,
    get_or_create,
    stream,
    update_or_create,
)
from sqlhelpers.queries import rows


@pytest.fixture
def sessions(url):
    """A factory of sessions on a database of each dialect in turn."""
    with library(url) as made:
        yield made


@pytest.fixture
def session(sessions):
    """A session with two books by one author."""
    with sessions() as opened:
        author = Author(name="Ada")
        opened.add_all([Book(isbn="a", price=5, author=author), Book(isbn="b", price=5, title="B")])
        opened.commit()
        yield opened


KINDS = [
    pytest.param(Book, {"isbn": "x"}, {"price": 7}, {"price": 8}, id="declarative"),
    pytest.param(Tag, {"name": "x"}, {"weight": 7}, {"weight": 8}, id="dataclass"),
    pytest.param(Reader, {"name": "x"}, {"age": 7}, {"age": 8}, id="sqlmodel"),
    pytest.param(LOANS, {"code": "x"}, {"count": 7}, {"count": 8}, id="core"),
]


def value(row, name):
    """Return a value of an instance or of a row, whose own methods may have the same name."""
    return row._mapping[name] if hasattr(row, "_mapping") else getattr(row, name)


@pytest.mark.parametrize(("model", "key", "first", "second"), KINDS)
def test_every_kind_of_model(session, model, key, first, second):
    """Each query function takes every kind of model, and a Core table, whose rows it returns."""
    (name,) = first
    made, created = get_or_create(session, model, first, **key)
    again, created_again = get_or_create(session, model, second, **key)
    got = get_one(session, model, **key)
    by_pk = get_by_pk(value(made, "id"), session=session, model=model)

    assert [created, created_again] == [True, False]
    assert [value(row, name) for row in (made, again, got, by_pk)] == [7, 7, 7, 7]

    changed, created = update_or_create(session, model, second, **key)

    assert (value(changed, name), created) == (8, False)
    assert value(get_one(session, model, **key), name) == 8
    assert value(update_or_create(session, model, **key)[0], name) == 8
    assert exists(session, model, **key)
    assert count(session, model, **key) == 1
    assert [value(row, name) for row in stream(session, model) if value(row, name) == 8] == [8]

    session.execute(delete(model))

    assert update_or_create(session, model, first, second, **key)[1] is True
    assert value(get_one(session, model, **key), name) == 8
    assert get_by_pk(999, session=session, model=model) is None
    with pytest.raises(NoResultFound):
        get_one(session, model, **{**key, name: 999})


def test_a_primary_key_of_two_columns(session):
    """Is a tuple, for classes and for tables."""
    session.add(Shelf(room=1, number=2, label="here"))
    session.commit()

    assert get_by_pk((1, 2), session=session, model=Shelf).label == "here"
    assert get_by_pk((1, 2), session=session, model=Shelf.__table__).label == "here"
    assert get_by_pk((2, 1), session=session, model=Shelf.__table__) is None
    with pytest.raises(ValueError, match="shorter"):
        get_by_pk(1, session=session, model=Shelf.__table__)  # or any shelf of the room would do


def test_several_rows_are_never_one(session):
    """Not even for the functions that would make one."""
    for ask in (get_one, get_or_create, update_or_create):
        with pytest.raises(MultipleResultsFound):
            ask(session, Book, price=5)


def test_an_unknown_attribute_is_an_error(session):
    """That names it, and no row is made."""
    with pytest.raises(InvalidRequestError, match="prize"):
        get_or_create(session, Book, isbn="x", prize=1)
    with pytest.raises(ArgumentError):
        exists(session, "book")

    assert not exists(session, Book, isbn="x")


@pytest.mark.parametrize("name", ["session", "model", "defaults", "create_defaults", "fn", "pk", "cls"])
async def test_columns_may_be_called_as_parameters_are(sqlite_url, name):
    """Only ``defaults`` and ``create_defaults`` need another word, and only where they are parameters."""
    key = {"session": "s", name: "x"}
    written = {f"{column}__exact" if "defaults" in column else column: text for column, text in key.items()}
    with library(sqlite_url) as sessions, sessions.begin() as session:
        made, _ = update_or_create(session, Odd, {"defaults": "d"} if name != "defaults" else None, **written)

        assert get_or_create(session, Odd, None, **written) == (made, False)
        assert get_one(session, Odd, **key) is made
        assert exists(session, Odd, **key)
        assert count(session, Odd, **key) == 1
    async with async_library(sqlite_url) as sessions, sessions() as session:
        found, created = await aio.update_or_create(session, Odd, **written)

        assert not created
        assert await aio.get_or_create(session, Odd, **written) == (found, False)
        assert await aio.get_one(session, Odd, **key) is found
        assert await aio.exists(session, Odd, **key)
        assert await aio.count(session, Odd, **key) == 1


def test_get_or_create_has_no_create_defaults(session):
    """So a column may be called so without another word."""
    made, _ = get_or_create(session, Odd, session="s", create_defaults="x")

    assert made.create_defaults == "x"


def test_defaults_are_called_when_they_are_used_and_not_before(session):
    """As Django does it: a callable among the defaults is called for a new row only, or for a change."""
    called = []

    def price():
        called.append(1)
        return 9

    def never():
        raise AssertionError

    assert get_or_create(session, Book, {"price": never}, isbn="a")[0].price == 5
    assert get_or_create(session, Book, {"price": price}, isbn="n")[0].price == 9
    assert update_or_create(session, Book, {"price": price}, {"price": never}, isbn="a")[0].price == 9
    assert update_or_create(session, Book, {"price": never}, {"price": price}, isbn="m")[0].price == 9
    assert len(called) == 3


def test_create_defaults(session):
    """Take the place of ``defaults`` for a new row, even if there are none."""
    assert update_or_create(session, Book, {"price": 3}, {"title": "T"}, isbn="n")[0].title == "T"
    assert get_one(session, Book, isbn="n").price == 1
    assert update_or_create(session, Book, {"price": 3}, {"title": "U"}, isbn="n")[0].price == 3
    assert get_one(session, Book, isbn="n").title == "T"
    assert update_or_create(session, Book, {"price": 3}, {}, isbn="m")[0].price == 1
    assert update_or_create(session, Book, {"price": 3}, isbn="o")[0].price == 3


def test_values_may_be_related_instances(session):
    """``author=author`` finds and makes, and a failed attempt leaves no trace in the author's books."""
    author = get_one(session, Author, name="Ada")
    made, created = get_or_create(session, Book, {"isbn": "n"}, author=author, title="N")

    assert created
    assert get_or_create(session, Book, {"isbn": "n"}, author=author, title="N") == (made, False)

    with pytest.raises(IntegrityError):
        get_or_create(session, Book, {"isbn": "b"}, author=author, title="M")

    assert {book.isbn for book in author.books} == {"a", "n"}


@pytest.mark.parametrize("ask", [get_or_create, update_or_create])
def test_another_constraint_is_still_raised(session, ask):
    """A violation that is not of the key asked for is no race; and the session goes on with what it had done."""
    session.add(Author(name="Bob"))
    session.add(Book(isbn="s", slug="taken"))

    for model, key, defaults in [(Book, {"isbn": "n"}, {"slug": "taken"}), (Author, {"name": None}, {})]:
        with pytest.raises(IntegrityError):
            ask(session, model, defaults, **key)
    with pytest.raises(IntegrityError):
        ask(session, LOANS, {"code": None}, id=4)

    session.commit()

    assert count(session, Author) == 2
    assert not exists(session, Book, isbn="n")


def test_a_violation_of_what_was_pending_is_not_taken_for_a_race(session):
    """What the caller had pending is flushed before, and fails for itself."""
    with session.no_autoflush:
        session.add(Book(isbn="a"))
        with pytest.raises(IntegrityError):
            get_or_create(session, Book, isbn="n")


def test_what_is_pending_is_not_overwritten(session):
    """By the row that ``update_or_create`` reads anew."""
    book = get_one(session, Book, isbn="b")
    with session.no_autoflush:
        book.title = "changed"
        update_or_create(session, Book, {"price": 8}, isbn="b")

    assert (book.title, book.price) == ("changed", 8)


def test_update_or_create_knows_what_others_have_changed(sessions, session):
    """A value that the session has loaded long ago does not hide that the row has another one by now."""
    session.expire_on_commit = False
    book = get_one(session, Book, isbn="a")
    session.commit()
    with sessions.begin() as other:
        get_one(other, Book, isbn="a").price = 6
    update_or_create(session, Book, {"price": 5}, isbn="a")
    session.commit()
    session.refresh(book)

    assert book.price == 5


def test_one_round_trip(session):
    """Is all that a row costs that is there; ``update_or_create`` sends an UPDATE if there is something to change."""
    engine = session.get_bind()
    with statements(engine) as sent:
        get_or_create(session, Book, {"price": 9}, isbn="a")

        assert len(sent) == 1

        get_one(session, Book, isbn="a")
        exists(session, Book, isbn="a")
        count(session, Book)

        assert len(sent) == 4

    update_or_create(session, Book, {"price": 5}, isbn="a")
    with statements(engine) as sent:
        update_or_create(session, Book, {"price": 5}, isbn="a")

        assert len(sent) == 1

        update_or_create(session, Book, {"price": 6}, isbn="a")

        assert len(sent) == 3


def test_exists_and_count(session):
    """Take classes, tables, aliases, statements, conditions and values."""
    twice = aliased(Book)
    cheap = select(Book).where(Book.price < 9).order_by(Book.id)

    assert exists(session, Book, Book.price > 4, isbn="a") is True
    assert exists(session, Book, Book.price > 5) is False
    assert exists(session, cheap.where(Book.isbn == "a")) is True
    assert exists(session, cheap, isbn="nope") is False
    assert count(session, Book) == count(session, Book.__table__) == count(session, twice) == 2
    assert count(session, Book, Book.price > 5) == 0
    assert count(session, cheap) == 2
    assert count(session, cheap.limit(1)) == 1
    assert count(session, select(Book.price).distinct()) == 1
    assert count(session, select(Book, Author).join(Author)) == 1
    assert count(session, union(select(Book.id), select(Author.id))) == 2


def test_stream(session):
    """Yields instances, values or rows, as the statement selects them."""
    assert [book.isbn for book in stream(session, Book, size=1)] == ["a", "b"]
    assert list(stream(session, select(Book.isbn).order_by(Book.isbn.desc()))) == ["b", "a"]
    assert [tuple(row) for row in stream(session, select(Book.isbn, Book.price))] == [("a", 5), ("b", 5)]
    assert [row.isbn for row in stream(session, Book.__table__)] == ["a", "b"]
    assert sorted(tuple(row) for row in stream(session, union(select(Book.isbn), select(Author.name)))) == [
        *(("Ada",), ("a",), ("b",)),
    ]


def test_a_stream_holds_only_a_few_rows(session):
    """Instances are made when it is their turn."""
    made = []

    def note(book, _context):
        made.append(book)

    event.listen(Book, "load", note)
    books = stream(session, select(Book).order_by(Book.id), size=1)
    first = next(books)
    event.remove(Book, "load", note)
    books.close()

    assert made == [first]


def test_a_stream_that_is_closed_frees_the_session(session):
    """What was not read does not come in the way."""
    books = stream(session, select(Book).order_by(Book.id), size=1)

    assert next(books).isbn == "a"

    books.close()

    assert count(session, Book) == 2


async def test_async_twins(url):
    """Give what the synchronous functions give."""
    async with async_library(url) as sessions, sessions() as session:
        made, created = await aio.get_or_create(session, Book, {"price": 7}, isbn="x")

        assert created
        assert await aio.get_or_create(session, Book, isbn="x") == (made, False)
        assert await aio.update_or_create(session, Book, {"price": 8}, isbn="x") == (made, False)
        assert (await aio.get_one(session, Book, isbn="x")).price == 8
        assert await aio.get_by_pk(made.id, session=session, model=Book) is made
        assert await aio.exists(session, Book, Book.price == 8, isbn="x")
        assert await aio.count(session, select(Book)) == 1
        assert [book async for book in aio.stream(session, Book)] == [made]
        assert [row.isbn async for row in aio.stream(session, Book.__table__)] == ["x"]
        with pytest.raises(NoResultFound):
            await aio.get_one(session, Book, isbn="y")
        with pytest.raises(IntegrityError):
            await aio.get_or_create(session, Author, name=None)

        await session.commit()

        assert await aio.count(session, Book) == 1


class AsyncBase(AsyncModelQueries, AsyncAttrs, DeclarativeBase):
    metadata = MetaData()


class Word(AsyncBase):
    __tablename__ = "word"
    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(String(50), unique=True)
    count: Mapped[int] = mapped_column(default=1)


async def test_async_methods(sqlite_url):
    """Take the session first; a column may be called as a function is."""
    async with aio.AsyncDatabaseManager(sqlite_url, "migrations", base_model=AsyncBase) as manager:
        async with manager.engine.begin() as connection:
            await connection.run_sync(AsyncBase.metadata.create_all)
        async with manager.session() as session:
            word, created = await Word.get_or_create(session, word="x", defaults={"count": 2})

            assert created
            assert await Word.update_or_create(session, word="x", defaults={"count": 3}) == (word, False)
            assert await Word.get_one(session, word="x", count=3) is word
            assert await Word.get_by_pk(session, word.id) is word
            assert await Word.get_by_pk(word.id, session=session) is word
            assert await Word.get_by_pk(session, 99) is None
            assert await word.awaitable_attrs.count == 3
            with pytest.raises(NoResultFound):
                await Word.get_one(session, word="y")


LOG = Table("log", Base.metadata, Column("line", String(50)), Column("level", Integer))


def test_a_table_without_a_primary_key(session):
    """Is changed by what was asked for."""
    row, created = update_or_create(session, LOG, {"level": 1}, line="x")

    assert (tuple(row), created) == (("x", 1), True)

    row, created = update_or_create(session, LOG, {"level": 2, "line": "y"}, line="x")

    assert (tuple(row), created, count(session, LOG)) == (("y", 2), False, 1)


async def test_an_async_stream_that_is_closed_frees_the_session(url):
    """What was not read does not come in the way."""
    async with async_library(url) as sessions, sessions() as session:
        await session.execute(insert(Book), [{"isbn": str(number)} for number in range(50)])
        books = aio.stream(session, Book, size=1)

        assert (await anext(books)).isbn == "0"

        await books.aclose()

        assert await aio.count(session, Book) == 50


def test_twins_have_the_same_parameters():
    """Names, kinds and defaults of the parameters are equal, but for the session's class."""
    names = [name for name in aio.__all__ if name[0].islower()]

    assert len(names) == 11
    for name in names:
        ours = inspect.signature(getattr(sqlhelpers, name)).parameters.values()
        theirs = inspect.signature(getattr(aio, name)).parameters.values()

        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs], name


def test_a_database_for_each_model(tmp_path):
    """A session that has no other database finds that of the model."""
    engine = create_engine(f"sqlite+pysqlite:///{tmp_path}/x.db")
    Base.metadata.create_all(engine)
    with Session(binds={Book: engine}) as session:
        made, created = update_or_create(session, Book, {"price": 3}, isbn="x")

        assert created
        assert update_or_create(session, Book, {"price": 4}, isbn="x") == (made, False)
        assert made.price == 4

    engine.dispose()


def test_a_plain_engine_will_do(tmp_path):
    """The functions need nothing of ours around them."""
    engine = create_engine(f"sqlite+pysqlite:///{tmp_path}/x.db")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        made, created = get_or_create(session, Book, isbn="x")
        session.commit()

        assert created
        assert rows.get_one(session, Book, isbn="x") is made
        assert session.scalar(select(func.count(Book.id))) == 1
        assert session.scalar(text("SELECT 1")) == 1

    engine.dispose()
