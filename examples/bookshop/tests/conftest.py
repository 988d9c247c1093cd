"""What the tests of the bookshop have in common. The databases come from the testing kit of sqlhelpers."""

import pytest
from bookshop.api import app
from bookshop.models import Author, Book, Customer
from fastapi.testclient import TestClient
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory


class AuthorFactory(SQLAlchemyFactory[Author]):
    __set_relationships__ = False
    country_code = "GB"


class BookFactory(SQLAlchemyFactory[Book]):
    __set_relationships__ = False
    currency_code = "GBP"
    price_cents = 899
    stock = 5

    @classmethod
    def isbn(cls):
        return f"978{cls.__random__.randrange(10**10):010}"


class CustomerFactory(SQLAlchemyFactory[Customer]):
    __set_relationships__ = False
    country_code = "DE"


@pytest.fixture(autouse=True)
def factories(db_session):
    for factory in (AuthorFactory, BookFactory, CustomerFactory):
        factory.__session__ = db_session


@pytest.fixture
def client(sqlhelpers_runtime):
    with TestClient(app) as client:
        yield client
