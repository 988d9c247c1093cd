"""One application, with sessions of ours and with sessions by hand: ``uvicorn served:ours --factory``.

By hand means what a careful developer writes: an engine of the module, and a dependency that commits before the
response starts. Its engine has the same pool and the same time limits, and makes SQLite's transactions explicit in
the same way.
"""

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from querying import Book
from sqlalchemy import event, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import sqlhelpers_fastapi
from sqlhelpers import Runtime, Settings
from sqlhelpers.discovery.plugin_manager import PluginManager

POOL: Any = {"pool_pre_ping": True, "pool_size": 15, "max_overflow": 0, "pool_timeout": 30}
DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
LIMITS = {"postgresql": {"command_timeout": 60, "timeout": 10}, "sqlite": {"timeout": 60}}


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    isbn: str
    price: int


def ours() -> FastAPI:
    """Return the application with sessions of ours."""
    app = FastAPI()
    settings = Settings(databases={"default": os.environ["BENCHMARKED"]})
    sqlhelpers_fastapi.attach(app, Runtime(settings, plugin_manager=PluginManager()))
    add_routes(app, sqlhelpers_fastapi.SessionDep)
    return app


def by_hand() -> FastAPI:
    """Return the application with sessions by hand."""
    url = make_url(os.environ["BENCHMARKED"])
    dialect = url.get_backend_name()
    engine = create_async_engine(url.set(drivername=DRIVERS[dialect]), connect_args=LIMITS[dialect], **POOL)
    if dialect == "sqlite":
        make_explicit(engine.sync_engine)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session
            await session.commit()

    app = FastAPI()
    add_routes(app, Annotated[AsyncSession, Depends(get_session, scope="function")])
    return app


def make_explicit(engine: Any) -> None:
    """Let SQLAlchemy begin SQLite's transactions, as its documentation shows it."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=1")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def add_routes(app: FastAPI, SessionDep: Any) -> None:  # noqa: N803  # it is a type
    """Add a path operation that reads a row, and one that changes a row."""

    @app.get("/books/{isbn}")
    async def read(isbn: str, session: SessionDep) -> BookOut:
        return BookOut.model_validate((await session.scalars(select(Book).filter_by(isbn=isbn))).one())

    @app.post("/books/{isbn}")
    async def change(isbn: str, session: SessionDep) -> BookOut:
        book = (await session.scalars(select(Book).filter_by(isbn=isbn))).one()
        book.price = book.price % 1000 + 1
        return BookOut.model_validate(book)
