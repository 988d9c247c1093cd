"""``paginate``: pages that are counted from the start."""

from __future__ import annotations

import pytest
from querying import LOANS, Author, Book, async_library, library, statements
from sqlalchemy import func, insert, literal, select, union_all
from sqlalchemy.orm import joinedload, selectinload

from sqlhelpers import Page, aio, paginate


@pytest.fixture
def session(url):
    """A session with seven books that cost 0, 1 or 2, by two authors, in no order."""
    with library(url) as sessions, sessions() as opened:
        opened.add_all([Author(name="a"), Author(name="b")])
        opened.flush()
        authors = opened.scalars(select(Author.id).order_by(Author.name)).all()
        numbers = (3, 6, 0, 5, 2, 4, 1)
        rows = [{"isbn": str(each), "price": each % 3, "author_id": authors[each % 2]} for each in numbers]
        opened.execute(insert(Book), rows)
        opened.commit()
        yield opened


def test_pages(session):
    """Have their rows, the total, and whether there are more."""
    ordered = select(Book.isbn).order_by(Book.isbn)
    first, second, third, fourth = (paginate(session, ordered, page=page, size=3) for page in (1, 2, 3, 4))

    assert first == Page(("0", "1", "2"), 1, 3, has_next=True, total=7)
    assert second == Page(("3", "4", "5"), 2, 3, has_next=True, total=7)
    assert third == Page(("6",), 3, 3, has_next=False, total=7)
    assert fourth == Page((), 4, 3, has_next=False, total=7)
    assert [page.has_previous for page in (first, second)] == [False, True]
    assert first.pages == 3


def test_counting_is_left_out_where_it_is_not_needed(session):
    """On the last page the total is known; and it need not be counted at all."""
    with statements(session.get_bind()) as sent:
        assert paginate(session, Book, size=7).total == 7
        assert paginate(session, Book, page=2, size=5).total == 7
        assert len(sent) == 2

        uncounted = paginate(session, Book, size=2, counted=False)

        assert (uncounted.total, uncounted.pages, uncounted.has_next) == (None, None, True)
        assert len(sent) == 3


def test_an_empty_list_has_no_pages(session):
    """And its first page is empty."""
    assert paginate(session, LOANS) == Page((), 1, 50, has_next=False, total=0)
    assert paginate(session, LOANS).pages == 0


def test_rows_that_are_equal_keep_their_places(session):
    """They are in the order of the primary key behind that of the statement."""
    ordered = select(Book).order_by(Book.price.desc())
    found = [book for page in range(1, 5) for book in paginate(session, ordered, page=page, size=2).items]

    assert found == sorted(found, key=lambda book: (-book.price, book.id))


def test_what_an_item_is(session):
    """An instance, a value, or a row; collections that are loaded along do not count."""
    assert isinstance(paginate(session, Book).items[0], Book)
    assert [row.isbn for row in paginate(session, select(Book.isbn, Book.price).where(Book.price == 2)).items] == [
        "5",
        "2",
    ]
    assert paginate(session, Book.__table__).items[0].isbn == "3"
    for load in (joinedload, selectinload):
        page = paginate(session, select(Author).options(load(Author.books)).order_by(Author.name), size=1)

        assert (len(page.items), page.total, len(page.items[0].books)) == (1, 2, 4)


def test_statements_whose_rows_have_no_primary_key(session):
    """Are left in their own order."""
    grouped = select(Book.price, func.count()).group_by(Book.price).order_by(Book.price)
    distinct = select(Book.price).distinct().order_by(Book.price)
    both = union_all(select(literal(1)), select(literal(2)))

    assert [tuple(row) for row in paginate(session, grouped).items] == [(0, 3), (1, 2), (2, 2)]
    assert paginate(session, distinct, size=2).items == (0, 1)
    assert sorted(row[0] for row in paginate(session, both).items) == [1, 2]


def test_an_order_by_a_text_is_left_as_it_is(session):
    """With the primary key behind it."""
    labelled = select(Book.isbn.label("number")).order_by("number")

    assert paginate(session, labelled, size=2).items == ("0", "1")


def test_wrong_pages_are_told(session):
    """There is no page 0, no page without rows, and no second LIMIT."""
    for options in ({"page": 0}, {"size": 0}):
        with pytest.raises(ValueError, match="less than 1"):
            paginate(session, Book, **options)
    for limited in (select(Book).limit(2), select(Book).offset(2)):
        with pytest.raises(ValueError, match="LIMIT"):
            paginate(session, limited)


async def test_async_twin(url):
    """Gives the same."""
    async with async_library(url) as sessions, sessions() as session:
        await session.execute(insert(Author), [{"name": name} for name in "abc"])
        page = await aio.paginate(session, select(Author).order_by(Author.name), page=2, size=2)

        assert ([author.name for author in page.items], page.total) == (["c"], 3)
