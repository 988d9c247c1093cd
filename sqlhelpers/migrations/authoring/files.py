"""Revision files as they are written: their names, their text, their first import."""

from __future__ import annotations

import os
import re
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.script import Script, ScriptDirectory
from alembic.script.write_hooks import _invoke
from alembic.util import CommandError

from sqlhelpers.exceptions import AppError, Refused, SqlhelpersError
from sqlhelpers.migrations.revisions import ENVIRONMENT

if TYPE_CHECKING:
    from datetime import datetime

    from alembic.script.revision import RevisionMap

    from sqlhelpers.migrations.authoring.alembic_config import FileStyle
    from sqlhelpers.migrations.revisions import Revisions


def documented(message: str) -> str:
    """Return a message as it can stand in a docstring."""
    return message.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def literal(value: Any) -> str:
    """Return identifiers as Python, in double quotes."""
    return repr(tuple(value) if isinstance(value, list) else value).replace("'", '"')


def heading(imports: str, upgrades: str, downgrades: str) -> str:
    """Return the imports of a revision, sorted as import sorters have it, the project's own last.

    Args:
        imports: those that types need, a line for each.
        upgrades: what the revision does; empty if that is to be written by hand.
        downgrades: what undoes it.
    """
    body = f"{upgrades}{downgrades}"
    unused = "" if body else "  # noqa: F401"
    lines = imports.splitlines()
    own = sorted(line for line in lines if line.startswith("import ") and _is_of_project(line.split()[1]))
    plain = [line for line in lines if line.startswith("import ") and line not in own]
    named = ["from alembic import op", *(line for line in lines if line.startswith("from "))]
    if "sa." in body or not body:
        plain.append(f"import sqlalchemy as sa{unused}")
    listed = [*sorted(plain), *sorted(named)]
    shown = "\n".join(line + unused if line == named[0] else line for line in listed)
    return "\n\n".join([shown, "\n".join(own)] if own else [shown])


def _is_of_project(module: str) -> bool:
    spec = find_spec(module.partition(".")[0])
    return not re.search("site-packages|dist-packages", str(spec.origin if spec else ""))


#: Alembic's name for the template of a revision file, which a migrations folder may bring.
TEMPLATE = "script.py.mako"

_LONGEST = 32  # characters in a version table


class RevisionWriter(ScriptDirectory):
    """Alembic's view of a migrations folder that new revisions are written into.

    Args:
        revisions: the revisions that are there.
        style: how the files are written.
    """

    def __init__(self, revisions: Revisions, style: FileStyle) -> None:
        super().__init__(
            str(revisions.folder.absolute()),
            file_template=style.file_template,
            truncate_slug_length=style.slug_length,
            output_encoding=style.encoding,
            timezone=style.timezone,
        )
        self.revision_map: RevisionMap = revisions.script.revision_map
        self._revisions = revisions
        self._style = style
        self._written: Path | None = None

    def generate_revision(self, revid: str, message: str | None, *args: Any, **kw: Any) -> Script | None:
        """Write one file, and let the hooks go over it.

        Raises:
            AppError: the identifier cannot be used, or what was written cannot: the file stays, and is named.
            Refused: there is such a revision, or such a file, already.
        """
        self._check_identifier(revid)
        self._written = None
        try:
            return super().generate_revision(revid, message, *args, **kw)
        except CommandError as error:
            raise AppError(f"{self._revisions.folder}: {error}") from error
        except (Exception, SystemExit) as error:
            if isinstance(error, SqlhelpersError) or self._written is None:
                raise
            reason = f"{type(error).__name__}: {error}"
            raise AppError(
                f"{self._written} was written, but cannot be run, and nothing is before you mend it: {reason}"
            ) from error

    def _check_identifier(self, revision: str) -> None:
        if not re.fullmatch(r"\w[\w.]*", revision) or revision in ("base", "head", "heads", "current"):
            raise AppError(f"{revision!r} cannot be the identifier of a revision: use letters, digits and _")
        if len(revision) > _LONGEST:
            raise AppError(f"revision {revision!r} has {len(revision)} characters; a version table holds {_LONGEST}")
        if not self._revisions.unknown([revision]):
            raise Refused(f"there is a revision {revision} already: {self._revisions.path(revision)}")

    def _generate_create_date(self) -> datetime:
        return super()._generate_create_date().replace(microsecond=0)

    def _generate_template(self, src: Path, dest: Path, **values: Any) -> None:
        from mako.template import Template  # type: ignore[import-untyped]  # it has no types

        own = ENVIRONMENT / TEMPLATE
        template = src if Path(src).is_file() else own
        if template.read_bytes() != own.read_bytes():  # ours escapes by itself
            values["message"] = documented(values["message"])
        text = str(Template(filename=str(template)).render_unicode(**values))  # noqa: S702  # it is Python, not HTML
        self._write(Path(dest), text.encode(self.output_encoding))
        self._written = Path(dest)
        for hook in self._style.hooks:
            self._go_over(Path(dest), hook)

    def _write(self, file: Path, content: bytes) -> None:
        """Put a file into its place at once, so that nobody reads half of it."""
        part = file.parent / f".#{secrets.token_hex(8)}"  # readers pass such names by
        try:
            with part.open("xb") as written:
                written.write(content)
                written.flush()
                os.fsync(written.fileno())
            try:
                os.link(part, file)  # unlike a renaming, it does not replace
            except FileExistsError:
                raise Refused(f"{file} exists already, and was left as it is") from None
            except OSError:  # this file system has no links
                if file.exists():
                    raise Refused(f"{file} exists already, and was left as it is") from None
                part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def _go_over(self, file: Path, hook: dict[str, str]) -> None:
        name = hook["_hook_name"]
        try:
            _invoke(hook["type"], file, hook)
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            raise AppError(f"{file} was written, but its post_write_hook {name!r} failed: {reason}") from error
