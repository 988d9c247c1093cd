"""The async ``Base``."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase

from sqlhelpers.modelqueries import AsyncModelQueries
from sqlhelpers.models import NAMING_CONVENTION


class Base(AsyncModelQueries, AsyncAttrs, DeclarativeBase):
    """A declarative base with ``awaitable_attrs``, predictable names of constraints, and async query methods."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)
