"""What is asked of SQLite, and of the file and the folder that it writes to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from sqlhelpers_doctor.findings import error, listed, note, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

    from sqlhelpers.reports import Diagnosis

_OLDEST = (3, 12)  # that SQLAlchemy supports
_MEBI = 1024 * 1024
_ROOM = 100 * _MEBI  # bytes that should be left on the disk
_QUICK = 200 * _MEBI  # bytes that are read within a second or two
_SHOWN = 5
_NETWORK = frozenset(
    """
    9p afs beegfs ceph cifs fuse.glusterfs fuse.sshfs glusterfs lustre ncpfs nfs nfs4 smb3 smbfs
    """.split(),  # noqa: SIM905  # a list of words reads better than a list of strings
)
_MOUNTS = Path("/proc/self/mounts")


def examine_file(file: Path, mounts: Path = _MOUNTS) -> Iterator[Diagnosis]:
    """Yield whether the file and its folder can be written to, and what they lie on; nothing is opened.

    Args:
        file: the file of the database, which need not exist.
        mounts: what the operating system has mounted where.
    """
    folder = file.absolute().parent
    if not folder.is_dir():
        yield error("file", f"the folder {folder} does not exist", f"mkdir -p {folder}, or correct the URL")
        return
    if file.exists() and not file.is_file():
        yield error("file", f"{file} is not a file", "correct the URL")
        return
    locked = [str(each) for each in (folder, file) if each.exists() and not os.access(each, os.W_OK)]
    if locked:
        step = "let the user of this process write to both: SQLite keeps its journal beside the file"
        yield error("file", f"{' and '.join(locked)} cannot be written to", step)
    elif not file.exists() or not file.stat().st_size:
        yield note("file", f"{file} is not there yet", "sqlhelpers run-sync")
    else:
        yield ok("file", f"{_size(file.stat().st_size)}, and it and its folder can be written to")
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        step = "make room: a write that finds none fails, and a rebuilt table needs its size again"
        yield warning("file", f"{_size(free)} are left on the disk of {folder}", step)
    system = _file_system(folder.resolve(), mounts)
    if system in _NETWORK:
        step = "move it to a local disk: locks and WAL do not work over a network"
        yield warning("file", f"{folder} is on a network ({system})", step)


def _size(number: int) -> str:
    return f"{number / _MEBI:.1f} MiB"


def _file_system(folder: Path, mounts: Path) -> str:
    """Return the kind of file system that a folder is on; empty where the operating system does not tell."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = [(len(where), kind) for _, where, kind, *_ in map(str.split, lines) if folder.is_relative_to(where)]
    return max(found)[1] if found else ""


def examine_server(connection: Connection) -> Iterator[Diagnosis]:
    """Yield the version of the library."""
    found = connection.dialect.server_version_info or ()
    told = f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
    if found < _OLDEST:
        yield warning("server", f"{told} is older than SQLAlchemy supports", "use a Python with SQLite 3.12 or newer")
    else:
        yield ok("server", told)


def examine_pragmas(connection: Connection) -> Iterator[Diagnosis]:
    """Yield how the file is written, and what holds on our connections."""
    mode, waits, keys = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("journal_mode", "busy_timeout", "foreign_keys")
    )
    said = f"journal_mode {mode}, busy_timeout {waits} ms, foreign keys {'enforced' if keys else 'not enforced'}"
    if not waits:
        step = "set command_timeout, or remove busy_timeout from sqlite_pragmas"
        yield warning("pragmas", f"{said}: who finds it locked fails at once", step)
    elif mode != "wal":
        step = "sqlite3 FILE 'PRAGMA journal_mode = wal', once, or leave it: both are safe"
        yield note("pragmas", f"{said}: readers and the writer wait for each other", step)
    else:
        yield ok("pragmas", said)


def examine_integrity(connection: Connection, file: Path) -> Iterator[Diagnosis]:
    """Yield whether the file is sound, and rows whose parents are gone; a large file is not read through."""
    size = file.stat().st_size
    if size > _QUICK:
        step = f"sqlite3 {file} 'PRAGMA quick_check; PRAGMA foreign_key_check'"
        yield note("integrity", f"not checked, as {_size(size)} take their time", step)
        return
    found = list(connection.exec_driver_sql(f"PRAGMA quick_check({_SHOWN})").scalars())
    if found != ["ok"]:
        step = f"stop all that use it; restore a backup, or sqlite3 {file} .recover | sqlite3 NEW"
        yield error("integrity", f"the file is damaged: {listed(' '.join(each.split()) for each in found)}", step)
        return
    lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_SHOWN)
    if lost:
        tables = listed(sorted({f"{row[0]} without {row[2]}" for row in lost}))
        step = f"sqlite3 {file} 'PRAGMA foreign_key_check' lists them: give them parents, or delete them"
        yield warning("integrity", f"rows have lost their parents: {tables}", step)
    else:
        yield ok("integrity", "quick_check and foreign_key_check find nothing")
