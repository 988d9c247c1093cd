"""What revision files say of themselves, and how long that is believed."""

import functools
import hashlib
import json
import os
import re
import tempfile
import threading
import time
from pathlib import Path

import pytest

from sqlhelpers.exceptions import AppError
from sqlhelpers.migrations.revisions import files as revision_files
from sqlhelpers.migrations.revisions.files import RevisionFiles, Uncertain, checksum_of, identifiers
from sqlhelpers.migrations.revisions.folder import Revisions

LONG_AGO = 1_700_000_000


def write(folder: Path, name: str, text: str) -> Path:
    """Write a revision file that is old enough to be believed."""
    file = folder / "versions" / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (LONG_AGO, LONG_AGO))
    return file


def plain(revision: str, down: str | None = None) -> str:
    """Return a revision file that is like those that Alembic writes."""
    return f'"""x"""\nrevision = "{revision}"\ndown_revision = {down!r}\n\n\ndef upgrade():\n    pass\n'


@pytest.fixture
def folder(tmp_path):
    """A migrations folder with two revisions."""
    write(tmp_path, "a", plain("a1"))
    write(tmp_path, "b", plain("b2", "a1"))
    return tmp_path


@pytest.fixture
def settled(monkeypatch):
    """No file counts as new: only what is told by times and sizes is seen."""
    monkeypatch.setattr(revision_files, "_TICK", -(10**18))


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that are read."""
    names: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (names.append(path.name), read(path))[1])
    return names


def written(cache: Path) -> int:
    """Return what tells whether the only file in a cache folder was written anew."""
    (file,) = (cache / "revisions").iterdir()
    return file.stat().st_ino


def revisions(files: RevisionFiles) -> list[str]:
    return [each.revision for each in files.graph().files]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("revision = 'a'\ndown_revision = None\n", ("a", (), (), ())),
        ("revision: str = 'a'\ndown_revision: str | None = 'b'\n", ("a", ("b",), (), ())),
        ("revision = 'a'\ndown_revision = ('b', 'c')\nbranch_labels = ['x']\n", ("a", ("b", "c"), ("x",), ())),
        ("revision = 'a'\ndown_revision = None\ndepends_on = 'd'\n", ("a", (), (), ("d",))),
        ("revision = 'a'\nrevision = 'b'\ndown_revision = None\n", ("b", (), (), ())),
        ("def upgrade():\n    revision = 'x'\n\n\nrevision = 'a'\ndown_revision = None\n", ("a", (), (), ())),
        ("'''\nrevision = 'x'\ndef x'''\nrevision = 'a'\ndown_revision = None\n", ("a", (), (), ())),
        ("'''\ndef x'''\nrevision = 'a'\ndown_revision = None\n\ndef upgrade(): pass\n", ("a", (), (), ())),
        ("key = lambda x: x\nrevision = 'a'\ndown_revision = None\n", ("a", (), (), ())),
        ("revision = 'a'\ndown_revision = None\ndef upgrade():\n    global n  # revision\n", ("a", (), (), ())),
        ("revision = 'a'\ndown_revision = None\ndef upgrade():\n    op.f('revision')\n", ("a", (), (), ())),
        ("revision = 'a'\ndown_revision = None\ntext = '''\ndef x'''\n", ("a", (), (), ())),
        ("# -*- coding: latin-1 -*-\nrevision = 'a'\ndown_revision = None\n# \xe9\n", ("a", (), (), ())),
    ],
)
def test_plain_identifiers_are_read(source, expected):
    """Literals at the top level are what Python would make of them."""
    assert identifiers(source.encode("latin-1")) == expected


@pytest.mark.parametrize(
    "source",
    [
        "down_revision = None\n",
        "revision = 'a'\n",
        "revision = 'a' + 'b'\ndown_revision = None\n",
        "revision = down_revision = None\n",
        "revision, down_revision = 'a', None\n",
        "revision = 'a'\ndown_revision = None\nif True:\n    revision = 'b'\n",
        "revision = 'a'\ndown_revision = None\nfor revision in 'b': pass\n",
        "revision = 'a'\ndown_revision = None\ndown_revision += ('b',)\n",
        "revision = 'a'\ndown_revision = None\nfrom os import name as revision\n",
        "revision = 'a'\ndown_revision = None\nfrom elsewhere import *\n",
        "revision = 'a'\ndown_revision = None\nglobals()['revision'] = 'b'\n",
        "revision = 'a'\ndown_revision = None\ndef revision(): pass\n",
        "revision = 'a'\ndown_revision = None\ndef f():\n    global revision\n    revision = 'b'\nf()\n",
        "revision = 'a'\ndown_revision = None\n\n\ndef upgrade(): pass\n\n\nrevision = str(1)\n",
        "revision = 'a'\ndown_revision = [1]\n",
        "revision = 1\ndown_revision = None\n",
        "revision = 'a'\ndown_revision = (\n",
        "revision = 'a\x00'\n",
        "revision = 'a\x00'\n\ndef upgrade(): pass\n",
    ],
)
def test_computed_identifiers_are_not_guessed(source):
    """Whatever is not plain has to be run to be known."""
    with pytest.raises(Uncertain):
        identifiers(source.encode())


def test_a_file_that_computes_its_identifiers_is_run(folder):
    """It counts as what Alembic would make of it; the others are not run."""
    write(folder, "c", "revision = 'c' + str(3)\ndown_revision = 'b2'\n")
    write(folder, "b", plain("b2", "a1") + "\n\nraise ValueError('was run')\n")

    assert Revisions(RevisionFiles(folder)).heads() == ("c3",)


@pytest.mark.usefixtures("settled")
def test_what_was_found_out_of_a_file(folder):
    """Is the same whether it was read, run, or kept from before."""
    source = plain("c3", "b2").replace("down", "branch_labels = ('x',)\ndepends_on = ('a1',)\ndown", 1)
    file = write(folder, "c", source)
    expected = (str(file), "c3", ("b2",), ("x",), ("a1",), checksum_of(source.encode()))

    for _ in range(2):
        assert tuple(RevisionFiles(folder, folder / "cache").graph().by_revision["c3"]) == expected

    computed = source.replace('"c3"', 'str("c3")')
    write(folder, "c", computed)

    assert tuple(RevisionFiles(folder).graph().by_revision["c3"]) == (*expected[:-1], checksum_of(computed.encode()))


def test_a_checksum_is_that_of_the_text():
    """Whatever its line ends are; it is compared with those that were written into journals long ago."""
    text = b"one\ntwo"

    assert checksum_of(b"one\r\ntwo\r\n") == checksum_of(b"one\ntwo\n") == hashlib.sha256(text).hexdigest()


def test_a_folder_without_versions_has_no_revisions(tmp_path):
    """As one that was made by hand, or a package without its data."""
    assert RevisionFiles(tmp_path).graph().heads == ()


def test_a_file_that_cannot_be_run_is_named(folder):
    """One that computes its identifiers and fails is an error, with the file and the reason."""
    write(folder, "c", "import nothing_of_this_name\nrevision = str(3)\ndown_revision = 'b2'\n")

    with pytest.raises(AppError, match=r"versions/c\.py cannot be read: ModuleNotFoundError: .*nothing_of_this_name"):
        Revisions(RevisionFiles(folder)).heads()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("", ""),
        ("\0", ""),
        ("revision = 3\ndown_revision = None\n", "TypeError: "),
        ("revision = ''\ndown_revision = None\n", "TypeError: revision is '', which is no identifier"),
        ("revision = 'c'\ndown_revision = 3\n", r"Uncertain: \(3,\) names no revisions"),
    ],
)
def test_a_file_that_says_nothing_is_named(folder, broken, reason):
    """Also where the error that it causes does not say which file it is."""
    write(folder, "c", broken)

    with pytest.raises(AppError, match=rf"versions/c\.py cannot be read: {reason}"):
        Revisions(RevisionFiles(folder)).heads()


@pytest.mark.parametrize("name", ["base", "head", "heads", "a'b", 'a"b', "a:b", "a-b", "a+b", "a@b"])
@pytest.mark.parametrize("way", ["{!r}", "str({!r})"])
def test_a_name_that_means_something_else_is_refused(folder, name, way):
    """Alembic would take it for several revisions, or break its SQL with it, and only when it is run."""
    write(folder, "c", f"revision = {way.format(name)}\ndown_revision = 'b2'\n")

    said = re.escape(f"ValueError: revision = {name!r}, which Alembic or SQL would take for something else")
    with pytest.raises(AppError, match=rf"versions/c\.py cannot be read: ({said}|.*not allowed)"):
        Revisions(RevisionFiles(folder)).heads()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file_is_not_waited_for(folder, make):
    """Who reads a pipe waits for ever: it is an error, with its path."""
    make(folder / "versions" / "c.py")

    with pytest.raises(AppError, match=r"versions/c\.py cannot be read: OSError: it is no file"):
        Revisions(RevisionFiles(folder)).heads()


def test_a_folder_that_may_not_be_read_is_not_empty(folder, monkeypatch):
    """It is an error, which says what is wrong, and nothing about writing the first revision."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(AppError, match=r"cannot be read: PermissionError: .*versions"):
        Revisions(RevisionFiles(folder)).head()


def test_nothing_is_run_to_know_the_heads(folder):
    """Neither a revision nor Alembic."""
    write(folder, "c", plain("c3", "b2") + "\n\nraise ValueError('was run')\n")

    assert Revisions(RevisionFiles(folder)).between(("a1",), "heads") == ("b2", "c3")


@pytest.mark.usefixtures("settled")
def test_what_has_not_changed_is_not_read_again(folder, opened):
    """The second look opens no file, and gives the same object."""
    files = RevisionFiles(folder)
    first = files.graph()
    opened.clear()

    assert files.graph() is first
    assert opened == []


@pytest.mark.usefixtures("settled")
def test_what_was_read_is_sure_until_a_file_changes(folder):
    """A database that is found up to date is believed only if no revision can have come since."""
    files = RevisionFiles(folder)
    before = files.graph()

    assert before.is_current()

    write(folder, "c", plain("c3", "b2"))

    assert not before.is_current()
    assert files.graph().is_current()
    assert not before.is_current()


def test_what_was_read_a_moment_ago_is_not_sure(folder):
    """The file could change within the same tick of the clock."""
    assert not RevisionFiles(folder).graph().is_current()


def test_threads_that_come_at_once_get_the_same_answer(folder, monkeypatch):
    """One that comes while another is still reading for the first time is not told that there is nothing."""
    files, found = RevisionFiles(folder), list[list[str]]()
    make = revision_files.RevisionGraph

    def slowly(*arguments):
        monkeypatch.setattr(revision_files, "RevisionGraph", make)
        thread = threading.Thread(target=lambda: found.append(revisions(files)))
        thread.start()
        thread.join()
        return make(*arguments)

    monkeypatch.setattr(revision_files, "RevisionGraph", slowly)
    found.append(revisions(files))

    assert found == [["a1", "b2"], ["a1", "b2"]]


@pytest.mark.usefixtures("settled")
def test_another_process_finds_what_was_kept(folder, tmp_path, opened):
    """It opens the one file in the cache folder, and no revision."""
    cache = tmp_path / "cache"
    RevisionFiles(folder, cache).graph()
    opened.clear()

    assert revisions(RevisionFiles(folder, cache)) == ["a1", "b2"]
    assert [name.endswith(".json") for name in opened] == [True]


@pytest.mark.usefixtures("settled")
def test_what_is_kept_is_kept_up_to_date(folder, tmp_path, opened):
    """Each process finds what the last one has read, also of an edited file, and beside that of other folders."""
    cache, other = tmp_path / "cache", tmp_path / "other"
    write(other, "o", plain("o1"))
    for edited in ("b2", "c3"):
        write(folder, "b", plain(edited, "a1"))
        RevisionFiles(folder, cache).graph()
        RevisionFiles(other, cache).graph()
        opened.clear()

        assert revisions(RevisionFiles(folder, cache)) == ["a1", edited]
        assert revisions(RevisionFiles(other, cache)) == ["o1"]
        assert [name.endswith(".json") for name in opened] == [True, True]


def test_what_has_not_changed_is_not_written_again(folder, tmp_path, monkeypatch):
    """Nor is it written anywhere but into the cache folder; a file that is new is not kept yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    kept = functools.partial(written, tmp_path / "cache")
    files = RevisionFiles(folder, tmp_path / "cache")
    files.graph()
    first = kept()
    files.graph()

    assert kept() == first

    monkeypatch.setattr(revision_files, "_TICK", -(10**18))
    RevisionFiles(folder, tmp_path / "cache").graph()
    second = kept()
    RevisionFiles(folder, tmp_path / "cache").graph()

    assert kept() == second != first


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("cached", [False, True])
def test_changes_are_seen(folder, tmp_path, cached):
    """Files that come, go, are renamed or edited, with the cache and without."""

    def seen() -> list[str]:
        return revisions(RevisionFiles(folder, tmp_path / "cache") if cached else files)

    files = RevisionFiles(folder)
    assert seen() == ["a1", "b2"]
    write(folder, "c", plain("c3", "b2"))
    assert seen() == ["a1", "b2", "c3"]
    (folder / "versions" / "c.py").rename(folder / "versions" / "d.py")
    assert seen() == ["a1", "b2", "c3"]
    assert Revisions(RevisionFiles(folder)).path("c3").endswith("d.py")
    (folder / "versions" / "d.py").write_text(plain("d4", "b2"))
    assert seen() == ["a1", "b2", "d4"]
    (folder / "versions" / "d.py").unlink()
    assert seen() == ["a1", "b2"]


@pytest.mark.parametrize("cached", [False, True])
def test_an_edit_within_one_tick_of_the_clock_is_seen(folder, tmp_path, monkeypatch, cached):
    """A file that is as new as its reading is read again, although its times and its size are the same."""
    new = folder / "versions" / "c.py"
    real = os.DirEntry.stat
    frozen: dict[str, os.stat_result] = {}

    def stat(entry):
        return frozen.setdefault(entry.name, real(entry))

    monkeypatch.setattr(
        RevisionFiles,
        "_names",
        lambda files: [
            (entry.name, (stat(entry).st_mtime_ns, stat(entry).st_ctime_ns, stat(entry).st_size))
            for entry in sorted(os.scandir(files._versions), key=lambda each: each.name)
        ],
    )
    new.write_text(plain("c3", "b2"))
    files = RevisionFiles(folder)
    kept = tmp_path / "cache" if cached else None
    assert revisions(RevisionFiles(folder, kept) if cached else files) == ["a1", "b2", "c3"]
    new.write_text(plain("d4", "b2"))

    assert revisions(RevisionFiles(folder, kept) if cached else files) == ["a1", "b2", "d4"]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept.write_bytes(kept.read_bytes()[:-10]),
        lambda kept: kept.write_bytes(kept.read_bytes().replace(b'"a1"', b'"x1"')),
        lambda kept: kept.write_bytes(b""),
        lambda kept: kept.write_bytes(b"\xff\x00"),
        lambda kept: kept.chmod(0),
        lambda kept: _rewrite(kept, format="0 of another version"),
        lambda kept: _rewrite(kept, folder="/elsewhere"),
    ],
    ids=["truncated", "changed", "empty", "binary", "unreadable", "of another version", "of another folder"],
)
def test_a_cache_that_cannot_be_trusted_is_left_aside(folder, tmp_path, damage):
    """The files are read, and what was found is kept anew."""
    cache = tmp_path / "cache"
    RevisionFiles(folder, cache).graph()
    (kept,) = cache.rglob("*.json")

    damage(kept)

    assert revisions(RevisionFiles(folder, cache)) == ["a1", "b2"]
    kept.chmod(0o600)
    assert b'"a1"' in kept.read_bytes()


def _rewrite(kept: Path, **changes: str) -> None:
    content = json.loads(kept.read_bytes().partition(b"\n")[2])
    text = json.dumps({**content, **changes}).encode().replace(b'"a1"', b'"x1"')
    kept.write_bytes(revision_files._digest(text) + b"\n" + text)


def test_a_cache_that_cannot_be_written_is_no_error(folder, tmp_path):
    """Where a file is in the way of the cache folder, everything works without it."""
    (tmp_path / "cache").write_text("in the way")

    assert revisions(RevisionFiles(folder, tmp_path / "cache")) == ["a1", "b2"]


def test_a_cache_that_cannot_be_replaced_leaves_nothing_behind(folder, tmp_path):
    """Where a folder is in the way of the file, what was written beside it is removed."""
    cache = tmp_path / "cache"
    RevisionFiles(folder, cache).graph()
    (kept,) = cache.rglob("*.json")
    kept.unlink()
    kept.mkdir()

    assert revisions(RevisionFiles(folder, cache)) == ["a1", "b2"]
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.usefixtures("settled")
def test_files_are_where_the_link_to_their_folder_leads_now(tmp_path):
    """Not where it led when they were read, which is how releases are switched."""
    write(tmp_path / "old", "a", plain("a1"))
    link = tmp_path / "current"
    link.symlink_to("old")
    RevisionFiles(link, tmp_path / "cache").graph()
    (tmp_path / "old").rename(tmp_path / "new")
    link.unlink()
    link.symlink_to("new")
    files = Revisions(RevisionFiles(link, tmp_path / "cache"))

    assert files.script.get_revision("a1").module.revision == "a1"


@pytest.mark.usefixtures("settled")
def test_computed_identifiers_are_not_kept_for_other_processes(folder, tmp_path):
    """What a file computes can be something else there."""
    write(folder, "c", "import os\nrevision = os.environ['NAME_OF_IT']\ndown_revision = 'b2'\n")
    found = []
    for name in ("c3", "d4"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NAME_OF_IT", name)
            found.append(Revisions(RevisionFiles(folder, tmp_path / "cache")).heads())

    assert found == [("c3",), ("d4",)]


def test_a_file_from_the_future_is_read_again(folder, opened):
    """A clock that is wrong makes it slower, and never wrong."""
    future = time.time() + 1e6
    os.utime(folder / "versions" / "b.py", (future, future))
    files = RevisionFiles(folder)
    files.graph()
    opened.clear()

    assert revisions(files) == ["a1", "b2"]
    assert "b.py" in opened


def test_names_that_alembic_ignores_are_ignored(folder):
    """Packages' own files, an editor's locks, and whatever is not Python."""
    for name in ("__init__.py", ".#c.py", "notes.txt", "c.pyc", "d.py~"):
        (folder / "versions" / name).write_text("not Python")

    assert revisions(RevisionFiles(folder)) == ["a1", "b2"]


def test_a_file_that_is_new_no_more_has_not_changed(folder, monkeypatch):
    """The graph stays the same object when time alone has passed: what follows from it is not worked out anew."""
    files = RevisionFiles(folder)
    monkeypatch.setattr(revision_files, "_TICK", 10**18)
    graph = files.graph()
    was_current = graph.is_current()
    monkeypatch.setattr(revision_files, "_TICK", -(10**18))

    assert files.graph() is graph
    assert (was_current, graph.is_current()) == (False, True)
