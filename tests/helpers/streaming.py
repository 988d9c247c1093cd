"""How much memory it takes to read many rows: ``python streaming.py sync|async|all URL`` prints rows and KiB.

``all`` reads them without ``stream``, to compare. The memory is what the process has used at most, above its start.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Text, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlhelpers import DatabaseManager, aio, stream

_FILL = {
    "postgresql": "INSERT INTO row_to_read SELECT n, '{payload}' FROM generate_series(1, {rows}) AS s(n)",
    "mariadb": "INSERT INTO row_to_read SELECT seq, '{payload}' FROM seq_1_to_{rows}",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) "
    "INSERT INTO row_to_read SELECT n, '{payload}' FROM s",
}


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "row_to_read"
    id: Mapped[int] = mapped_column(primary_key=True)
    payload: Mapped[str] = mapped_column(Text)


def fill(url: str, rows: int) -> None:
    """Make a table with so many rows, of about 250 bytes each."""
    with DatabaseManager(url, "migrations", base_model=Base) as manager:
        Base.metadata.create_all(manager.engine)
        with manager.engine.begin() as connection:
            connection.execute(text(_FILL[connection.dialect.name].format(rows=rows, payload="x" * 240)))


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def _read(url: str, *, lazily: bool) -> tuple[int, int]:
    with DatabaseManager(url, "migrations", base_model=Base) as manager, manager.session() as session:
        list(stream(session, select(Row).limit(2)))
        start = _kilobytes("VmRSS")
        rows = stream(session, Row) if lazily else session.scalars(select(Row)).all()
        return sum(1 for row in rows if row.payload), _kilobytes("VmHWM") - start


async def _read_async(url: str) -> tuple[int, int]:
    async with aio.AsyncDatabaseManager(url, "migrations", base_model=Base) as manager, manager.session() as session:
        [row async for row in aio.stream(session, select(Row).limit(2))]
        start, found = _kilobytes("VmRSS"), 0
        async for row in aio.stream(session, Row):
            found += bool(row.payload)
        return found, _kilobytes("VmHWM") - start


if __name__ == "__main__":
    kind, url = sys.argv[1:]
    print(*(asyncio.run(_read_async(url)) if kind == "async" else _read(url, lazily=kind == "sync")))
