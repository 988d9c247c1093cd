"""The bookshop's API, worker and command, as real processes on one database."""

from __future__ import annotations

import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pycountry
import pytest
from bookshops import FOLDER, environment
from databases import rows
from processes import finish_all, until
from projects import run

NUMBERS = count(1)
EMMA = "9780141439587"


@pytest.fixture
def client(shop):
    """A client of the API."""
    with shop.client() as made:
        yield made


@pytest.fixture
def customer(client):
    """The number of a new customer."""
    answer = client.post(
        "/customers",
        json={
            "email": f"new{next(NUMBERS)}@example.com",
            "given_name": "New",
            "family_name": "Customer",
            "country_code": "FR",
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def new_book(client, stock=10):
    """Add a book by a new author, and return what the API says of it."""
    author = client.post("/authors", json={"name": f"Author {next(NUMBERS)}", "country_code": "FR"}).json()
    book = {
        "isbn": f"979{next(NUMBERS):010}",
        "title": "New",
        "price_cents": 1250,
        "currency_code": "EUR",
        "stock": stock,
    }
    answer = client.post("/books", json={**book, "author_ids": [author["id"]]})
    assert answer.status_code == 201, answer.text
    assert answer.json() == {**book, "authors": [author]}
    return answer.json()


def order(client, customer, **quantities):
    """Order copies of books by their ISBN, and return the answer."""
    lines = [{"isbn": isbn, "quantity": quantity} for isbn, quantity in quantities.items()]
    return client.post("/orders", json={"customer_id": customer, "lines": lines})


def pages(client, path, **query):
    """Return the items of all pages of a list."""
    items, cursor = [], {}
    while cursor is not None:
        page = client.get(path, params={**query, **cursor}).raise_for_status().json()
        items += page["items"]
        cursor = {"cursor": page["next"]} if page["next"] else None
    return items


def test_real_data_comes_in_pages(client):
    """All countries, currencies and subdivisions of a country, each once and in their order."""
    countries = [each["alpha_2"] for each in pages(client, "/countries", size=20)]
    currencies = [each["alpha_3"] for each in pages(client, "/currencies", size=100)]
    parts = [each["code"] for each in pages(client, "/countries/FR/subdivisions", size=50)]

    assert countries == sorted(each.alpha_2 for each in pycountry.countries)
    assert currencies == sorted(each.alpha_3 for each in pycountry.currencies)
    assert parts == sorted(each.code for each in pycountry.subdivisions.get(country_code="FR"))
    assert client.get("/countries/FR").json()["name"] == "France"


def test_from_a_book_to_its_order(client, customer):
    """What one request has written, the next one reads; copies that are ordered are gone from the stock."""
    book = new_book(client)
    placed = order(client, customer, **{book["isbn"]: 3, EMMA: 1})
    read = client.get(f"/orders/{placed.json()['id']}")

    assert placed.status_code == 201
    assert read.json() == placed.json()
    assert read.json()["status"] == "open"
    assert read.json()["placed_at"].endswith("Z")
    assert {line["isbn"]: line["quantity"] for line in read.json()["lines"]} == {book["isbn"]: 3, EMMA: 1}
    assert client.get(f"/books/{book['isbn']}").json()["stock"] == 7
    assert book["isbn"] in [each["isbn"] for each in pages(client, "/books", size=3)]


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/books", {}, 409),
        ("/books", {"isbn": "9790000000000", "currency_code": "ZZZ"}, 404),
        ("/books", {"isbn": "9790000000000", "author_ids": [2**31 - 1]}, 404),
        ("/books", {"isbn": "1"}, 422),
        ("/books", {"title": "a\x00b"}, 422),
        ("/books", {"title": "x" * 256}, 422),
        ("/books", {"price_cents": 2**31}, 422),
        ("/customers", {"email": "one@example.com"}, 409),
        ("/customers", {"country_code": "ZZ"}, 404),
        ("/orders", {"customer_id": 2**31 - 1}, 404),
        ("/orders", {"lines": []}, 422),
        ("/orders", {"lines": [{"isbn": "9790000000000", "quantity": 1}]}, 404),
        ("/orders", {"lines": [{"isbn": EMMA, "quantity": 1000}]}, 409),
    ],
)
def test_a_request_that_is_refused(client, customer, path, change, status):
    """A key that is taken, a reference to nothing, and what no column can hold are the client's to mend."""
    whole = {
        "/books": {"isbn": EMMA, "title": "T", "price_cents": 1, "currency_code": "EUR", "author_ids": [1]},
        "/customers": {"email": "x@example.com", "given_name": "G", "family_name": "F", "country_code": "FR"},
        "/orders": {"customer_id": customer, "lines": [{"isbn": EMMA, "quantity": 1}]},
    }[path]
    answer = client.post(path, json={**whole, **change})

    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/countries/ZZ", 404),
        ("/countries/ZZ/subdivisions", 404),
        ("/books/9790000000000", 404),
        ("/orders/2147483647", 404),
        ("/orders/2147483648", 422),
        ("/countries?cursor=x", 422),
        ("/countries?size=101", 422),
        ("/countries/%00%00", 422),
    ],
)
def test_a_row_that_is_not_there(client, path, status):
    """It is not found, and what cannot be a key or a page is said to be none."""
    assert client.get(path).status_code == status


@pytest.mark.parametrize("text", ['"\\ud800"', "NaN", "1e400"])
def test_a_value_that_cannot_be_sent_back(client, text):
    """What is wrong with it is told without repeating it."""
    headers = {"Content-Type": "application/json"}
    answer = client.post("/authors", content=f'{{"name": {text}}}', headers=headers)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "name"]


def test_the_last_copies_are_sold_once(shop, client, customer):
    """Of forty orders at once for the last ten copies, ten are taken, and thirty are told that there are none."""
    isbn = new_book(client, stock=10)["isbn"]
    before = rows(shop.database, "SELECT count(*) FROM order_lines")[0][0]

    def one(_: int) -> int:
        with shop.client() as own:
            return order(own, customer, **{isbn: 1}).status_code

    with ThreadPoolExecutor(40) as threads:
        statuses = sorted(threads.map(one, range(40)))

    assert statuses == [201] * 10 + [409] * 30
    assert client.get(f"/books/{isbn}").json()["stock"] == 0
    assert rows(shop.database, "SELECT count(*) FROM order_lines")[0][0] == before + 10


def test_two_books_at_once_in_either_order(shop, client, customer):
    """Orders that name the same books in opposite order do not lock each other out."""
    one, other = (new_book(client, stock=30)["isbn"] for _ in range(2))

    def both(number: int) -> int:
        isbns = (one, other) if number % 2 else (other, one)
        with shop.client() as own:
            return order(own, customer, **dict.fromkeys(isbns, 1)).status_code

    with ThreadPoolExecutor(20) as threads:
        statuses = set(threads.map(both, range(30)))

    assert statuses == {201}


def test_workers_send_each_order_once(shop, client, customer, tmp_path):
    """Two workers beside each other send all orders, and none of them twice."""
    isbn = new_book(client, stock=100)["isbn"]
    ids = {order(client, customer, **{isbn: 1}).json()["id"] for _ in range(60)}

    with shop.workers(tmp_path) as children:
        started = [children.start(sys.executable, "-m", "bookshop.worker", "--once", env=shop.env) for _ in range(2)]
        done = finish_all(started)
    sent = [int(number) for each in done for number in re.findall(r"\d+", each.stdout)]

    assert [each.status for each in done] == [0, 0], done
    assert len(sent) == len(set(sent))
    assert ids <= set(sent)
    assert {client.get(f"/orders/{number}").json()["status"] for number in ids} == {"sent"}


def test_a_worker_ends_when_it_is_told_to(shop, client, customer, tmp_path):
    """It sends what comes in while it runs; a signal ends it with the status that says so, and without a word."""
    with shop.workers(tmp_path) as children:
        worker = children.start(sys.executable, "-m", "bookshop.worker", env=shop.env)
        placed = order(client, customer, **{new_book(client)["isbn"]: 1}).json()["id"]
        until(lambda: client.get(f"/orders/{placed}").json()["status"] == "sent", "the order is sent")
        worker.send(signal.SIGTERM)
        done = worker.finish()

    assert done.status == 128 + signal.SIGTERM
    assert done.stderr == ""


def test_the_command(shop, client):
    """It adds a book that the API then knows, refuses it the second time, and brings the commands of sqlhelpers."""
    isbn = f"979{next(NUMBERS):010}"
    words = ("add-book", isbn, "By command", "--author", "One", "--author", "Two", "--cents", "5", "--stock", "1")
    code = "import sys; from bookshop.cli import cli; cli(sys.argv[1:])"

    def command(*arguments: str):
        return run([sys.executable, "-c", code, *arguments], FOLDER, shop.env)

    added, again, stock, synced = command(*words), command(*words), command("stock"), command("db", "run-sync")

    assert (added.status, added.stdout) == (0, f"added {isbn}\n"), added.output
    assert [each["name"] for each in client.get(f"/books/{isbn}").json()["authors"]] == ["One", "Two"]
    assert (again.status, again.stderr) == (1, f"Error: there is a book {isbn} already\n")
    assert f"    1  {isbn}  By command\n" in stock.stdout
    assert synced.stdout.count("up to date") == 2


def test_probes(client):
    """The service is alive, and ready to serve."""
    assert [client.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


@pytest.mark.parametrize("is_synced", [True, False])
def test_the_demo_leaves_no_process(sqlite_url, is_synced):
    """What ``make demo`` starts at its end is stopped, also when the answer is an error; that ends it with 1."""
    env = environment(sqlite_url)
    if is_synced:
        for words in (["sqlhelpers", "run-sync"], ["bookshop"]):
            run([sys.executable, "-m", *words], FOLDER, env)
    done = run([sys.executable, "demo.py"], FOLDER, env)
    (pid,) = re.findall(r"started .* process (\d+)", done.stdout)

    assert done.status == (0 if is_synced else 1), done.output
    assert ('"title": "Emma"' in done.stdout) is is_synced
    assert done.stdout.endswith(f"stopped process {pid}\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
