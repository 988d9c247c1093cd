"""What a test database depends on, as one short text: it is built anew when that has changed."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Dialect

    from sqlhelpers import Runtime

_PACKAGES = ("sqlhelpers", "SQLAlchemy", "alembic")
_LENGTH = 32


def fingerprint(runtime: Runtime, binds: Sequence[str], dialect: Dialect) -> str:
    """Return the fingerprint of the models, the revisions and the plugins that fill databases."""
    digest = hashlib.sha256()
    for part in _parts(runtime, binds, dialect):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:_LENGTH]


def _parts(runtime: Runtime, binds: Sequence[str], dialect: Dialect) -> Iterator[str]:
    yield from (f"{name} {version(name)}" for name in _PACKAGES)
    for name, app in runtime.apps.items():
        if app.bind in binds:
            yield f"{app!r}"
            for table in runtime.tables[name]:
                yield str(CreateTable(table).compile(dialect=dialect))
                yield from sorted(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
            yield from _texts(app.migrations_folder())
    for bind in binds:
        yield from _texts(runtime.settings.databases[bind].alembic.migrations_path)
    for plugin in runtime.plugins.found:
        if "sqlhelpers_after_sync" in plugin.hooks:
            yield f"{plugin.distribution} {plugin.value}"
            yield from _texts(_folder_of(plugin.value.partition(":")[0]), deep=False)


def _folder_of(module: str) -> Path | None:
    spec = find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def _texts(folder: Path | None, *, deep: bool = True) -> Iterator[str]:
    """Yield the names and the contents of the Python files in a folder."""
    if folder is not None:
        for file in sorted(folder.glob("**/*.py" if deep else "*.py")):
            yield f"{file.relative_to(folder)}\n{file.read_text('utf-8', 'replace')}"
