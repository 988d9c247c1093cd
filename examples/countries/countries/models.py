"""The tables. Their columns are named as pycountry names its fields."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlhelpers import Base


class Country(Base):
    """A country of ISO 3166-1."""

    __tablename__ = "countries"

    alpha_2: Mapped[str] = mapped_column(String(2), primary_key=True)
    alpha_3: Mapped[str] = mapped_column(String(3))
    numeric: Mapped[str] = mapped_column(String(3))
    name: Mapped[str] = mapped_column(String(255))
    flag: Mapped[str] = mapped_column(String(2))
    official_name: Mapped[str | None] = mapped_column(String(255))


class Subdivision(Base):
    """A part of a country, of ISO 3166-2. It may lie within another one."""

    __tablename__ = "subdivisions"

    code: Mapped[str] = mapped_column(String(6), primary_key=True)
    country_code: Mapped[str] = mapped_column(ForeignKey("countries.alpha_2"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(100))
    parent_code: Mapped[str | None] = mapped_column(ForeignKey("subdivisions.code"), index=True)

    country: Mapped[Country] = relationship()
    parent: Mapped[Subdivision | None] = relationship(remote_side=code)


class Currency(Base):
    """A currency of ISO 4217."""

    __tablename__ = "currencies"

    alpha_3: Mapped[str] = mapped_column(String(3), primary_key=True)
    numeric: Mapped[str] = mapped_column(String(3))
    name: Mapped[str] = mapped_column(String(255))
