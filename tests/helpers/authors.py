"""Models that grow, for tests of those who write revisions."""

from __future__ import annotations

HEAD = """
import datetime, decimal, enum, uuid
from sqlalchemy import *
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlhelpers import NAMING_CONVENTION


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)

"""

SHOP = f"""{HEAD}
class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))

"""

BOOK = """
class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"), index=True)

"""

TYPES = """
from sqlalchemy import Numeric, String, TypeDecorator


class Money(TypeDecorator):
    impl = Numeric(8, 3)
    cache_ok = True


class Colour(TypeDecorator):
    impl = String(9)
    cache_ok = True

    def __init__(self, palette):
        super().__init__()
"""

BROAD = f"""{HEAD}
from shop.types import Colour, Money


class Size(enum.Enum):
    small = 1
    large = 2


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    n: Mapped[int | None]
    doubled: Mapped[int | None] = mapped_column(Integer, Computed("n * 2", persisted=True))


class Thing(Base):
    __tablename__ = "thing"
    __table_args__ = (
        UniqueConstraint("code", "label"),
        Index(None, "label", "made"),
        CheckConstraint("amount >= 0", name="positive"),
        {{"comment": "what's sold"}},
    )
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    code: Mapped[str] = mapped_column(String(20), server_default="it's")
    label: Mapped[str | None] = mapped_column(Unicode(30), comment='a "label"')
    long: Mapped[str | None] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    price: Mapped[decimal.Decimal] = mapped_column(Numeric(10, 2), server_default="1.50")
    weight: Mapped[float | None] = mapped_column(Float)
    double: Mapped[float | None] = mapped_column(Double)
    sold: Mapped[bool] = mapped_column(Boolean, server_default=false())
    kept: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    made: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    day: Mapped[datetime.date | None] = mapped_column(Date)
    at: Mapped[datetime.time | None] = mapped_column(Time)
    data: Mapped[dict | None] = mapped_column(JSON)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    key: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    size: Mapped[Size] = mapped_column(Enum(Size, name="size"), server_default="small")
    other: Mapped[Size | None] = mapped_column(Enum(Size, name="size"))
    kind: Mapped[str | None] = mapped_column(Enum("a", "b", native_enum=False, length=5))
    cost: Mapped[decimal.Decimal | None] = mapped_column(Money())
    colour: Mapped[str | None] = mapped_column(Colour("warm"))
    span: Mapped[datetime.timedelta | None] = mapped_column(Interval)
    owner_id: Mapped[int] = mapped_column(
        ForeignKey("owner.id", ondelete="CASCADE", onupdate="CASCADE"), index=True
    )


class Second(Base):
    __tablename__ = "second"
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    size: Mapped[Size] = mapped_column(Enum(Size, name="size"))
    tone: Mapped[str | None] = mapped_column(Enum("low", "high", name="tone"))


link = Table(
    "link",
    Base.metadata,
    Column("thing", ForeignKey("thing.id"), primary_key=True),
    Column("second", ForeignKey("second.id"), primary_key=True),
)
"""

#: What becomes of it: enumerations that come, grow and go, a table that goes, columns that change.
CHANGES = (
    ("small = 1\n", "small = 1\n    medium = 3\n"),
    ("class Second(Base)", "class Other(Base)"),
    ('__tablename__ = "second"', '__tablename__ = "other"'),
    ('ForeignKey("second.id")', 'ForeignKey("other.id")'),
    ('    tone: Mapped[str | None] = mapped_column(Enum("low", "high", name="tone"))\n', ""),
    ("    label: Mapped", "    title: Mapped"),
    ('UniqueConstraint("code", "label")', 'UniqueConstraint("code", "title")'),
    ('Index(None, "label", "made")', 'Index(None, "title", "made")'),
    (
        "    span: Mapped",
        "    mood: Mapped[str | None] = mapped_column(Enum('bad', 'good', name='mood'))\n    span_: Mapped",
    ),
    ('mapped_column(String(20), server_default="it\'s")', 'mapped_column(String(40), server_default="it\'s new")'),
    (
        "weight: Mapped[float | None] = mapped_column(Float)",
        "weight: Mapped[float | None] = mapped_column(Numeric(9, 3))",
    ),
    ("long: Mapped[str | None]", "long: Mapped[str]"),
)


def changed(models: str) -> str:
    """Return the broad models as they are later."""
    for before, after in CHANGES:
        assert before in models, before
        models = models.replace(before, after)
    return models
