"""A small app with the testing kit, on each kind of database, in this process."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url
from throwaway import new_password

from sqlhelpers import Settings
from sqlhelpers_pytest.kit import Kit
from sqlhelpers_pytest.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from throwaway import Server

MODELS = """
from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    metadata = MetaData()


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    title: Mapped[str | None] = mapped_column(String(50))
    author: Mapped[Author] = relationship(back_populates="books")
"""
DEFERRED = MODELS.replace('ForeignKey("author.id")', 'ForeignKey("author.id", deferrable=True, initially="DEFERRED")')
APPS = {"shop": {"package": "shop", "migrations": False}}


def write_shop(folder: Path, models: str = MODELS) -> None:
    """Write the app."""
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "models.py").write_text(models)


def models() -> Any:
    """Return its module."""
    return importlib.import_module("shop.models")


@contextmanager
def kit_on(databases: Any, folder: Path, apps: Any = APPS, **options: Any) -> Iterator[Kit]:
    """Start a kit for databases."""
    binds = {"default": databases} if isinstance(databases, str) else databases
    kit = Kit(Settings(databases=binds, apps=apps), Options(folder=folder, **options))
    kit.start()
    try:
        yield kit
    finally:
        kit.end()
        kit.stop()


@contextmanager
def test_in(kit: Kit, mode: str = "isolated") -> Iterator[Kit]:  # noqa: PT028  # it is no test
    """Do as the plugin does around a test."""
    kit.begin(mode)
    try:
        yield kit
    finally:
        kit.finish()
        kit.end()


test_in.__test__ = False  # type: ignore[attr-defined]  # it is none itself


def developers_database(server: Server) -> str:
    """Return the URL of a new database, whose role may make others."""
    name, password = f"dev_{next(server.numbers)}", new_password()
    server.create_role(name, password)
    if server.dialect == "postgresql":
        server.execute(f'ALTER ROLE "{name}" CREATEDB')
    else:
        server.execute(f"GRANT ALL ON *.* TO `{name}`@'%'")
    server.create_database(name, owner=name)
    return str(server.url(name, password, name))


def base_name(url: str) -> str:
    """Return what the names of the kit's databases begin with."""
    return f"test_{make_url(url).database}" if not url.startswith("sqlite") else f"test_{Path(url).stem}"
