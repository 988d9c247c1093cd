"""A bookshop: authors, books, customers and orders."""
