"""What a session of ours costs beside ``async with sessionmaker.begin()``: acquire, select, commit.

``python tests/benchmarks/acquiring.py [full]``, or ``make bench`` with all the others. With valgrind, instructions are
counted, which no other load on the machine changes: only while sessions are used, each way in a process of its own.
Without it, CPU is measured in many rounds that take turns.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from measuring import Figure
from servers import PostgresServer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker
from throwaway import ServerAbsent, running

from sqlhelpers.aio import AsyncDatabaseManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncSession

    Opening = Callable[[], AbstractAsyncContextManager[AsyncSession]]

SELECT = text("SELECT 1")
LIMIT = 1.05


def ways(manager: AsyncDatabaseManager) -> dict[str, Opening]:
    """Return how both are opened, on the same engine."""
    return {"ours": manager.session, "theirs": async_sessionmaker(manager.engine, expire_on_commit=False).begin}


async def repeated(opening: Opening, number: int) -> None:
    """Acquire, select and commit so many times."""
    for _ in range(number):
        async with opening() as session:
            await session.execute(SELECT)


async def counted(url: str, way: str, number: int) -> None:
    """Let callgrind, which has started this process, count what sessions take. No revision is asked for."""

    async def control(*words: str) -> None:
        process = await asyncio.create_subprocess_exec("callgrind_control", *words, str(os.getpid()), stdout=-3)
        await process.wait()

    async with AsyncDatabaseManager(url, "none") as manager:
        opening = ways(manager)[way]
        await repeated(opening, 30)
        await control("-i", "on")
        await repeated(opening, number)
        await control("-i", "off")


def instructions(url: str, way: str, number: int) -> float:
    """Return how many instructions a session takes, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out"]
        subprocess.run(
            [*command, sys.executable, __file__, "counted", url, way, str(number)],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        found = [
            int(each) for out in Path(folder).iterdir() for each in re.findall(r"(?m)^totals: (\d+)", out.read_text())
        ]
    return max(found) / number


async def cpu(url: str, rounds: int, number: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of a session of each, in rounds that take turns."""
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    async with AsyncDatabaseManager(url, "none") as manager:
        both = ways(manager)
        for place in range(rounds + 1):
            for way in [*both][:: 1 if place % 2 else -1]:
                start = time.process_time()
                await repeated(both[way], number)
                if place:
                    found[way].append((time.process_time() - start) / number)
    return found["ours"], found["theirs"]


def measure(url: str, *, full: bool) -> Iterator[Figure]:
    """Measure on one database."""
    what, beside = f"a session on {url.partition(':')[0]}", "async with sessionmaker.begin()"
    if shutil.which("valgrind"):
        ours, theirs = (instructions(url, way, 1000 if full else 200) for way in ("ours", "theirs"))
        yield Figure(f"{what}, instructions", [ours], "instructions", LIMIT, beside, [theirs])
    ours_cpu, theirs_cpu = asyncio.run(cpu(url, 100 if full else 30, 40))
    yield Figure(f"{what}, CPU", ours_cpu, "s", LIMIT, beside, theirs_cpu)


def figures(*, full: bool) -> Iterator[Figure]:
    """Yield what was found: on PostgreSQL where it is installed, else on SQLite."""
    try:
        PostgresServer.require()
    except ServerAbsent:
        with tempfile.TemporaryDirectory() as folder:
            yield from measure(f"sqlite:///{folder}/bench.db", full=full)
        return
    with running(PostgresServer) as server, server.fresh_database() as url:
        yield from measure(url, full=full)


if __name__ == "__main__":
    if sys.argv[1:2] == ["counted"]:
        asyncio.run(counted(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        for figure in figures(full="full" in sys.argv):
            print("  ".join(figure.row()), flush=True)
