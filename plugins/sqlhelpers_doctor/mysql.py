"""What is asked of MySQL and MariaDB."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import text

from sqlhelpers.migrations import PREFIX
from sqlhelpers_doctor.connecting import examine_pool
from sqlhelpers_doctor.findings import Examined, error, listed, note, of_run, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

    from sqlhelpers.reports import Diagnosis

_OLDEST = {"MariaDB": (10,), "MySQL": (5, 6)}  # that SQLAlchemy supports
_OF_SESSIONS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_OF_RUNS = ("CREATE", "ALTER", "DROP", "INDEX", "REFERENCES")
_ROLE = re.compile(r"GRANT (`[^`]+`|'[^']+'|\w+)(@(`[^`]*`|'[^']*'))? TO ")


def examine_server(connection: Connection) -> Iterator[Diagnosis]:
    """Yield the version of the server, and whether it can be written to."""
    told = str(connection.scalar(text("SELECT version()")))
    name = "MariaDB" if "mariadb" in told.lower() else "MySQL"
    if (connection.dialect.server_version_info or ()) < _OLDEST[name]:
        step = "upgrade the server: SQLAlchemy supports MySQL 5.6 and newer, MariaDB 10 and newer"
        yield warning("server", f"{name} {told} is older than SQLAlchemy supports", step)
    else:
        yield ok("server", f"{name} {told}")
    if connection.scalar(text("SELECT @@global.read_only")):
        step = "name the primary in the URL, or SET GLOBAL read_only = 0 if it is one"
        yield error("server", "it is read only, as a replica is", step)


def examine_encoding(connection: Connection, examined: Examined) -> Iterator[Diagnosis]:
    """Yield what text is stored as, and tables that keep it otherwise, or know no transactions."""
    charset = connection.scalar(text("SELECT @@character_set_database"))
    if charset == "utf8mb4":
        yield ok("encoding", f"utf8mb4, collation {connection.scalar(text('SELECT @@collation_database'))}")
    else:
        said = f"new tables store text as {charset}, which has no place for all characters, emoji for instance"
        yield warning("encoding", said, "ALTER DATABASE CHARACTER SET utf8mb4, before more tables are created")
    query = """
        SELECT table_name AS name, engine AS engine, table_collation AS collation FROM information_schema.tables
        WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY table_name
    """
    expected = {table.name for history in examined.histories for table in history.tables}
    rows = [row for row in connection.execute(text(query)) if row.name in expected]
    narrow = [row.name for row in rows if not str(row.collation).startswith("utf8mb4")]
    if narrow:
        step = f"ALTER TABLE {narrow[0]} CONVERT TO CHARACTER SET utf8mb4, and so on"
        yield warning("encoding", f"no place for all characters in {listed(narrow)}", step)
    unsafe = [f"{row.name} ({row.engine})" for row in rows if row.engine != "InnoDB"]
    if unsafe:
        step = "ALTER TABLE ... ENGINE = InnoDB"
        yield warning("tables", f"no transactions and no foreign keys in {listed(unsafe)}", step)


def examine_connections(connection: Connection, examined: Examined) -> Iterator[Diagnosis]:
    """Yield how many processes fit the connections of the server."""
    most, of_user = map(int, connection.execute(text("SELECT @@max_connections, @@max_user_connections")).one())
    if 0 < of_user < most:
        query = "SELECT count(*) FROM information_schema.processlist WHERE user = substring_index(user(), '@', 1)"
        in_use = connection.scalar(text(query))
        yield from examine_pool(connection, examined, of_user, " from this user", int(in_use or 0))
    else:
        in_use = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Threads_connected'")).one()[1]
        yield from examine_pool(connection, examined, most, "", int(in_use))


def examine_proxy(connection: Connection) -> Iterator[Diagnosis]:
    """Yield whether a proxy answers in the server's place: it tells clients a connection number of its own."""
    thread = getattr(connection.connection.driver_connection, "thread_id", None)
    ours = thread() if callable(thread) else None
    if ours is not None and ours != connection.scalar(text("SELECT connection_id()")):
        yield note("pooler", "a proxy is in between", "let it not share a connection that has called GET_LOCK")


def scratch_databases(connection: Connection) -> Iterator[str]:
    """Yield the scratch databases that nobody uses: a check that was killed has left them."""
    query = """
        SELECT s.schema_name FROM information_schema.schemata s WHERE left(s.schema_name, :length) = :prefix
        AND NOT EXISTS (SELECT 1 FROM information_schema.processlist p WHERE p.db = s.schema_name)
        ORDER BY s.schema_name
    """
    yield from connection.scalars(text(query), {"length": len(PREFIX), "prefix": PREFIX})


def examine_permissions(connection: Connection, examined: Examined, *, is_pending: bool) -> Iterator[Diagnosis]:
    """Yield what the user may not do that sessions need, or the next run, if there is something for it to do."""
    user = str(connection.scalar(text("SELECT current_user()")))
    database = connection.scalar(text("SELECT database()"))
    granted = _granted(connection, user)
    tables = sorted({table.name for history in examined.histories for table in history.tables})
    lacking = {
        verb: [name for name in tables if verb not in granted.get(name, ())]
        for verb in (*_OF_SESSIONS, *_OF_RUNS)
        if verb not in granted[""]
    }
    if lacking and any(_ROLE.match(row) for row in connection.scalars(text("SHOW GRANTS"))):
        said = f"{user} has roles, so {', '.join(lacking)} may be granted by one of them"
        yield note("permissions", said, "see what SHOW GRANTS says of each")
        return
    sessions = [verb for verb in _OF_SESSIONS if lacking.get(verb)]
    if sessions:
        step = f"GRANT {', '.join(sessions)} ON {database}.* TO {_quoted(user)}"
        names = listed(name for name in tables if any(name in lacking[verb] for verb in sessions))
        yield warning("permissions", f"{user} may not {', '.join(sessions)} in {names}", step)
    runs = [verb for verb in (*_OF_SESSIONS, *_OF_RUNS) if verb in lacking and verb not in sessions]
    if runs:
        said = f"{user} has no {', '.join(runs)} on {database}"
        step = f"GRANT {', '.join(runs)} ON {database}.* TO {_quoted(user)}, or run revisions as another user"
        yield of_run("permissions", said, step, is_pending=is_pending)
    if not sessions and not runs:
        yield ok("permissions", f"{user} may read, write and change all of {database}")


def _granted(connection: Connection, user: str) -> dict[str, set[str]]:
    """Return what the user may do in tables by name; under the empty name, what it may do in all of them."""
    grantee = _quoted(user)
    found: dict[str, set[str]] = {"": set()}
    for query in _GRANTED:
        for name, verb in connection.execute(text(query), {"grantee": grantee}):
            found.setdefault(name, set()).add(verb)
    return found


def _quoted(user: str) -> str:
    name, _, host = user.rpartition("@")
    return f"'{name}'@'{host}'"


_GRANTED = (
    "SELECT '', privilege_type FROM information_schema.user_privileges WHERE grantee = :grantee",
    """
    SELECT '', privilege_type FROM information_schema.schema_privileges
    WHERE grantee = :grantee AND database() LIKE table_schema
    """,
    """
    SELECT table_name, privilege_type FROM information_schema.table_privileges
    WHERE grantee = :grantee AND table_schema = database()
    """,
)
