from countries.models import Currency
from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bookshop.models.authors import Author
from sqlhelpers import Base

book_authors = Table(
    "book_authors",
    Base.metadata,
    Column("book_id", ForeignKey("books.id", ondelete="CASCADE"), primary_key=True),
    Column("author_id", ForeignKey("authors.id"), primary_key=True, index=True),
)


class Book(Base):
    __tablename__ = "books"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(String(13), unique=True)
    title: Mapped[str] = mapped_column(String(255), index=True)
    currency_code: Mapped[str] = mapped_column(ForeignKey("currencies.alpha_3"))
    price_cents: Mapped[int]
    stock: Mapped[int] = mapped_column(server_default="0")

    authors: Mapped[list[Author]] = relationship(secondary=book_authors)
    currency: Mapped[Currency] = relationship()
