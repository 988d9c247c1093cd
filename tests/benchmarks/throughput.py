"""What the query functions cost beside the same statements by hand.

``python tests/benchmarks/throughput.py [full]``, or ``make bench`` with all the others. Ours and by hand take turns, in
rounds; shown are the median CPU time of each, and the median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from measuring import Figure
from querying import Book, async_library, library
from servers import PostgresServer
from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from throwaway import ServerAbsent, running

from sqlhelpers import aio, bulk_upsert, get_by_pk, get_one, get_or_create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

ROWS = 100_000


def compare(title: str, limit: float, ours: Callable[[], Any], by_hand: Callable[[], Any], rounds: int) -> Figure:
    """Run both in turns, and return what they took."""
    ours()
    by_hand()
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            start = time.process_time()
            (ours, by_hand)[which]()
            taken[which].append(time.process_time() - start)
    return Figure(title, taken[0], "s", limit, "by hand", taken[1])


def one_row(session: Session, rounds: int, repeats: int, dialect: str) -> Iterator[Figure]:
    """Compare what reads one row that is there; the session forgets it each time."""

    def repeated(work: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(repeats):
                work()
                session.expunge_all()

        return run

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "get_by_pk": (
            lambda: get_by_pk(7, session=session, model=Book),
            lambda: session.get(Book, 7),
        ),
        "get_one": (
            lambda: get_one(session, Book, isbn="7"),
            lambda: session.scalars(select(Book).filter_by(isbn="7")).one(),
        ),
        "get_or_create": (
            lambda: get_or_create(session, Book, {"price": 1}, isbn="7"),
            lambda: session.scalars(select(Book).filter_by(isbn="7")).one_or_none(),
        ),
    }
    for name, (ours, by_hand) in pairs.items():
        yield compare(f"{dialect}: {name}, {repeats} times", 1.1, repeated(ours), repeated(by_hand), rounds)


def many_rows(session: Session, rounds: int, dialect: str) -> Iterator[Figure]:
    """Compare bulk upserts, half of whose rows are there, with two ways to write them by hand."""
    rows = [{"isbn": str(number), "price": number, "title": f"Title {number}"} for number in range(ROWS)]
    module: Any = {"postgresql": postgresql, "sqlite": sqlite}[dialect]

    def statement() -> Any:
        made = module.insert(Book)
        return made.on_conflict_do_update(
            index_elements=["isbn"],
            set_={"price": made.excluded.price, "book_title": made.excluded.book_title},
        )

    def chunked(size: int, send: Callable[[list[dict[str, Any]]], Any]) -> Callable[[], None]:
        def run() -> None:
            prepare()
            for start in range(0, ROWS, size):
                send(rows[start : start + size])

        return run

    def prepare() -> None:
        session.execute(delete(Book))
        session.execute(insert(Book), rows[: ROWS // 2])

    def ours() -> None:
        prepare()
        bulk_upsert(session, Book, rows)

    def values(chunk: list[dict[str, Any]]) -> None:
        session.execute(statement().values(chunk))

    def executemany(chunk: list[dict[str, Any]]) -> None:
        session.execute(statement(), chunk)

    title = f"{dialect}: bulk_upsert of {ROWS} rows, half of them new"
    yield compare(f"{title}; values()", 1.15, ours, chunked(1_000, values), max(3, rounds // 5))
    yield compare(f"{title}; a list", 1.15, ours, chunked(10_000, executemany), max(3, rounds // 3))


async def one_row_async(url: str, rounds: int, repeats: int, dialect: str) -> list[Figure]:
    """Compare the async functions in the same way."""
    found: list[Figure] = []
    async with async_library(url) as sessions, sessions() as session:

        async def timed(work: Callable[[], Any]) -> float:
            start = time.process_time()
            for _ in range(repeats):
                await work()
                session.expunge_all()
            return time.process_time() - start

        async def by_hand_or_none() -> Any:
            return (await session.scalars(select(Book).filter_by(isbn="7"))).one_or_none()

        async def by_hand_one() -> Any:
            return (await session.scalars(select(Book).filter_by(isbn="7"))).one()

        pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "get_by_pk": (lambda: aio.get_by_pk(7, session=session, model=Book), lambda: session.get(Book, 7)),
            "get_one": (lambda: aio.get_one(session, Book, isbn="7"), by_hand_one),
            "get_or_create": (lambda: aio.get_or_create(session, Book, {"price": 1}, isbn="7"), by_hand_or_none),
        }
        for name, both in pairs.items():
            taken: tuple[list[float], list[float]] = ([], [])
            for number in range(rounds + 1):
                for which in (0, 1) if number % 2 else (1, 0):
                    spent = await timed(both[which])
                    if number:
                        taken[which].append(spent)
            found.append(Figure(f"{dialect}, async: {name}, {repeats} times", taken[0], "s", 1.1, "by hand", taken[1]))
    return found


def measure(url: str, rounds: int, *, full: bool) -> Iterator[Figure]:
    """Measure on one database."""
    dialect = url.partition(":")[0]
    with library(url) as sessions, sessions() as session:
        rows = [{"isbn": str(number), "price": number} for number in range(100)]
        session.execute(insert(Book), [{"id": number, **row} for number, row in enumerate(rows)])
        session.commit()
        yield from one_row(session, 10 * rounds, 40, dialect)
        session.rollback()
        yield from asyncio.run(one_row_async(url, 10 * rounds, 40, dialect))
        if full:  # it takes minutes
            yield from many_rows(session, rounds, dialect)


def figures(*, full: bool) -> Iterator[Figure]:
    """Measure on SQLite, and on PostgreSQL where it is installed."""
    rounds = 15 if full else 2
    with tempfile.TemporaryDirectory() as folder:
        yield from measure(f"sqlite:///{folder}/bench.db", rounds, full=full)
    try:
        PostgresServer.require()
    except ServerAbsent as absent:
        print(absent)
        return
    with running(PostgresServer) as server, server.fresh_database() as url:
        yield from measure(url, rounds, full=full)


if __name__ == "__main__":
    for figure in figures(full="full" in sys.argv):
        print("  ".join(figure.row()), flush=True)
