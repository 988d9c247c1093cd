"""The worker that sends orders, a few at a time, until it is told to stop: ``python -m bookshop.worker``.

With ``--once`` it ends when there is nothing left to send. Any number of workers may run beside each other.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import select

from bookshop.models import Order
from sqlhelpers_asyncio import run, with_session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

BATCH = 20
PAUSE = 1.0  # seconds


@with_session
async def send_some(session: AsyncSession) -> list[int]:
    """Send a few orders, and return their numbers; all are marked when it returns, or none.

    What another worker is about to send is skipped. SQLite has one writer at a time, and needs no lock for that.
    """
    unsent = select(Order).where(Order.status != "sent").order_by(Order.id).limit(BATCH)
    orders = (await session.scalars(unsent.with_for_update(skip_locked=True))).all()
    for order in orders:
        order.status = "sent"
    return [order.id for order in orders]


async def work(once: bool) -> None:  # noqa: FBT001  # it is called in one place
    while True:
        sent = await send_some()
        if sent:
            print("sent", *sent, flush=True)  # noqa: T201
        elif once:
            return
        else:
            await asyncio.sleep(PAUSE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Send orders.")
    parser.add_argument("--once", action="store_true", help="end when there is nothing left to send")
    run(work, parser.parse_args().once)


if __name__ == "__main__":
    main()
