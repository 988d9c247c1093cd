"""``sqlhelpers shell`` and ``dbshell``: what a prompt knows, what becomes of its session, how clients are called."""

from __future__ import annotations

import asyncio
import io
import os
import readline
import signal
import sqlite3
import sys
from contextlib import closing
from types import SimpleNamespace

import IPython
import pexpect
import pytest
from databases import MODELS, REVISIONS, runtime
from projects import run

from sqlhelpers.backends import Client, mysql
from sqlhelpers.exceptions import ConfigurationError, DatabaseFailure
from sqlhelpers_shell import prompt, run_shell

PYPROJECT = """
[tool.sqlhelpers.apps.shop]
package = "shop"

[tool.sqlhelpers.databases]
default = "sqlite:///shop.db"
"""
TAGS = """
from sqlalchemy import Column, Integer, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "{app}_author"
    id: Mapped[int] = mapped_column(primary_key=True)


links = Table("{app}_links", Base.metadata, Column("id", Integer, primary_key=True))
try:
    from blog.models import links as borrowed
except ImportError:  # it is this one
    pass
"""


@pytest.fixture(autouse=True)
def shop(project, monkeypatch):
    """An app in a SQLite file that has its tables, and no history of the user's prompt."""
    project.write_app("shop", MODELS, REVISIONS)
    project.write_pyproject(PYPROJECT)
    monkeypatch.setenv("PYTHON_HISTORY", str(project.folder / "history"))
    monkeypatch.delenv("PYTHONSTARTUP", raising=False)
    return project


@pytest.fixture
def synced(command):
    """The tables are there."""
    command("run-sync")


@pytest.fixture
def typed(monkeypatch):
    """Type lines at the prompt; an exception among them is raised instead, and Ctrl-D comes at the end."""

    def type_them(*lines):
        left = iter(lines)

        def read(_=""):
            line = next(left, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr("builtins.input", read)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, close=lambda: None))

    return type_them


def authors():
    """Return the names of the authors in the file."""
    with closing(sqlite3.connect("shop.db")) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM author ORDER BY name")]


@pytest.mark.parametrize("kind", ["--sync", "--async"])
@pytest.mark.usefixtures("synced")
def test_code_can_be_given(command, kind):
    """With the models by name, a session, and await; what is committed stays."""
    wait = "await " if kind == "--async" else ""
    done = command(
        *("shell", kind, "-c"),
        f"session.add(Author(name='a')); {wait}session.commit(); await asyncio.sleep(0)\n"
        f"print({wait}session.scalar(select(func.count()).select_from(shop.Author)))",
    )

    assert (done.status, done.stdout, done.stderr) == (0, "1\n", "")
    assert authors() == ["a"]


@pytest.mark.parametrize("kind", ["--sync", "--async"])
@pytest.mark.parametrize(
    "code",
    [
        "session.add(Author(name='a'))",
        "session.add(Author(name='a')); WAIT session.flush()",
        "WAIT session.execute(sa.insert(Author).values(name='a'))",
        "WAIT session.execute(text('INSERT INTO author (name) VALUES (1)'))",
        "a = Author(name='a'); session.add(a); WAIT session.commit(); WAIT session.refresh(a); a.name = 'b'",
        "session.add(Author(name='a')); WAIT session.commit(); WAIT session.delete(WAIT session.get(Author, 1))",
    ],
)
@pytest.mark.usefixtures("synced")
def test_what_is_not_committed_is_rolled_back_and_told(command, kind, code):
    """Sent to the database or not, through the ORM or not."""
    done = command("shell", kind, "-c", code.replace("WAIT ", "await " if kind == "--async" else ""))

    assert done.status == 0, done.stderr
    assert done.stderr == "note: what was not committed is rolled back; session.commit() keeps it\n"
    assert authors() in ([], ["a"])


@pytest.mark.parametrize(
    "code",
    [
        "session.scalars(select(Author)).all()",
        "session.execute(text('SELECT 1'))",
        "session.add(Author(name='a')); session.flush(); session.rollback()",
        "session.add(Author(name='a')); session.flush(); session.begin_nested().commit(); session.commit()",
    ],
)
@pytest.mark.usefixtures("synced")
def test_who_only_reads_is_told_nothing(command, code):
    """Nor who has committed or rolled back."""
    done = command("shell", "-c", code)

    assert (done.status, done.stderr) == (0, "")


def test_code_that_raises_ends_with_one(command):
    """Its traceback shows its own lines, and none of ours."""
    done = command("shell", "-c", "def f():\n    await_ = 1 / 0\nf()")

    assert done.status == 1
    assert done.stderr.count("File ") == 2
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [("exit(3)", 3, ""), ("exit()", 0, ""), ("raise SystemExit('no')", 1, "no\n"), ("a b", 1, "SyntaxError")],
)
def test_code_can_end_with_a_status(command, code, status, says, monkeypatch):
    """As for Python itself."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    done = command("shell", "-c", code)

    assert done.status == status
    assert says in done.stderr


def test_code_can_be_piped_in(command, monkeypatch):
    """It is read to its end, and then run."""
    monkeypatch.setattr("sys.stdin", io.StringIO("import sys\nfor n in range(2):\n    print(n)\n\nsys.exit(4)"))
    done = command("shell")

    assert (done.status, done.stdout) == (4, "0\n1\n")


def test_models_without_a_session_use_that_of_the_prompt(command, shop):
    """As in a block of ``manager.session()``."""
    shop.write("shop/models.py", MODELS.replace("DeclarativeBase)", "ModelQueries, DeclarativeBase)").replace(
        "import NAMING_CONVENTION", "import NAMING_CONVENTION, ModelQueries"))  # fmt: skip
    command("run-sync")
    done = command("shell", "-c", "print(Author.get_by_pk(7))")

    assert (done.status, done.stdout) == (0, "None\n"), done.stderr


def test_the_async_session_serves_where_only_its_driver_is(command, monkeypatch):
    """Nobody has to say so."""
    monkeypatch.setattr("sqlhelpers.backends.base.find_spec", lambda name: name == "aiosqlite" or None)
    done = command("shell", "-c", "print(type(session).__name__, type(manager).__name__)")

    assert done.stdout == "AsyncSession AsyncDatabaseManager\n"


@pytest.mark.usefixtures("synced")
def test_the_prompt_runs_what_is_typed(typed, command):
    """Results are shown, errors do not end it, Ctrl-C drops the line, and what is awaited is awaited."""
    typed("1 / 0", "await asyncio.sleep(0, 41 + 1)", "1 +", KeyboardInterrupt(), "raise KeyboardInterrupt", "6 * 7")
    done = command("shell", "--plain")

    assert done.status == 0
    assert done.stdout == "42\n42\n"
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.count("KeyboardInterrupt") == 2
    assert "database default: sqlite:///shop.db" in done.stderr
    assert "models   Author, Book" in done.stderr


def test_the_prompt_ends_with_the_status_of_exit(typed, command):
    """Also when it comes from code that is awaited."""
    typed("exit(5)")
    first = command("shell", "--plain")
    typed("async def end(): exit(6)", "", "await end()")
    second = command("shell", "--plain")

    assert (first.status, second.status) == (5, 6)


def test_names_that_clash_are_told(typed, command, shop):
    """Each is an attribute of its app; models of other databases are not at hand, and told."""
    for app in ("blog", "wiki", "audit"):
        shop.write_app(app, TAGS.format(app=app))
    text = TAGS.replace("class Author", "class select").format(app="odd")
    shop.write_app("odd", text)
    shop.write_pyproject(PYPROJECT + 'audit = "sqlite:///audit.db"\n' + "".join(
        f'[tool.sqlhelpers.apps.{app}]\npackage = "{app}"\nmigrations = false\n' for app in ("blog", "wiki", "odd")
    ) + '[tool.sqlhelpers.apps.audit]\npackage = "audit"\nmigrations = false\nbind = "audit"\n')  # fmt: skip
    typed("[wiki.Author.__table__.name, audit.Author.__table__.name, select is sa.select, odd.links.name]", "Author")
    done = command("shell", "--plain")

    assert done.stdout == "['wiki_author', 'audit_author', True, 'odd_links']\n"
    assert "NameError: name 'Author'" in done.stderr
    assert "note: several apps have a Author: blog.Author, shop.Author, wiki.Author" in done.stderr
    assert "note: select is the shell's own here" in done.stderr
    assert "note: the models of audit are in database audit (-d audit); here they are audit.NAME" in done.stderr


def test_a_startup_file_is_run(typed, command, shop, monkeypatch):
    """One that fails is told, and the prompt comes all the same."""
    monkeypatch.setenv("PYTHONSTARTUP", str(shop.write("start.py", "mine = 7\n1 / 0\n")))
    typed("mine")
    done = command("shell", "--plain")

    assert done.stdout == "7\n"
    assert "start.py" in done.stderr


def test_lines_are_completed_and_remembered(typed, command, shop, monkeypatch):
    """With either library of readline, and without any."""
    bound = []
    monkeypatch.setattr(readline, "parse_and_bind", bound.append)
    typed("1")
    command("shell", "--plain")
    monkeypatch.setattr(readline, "__doc__", "libedit")
    command("shell", "--plain")
    complete = readline.get_completer()
    (shop.folder / "history").unlink()
    monkeypatch.setitem(sys.modules, "readline", None)
    command("shell", "--plain")

    assert bound == ["tab: complete", "bind ^I rl_complete"]
    assert complete("Auth", 0).startswith("Author")
    assert not (shop.folder / "history").exists()


def test_ipython_is_used_where_it_is_installed(typed, command, monkeypatch):
    """It gets the names, the banner, and our event loop."""
    seen = {}

    def start(argv, user_ns, config):
        seen.update(argv=argv, names=user_ns, config=config.TerminalInteractiveShell)
        seen["awaited"] = config.TerminalInteractiveShell.loop_runner(asyncio.sleep(0, 8))

    monkeypatch.setattr(IPython, "start_ipython", start)
    typed()
    done = command("shell")

    assert done.status == 0
    assert seen["argv"] == []
    assert {"Author", "session", "manager", "runtime"} <= set(seen["names"])
    assert "models   Author, Book" in seen["config"].banner2
    assert seen["awaited"] == 8
    assert prompt.has_ipython()


def test_the_function_prints_what_is_rolled_back(capsys):
    """To stderr, unless it is told whom to tell."""
    source, told = "session.execute(text('CREATE TABLE x (n INTEGER)'))", []
    with runtime("sqlite:///shop.db") as made:
        assert run_shell(made, source=source) == 0
        assert run_shell(made, source=source, note=told.append) == 0

    assert told == ["what was not committed is rolled back; session.commit() keeps it"]
    assert capsys.readouterr().err == f"note: {told[0]}\n"


def test_sigterm_ends_it(monkeypatch):
    """With the status of a process that was terminated, at the prompt as well; afterwards signals are as before."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with runtime("sqlite:///shop.db") as made:
        ended = run_shell(made, source="import os, signal\nos.kill(os.getpid(), signal.SIGTERM)")
        monkeypatch.setattr(prompt, "interact", lambda *_: signal.raise_signal(signal.SIGTERM))
        at_prompt = run_shell(made, plain=True)

    assert (ended, at_prompt) == (143, 143)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_a_thread_may_run_it():
    """Where no signal arrives."""
    with runtime("sqlite:///shop.db") as made:
        assert await asyncio.to_thread(run_shell, made, source="await asyncio.sleep(0)") == 0


def spawn(folder, *arguments, **env):
    """Start ``sqlhelpers`` at a terminal."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "sqlhelpers", *arguments],
        env={**os.environ, "HOME": str(folder), "TERM": "dumb", "IPYTHONDIR": str(folder / "ipython"), **env},
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 160),
    )


def interrupt(child):
    """Type Ctrl-C at a prompt. Python does not notice one that comes right before it waits for a key."""
    for _ in range(30):
        child.sendintr()
        if child.expect([r"KeyboardInterrupt\r\n>>> ", pexpect.TIMEOUT], timeout=2) == 0:
            return
    raise AssertionError(f"not interrupted; so far: {child.before!r} {child.buffer!r}")


@pytest.mark.usefixtures("synced")
def test_a_terminal_has_pythons_prompt(shop):
    """Await, Ctrl-C at the prompt, in code and in what is awaited, completion, Ctrl-D."""
    child = spawn(shop.folder, "shell", "--plain", "--async")
    child.expect(">>> ")
    child.sendline("await session.scalar(select(func.count()).select_from(Author))")
    child.expect(r"\r\n0\r\n>>> ")
    child.send("1 + ")
    child.expect_exact("1 + ")  # or Ctrl-C takes away what readline has been told of, and it waits for that
    interrupt(child)
    for line in ("print('go'); await asyncio.sleep(60)", "import time; print('go'); time.sleep(60)"):
        child.sendline(line)
        child.expect("\ngo\r\n")
        child.sendintr()
        child.expect("KeyboardInterrupt\r\n>>> ")
    child.sendline("session.add(Auth\t")
    child.expect("Author")
    child.sendline("name='x'))")
    child.expect(">>> ")
    child.sendeof()
    child.expect("what was not committed is rolled back")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0
    assert "session.add(Author" in (shop.folder / "history").read_text()


@pytest.mark.usefixtures("synced")
def test_a_terminal_has_ipythons_prompt(shop):
    """Await on one event loop with the session, and Ctrl-C does not end it."""
    child = spawn(shop.folder, "shell", "--async")
    child.expect(r"In \[1\]: ")
    child.sendline("await session.scalar(select(func.count()).select_from(Author))")
    child.expect(r"In \[2\]: ")
    assert "0" in child.before
    child.sendline("print('go'); await asyncio.sleep(60)")
    child.expect("\ngo\r\n")
    child.sendintr()
    child.expect(r"In \[3\]: ")
    child.sendline("await session.scalar(select(func.count() + 41).select_from(Author))")
    child.expect("41")
    child.expect(r"In \[4\]: ")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0


@pytest.mark.usefixtures("synced")
def test_sqlite3_is_opened_for_a_file(shop):
    """With foreign keys, as everywhere; what follows -- is its own, and so is the exit status."""
    keys, wrong = (
        run([sys.executable, "-m", "sqlhelpers", "dbshell", "--", *words], shop.folder)
        for words in (["PRAGMA foreign_keys", "SELECT 6 * 7"], ["SELECT nothing"])
    )

    assert (keys.status, keys.stdout) == (0, "1\n42\n")
    assert wrong.status == 1
    assert "nothing" in wrong.stderr


def made_client(url, *arguments, **settings):
    """Return the client for a URL."""
    database = {"sqlalchemy": {"url": url, **settings.pop("sqlalchemy", {})}, **settings}
    with runtime({"default": database}) as made:
        return made.database().client(arguments)


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Say which programs there are, and what they are called."""

    def installed(*names, version="mariadb  Ver 15.1 Distrib 10.11.6-MariaDB"):
        for name in names:
            file = tmp_path / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"#!/bin/sh\necho '{version}'\n")
            file.chmod(0o755)
        (tmp_path / "bin").mkdir(exist_ok=True)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/nowhere")
        return str(tmp_path / "bin")

    return installed


def test_a_file_that_is_not_there_is_not_made(shop, command):
    """The client would make it."""
    done = command("dbshell")

    assert done.status == 1
    assert "`sqlhelpers run-sync` creates it" in done.stderr
    assert not (shop.folder / "shop.db").exists()


@pytest.mark.usefixtures("synced")
def test_files_of_sqlite_are_named_as_the_client_wants_it(shop, programs):
    """Absolute, or as a URI with its options."""
    programs("sqlite3")
    plain = made_client("sqlite:///shop.db", "-header")
    uri = made_client(f"sqlite:///file:{shop.folder}/shop.db?mode=ro&uri=true")

    assert plain.arguments == ("-cmd", "PRAGMA foreign_keys=1", f"{shop.folder}/shop.db", "-header")
    assert uri.arguments[2] == f"file:{shop.folder}/shop.db?mode=ro"
    with pytest.raises(ConfigurationError, match="in memory"):
        made_client("sqlite://")
    with pytest.raises(DatabaseFailure, match="is not there yet"):
        made_client("sqlite:///other.db")


def test_what_psql_gets(programs):
    """All that libpq knows of the URL and ``connect_args``; nothing that only a driver knows, and no password."""
    programs("psql")
    client = made_client(
        "postgresql+asyncpg://ann:hunt%27er@db.example:5433/shop-one?ssl=true&application_name=it%27s%5C&"
        "prepared_statement_cache_size=0",
        "-X",
        sqlalchemy={"connect_args": {"sslrootcert": "/ca.pem", "timeout": 3}},
    )

    assert client.arguments == (
        (
            r"--dbname=host='db.example' dbname='shop-one' user=ann port=5433 application_name='it\'s\\' "
            "sslrootcert='/ca.pem' sslmode=require"
        ),
        "-X",
    )
    assert client.environment == {"PGPASSWORD": "hunt'er"}
    assert "hunt" not in repr(client)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql:///shop?host=/run/pg", "dbname=shop host='/run/pg'"),
        ("postgresql://u@/shop?host=a:1&host=b:2&target_session_attrs=read-write",
         "host='a,b' port='1,2' target_session_attrs='read-write'"),
        ("postgresql://u@h/shop?sslmode=verify-full&ssl=require", "sslmode='verify-full'"),
        ("postgresql+asyncpg://u@h/shop?ssl=verify-ca", "sslmode='verify-ca'"),
        ("postgresql://u@h/shop?options=-c%20work_mem%3D1MB", "options='-c work_mem=1MB'"),
    ],
)  # fmt: skip
def test_sockets_hosts_and_certificates_reach_psql(programs, url, words):
    """In libpq's words. Without a password none is passed, and psql asks for it."""
    programs("psql")
    client = made_client(url)
    given = client.arguments[0].removeprefix("--dbname=")

    assert all(word in given for word in words.split(" ") if not word.startswith(("options", "work_mem")))
    assert "options" not in url or words in given
    assert client.environment == {}


def test_what_mariadb_gets(programs):
    """The password is in an option file, of which only this process and the client know."""
    programs("mariadb", "mysql")
    client = made_client("mysql://ann:hunt%22er%5C@db.example:3307/shop?charset=latin1&connect_timeout=3", "-t")
    without = made_client("mysql://ann@/?unix_socket=/run/sock")

    assert client.program.endswith("/mariadb")
    assert client.arguments == (
        *("--host=db.example", "--port=3307", "--user=ann", "--default-character-set=latin1", "--connect-timeout=3"),
        *("--skip-ssl-verify-server-cert", "--database=shop", "-t"),
    )
    assert client.options == '[client]\npassword="hunt\\"er\\\\"\n'
    assert "hunt" not in repr(client)
    assert without.arguments[1:3] == ("--socket=/run/sock", "--default-character-set=utf8mb4")
    assert without.options == ""


@pytest.mark.parametrize(
    ("query", "mariadb", "mysql"),
    [
        ("", ["--skip-ssl-verify-server-cert"], []),
        ("?ssl_ca=/ca", ["--ssl-ca=/ca", "--ssl", "--ssl-verify-server-cert"],
         ["--ssl-ca=/ca", "--ssl-mode=VERIFY_IDENTITY"]),
        ("?ssl_ca=/ca&ssl_check_hostname=false", ["--ssl-ca=/ca", "--ssl", "--skip-ssl-verify-server-cert"],
         ["--ssl-ca=/ca", "--ssl-mode=VERIFY_CA"]),
        ("?ssl_cert=/c&ssl_key=/k", ["--ssl-cert=/c", "--ssl-key=/k", "--ssl", "--skip-ssl-verify-server-cert"],
         ["--ssl-cert=/c", "--ssl-key=/k", "--ssl-mode=REQUIRED"]),
    ],
)  # fmt: skip
def test_certificates_reach_the_client(programs, query, mariadb, mysql):
    """In the words of whichever client is installed."""
    programs("mysql")
    first = made_client(f"mysql://u@h/x{query}").arguments
    programs("mysql", version="mysql  Ver 8.4.0 for Linux on x86_64 (MySQL Community Server - GPL)")
    second = made_client(f"mysql://u@h/x{query}").arguments

    assert [word for word in first if "ssl" in word] == mariadb
    assert [word for word in second if "ssl" in word] == mysql


def test_certificates_can_be_arguments_of_the_driver(programs):
    """Under ``connect_args``; a password there is bytes or text."""
    programs("mariadb")
    arguments = {"ssl": {"ca": "/ca"}, "password": b"hunter22"}
    client = made_client("mysql://u@h/x", sqlalchemy={"connect_args": arguments})
    flat = made_client("mysql://u@h/x", sqlalchemy={"connect_args": {"ssl_ca": "/ca", "ssl": True}})

    assert "--ssl-ca=/ca" in client.arguments
    assert "--ssl-ca=/ca" in flat.arguments
    assert 'password="hunter22"' in client.options


def test_where_there_are_no_file_descriptors_the_environment_has_the_password(programs, monkeypatch):
    """It is in no process list either."""
    programs("mariadb")
    monkeypatch.setattr(mysql, "_DESCRIPTORS", mysql.Path("/nowhere"))
    client = made_client("mysql://u:hunter22@h/x")

    assert client.environment == {"MYSQL_PWD": "hunter22"}
    assert client.options == ""


@pytest.mark.parametrize("url", ["postgresql://u@h/x", "mysql://u@h/x"])
def test_a_client_that_is_not_installed_is_configuration(command, programs, monkeypatch, url):
    """The status is 2, and what to install is said."""
    programs()
    monkeypatch.setenv("DATABASE_URL", url)
    done = command("dbshell")

    assert done.status == 2
    assert "apt install" in done.stderr


def test_other_dialects_have_no_client(command, monkeypatch):
    """That we know of."""
    monkeypatch.setenv("DATABASE_URL", "mssql+pyodbc://u@h/x")
    done = command("dbshell")

    assert done.status == 2
    assert "no command-line client is known for mssql" in done.stderr


def test_the_client_takes_the_place_of_the_process(monkeypatch, command, programs):
    """With its options in a pipe, and with signals as a program expects them."""
    folder = programs("mariadb")
    monkeypatch.setenv("DATABASE_URL", "mysql://u:hunter22@h/x")
    seen = []

    def execute(program, arguments, environment):
        options = arguments[1].removeprefix("--defaults-extra-file=/dev/fd/")
        seen.append((program, arguments, environment, os.read(int(options), 100), signal.getsignal(signal.SIGPIPE)))
        os.close(int(options))
        raise SystemExit(0)

    before = signal.getsignal(signal.SIGPIPE)
    monkeypatch.setattr(os, "execve", execute)
    try:
        command("dbshell", "-e", "select 1")
    finally:
        signal.signal(signal.SIGPIPE, before)
    [(program, arguments, environment, options, pipe)] = seen

    assert program == f"{folder}/mariadb"
    assert arguments[-2:] == ["-e", "select 1"]
    assert not any("hunter22" in word for word in arguments)
    assert options == b'[client]\npassword="hunter22"\n'
    assert environment["PATH"] == os.environ["PATH"]
    assert pipe is signal.SIG_DFL


def test_a_client_without_options_gets_none(monkeypatch):
    """Its variables are beside those of this process."""
    seen = []
    monkeypatch.setattr(os, "execve", lambda *arguments: seen.append(arguments))
    before = signal.getsignal(signal.SIGPIPE)
    try:
        Client("/bin/psql", ("-X",), {"PGPASSWORD": "x"}).replace_process()
    finally:
        signal.signal(signal.SIGPIPE, before)

    assert seen == [("/bin/psql", ["/bin/psql", "-X"], {**os.environ, "PGPASSWORD": "x"})]
