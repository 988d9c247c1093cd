"""What is asked of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from sqlhelpers.migrations import PREFIX
from sqlhelpers.migrations.state import JOURNAL
from sqlhelpers_doctor.connecting import examine_pool
from sqlhelpers_doctor.findings import Examined, error, listed, of_run, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Connection

    from sqlhelpers.reports import Diagnosis

_OLDEST = (9, 6)  # that SQLAlchemy supports: https://docs.sqlalchemy.org/en/21/dialects/
_KNOWS_COLLATIONS = 15


def examine_server(connection: Connection) -> Iterator[Diagnosis]:
    """Yield the version of the server, and whether it can be written to."""
    name = connection.scalar(text("SELECT split_part(version(), ' ', 1) || ' ' || current_setting('server_version')"))
    found = connection.dialect.server_version_info or ()
    if found < _OLDEST:
        step = "upgrade the server: SQLAlchemy supports 9.6 and newer"
        yield warning("server", f"{name} is older than SQLAlchemy supports", step)
    else:
        yield ok("server", f"{name}")
    if connection.scalar(text("SELECT pg_is_in_recovery()")):
        step = "name the primary in the URL, or add target_session_attrs=read-write to a list of hosts"
        yield error("server", "it is a replica, which takes no writes", step)
    elif connection.scalar(text("SELECT current_setting('default_transaction_read_only')")) == "on":
        step = "ALTER ROLE or ALTER DATABASE ... RESET default_transaction_read_only"
        yield error("server", "default_transaction_read_only is on, so nothing can be written", step)


def examine_encoding(connection: Connection) -> Iterator[Diagnosis]:
    """Yield what text is stored as, and whether indexes still agree with the operating system about its order."""
    query = """
        SELECT pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collation, d.datname AS name
        FROM pg_catalog.pg_database d WHERE d.datname = current_database()
    """
    row = connection.execute(text(query)).one()
    if row.encoding == "UTF8":
        yield ok("encoding", f"UTF8, collation {row.collation}")
    else:
        step = "dump it, and restore it into a database that was created with ENCODING 'UTF8' TEMPLATE template0"
        yield warning("encoding", f"text is stored as {row.encoding}, which has no place for all characters", step)
    if (connection.dialect.server_version_info or ()) >= (_KNOWS_COLLATIONS,):
        query = """
            SELECT d.datcollversion AS recorded, pg_database_collation_actual_version(d.oid) AS actual
            FROM pg_catalog.pg_database d WHERE d.datname = current_database()
            AND d.datcollversion <> pg_database_collation_actual_version(d.oid)
        """
        changed = connection.execute(text(query)).first()
        if changed is not None:
            step = f'REINDEX DATABASE "{row.name}", then ALTER DATABASE "{row.name}" REFRESH COLLATION VERSION'
            said = f"the collation was {changed.recorded} and is {changed.actual}: indexes on text may be out of order"
            yield warning("encoding", said, step)


def examine_connections(connection: Connection, examined: Examined) -> Iterator[Diagnosis]:
    """Yield how many processes fit the connections of the server."""
    query = """
        SELECT current_setting('max_connections')::int AS most,
        current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
        (SELECT sum(numbackends) FROM pg_catalog.pg_stat_database) AS open,
        (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user) AS of_role,
        (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = current_user) AS open_by_role,
        (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()) AS of_database,
        (SELECT numbackends FROM pg_catalog.pg_stat_database WHERE datname = current_database()) AS open_in_database
    """
    row = connection.execute(text(query)).one()
    limits = [
        (row.most - row.reserved, f" ({row.most} less {row.reserved} reserved)", row.open),
        *([(row.of_role, " from this role", row.open_by_role)] if row.of_role >= 0 else []),
        *([(row.of_database, " in this database", row.open_in_database)] if row.of_database >= 0 else []),
    ]
    limit, why, in_use = min(limits)
    why += ", and the pooler has limits of its own" if examined.settings.pooler else ""
    yield from examine_pool(connection, examined, limit, why, int(in_use))


def scratch_databases(connection: Connection) -> Iterator[str]:
    """Yield the scratch databases that nobody uses: a check that was killed has left them."""
    query = """
        SELECT datname FROM pg_catalog.pg_database d WHERE left(datname, length(:prefix)) = :prefix
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datname = d.datname) ORDER BY datname
    """
    yield from connection.scalars(text(query), {"prefix": PREFIX})


def examine_permissions(connection: Connection, examined: Examined, *, is_pending: bool) -> Iterator[Diagnosis]:
    """Yield what the role may not do that sessions need, or the next run, if there is something for it to do."""
    role = connection.scalar(text("SELECT current_user"))
    schemas = _schemas(connection, examined)
    found: list[Diagnosis] = []
    for schema, tables in schemas.items():
        row = connection.execute(text(_SCHEMA), {"schema": schema}).first()
        if row is None:
            step = f'CREATE SCHEMA "{schema}" AUTHORIZATION "{role}": a run does not create it'
            found.append(error("permissions", f"the schema {schema} does not exist", step))
        elif not row.usable:
            step = f'GRANT USAGE ON SCHEMA "{schema}" TO "{role}"'
            found.append(error("permissions", f"{role} may not use the schema {schema}", step))
        else:
            if not row.creatable:
                step = f'GRANT CREATE ON SCHEMA "{schema}" TO "{role}"'
                said = f"{role} may not create tables in the schema {schema}"
                found.append(of_run("permissions", said, step, is_pending=is_pending))
            found += _of_tables(connection, schema, tables, str(role), is_pending=is_pending)
    yield from found or [ok("permissions", f"{role} may read, write and change all that it has here")]


def _schemas(connection: Connection, examined: Examined) -> dict[str, dict[str, bool]]:
    """Return the tables that are expected, by schema; each with whether it is one of a model's."""
    own = str(connection.scalar(text("SELECT coalesce(current_schema(), 'public')")))
    found: dict[str, dict[str, bool]] = {own: {}}
    for history in examined.histories:
        for table in history.tables:
            found.setdefault(table.schema or own, {})[table.name] = True
        for name in (history.version_table, JOURNAL):
            found.setdefault(history.version_table_schema or own, {}).setdefault(name, False)
    return found


def _of_tables(
    connection: Connection,
    schema: str,
    tables: dict[str, bool],
    role: str,
    *,
    is_pending: bool,
) -> Iterator[Diagnosis]:
    rows = connection.execute(text(_TABLES), {"schema": schema, "names": list(tables)}).all()
    verbs: dict[tuple[str, ...], list[str]] = {}
    for verb in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        wanted = [row for row in rows if tables[row.name] or verb == "SELECT"]
        without = tuple(row.name for row in wanted if not getattr(row, f"may_{verb.lower()}"))
        verbs.setdefault(without, []).append(verb)
    verbs.pop((), None)
    for lacked, missing in verbs.items():
        said = f"{role} may not {', '.join(missing)} in {listed(lacked)}"
        step = f'GRANT {", ".join(missing)} ON {_quoted(schema, lacked)} TO "{role}"'
        yield warning("permissions", said, step)
    owned = {"schema": schema, "names": [name for name, is_of_model in tables.items() if is_of_model]}
    sequences = connection.scalars(text(_SEQUENCES), owned).all()
    if sequences:
        said = f"{role} may not use {listed(sequences)}, so inserts fail"
        step = f'GRANT USAGE ON SEQUENCE {_quoted(schema, sequences)} TO "{role}"'
        yield warning("permissions", said, step)
    others = sorted({row.owner for row in rows if not row.owned})
    if others:
        lacking = [row.name for row in rows if not row.owned]
        said = f"{role} may not change {listed(lacking)}, which belong to {listed(others)}"
        step = f'run revisions as {listed(others)}, or GRANT "{others[0]}" TO "{role}"'
        yield of_run("permissions", said, step, is_pending=is_pending)


def _quoted(schema: str, names: Iterable[str]) -> str:
    return ", ".join(f'"{schema}"."{name}"' for name in names)


_SCHEMA = """
SELECT has_schema_privilege(oid, 'USAGE') AS usable, has_schema_privilege(oid, 'CREATE') AS creatable
FROM pg_catalog.pg_namespace WHERE nspname = :schema
"""

_TABLES = """
SELECT c.relname AS name, pg_get_userbyid(c.relowner) AS owner, pg_has_role(c.relowner, 'USAGE') AS owned,
has_table_privilege(c.oid, 'SELECT') AS may_select, has_table_privilege(c.oid, 'INSERT') AS may_insert,
has_table_privilege(c.oid, 'UPDATE') AS may_update, has_table_privilege(c.oid, 'DELETE') AS may_delete
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = ANY(:names) AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""

_SEQUENCES = """
SELECT s.relname FROM pg_catalog.pg_class s
JOIN pg_catalog.pg_depend d ON d.objid = s.oid AND d.deptype = 'a'
JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = ANY(:names)
AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') ELSE false END ORDER BY s.relname
"""
