"""The migrations: what holds for all of them, and what has to become of the rows that are there."""

from decimal import Decimal

from sqlhelpers_pytest.migrations import *  # noqa: F403  # the tests


def test_prices_become_cents(insert_at_revision):
    """No price is lost when the column changes."""
    price = {"isbn": "9780141439587", "title": "Emma", "currency_code": "GBP", "price": Decimal("8.99")}
    currency = {"alpha_3": "GBP", "numeric": "826", "name": "Pound Sterling"}
    shop = insert_at_revision("bookshop", "07e8b2d4af61", {"currencies": [currency], "books": [{"id": 1, **price}]})
    shop.upgrade()

    assert [row["price_cents"] for row in shop.rows("books")] == [899]
