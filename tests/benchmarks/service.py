"""What a request costs with sessions of ours, beside the same application by hand; both under real load over HTTP.

``python tests/benchmarks/service.py [full]``, or ``make bench`` with all the others. Three servers run side by side:
ours, one by hand, and another one by hand, its twin. In each round each of them, in changing order, gets the same
requests from the same number of clients. The ratio of the twins says what the run can resolve: it should be near 1.
The clients and the database share the processors with the servers.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from measuring import Figure
from querying import Book, library
from servers import PostgresServer
from services import Service, serving
from sqlalchemy import insert
from throwaway import ServerAbsent, running

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 16
REQUESTS = 240  # to one server in one round
WAYS = {"ours": "ours", "by hand": "by_hand", "its twin": "by_hand"}
FIGURES = {"CPU per request": 1.05, "p50": 1.2, "p99": 1.2}


def processor_time(pid: int) -> float:
    """Return the seconds of CPU that another process has used: the clock of its CPU time, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3) computes it so


async def load(port: int, method: str) -> list[float]:
    """Send the requests of one round, and return how long each took."""
    isbns, taken = iter(range(REQUESTS)), list[float]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for isbn in isbns:
            request = f"{method} /books/{isbn % 100} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
            start = time.perf_counter()
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            taken.append(time.perf_counter() - start)
            assert head.startswith(b"HTTP/1.1 200"), head
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    return taken


def one_round(service: Service, method: str) -> tuple[float, float, float]:
    """Return the figures of one server in one round, in seconds."""
    before = processor_time(service.pid)
    taken = asyncio.run(load(service.port, method))
    spent = processor_time(service.pid) - before
    hundredths = statistics.quantiles(taken, n=100)
    return spent / REQUESTS, hundredths[49], hundredths[98]


def measure(url: str, rounds: int) -> Iterator[Figure]:
    """Measure reading and writing requests on one database."""
    dialect = url.partition(":")[0]
    with library(url) as sessions, sessions() as session:
        session.execute(insert(Book), [{"id": number, "isbn": str(number), "price": number} for number in range(100)])
        session.commit()
    with ExitStack() as stack:
        output = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = f"{Path(__file__).parent}:{Path(__file__).parents[1]}/helpers"
        variables = {"BENCHMARKED": url, "PYTHONPATH": path}
        services = {
            name: stack.enter_context(
                serving(f"served:{way}", Path(__file__).parent, variables, output / name, "--factory"),
            )
            for name, way in WAYS.items()
        }
        for method, what in {"GET": "reading", "POST": "writing"}.items():
            yield from compare(f"{dialect}, {what}", services, method, rounds)


def compare(title: str, services: dict[str, Service], method: str, rounds: int) -> Iterator[Figure]:
    """Let all servers take turns."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in services}
    for number in range(rounds + 1):
        names = [*services]
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures = one_round(services[name], method)
            if number:  # the first one warms up
                found[name].append(figures)
    columns = {name: list(zip(*rows, strict=True)) for name, rows in found.items()}
    for place, (figure, limit) in enumerate(FIGURES.items()):
        of_ours, of_hand, of_twin = (columns[name][place] for name in WAYS)
        twins = statistics.median(one / other for one, other in zip(of_twin, of_hand, strict=True))
        what = f"FastAPI, {title}, {CLIENTS} clients: {figure}"
        yield Figure(what, of_ours, "s", limit, f"by hand (twins {twins:.2f} x)", of_hand)


def figures(*, full: bool) -> Iterator[Figure]:
    """Measure on PostgreSQL where it is installed, and on SQLite."""
    rounds = 20 if full else 4
    if full:
        with tempfile.TemporaryDirectory() as folder:
            yield from measure(f"sqlite:///{folder}/bench.db", rounds)
    try:
        PostgresServer.require()
    except ServerAbsent as absent:
        print(absent)
        return
    with running(PostgresServer) as server, server.fresh_database() as url:
        yield from measure(url, rounds)


if __name__ == "__main__":
    for figure in figures(full="full" in sys.argv):
        print("  ".join(figure.row()), flush=True)
