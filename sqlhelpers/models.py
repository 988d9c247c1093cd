"""Models: the naming convention, and ``Base``."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from sqlhelpers.modelqueries import ModelQueries

#: Every column takes part in a name, so that two composite constraints that share a first column differ.
#: https://docs.sqlalchemy.org/en/21/core/metadata.html#sqlalchemy.schema.MetaData.params.naming_convention
NAMING_CONVENTION: dict[str, str] = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(ModelQueries, DeclarativeBase):
    """A declarative base whose constraints have predictable names, and whose models have the query methods.

    Nothing else ties a model to sqlhelpers: any ``DeclarativeBase`` of your own serves as well.
    """

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)
