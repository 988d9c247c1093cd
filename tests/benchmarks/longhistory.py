"""Projects with a long history, for us and for plain Alembic beside us: the same revisions, models and settings."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

from databases import MODELS as OURS

from sqlhelpers import NAMING_CONVENTION

if TYPE_CHECKING:
    from pathlib import Path

#: What the models of both have, without anything of ours, as beside plain Alembic.
MODELS = OURS.replace("from sqlhelpers import NAMING_CONVENTION", f"\nNAMING_CONVENTION = {NAMING_CONVENTION!r}")

SETTLED = 2.1  # seconds: what has changed so lately is read again each time, since it could change unseen

REVISION = '''"""step {place}

Revision ID: {name}
Revises: {before}
Create Date: 2025-01-01 00:00:00

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = {name!r}
down_revision: Union[str, None] = {before!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.create_table("t{place}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))
    op.create_index("ix_t{place}", "t{place}", ["name"])


def downgrade() -> None:
    op.drop_table("t{place}")
'''

ENVIRONMENT = """from alembic import context
from sqlalchemy import engine_from_config, pool

from shop import models

config = context.config
section = config.get_section(config.config_ini_section, {})
connectable = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=models.Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""

INI = """[alembic]
script_location = plain
version_locations = shop/migrations/versions
path_separator = os
prepend_sys_path = .
sqlalchemy.url = {url}
"""

PYPROJECT = """[tool.sqlhelpers]
databases = {default = "sqlite:///ours.db"}
apps = {shop = {package = "shop"}}
"""


def name_of(place: int) -> str:
    """Return the identifier of a revision, by its place from 1: as Alembic's are, in no order."""
    return hashlib.sha256(b"%d" % place).hexdigest()[:12]


def write_project(folder: Path, revisions: int, models: str = MODELS, url: str = "sqlite:///theirs.db") -> Path:
    """Write an app ``shop`` with so many revisions, and an ``alembic.ini`` with an ``env.py`` for the same.

    The ``env.py`` is outside of the migrations folder, so that we do not use it.

    Args:
        folder: the project folder, which is made.
        revisions: their number. They are old enough to be kept when this returns.
        models: the text of the models.
        url: the database of plain Alembic.
    """
    versions = folder / "shop" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "plain").mkdir()
    texts = {"pyproject.toml": PYPROJECT, "alembic.ini": INI.format(url=url), "plain/env.py": ENVIRONMENT}
    for path, text in {**texts, "shop/__init__.py": "", "shop/models.py": models}.items():
        (folder / path).write_text(text)
    for place in range(1, revisions + 1):
        file = versions / f"{name_of(place)}_step_{place}.py"
        before = name_of(place - 1) if place > 1 else None
        file.write_text(REVISION.format(place=place, name=name_of(place), before=before))
        os.utime(file, (1.7e9, 1.7e9))
    time.sleep(SETTLED)
    return folder


def many_models(number: int) -> str:
    """Return the text of so many models, whose tables are like those that the revisions make."""
    return (
        "from sqlalchemy import MetaData, String\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n"
        f"\nNAMING_CONVENTION = {NAMING_CONVENTION!r}\n\n\n"
        "class Base(DeclarativeBase):\n    metadata = MetaData(naming_convention=NAMING_CONVENTION)\n"
    ) + "".join(
        f'\n\nclass T{place}(Base):\n    __tablename__ = "t{place}"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "    name: Mapped[str | None] = mapped_column(String(50), index=True)\n"
        for place in range(1, number + 1)
    )
