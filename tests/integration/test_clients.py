"""``sqlhelpers dbshell`` with the clients of real servers: who logs in, what others see, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from urllib.parse import quote

import pexpect
import pytest
from databases import connected
from processes import until
from sqlalchemy import text

PASSWORDS = ["@:/#?% %%%(x)s+ '\"\\[]é", "#日本語;", " spaces and a backslash \\", "$HOME`id`\"'\\\\n"]
COMMAND = [sys.executable, "-m", "sqlhelpers", "dbshell"]


@pytest.fixture(params=["postgres", "mariadb"])
def server_and_url(request, project, monkeypatch):  # noqa: ARG001  # the working directory
    """A server that checks passwords, and the URL of a fresh database, which the environment has."""
    url = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("DATABASE_URL", url)
    return request.getfixturevalue(f"{request.param}_server"), url


def test_odd_passwords_reach_the_server(server_and_url, monkeypatch):
    """Through a variable or an option file, exactly as they were meant."""
    server, url = server_and_url
    name = url.rpartition("/")[2]
    for number, password in enumerate(PASSWORDS):
        is_postgres = server.dialect == "postgresql"
        literal = password.replace("'", "''") if is_postgres else password.replace("\\", "\\\\").replace("'", "''")
        user = f"odd_{number}"
        server.create_role(user, literal)
        if not is_postgres:
            server.execute(f"GRANT SELECT ON {name}.* TO {user}")
        monkeypatch.setenv("DATABASE_URL", server.url(user, quote(password, safe=""), name))
        done = subprocess.run(
            COMMAND, input="SELECT 6 * 7;", capture_output=True, encoding="utf-8", timeout=60, check=False
        )
        server.execute(f"DROP {'ROLE' if is_postgres else 'USER'} {user}")

        assert done.returncode == 0, (password, done.stderr)
        assert "42" in done.stdout


def listed(*which):
    """Return what ``ps`` shows of processes, whole lines."""
    return subprocess.run(["ps", "-wwo", "args=", *which], capture_output=True, encoding="utf-8", check=True).stdout


def test_no_process_list_has_the_password(server_and_url):
    """Neither while the client runs nor before; Ctrl-C reaches it, and its status is that of the command."""
    server, url = server_and_url
    password = url.partition("://")[2].partition("@")[0].partition(":")[2]
    if server.dialect == "postgresql":
        sleep, asked = "SELECT pg_sleep(60);", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_s%'"
    else:
        sleep = "SELECT sleep(60);"
        asked = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sl%'"
    seen = []

    def is_asking():
        seen.append(listed("-e"))
        with connected(url) as connection:
            return connection.scalar(text(asked))

    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdin.write(sleep.encode())
        child.stdin.close()
        try:
            until(is_asking, "the client is asking")
            arguments = listed("-p", str(child.pid))
            child.send_signal(signal.SIGINT)
            status = child.wait(30)
        finally:
            child.kill()

    assert arguments.split()[0].endswith(("psql", "mariadb"))
    assert url.rpartition("/")[2] in arguments
    assert not any(password in each for each in (*seen, arguments))
    assert status != 0


def test_a_terminal_is_the_clients(server_and_url):
    """Its prompt, its answer to Ctrl-C, and its end."""
    server, _ = server_and_url
    is_postgres = server.dialect == "postgresql"
    env = {**os.environ, "TERM": "dumb", "PAGER": "cat"}
    child = pexpect.spawn(COMMAND[0], COMMAND[1:], env=env, encoding="utf-8", timeout=60)
    child.expect("=> " if is_postgres else r"\]> ")
    child.sendline("SELECT 41 + 1;")
    child.expect("42")
    child.expect("=> " if is_postgres else r"\]> ")
    child.sendline("\\q")
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0


def test_the_status_is_that_of_the_client(server_and_url):
    """What follows -- is handed on."""
    server, _ = server_and_url
    option = "-c" if server.dialect == "postgresql" else "-e"
    done = subprocess.run(
        [*COMMAND, "--", option, "SELECT nothing"], capture_output=True, encoding="utf-8", timeout=60, check=False
    )

    assert done.returncode == 1
    assert "nothing" in done.stderr
