"""The code of the ancestor's guide to asyncio and FastAPI runs here, with nothing changed but the names of imports.

What the guide leaves to its readers is added and marked: the settings, and imports and a column that it forgets.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from projects import revision_text

RENAMED = {  # the longest first
    "sqlalchemy_helpers.fastapi": "sqlhelpers_fastapi",
    "sqlalchemy_helpers.aio": "sqlhelpers.aio",
    "sqlalchemy_helpers": "sqlhelpers",
}

CONFIG = """
import os
from pathlib import Path

from pydantic import BaseModel


class SQLAlchemyModel(BaseModel):
    url: str = os.environ["GUIDE_URL"]  # ours: the guide has a type of pydantic 1 here


class AlembicModel(BaseModel):
    migrations_path: Path = Path(__file__).parent.joinpath("migrations").absolute()


class DatabaseModel(BaseModel):
    sqlalchemy: SQLAlchemyModel = SQLAlchemyModel()
    alembic: AlembicModel = AlembicModel()


class Settings(BaseModel):
    database: DatabaseModel = DatabaseModel()


def get_settings():  # ours
    return Settings()
"""

DATABASE = """
from collections.abc import AsyncIterator
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy_helpers.fastapi import AsyncDatabaseManager, make_db_session, manager_from_config
from sqlalchemy_helpers.aio import Base
from .config import get_settings
from . import models

async def gen_db_manager() -> AsyncDatabaseManager:
    db_settings = get_settings().database
    return manager_from_config(db_settings)

async def gen_db_session(
    db_manager: AsyncDatabaseManager = Depends(gen_db_manager),
) -> AsyncIterator[AsyncSession]:
    async for session in make_db_session(db_manager):
        yield session
"""

MAIN = """
from fastapi import FastAPI
from .views import router

app = FastAPI()
app.include_router(router)
"""

MODELS = """
from sqlalchemy import UnicodeText
from sqlalchemy.orm import Mapped, mapped_column
from .database import Base

class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(UnicodeText, unique=True)
    full_name: Mapped[str | None] = mapped_column(UnicodeText)  # ours: other examples of the guide use it
"""

VIEWS = """
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession  # ours
from .database import gen_db_session
from .models import User

router = APIRouter(prefix="/users")

@router.get("/user/{name}")
async def get_user(name: str, db_session: AsyncSession = Depends(gen_db_session)):
    user = await User.get_one(db_session, name=name)
    return user

@router.post("/user/{name}")  # ours
async def add_user(name: str, db_session: AsyncSession = Depends(gen_db_session, scope="function")):
    user, created = await User.get_or_create(db_session, name=name)
    return created
"""

QUERIES = """
import asyncio
import os

from sqlalchemy import select
from my_fastapi_app.models import User
from sqlalchemy_helpers.aio import AsyncDatabaseManager
from sqlalchemy_helpers.fastapi import syncdb
from my_fastapi_app.config import get_settings

syncdb(get_settings().database)


async def queries():
    db = AsyncDatabaseManager(os.environ["GUIDE_URL"], "my_fastapi_app/migrations")
    print((await db.sync()).name, (await db.get_status()).name)

    session = db.Session()
    user, created = await User.get_or_create(session, name="foo")
    print(created)
    result = await session.execute(select(User).filter_by(name="foo"))
    user = result.one()
    print(user[0].name)
    user = await User.get_one(session, name="foo")
    pk = await user.awaitable_attrs.id
    # or
    user = await User.get_by_pk(session, pk)
    # or
    user, created = await User.get_or_create(session, name="foo")
    # or
    user, created = await User.update_or_create(session, name="foo", defaults=dict(full_name="Foo"))
    print(user.full_name, created)
    user = await User.get_by_pk(pk, session=session)
    print(user.full_name)
    await session.commit()
    await session.close()
    await db.dispose()


asyncio.run(queries())
"""

REQUESTS = """
from fastapi.testclient import TestClient
from my_fastapi_app.main import app

with TestClient(app) as client:
    print(client.get("/users/user/foo").json()["full_name"])
    print(client.post("/users/user/bar").json(), client.post("/users/user/bar").json())
    print(client.get("/users/user/bar").json()["name"])
"""

USERS = """op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.UnicodeText, nullable=False),
    sa.Column("full_name", sa.UnicodeText),
    sa.UniqueConstraint("name", name=op.f("uq_users_name")),
)"""

ENVIRONMENT = """
from alembic import context
from sqlalchemy import engine_from_config

config = context.config

from my_fastapi_app.config import get_settings
from my_fastapi_app.database import Base

url = get_settings().database.sqlalchemy.url
config.set_main_option("sqlalchemy.url", url)
target_metadata = Base.metadata

# ...rest of the env.py file...
with engine_from_config(config.get_section(config.config_ini_section)).connect() as connection:
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
"""

INI = """
[alembic]
script_location = %(here)s
"""


@pytest.fixture
def guide(project, monkeypatch):
    """The guide's project, and what runs a program in it."""
    files = {"config": CONFIG, "database": DATABASE, "main": MAIN, "models": MODELS, "views": VIEWS}
    programs = {"queries.py": QUERIES, "requests_.py": REQUESTS}
    for name, text in {**{f"my_fastapi_app/{each}.py": files[each] for each in files}, **programs}.items():
        for old, new in RENAMED.items():
            text = text.replace(old, new)  # noqa: PLW2901
        project.write(name, text)
    project.write("my_fastapi_app/__init__.py", "")
    project.write("my_fastapi_app/migrations/versions/a.py", revision_text("a", USERS))

    def run(url, *arguments):
        monkeypatch.setenv("GUIDE_URL", url)
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    run.project = project
    return run


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])  # MariaDB takes no unique TEXT
def test_the_guide(guide, database, request):
    """Against SQLite and PostgreSQL; its application is asked over FastAPI."""
    url = request.getfixturevalue(database)

    assert guide(url, "queries.py")[1:] == [
        "ALREADY_UP_TO_DATE UP_TO_DATE",
        *("True", "foo", "Foo False", "Foo"),
    ]
    assert guide(url, "requests_.py") == ["Foo", "True False", "bar"]


def test_the_guides_environment(guide, sqlite_url):
    """The plain ``alembic`` command works with the guide's ``env.py``, and the manager sees what it did."""
    guide.project.write("my_fastapi_app/migrations/env.py", ENVIRONMENT)
    guide.project.write("my_fastapi_app/migrations/alembic.ini", INI)
    ini = "my_fastapi_app/migrations/alembic.ini"
    start = "import sys; from alembic.config import main; sys.path.insert(0, '.'); main(sys.argv[1:])"
    guide(sqlite_url, "-c", start, "-c", ini, "upgrade", "head")

    assert guide(sqlite_url, "queries.py")[1] == "ALREADY_UP_TO_DATE UP_TO_DATE"
