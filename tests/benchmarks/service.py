"""What a request costs with sessions of ours, beside the same application by hand; both under real load over HTTP.

``make bench``, or ``python tests/benchmarks/service.py [rounds]``. Three servers run side by side: ours, one by hand,
and another one by hand, its twin. In each round each of them, in changing order, gets the same requests from the same
number of clients. Shown are medians with the middle half of the rounds, and the medians of the rounds' ratios with what
they are between with 95 % confidence. That of the twins should have 1 in it: it says what the run can resolve. The
clients and the database share the processors with the servers.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from measuring import spread, sure_ratio
from querying import Book, library
from servers import PostgresServer
from services import Service, serving
from sqlalchemy import insert
from throwaway import ServerAbsent, running

CLIENTS = 16
REQUESTS = 240  # to one server in one round
WAYS = {"ours": "ours", "by hand": "by_hand", "its twin": "by_hand"}
FIGURES = {"CPU of the server per request": 1.05, "p50": 1.2, "p99": 1.2}


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


def measure(url: str, rounds: int) -> None:
    """Measure reading and writing requests on one database, and print the figures."""
    dialect = url.partition(":")[0]
    with library(url) as sessions, sessions() as session:
        session.execute(insert(Book), [{"id": number, "isbn": str(number), "price": number} for number in range(100)])
        session.commit()
    with ExitStack() as stack:
        output = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = f"{Path(__file__).parent}:{Path(__file__).parents[1]}"
        variables = {"BENCHMARKED": url, "PYTHONPATH": path}
        services = {
            name: stack.enter_context(
                serving(f"served:{way}", Path(__file__).parent, variables, output / name, "--factory"),
            )
            for name, way in WAYS.items()
        }
        for method, what in {"GET": "reading", "POST": "writing"}.items():
            compare(f"{dialect}, {what}", services, method, rounds)


def compare(title: str, services: dict[str, Service], method: str, rounds: int) -> None:
    """Let all servers take turns, and print a table."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in services}
    for number in range(rounds + 1):
        names = [*services]
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures = one_round(services[name], method)
            if number:  # the first one warms up
                found[name].append(figures)
    print(f"{title}: {rounds} rounds of {REQUESTS} requests to each server, from {CLIENTS} clients")
    columns = {name: list(zip(*rows, strict=True)) for name, rows in found.items()}
    for place, (figure, limit) in enumerate(FIGURES.items()):
        of_ours, of_hand, of_twin = (columns[name][place] for name in WAYS)
        print(f"  {figure:30} ours {spread(of_ours, 3)}  by hand {spread(of_hand, 3)}")
        ours, twins = sure_ratio(of_ours, of_hand), sure_ratio(of_twin, of_hand)
        print(f"  {'':30} ratio {ours}, at most {limit}; that of the twins {twins}", flush=True)


def main() -> None:
    """Measure on SQLite, and on PostgreSQL where it is installed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{folder}/bench.db", rounds)
    try:
        PostgresServer.require()
    except ServerAbsent as absent:
        print(absent)
        return
    with running(PostgresServer) as server, server.fresh_database() as url:
        measure(url, rounds)


if __name__ == "__main__":
    main()
