"""``paginate_by_key``: pages that are counted from a row."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import itertools
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from querying import IMMEDIATE, LOANS, Author, Book, async_library, library, statements
from sqlalchemy import (
    JSON,
    REAL,
    Double,
    Float,
    LargeBinary,
    Numeric,
    String,
    Uuid,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, joinedload, mapped_column, sessionmaker

from sqlhelpers import DatabaseManager, KeysetPage, aio, paginate_by_key
from sqlhelpers.exceptions import InvalidCursor, SqlhelpersError

SECRET = "a secret of this service"


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"
    GREEN = "g"


class Point(Base):
    """Few values, so that many are equal; ``a`` and ``b`` may be NULL, ``c`` may not."""

    __tablename__ = "point"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # or a new row gets the place of a deleted one
    id: Mapped[int] = mapped_column(primary_key=True)
    a: Mapped[int | None]
    b: Mapped[str | None] = mapped_column(String(9))
    c: Mapped[int]
    d: Mapped[int]


class Thing(Base):
    """A column of each type that rows can be ordered by."""

    __tablename__ = "thing"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    flag: Mapped[bool | None]
    text: Mapped[str | None] = mapped_column(String(30))
    number: Mapped[float | None] = mapped_column(Double)
    short: Mapped[float | None] = mapped_column(REAL)
    rough: Mapped[float | None] = mapped_column(Float)
    money: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    moment: Mapped[dt.datetime | None]
    day: Mapped[dt.date | None]
    hour: Mapped[dt.time | None]
    span: Mapped[dt.timedelta | None]
    blob: Mapped[bytes | None] = mapped_column(LargeBinary(30))
    colour: Mapped[Colour | None]
    notes: Mapped[Any] = mapped_column(JSON, nullable=True)


@pytest.fixture
def session(url):
    """A session on a database of each dialect in turn."""
    with DatabaseManager(url, "migrations", base_model=Base) as manager:
        Base.metadata.create_all(manager.engine)
        with sessionmaker(manager.engine.execution_options(**IMMEDIATE))() as opened:
            yield opened


def forwards(session, source, size):
    """Return the rows of all pages, from the first to the last, and the last page."""
    items, page = [], paginate_by_key(session, source, size=size, secret=SECRET)
    while True:
        items += page.items
        assert len(items) < 10_000, "the pages go round in circles"
        assert len(page.items) == size or page.next is None
        if page.next is None:
            return items, page
        page = paginate_by_key(session, source, size=size, secret=SECRET, cursor=page.next)


def backwards(session, source, size, page):
    """Return the rows of all pages from ``page`` to the first."""
    items = list(page.items)
    while page.previous is not None:
        page = paginate_by_key(session, source, size=size, secret=SECRET, cursor=page.previous)
        items = [*page.items, *items]
    return items


ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 2),
        st.none() | st.sampled_from(["", "a", "b"]),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
    max_size=12,
)
ORDERS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from(["", "first", "last"])),
    max_size=4,
    unique_by=lambda key: key[0],
)


def place(row, order, *, nulls_high):
    """Return what to sort the rows by in Python, so that they are as the database has them."""
    parts = []
    for name, descending, nulls in order:
        value = getattr(row, name)
        nulls_first = nulls == "first" if nulls else nulls_high == descending
        rank = 1 if value is not None else (0 if nulls_first else 2)
        parts.append((rank, Reversed(value) if descending else value) if rank == 1 else (rank, 0))
    return (*parts, row.id)


class Reversed:
    """A value that is less than another where it is greater."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return other.value < self.value

    def __eq__(self, other):
        return other.value == self.value

    __hash__ = None


def clause(name, descending, nulls):
    """Return an ORDER BY clause."""
    column = getattr(Point, name)
    directed = column.desc() if descending else column.asc()
    return {"first": directed.nulls_first, "last": directed.nulls_last}.get(nulls, lambda: directed)()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, order=ORDERS, size=st.integers(1, 5))
def test_every_row_exactly_once(session, rows, order, size):
    """In the right order, whatever that is, however many are equal or NULL, and in both directions."""
    session.execute(delete(Point))
    if rows:
        session.execute(insert(Point), [dict(zip("abcd", row, strict=True)) for row in rows])
    statement = select(Point).order_by(*(clause(*key) for key in order))
    nulls_high = session.get_bind().dialect.name == "postgresql"
    expected = sorted(session.scalars(select(Point)), key=lambda row: place(row, order, nulls_high=nulls_high))
    found, last = forwards(session, statement, size)

    assert [row.id for row in found] == [row.id for row in expected]
    assert [row.id for row in backwards(session, statement, size, last)] == [row.id for row in expected]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, order=ORDERS, size=st.integers(1, 4), changes=st.lists(st.tuples(st.booleans(), ROWS), max_size=4))
def test_rows_that_come_and_go_move_no_others(session, rows, order, size, changes):
    """Each row that is there all the time is seen once, in order, while others are inserted and deleted."""
    session.execute(delete(Point))
    if rows:
        session.execute(insert(Point), [dict(zip("abcd", row, strict=True)) for row in rows])
    stays = set(session.scalars(select(Point.id)))
    statement = select(Point).order_by(*(clause(*key) for key in order))
    seen, page = [], paginate_by_key(session, statement, size=size, secret=SECRET)
    for removes, added in itertools.chain(changes, itertools.repeat((False, []))):
        seen += [row.id for row in page.items]
        if removes and page.items:  # the row that the cursor is made of
            session.execute(delete(Point).where(Point.id == page.items[-1].id))
        if added:
            session.execute(insert(Point), [dict(zip("abcd", row, strict=True)) for row in added])
        if page.next is None:
            break
        page = paginate_by_key(session, statement, size=size, secret=SECRET, cursor=page.next)

    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


THINGS = [
    {
        "id": uuid.UUID(int=number * 7919**4),
        "flag": [None, True, False][number % 3],
        "text": [None, "", "Straße", 'a"b\\', "日本"][number % 5],
        "number": [None, 0.1, -1e300, 1 / 3, 2.0][number % 5],
        "short": [None, 0.1, 1 / 3, 123456.789][number % 4],
        "rough": [None, 0.1, 1 / 3, 123456.789][number % 4],
        "money": [None, Decimal("0.10"), Decimal("-3.33")][number % 3],
        "moment": [None, dt.datetime(2024, 2, 29, 23, 59, 59), dt.datetime(1970, 1, 1)][number % 3],  # noqa: DTZ001
        "day": [None, dt.date(2024, 2, 29), dt.date(1970, 1, 1)][number % 3],
        "hour": [None, dt.time(23, 59, 59), dt.time(0)][number % 3],
        "span": [None, dt.timedelta(days=1, seconds=3), dt.timedelta(0)][number % 3],
        "blob": [None, b"", b"\x00\xff"][number % 3],
        "colour": [None, *Colour][number % 4],
        "notes": [number],
    }
    for number in range(20)
]


@pytest.mark.parametrize("name", [column.key for column in Thing.__table__.columns if column.key != "notes"])
def test_every_type_of_column(session, name):
    """Comes back from the cursor as the database has it."""
    session.execute(insert(Thing), THINGS)
    for column in (getattr(Thing, name), getattr(Thing, name).desc()):
        expected = session.scalars(select(Thing.id).order_by(column, Thing.id)).all()
        found, last = forwards(session, select(Thing).order_by(column), 3)

        assert [row.id for row in found] == expected
        assert [row.id for row in backwards(session, select(Thing).order_by(column), 3, last)] == expected


def test_a_type_that_a_cursor_cannot_hold(session):
    """Is told."""
    session.execute(insert(Thing), THINGS)
    if session.get_bind().dialect.name == "postgresql":
        pytest.skip("PostgreSQL does not order by JSON")
    with pytest.raises(TypeError, match="cannot hold a list: order by a column of"):
        paginate_by_key(session, select(Thing).order_by(Thing.notes.desc()), size=2, secret=SECRET)


def test_pages_and_their_cursors(session):
    """The first page has no previous one, the last no next one; an empty list has neither."""
    assert paginate_by_key(session, Point, secret=SECRET) == KeysetPage((), None, None)

    session.execute(insert(Point), [{"c": number, "d": 0} for number in range(4)])

    def page(cursor=None):
        return paginate_by_key(session, select(Point.c).order_by(Point.c), size=2, secret=SECRET, cursor=cursor)

    first = page()
    second = page(first.next)
    back = page(second.previous)

    assert [first.items, second.items, back.items] == [(0, 1), (2, 3), (0, 1)]
    assert [first.previous, second.next, back.previous] == [None, None, None]
    assert page(back.next).items == (2, 3)


def test_a_place_survives_its_rows(session):
    """A page that has become empty knows the way back, the row of the cursor included."""
    session.execute(insert(Point), [{"c": number, "d": 0} for number in range(4)])

    def page(cursor=None):
        return paginate_by_key(session, select(Point.c).order_by(Point.c), size=2, secret=SECRET, cursor=cursor)

    first = page()
    second = page(first.next)
    session.execute(delete(Point).where(Point.c > 1))
    empty = page(first.next)

    assert (empty.items, empty.next) == ((), None)
    assert page(empty.previous).items == (0, 1)

    session.execute(delete(Point))
    session.execute(insert(Point), [{"c": number, "d": 0} for number in (2, 3)])
    empty = page(second.previous)

    assert (empty.items, empty.previous) == ((), None)
    assert page(empty.next).items == (2, 3)


def test_what_an_item_is(session):
    """An instance, a value, or a row, without what it is ordered by."""
    session.execute(insert(Point), [{"c": number, "d": 0} for number in range(3)])
    point, other = Point, aliased(Point)

    for source, expected in [
        (select(Point.c).order_by(Point.d), 0),
        (select(Point.c, Point.d).order_by(Point.c + 1), (0, 0)),
        (select(func.abs(Point.c).label("x"), Point.d).order_by(Point.c), (0, 0)),
    ]:
        assert paginate_by_key(session, source, size=1, secret=SECRET).items == (expected,)

    row = paginate_by_key(session, Point.__table__, size=1, secret=SECRET).items[0]
    pair = paginate_by_key(session, select(point, other).join(other, other.d == point.d), size=4, secret=SECRET)
    found, _ = forwards(session, select(point, other).join(other, other.d == point.d), 2)

    assert row._fields == tuple(Point.__table__.columns.keys())
    assert len({(one.c, two.c) for one, two in found}) == len(found) == 9
    assert pair.items[0][0] is session.get(Point, pair.items[0][0].id)


def test_an_order_by_labels_and_expressions(session):
    """Is as good as one by columns."""
    session.execute(insert(Point), [{"c": number % 3, "d": number} for number in range(7)])
    double = (Point.c * 2).label("double")
    ordered = select(double, Point.d).order_by(double.desc(), func.abs(Point.d - 3))
    found, last = forwards(session, ordered, 2)

    assert [row.d for row in found] == [2, 5, 4, 1, 3, 0, 6]
    assert backwards(session, ordered, 2, last) == found


def test_statements_with_joins_and_collections(url):
    """NULLs that an outer join makes are rows like others, and collections are whole."""
    with library(url) as sessions, sessions() as session:
        session.execute(insert(Author), [{"name": name} for name in "abcd"])
        first = session.scalars(select(Author).order_by(Author.name)).first()
        first.books = [Book(isbn="1", title="T"), Book(isbn="2"), Book(isbn="3", title="S")]
        session.commit()
        outer = select(Author.name, Book.isbn).outerjoin(Author.books).order_by(Book.title.desc(), Book.isbn)
        loaded = select(Author).options(joinedload(Author.books)).order_by(Author.name)

        for size in (1, 2, 5):
            found, last = forwards(session, outer, size)

            assert len({tuple(row) for row in found}) == len(found) == 6
            assert backwards(session, outer, size, last) == found

        page = paginate_by_key(session, loaded, size=2, secret=SECRET)

        assert [len(author.books) for author in page.items] == [3, 0]


def test_one_statement_that_an_index_can_serve(session):
    """No counting, and the rows before the cursor are not read."""
    session.execute(insert(Point), [{"c": number % 2, "d": number} for number in range(2_000)])
    session.execute(text("CREATE INDEX ix_point ON point (c, d, id)"))
    session.commit()
    ordered = select(Point.c, Point.d).order_by(Point.c, Point.d)
    cursor = paginate_by_key(session, ordered, size=1_500, secret=SECRET).next
    if session.get_bind().dialect.name != "mysql":
        session.execute(text("ANALYZE" if session.get_bind().dialect.name != "mariadb" else "ANALYZE TABLE point"))
    with statements(session.get_bind()) as sent:
        page = paginate_by_key(session, ordered, size=5, secret=SECRET, cursor=cursor)

    assert page.items[0] == (1, 1001)
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (select(Point).order_by("c"), "order by columns, not by the text"),
        (select(Point.c).distinct(), "GROUP BY or DISTINCT"),
        (select(func.count()).select_from(Point).group_by(Point.c), "GROUP BY or DISTINCT"),
        (select(literal(1)).select_from(Point), "no primary key"),
        (union_all(select(Point.id), select(Point.c)), "UNION"),
        (select(Point).limit(3), "LIMIT"),
    ],
)
def test_what_cannot_be_done_is_told(sqlite_url, source, message):
    """And what to do instead."""
    with library(sqlite_url) as sessions, sessions() as session, pytest.raises(ValueError, match=message):
        paginate_by_key(session, source, secret=SECRET)


def test_wrong_arguments_are_told(session):
    """A page has rows, and a secret is not empty."""
    session.execute(insert(Point), [{"c": number, "d": 0} for number in range(3)])
    with pytest.raises(ValueError, match="less than 1"):
        paginate_by_key(session, Point, size=0, secret=SECRET)
    for empty in ("", b""):
        with pytest.raises(ValueError, match="empty"):
            paginate_by_key(session, Point, size=1, secret=empty)


@pytest.fixture
def cursor(sqlite_url):
    """What asks for a page by a cursor, and a good cursor."""
    with DatabaseManager(sqlite_url, "migrations", base_model=Base) as manager:
        Base.metadata.create_all(manager.engine)
        with sessionmaker(manager.engine)() as session:
            session.execute(insert(Point), [{"a": 1, "b": "x", "c": number, "d": 0} for number in range(3)])

            def ask(cursor=None, source=None, secret=SECRET):
                source = select(Point).order_by(Point.b, Point.c) if source is None else source
                return paginate_by_key(session, source, size=1, secret=secret, cursor=cursor)

            yield ask, ask().next


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_changed_cursor_is_refused(cursor, position, bit):
    """Wherever it was changed."""
    ask, good = cursor
    raw = bytearray(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
    raw[position % len(raw)] ^= 1 << bit
    with pytest.raises(InvalidCursor):
        ask(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


@pytest.mark.parametrize("bad", ["", "x", "AAAA", "é", "a b", "=" * 9, "A" * 100_000, "../..", "\0"])
def test_what_is_no_cursor_is_refused(cursor, bad):
    """With an error of ours, which is a ValueError too."""
    ask, _ = cursor
    with pytest.raises(InvalidCursor) as caught:
        ask(bad)

    assert isinstance(caught.value, SqlhelpersError)
    assert isinstance(caught.value, ValueError)


def test_a_cursor_is_for_one_order_and_one_secret(cursor):
    """A filter may change; a secret as text is the same as one as bytes."""
    ask, good = cursor
    for other in (
        {"secret": "another"},
        {"source": select(Point).order_by(Point.b)},
        {"source": select(Point).order_by(Point.b, Point.c.desc())},
        {"source": select(Point).order_by(Point.b.nulls_last(), Point.c)},
        {"source": Point},
    ):
        with pytest.raises(InvalidCursor, match="another order or with another secret"):
            ask(good, **other)

    assert ask(good, secret=SECRET.encode()).items[0].c == 1
    assert ask(good, source=select(Point).where(Point.c > 1).order_by(Point.b, Point.c)).items[0].c == 2


def test_a_member_that_is_gone(session, monkeypatch):
    """An enumeration that has changed since the cursor was made; MariaDB goes by the numbers of members."""
    if session.get_bind().dialect.name == "mariadb":
        pytest.skip("there is no name in the cursor")
    session.execute(insert(Thing), [{**thing, "colour": Colour.RED} for thing in THINGS])
    ordered = select(Thing).order_by(Thing.colour)
    cursor = paginate_by_key(session, ordered, size=1, secret=SECRET).next
    monkeypatch.setattr(Thing.__table__.c.colour.type, "enum_class", enum.Enum("Colour", "BLUE GREEN"))
    with pytest.raises(InvalidCursor, match="'RED', which there is no more"):
        paginate_by_key(session, ordered, size=1, secret=SECRET, cursor=cursor)


def test_numbers_that_are_none(session):
    """NaN and infinity, where the database knows them."""
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("PostgreSQL alone has them")
    odd = [math.nan, math.inf, -math.inf, 0.0]
    session.execute(insert(Thing), [{**thing, "number": odd[each % 4]} for each, thing in enumerate(THINGS)])
    expected = session.scalars(select(Thing.id).order_by(Thing.number, Thing.id)).all()

    assert [row.id for row in forwards(session, select(Thing).order_by(Thing.number), 3)[0]] == expected


async def test_async_twin(url):
    """Gives the same, with every driver; a cursor of one twin is good for the other."""
    async with async_library(url) as sessions, sessions() as session:
        await session.execute(insert(LOANS), [{"code": code, "count": 1} for code in "cab"])
        await session.commit()
        ordered = select(LOANS.c.code).order_by(LOANS.c.code.desc())
        page = await aio.paginate_by_key(session, ordered, size=2, secret=SECRET)

        assert page.items == ("c", "b")

    with library(url) as made, made() as session:
        assert paginate_by_key(session, ordered, size=2, secret=SECRET, cursor=page.next).items == ("a",)
