"""A newcomer at work: a project folder, and the commands of a fresh environment as processes in it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from databases import rows, tables

if TYPE_CHECKING:
    from pathlib import Path

    from projects import Finished
    from wheels import Environment


@dataclass(frozen=True)
class Newcomer:
    """Somebody who types commands, and reads what they print.

    Attributes:
        environment: what they have installed.
        folder: the folder of their project.
        url: the URL of their database.
        app: the app that they write.
    """

    environment: Environment
    folder: Path
    url: str
    app: str = "shop"

    def write(self, path: str, text: str) -> Path:
        """Save a file of the project."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    def edit(self, path: str, before: str, after: str) -> None:
        """Change a file in one place."""
        text = (self.folder / path).read_text("utf-8")
        assert text.count(before) == 1, text
        self.write(path, text.replace(before, after))

    def does(self, *words: str, reads: tuple[str, ...] = (), status: int = 0) -> Finished:
        """Run ``sqlhelpers``, and check how it ends, what there is to read, and that nothing looks broken.

        Args:
            words: the command and its arguments.
            reads: what stands somewhere in its output; columns are one space apart here.
            status: its exit status.
        """
        done = self.environment.run("sqlhelpers", *words, cwd=self.folder)
        shown = " ".join(done.output.split())
        assert done.status == status, (words, done)
        assert [each for each in reads if each not in shown] == [], (words, done)
        assert "Traceback" not in done.output, done
        if status in (2, 3) and words[0] != "doctor":
            assert len(done.errors) == 1, done
        return done

    def alembic(self, *words: str, fails: str = "") -> str:
        """Run plain Alembic, and return what it prints on stdout; ``fails`` is a part of the error that is expected."""
        done = self.environment.run("alembic", *words, cwd=self.folder)
        assert bool(done.status) == bool(fails), (words, done)
        assert fails in done.output, (words, done)
        return done.stdout

    def python(self, code: str) -> str:
        """Run code in the project, and return what it prints."""
        done = self.environment.run("python", "-c", code, cwd=self.folder)
        assert done.status == 0, done
        return done.stdout

    @property
    def heads(self) -> list[str]:
        """The newest revisions, as the command has them."""
        return [line.split()[1] for line in self.does("heads", self.app).stdout.splitlines()]

    @property
    def position(self) -> list[str]:
        """What the app's version table holds; nothing if there is none."""
        name = f"alembic_version_{self.app}"
        return [str(row[0]) for row in rows(self.url, f"SELECT version_num FROM {name}")] if name in self.tables else []

    @property
    def tables(self) -> set[str]:
        """The tables of the database."""
        return tables(self.url)

    @property
    def revision_files(self) -> set[str]:
        """The names of the revision files."""
        return {file.name for file in self.folder.glob(f"{self.app}/migrations/versions/*.py")}

    def writes_revision(self, message: str, *reads: str) -> str:
        """Let the command write a revision, and return its identifier."""
        done = self.does("revision", self.app, "--autogenerate", "-m", message, reads=reads)
        return done.stdout.split()[2]

    def agrees_with_alembic(self, *revisions: str) -> None:
        """Check that the database is at these revisions; Alembic checks that they are the newest, and do all."""
        assert sorted(self.position) == sorted(revisions)
        assert "No new upgrade operations detected." in self.alembic("check")

    def current_is(self, *revisions: str) -> None:
        """Check where the database is, in the words of both."""
        expected = sorted(revisions)
        ours = [line.split()[2] for line in self.does("current", self.app).stdout.splitlines()]
        assert sorted(ours) == expected
        assert _identifiers(self.alembic("current")) == expected

    def colleague(self, url: str) -> Newcomer:
        """Return somebody who has cloned the project, and has a database of their own."""
        folder = self.folder.with_name(f"{self.folder.name}-of-a-colleague")
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("__pycache__", "*.db*"))
        return replace(self, folder=folder, url=url).at(url)

    def at(self, url: str) -> Newcomer:
        """Return the same with another database, which ``.env`` names from now on."""
        other = replace(self, url=url)
        other.write(".env", f"DATABASE_URL={url}\n")
        return other


def _identifiers(printed: str) -> list[str]:
    return sorted(re.findall(r"^([0-9a-f]{12})\b", printed, re.MULTILINE))
