"""The adapter for Flask, with its test client, on SQLite files."""

import gc
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask, Response, abort, copy_current_request_context, g, render_template_string, stream_with_context
from sqlalchemy import ForeignKey, event, select, text
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, OperationalError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug.exceptions import Conflict, HTTPException, ServiceUnavailable

from sqlhelpers import Adapter, Runtime, Settings, get_one
from sqlhelpers.discovery.plugin_manager import PluginManager
from sqlhelpers.exceptions import ConfigurationError, NoSession, UnknownBind
from sqlhelpers_flask import (
    FlaskAdapter,
    OutOfContext,
    attach,
    first_or_404,
    get_manager,
    get_or_404,
    get_session,
    one_or_404,
    session,
    session_provider,
)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id", deferrable=True, initially="DEFERRED"))


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A runtime with two databases that have the tables of the models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    databases = {bind: f"sqlite:///{tmp_path}/{bind}.db" for bind in ("default", "reports")}
    with Runtime(Settings(databases=databases), plugin_manager=PluginManager()) as runtime:
        for bind in databases:
            Base.metadata.create_all(runtime.manager(bind).engine)
        yield runtime


@pytest.fixture
def app(runtime) -> Flask:
    """An attached application that behaves as in production."""
    app = Flask("shop")
    attach(app, runtime)
    return app


@pytest.fixture
def client(app):
    return app.test_client()


def names(tmp_path: Path, bind: str = "default") -> list[str]:
    """Return the names of the authors, over a connection of our own."""
    with closing(sqlite3.connect(tmp_path / f"{bind}.db")) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM authors ORDER BY id")]


def add(name: str, bind: str = "default") -> str:
    """Add an author to the session of the request."""
    get_session(bind).add(Author(name=name))
    return name


def fail_to_commit() -> str:
    """Write what is refused only when it is committed: a book of an author that is not there."""
    session.execute(text("INSERT INTO books (author_id) VALUES (7)"))
    return "written"


def checked_out(runtime: Runtime) -> int:
    """Return how many connections are in use."""
    return sum(runtime.manager(bind).engine.pool.checkedout() for bind in runtime.binds())


# Commit


def test_commit_precedes_response(app, client, tmp_path):
    """A row is committed before the after_request functions and the response, every time."""
    seen = []
    app.post("/<name>")(add)
    app.after_request(lambda response: seen.append(names(tmp_path)) or response)

    for number in range(20):
        assert client.post(f"/{number}").status_code == 200
        assert seen[-1] == names(tmp_path) == [str(each) for each in range(number + 1)]


def test_failed_commit_is_no_success(app, client, tmp_path, runtime, caplog):
    """A commit that fails is a server error, and logged."""
    app.post("/")(fail_to_commit)
    response = client.post("/")

    assert response.status_code == 500
    assert "FOREIGN KEY constraint failed" in caplog.text
    assert checked_out(runtime) == 0
    assert names(tmp_path) == []


def test_failed_commit_reaches_error_handlers(app, client):
    """The application's own error handler answers for a commit that failed, and after_request sees its answer."""
    seen = []
    app.post("/")(fail_to_commit)
    app.errorhandler(IntegrityError)(lambda _error: ("no such author", 422))
    app.after_request(lambda response: seen.append(response.status_code) or response)
    response = client.post("/")

    assert (response.status_code, response.text, seen) == (422, "no such author", [422])


def test_conflict_at_commit(app, client, tmp_path):
    """A key that is there already is a 409, also when only the commit finds out."""
    app.post("/<name>")(add)
    client.post("/ada")
    response = client.post("/ada")

    assert response.status_code == 409
    assert names(tmp_path) == ["ada"]


def test_swallowed_error_is_no_success(app, client, tmp_path):
    """A view that hides the failure of a flush cannot answer as if it had written."""

    @app.post("/")
    def careless() -> str:
        session.add_all([Author(name="ada"), Author(name="ada")])
        with pytest.raises(IntegrityError):
            session.flush()
        return "done"

    assert client.post("/").status_code == 500
    assert names(tmp_path) == []


def test_nothing_returned_is_nothing_committed(app, client, tmp_path):
    """A view whose result is no response has failed, and what it wrote is gone."""

    @app.post("/")
    def forgetful() -> None:
        add("ada")

    assert client.post("/").status_code == 500
    assert names(tmp_path) == []


def test_own_commits(app, client, tmp_path):
    """A view may commit and roll back for itself, and go on."""

    @app.post("/")
    def view() -> str:
        add("kept")
        session.commit()
        add("dropped")
        session.rollback()
        return add("last")

    assert client.post("/").status_code == 200
    assert names(tmp_path) == ["kept", "last"]


def test_unused_session_costs_nothing(app, client, runtime):
    """A request that asks for no session opens none and connects to nothing."""
    connected = []
    event.listen(runtime.manager().engine, "checkout", lambda *_: connected.append(1))
    app.get("/")(lambda: "hello")

    assert client.get("/").text == "hello"
    assert connected == []


# Rolling back


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), Conflict(), KeyError("x")], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("handled", [False, True])
def test_exception_rolls_back(app, client, tmp_path, runtime, error, handled):
    """What a view wrote before it raised is gone, also if an error handler makes a response of it."""

    @app.post("/")
    def view() -> str:
        add("ada")
        session.flush()
        raise error

    if handled:
        app.errorhandler(type(error))(lambda _error: ("all is well", 200))
    response = client.post("/")

    assert response.status_code == (200 if handled else getattr(error, "code", 500))
    assert names(tmp_path) == []
    assert checked_out(runtime) == 0


def test_abort_rolls_back(app, client, tmp_path):
    """``abort(404)`` rolls back, and so does one with a response of its own."""

    @app.post("/<int:status>")
    def view(status: int) -> str:
        add("ada")
        abort(status if status != 200 else Response("made by hand", 200))

    assert client.post("/404").status_code == 404
    assert client.post("/200").text == "made by hand"
    assert names(tmp_path) == []


def test_exit_rolls_back(app, client, tmp_path, runtime):
    """What is no ``Exception``, a worker that is told to stop, rolls back as well."""

    @app.post("/")
    def view() -> str:
        add("ada")
        session.flush()
        raise SystemExit

    with pytest.raises(SystemExit):
        client.post("/")

    assert checked_out(runtime) == 0
    assert names(tmp_path) == []


def test_propagated_exception_rolls_back(app, client, tmp_path, runtime):
    """In tests and under a debugger, where exceptions leave the application, they roll back all the same."""
    app.testing = True

    @app.post("/")
    def view() -> str:
        add("ada")
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.post("/")

    assert checked_out(runtime) == 0
    assert names(tmp_path) == []


# Each place


def test_before_request(app, client, tmp_path):
    """What before_request functions write is committed with the view's, and rolled back with it."""

    @app.before_request
    def count_visit() -> None:
        add("visit")

    @app.get("/<int:status>")
    def view(status: int) -> str:
        return "seen" if status == 200 else abort(status)

    client.get("/403")
    assert names(tmp_path) == []

    client.get("/200")
    assert names(tmp_path) == ["visit"]


def test_answer_of_before_request(app, client, tmp_path):
    """A before_request function that answers in place of the view is committed; a failing commit is no success."""
    app.before_request(lambda: add("ada"))
    statuses = [client.get("/").status_code for _ in range(2)]

    assert statuses == [200, 409]
    assert names(tmp_path) == ["ada"]


def test_after_request(app, client, tmp_path):
    """An after_request function writes into the session too, and uses what the view has loaded."""

    @app.post("/")
    def view() -> str:
        g.author = Author(name="ada")
        session.add(g.author)
        return "written"

    @app.after_request
    def audit(response: Response) -> Response:
        add(f"{g.author.name} was added")
        return response

    assert client.post("/").status_code == 200
    assert names(tmp_path) == ["ada", "ada was added"]


def test_failed_commit_of_after_request(app, client, tmp_path, caplog):
    """A commit that fails after an after_request function is a server error, which the handler for 500 answers."""
    app.post("/")(lambda: add("ada"))
    app.after_request(lambda response: fail_to_commit() and response)
    app.errorhandler(500)(lambda _error: ("sorry", 500))
    response = client.post("/")

    assert (response.status_code, response.text) == (500, "sorry")
    assert "FOREIGN KEY constraint failed" in caplog.text
    assert names(tmp_path) == ["ada"]  # the view's own commit was before


def test_raising_after_request(app, client, tmp_path):
    """What an after_request function wrote before it raised is gone."""
    app.post("/")(lambda: "done")
    app.after_request(lambda _response: add("ada") and abort(400))

    assert client.post("/").status_code == 500
    assert names(tmp_path) == []


def test_error_handler(app, client, tmp_path):
    """An error handler has a fresh session, which is committed."""

    @app.post("/")
    def view() -> str:
        add("ada")
        raise ZeroDivisionError

    app.errorhandler(ZeroDivisionError)(lambda _error: (add("an error"), 400))

    assert client.post("/").status_code == 400
    assert names(tmp_path) == ["an error"]


@pytest.mark.parametrize(("handled", "status"), [(ZeroDivisionError, 200), (500, 200), (500, 500)])
def test_failed_commit_of_an_error_handler(app, client, handled, status):
    """An error handler whose commit fails cannot answer with success."""
    app.post("/")(lambda: 1 / 0)
    app.errorhandler(handled)(lambda _error: (fail_to_commit(), status))

    assert client.post("/").status_code == 500


def test_teardown(app, client, tmp_path):
    """A teardown function comes after the response: it gets an error that names the way out."""
    raised = []

    @app.teardown_request
    def late(_error: BaseException | None) -> None:
        with pytest.raises(OutOfContext, match=r"session_provider\(\)") as caught:
            add("lost")
        raised.append(caught.value)
        with session_provider()() as own:
            own.add(Author(name="kept"))

    app.get("/")(lambda: "hello")

    assert client.get("/").text == "hello"
    assert len(raised) == 1
    assert names(tmp_path) == ["kept"]


@pytest.mark.parametrize("wrap", [iter, stream_with_context], ids=["bare", "with_context"])
def test_streaming(app, client, tmp_path, runtime, wrap):
    """A stream has a session of its own, with or without the context."""

    @app.get("/")
    def view() -> Response:
        provider = session_provider()
        add("ada")

        def lines():
            with provider() as own:
                for name in own.scalars(select(Author.name)):
                    yield f"{name}\n"
                own.add(Author(name="streamed"))

        return Response(wrap(lines()))

    assert client.get("/").text == "ada\n"
    assert names(tmp_path) == ["ada", "streamed"]
    assert checked_out(runtime) == 0


def test_session_of_the_request_while_streaming(app, client, tmp_path):
    """The session of the request is not to be had in a stream: nobody could be told of a failed commit."""

    @app.get("/")
    def view() -> Response:
        def lines():
            with pytest.raises(OutOfContext, match="the response to this request is made already"):
                add("lost")
            yield "done"

        return Response(stream_with_context(lines()))

    assert client.get("/").text == "done"
    assert names(tmp_path) == []


def test_held_session_while_streaming(app, client, runtime):
    """A session that the view has kept for its stream is over too: it takes no connection that nobody gives back."""

    @app.get("/")
    def index():
        held = get_session()

        def lines():
            yield str(held.scalar(text("SELECT 1")))

        return Response(lines())

    with pytest.raises(NoSession, match="session_provider"):
        client.get("/")
    assert runtime.manager().engine.pool.checkedout() == 0


def test_closed_stream(app, client, tmp_path, runtime):
    """A client that goes away in the middle of a stream rolls its session back."""

    @app.get("/")
    def view() -> Response:
        provider = session_provider()

        def lines():
            with provider() as own:
                own.add(Author(name="lost"))
                own.flush()
                yield "one"
                yield "two"

        return Response(lines())

    with client.get("/", buffered=False) as response:
        assert next(response.response) == b"one"

    assert checked_out(runtime) == 0
    assert names(tmp_path) == []


def test_async_view(app, client, tmp_path):
    """An ``async def`` view uses the same session, which is committed and rolled back as any other."""

    @app.post("/<name>")
    async def view(name: str) -> str:
        add(name)
        session.flush()
        return name if name != "bad" else abort(400)

    assert [client.post(f"/{name}").status_code for name in ("ada", "bad", "ada")] == [200, 400, 409]
    assert names(tmp_path) == ["ada"]


def test_nested_context(app, client, tmp_path):
    """A context that is pushed within a request belongs to it: what is written there is committed with the rest."""

    @app.post("/")
    def view() -> str:
        outer = get_session()
        with app.app_context():
            assert get_session() is outer
            add("nested")
        return add("outer")

    assert client.post("/").status_code == 200
    assert names(tmp_path) == ["nested", "outer"]


def test_request_within_a_context(app, client, tmp_path):
    """A request that is made within a context, as tests do, has a session of its own."""
    app.post("/<name>")(add)

    with app.app_context():
        add("pending")
        session.flush()
        session.rollback()  # SQLite has one writer
        add("pending")
        client.post("/ada")
        assert names(tmp_path) == ["ada"]
        session.commit()

    assert names(tmp_path) == ["ada", "pending"]


def test_context_without_a_request(app, tmp_path, runtime):
    """In a bare context what is committed stays, and the rest is rolled back at its end."""
    with app.app_context():
        add("kept")
        session.commit()
        add("lost")
        session.flush()

    assert names(tmp_path) == ["kept"]
    assert checked_out(runtime) == 0


def test_command(app, tmp_path):
    """A command of the application has a session, which it commits."""

    @app.cli.command("add")
    def command() -> None:
        add("ada")
        session.commit()

    result = app.test_cli_runner().invoke(args=["add"])

    assert result.exit_code == 0, result.output
    assert names(tmp_path) == ["ada"]


def test_other_application_within_a_request(app, client, runtime, tmp_path):
    """A request to another application, made by a view, has sessions and a fate of its own."""
    other = Flask("other")
    attach(other, runtime)
    other.post("/<name>")(add)

    @app.post("/")
    def view() -> str:
        other.test_client().post("/inner")
        add("outer")
        abort(400)

    assert client.post("/").status_code == 400
    assert names(tmp_path) == ["inner"]


def test_copied_context_in_a_thread(app, client, tmp_path):
    """A thread with a copy of the request's context does not share its session; what it leaves is rolled back."""

    @app.post("/")
    def view() -> str:
        mine, theirs = get_session(), []

        @copy_current_request_context
        def work() -> None:
            theirs.append(get_session())
            theirs[0].add(Author(name="lost"))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert theirs[0] is not mine
        return add("ada")

    assert client.post("/").status_code == 200
    assert names(tmp_path) == ["ada"]


# Access


def test_one_session_for_a_request(app, client):
    """All parts of a request share one session, and the next has another."""
    seen = []
    app.before_request(lambda: seen.append(get_session()))
    app.get("/")(lambda: seen.append(get_session()) or str(session == seen[-1]))

    assert [client.get("/").text for _ in range(2)] == ["True", "True"]
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert seen[0] is not seen[2]


def test_two_binds(app, client, tmp_path):
    """A session of another database writes there and only there; both are rolled back together."""

    @app.post("/<name>")
    def view(name: str) -> str:
        add(name)
        add(f"report on {name}", "reports")
        return name if name != "bad" else abort(400)

    assert [client.post(f"/{name}").status_code for name in ("ada", "bad")] == [200, 400]
    assert names(tmp_path) == ["ada"]
    assert names(tmp_path, "reports") == ["report on ada"]


def test_proxy(app, client):
    """``session`` is a session to whoever looks at it, and to the query functions."""

    @app.get("/")
    def view() -> str:
        session.add(Author(name="ada"))
        assert isinstance(session, Session)
        return str(get_one(session, Author, name="ada").id)

    assert client.get("/").text == "1"


def test_manager(app, runtime):
    """The manager of a database is the runtime's."""
    with app.app_context():
        assert get_manager() is runtime.manager()
        assert get_manager("reports") is runtime.manager("reports")


def test_unknown_bind(app):
    """A database that is not configured is an error that names it."""
    with app.app_context(), pytest.raises(UnknownBind, match="'archive'"):
        get_session("archive")


def test_without_context():
    """A session outside of any context is an error that says where there are some; the proxy can still be shown."""
    with pytest.raises(OutOfContext, match=r"use sessions in a request, a command, or `with app\.app_context"):
        session.get(Author, 1)

    assert "unbound" in repr(session)


def test_without_runtime():
    """An application that was forgotten is named, with what to call."""
    with (
        Flask("forgotten").app_context(),
        pytest.raises(OutOfContext, match=r"'forgotten' has no runtime; call .*attach"),
    ):
        get_session()


# 404 and other answers


def test_or_404(app, client):
    """The rows that are asked for, or 404 with the text that was given."""
    app.get("/pk/<int:pk>", endpoint="pk")(lambda pk: get_or_404(Author, pk).name)
    app.get("/first/<name>", endpoint="first")(
        lambda name: first_or_404(select(Author).where(Author.name >= name)).name
    )
    app.get("/one/<name>", endpoint="one")(lambda name: one_or_404(select(Author.name).where(Author.name >= name)))
    app.get("/told", endpoint="told")(lambda: get_or_404(Author, 7, description="no such author"))
    app.get("/bind", endpoint="bind")(lambda: get_or_404(Author, 1, bind="reports"))
    with session_of(app) as own:
        own.add_all([Author(name="ada"), Author(name="bob")])

    assert [client.get(path).text for path in ("/pk/1", "/first/ada", "/one/bob")] == ["ada", "ada", "bob"]
    missing = [client.get(path).status_code for path in ("/pk/3", "/first/zoe", "/one/zoe", "/bind")]
    assert missing == [404] * 4
    assert "no such author" in client.get("/told").text


def test_several_for_one_or_404(app, client):
    """Several rows where one was asked for are the application's fault, not the client's."""
    app.testing = True
    app.get("/")(lambda: one_or_404(select(Author.name)))
    with session_of(app) as own:
        own.add_all([Author(name="ada"), Author(name="bob")])

    with pytest.raises(MultipleResultsFound):
        client.get("/")


def session_of(app: Flask):
    """Open a session on the default database of an application."""
    return app.extensions["sqlhelpers"].manager().session()


def test_no_result_is_404(app, client):
    """``NoResultFound`` is a 404, which the application's own page for 404 shows."""
    app.get("/")(lambda: session.get_one(Author, 1).name)
    plain = client.get("/")
    assert (plain.status_code, "Not Found" in plain.text) == (404, True)


def test_own_page_for_an_answer(app, client):
    """The application's handlers for a status, or for every HTTP error, make the page."""
    app.get("/")(lambda: session.get_one(Author, 1).name)
    app.errorhandler(HTTPException)(lambda error: {"code": error.code})
    response = client.get("/")

    assert response.json == {"code": 404}


@pytest.mark.parametrize("registered", [SQLAlchemyError, Exception])
def test_own_handler_comes_first(app, client, registered):
    """A handler that the application registered for an error, or for a base of it, is never overridden."""
    app.get("/")(lambda: session.get_one(Author, 1).name)
    app.errorhandler(registered)(lambda error: (type(error).__name__, 418))
    response = client.get("/")

    assert (response.status_code, response.text) == (418, "NoResultFound")


def test_out_of_reach(app, client, tmp_path, runtime, caplog):
    """A database that cannot be reached is a 503 with Retry-After, and logged without where it is."""
    runtime.dispose()
    (tmp_path / "default.db").unlink()
    (tmp_path / "default.db").mkdir()
    app.get("/")(lambda: str(session.scalar(text("SELECT 1"))))
    response = client.get("/")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert "GET / is answered with 503: OperationalError" in caplog.text
    assert str(tmp_path) not in caplog.text


def test_out_of_reach_is_one_line(app, client, tmp_path, runtime, caplog):
    """What a client writes into the path begins no line of its own in the log."""
    runtime.dispose()
    (tmp_path / "default.db").unlink()
    (tmp_path / "default.db").mkdir()
    app.get("/<_>")(lambda _: str(session.scalar(text("SELECT 1"))))

    assert client.get("/a%0Ab").status_code == 503
    assert "GET /a%0Ab is answered with 503" in caplog.text


@pytest.mark.usefixtures("runtime")
def test_exhausted_pool(tmp_path):
    """A pool without a free connection is a 503, to those who have to wait too long for one."""
    options = {"url": f"sqlite:///{tmp_path}/default.db", "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    with Runtime(Settings(databases={"default": {"sqlalchemy": options}}), plugin_manager=PluginManager()) as small:
        app = Flask("small")
        attach(app, small)
        app.get("/")(lambda: str(session.scalar(text("SELECT 1"))))
        with small.manager().engine.connect():
            busy = app.test_client().get("/")
        free = app.test_client().get("/")

    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "2")
    assert free.status_code == 200


def test_own_503(app, client, runtime, tmp_path):
    """The application's page for 503 knows when to try again, and the error behind it."""
    runtime.dispose()
    (tmp_path / "default.db").unlink()
    (tmp_path / "default.db").mkdir()
    app.get("/")(lambda: str(session.scalar(text("SELECT 1"))))
    seen = []
    app.errorhandler(ServiceUnavailable)(lambda error: seen.append(error) or error)

    assert client.get("/").status_code == 503
    assert seen[0].retry_after == 2
    assert isinstance(seen[0].__cause__, OperationalError)


def test_answers_can_be_switched_off(runtime):
    """Only the statuses that were asked for are answered with."""
    app = Flask("plain")
    attach(app, runtime, http_errors={409})
    app.get("/")(lambda: session.get_one(Author, 1).name)
    app.post("/<name>")(add)
    client = app.test_client()

    assert client.get("/").status_code == 500
    assert [client.post("/ada").status_code for _ in range(2)] == [200, 409]


def test_unknown_answer(runtime):
    """A status that no failed session has is refused, and nothing is attached."""
    app = Flask("plain")

    with pytest.raises(ConfigurationError, match="418 is no answer to a failed session; choose of 404, 409, 503"):
        attach(app, runtime, http_errors={404, 418})

    assert "sqlhelpers" not in app.extensions


# Probes


def test_probes(app, client):
    """Both answer 200, without the before_request functions, which may ask for a login."""
    app.before_request(lambda: abort(401))
    app.get("/")(lambda: "hello")
    alive, ready = client.get("/livez"), client.get("/readyz")

    assert (alive.status_code, alive.json) == (200, {"status": "alive"})
    assert (ready.status_code, {bind: each["is_ready"] for bind, each in ready.json.items()}) == (
        200,
        {"default": True, "reports": True},
    )
    assert client.get("/").status_code == 401


def test_probes_of_a_database_out_of_reach(client, tmp_path, runtime):
    """The process lives without the database, but is not ready."""
    runtime.dispose()
    (tmp_path / "default.db").unlink()
    (tmp_path / "default.db").mkdir()
    ready = client.get("/readyz")

    assert client.get("/livez").status_code == 200
    assert ready.status_code == 503
    assert ready.json["default"] == {"is_ready": False, "detail": "unreachable"}
    assert ready.json["reports"]["is_ready"] is True


def test_probes_elsewhere(runtime):
    """Their paths can be chosen, and left out."""
    app = Flask("plain")
    attach(app, runtime, livez="/health", readyz=None)
    other = Flask("other")
    attach(other, runtime, livez=None, readyz="/health")
    paths = ("/livez", "/readyz", "/health")

    assert [app.test_client().get(path).status_code for path in paths] == [404, 404, 200]
    assert [other.test_client().get(path).status_code for path in paths] == [404, 404, 200]


# Attaching


def test_attach_twice(app):
    """A second runtime for the same application is refused."""
    with pytest.raises(ConfigurationError, match="has a runtime already"):
        attach(app)


def test_attach_too_late(runtime):
    """An application that has answered a request is refused, and left as it was."""
    app = Flask("late")
    app.test_client().get("/")

    with pytest.raises(ConfigurationError, match="has answered a request"):
        attach(app, runtime)

    assert "sqlhelpers" not in app.extensions


def test_factory(tmp_path, monkeypatch, clean_environment):  # noqa: ARG001
    """Each application that a factory makes has a runtime of its own, from the settings, which nobody reads before."""
    monkeypatch.chdir(tmp_path)

    def create_app() -> Flask:
        app = Flask("made")
        attach(app)
        app.get("/")(lambda: str(session.scalar(text("SELECT 1"))))
        return app

    one, two = create_app(), create_app()
    assert one.extensions["sqlhelpers"] is not two.extensions["sqlhelpers"]

    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/made.db")
    assert one.test_client().get("/").text == "1"
    one.extensions["sqlhelpers"].dispose()


def test_subclass(runtime, tmp_path):
    """An application whose class overrides the methods that are wrapped keeps them."""
    calls = []

    class Shop(Flask):
        def dispatch_request(self) -> object:
            calls.append("dispatched")
            return super().dispatch_request()

    app = Shop("shop")
    attach(app, runtime)
    app.post("/<name>")(add)

    assert app.test_client().post("/ada").text == "ada"
    assert calls == ["dispatched"]
    assert names(tmp_path) == ["ada"]


def test_disposal(runtime):
    """The connections of an application that is not there any more are closed."""
    app = Flask("shop")
    attach(app, runtime)
    app.get("/")(lambda: str(session.scalar(text("SELECT 1"))))
    app.test_client().get("/")
    closed = []
    event.listen(runtime.manager().engine, "close", lambda *_: closed.append(1))
    del app
    gc.collect()

    assert closed == [1]


def test_templates(app, client):
    """A template can use what is in the session while it is rendered in the view."""

    @app.get("/")
    def view() -> str:
        author = Author(name="ada")
        session.add(author)
        session.flush()
        return render_template_string("{{ author.id }} {{ author.name }}", author=author)

    assert client.get("/").text == "1 ada"


def test_adapter(runtime):
    """``Runtime.attach`` finds the adapter by the class of the application, or of a base of it."""
    settings = Settings(databases=runtime.settings.databases, disable_plugins=["countries", "bookshop"])
    with Runtime(settings) as found:
        app = type("Shop", (Flask,), {})("shop")
        found.attach(app)

    assert app.extensions["sqlhelpers"] is found
    assert isinstance(FlaskAdapter(), Adapter)
    assert FlaskAdapter().framework == "flask"
