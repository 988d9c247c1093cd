"""The tables, by subject."""

from bookshop.models.authors import Author
from bookshop.models.books import Book, book_authors
from bookshop.models.customers import Customer
from bookshop.models.orders import Order, OrderLine

__all__ = ["Author", "Book", "Customer", "Order", "OrderLine", "book_authors"]
