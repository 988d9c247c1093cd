"""What a type checker makes of the adapters' decorators: mypy and pyright read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import click

import sqlhelpers_asyncio
from sqlhelpers import DatabaseManager, Runtime
from sqlhelpers_asyncio import with_session
from sqlhelpers_click import attach, pass_manager, pass_session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from sqlhelpers.aio import AsyncDatabaseManager


@pass_session
def plain(session: Session, name: str) -> int:
    return len(name) + bool(session)


@pass_session("reports")
def named(session: Session, *, name: str) -> int:
    return len(name) + bool(session)


@pass_session
async def plain_async(session: AsyncSession, name: str) -> int:
    return len(name) + bool(session)


@pass_session(bind="reports")
async def named_async(session: AsyncSession, name: str) -> int:
    return len(name) + bool(session)


@pass_manager
def managed(manager: DatabaseManager, name: str) -> str:
    return manager.bind + name


@pass_manager("reports")
async def managed_async(manager: AsyncDatabaseManager, name: str) -> str:
    return manager.bind + name


@click.command()
@click.option("--name")
@pass_session
def command(session: Session, name: str) -> None:
    """A command of click."""


@with_session
async def work(session: AsyncSession, number: int) -> str:
    return str(number) + str(session)


@with_session("reports")
async def other_work(session: AsyncSession, number: int) -> str:
    return str(number) + str(session)


async def main() -> None:
    assert_type(await work(1), str)
    assert_type(await other_work(number=1), str)
    await work("1")  # type: ignore[arg-type]


def commands(group: click.Group, runtime: Runtime) -> None:
    assert_type(plain("x"), int)
    assert_type(named(name="x"), int)
    assert_type(plain_async("x"), int)
    assert_type(named_async("x"), int)
    assert_type(managed("x"), str)
    assert_type(managed_async("x"), str)
    assert_type(command, click.Command)
    assert_type(attach(group, runtime), Runtime)
    plain(1)  # type: ignore[arg-type]
    assert_type(sqlhelpers_asyncio.run(work, 1, runtime=runtime), str)
