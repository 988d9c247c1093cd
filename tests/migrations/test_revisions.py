"""Heads and ways of revisions, beside Alembic's own view of the same files."""

import os
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.script import ScriptDirectory
from graphs import histories, write
from hypothesis import given, settings

from sqlhelpers.exceptions import AppError, MigrationsNotFound, MultipleHeads
from sqlhelpers.migrations.revisions.alembic import alembic_config
from sqlhelpers.migrations.revisions.files import RevisionFiles
from sqlhelpers.migrations.revisions.folder import Revisions, docstring
from sqlhelpers.migrations.revisions.graph import _chained
from sqlhelpers.migrations.state.journal import checksum


def outcome(work):
    """Return what the work returns, or the kind of its error."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  # Alembic raises many
        return type(error).__name__


def ways(heads, names):
    """Yield where a database may be, and where it should go."""
    for target in ("heads", *names):
        yield (), target
        for one in names:
            yield (one,), target
    for pair in combinations(names, 2):
        yield pair, "heads"
    yield heads, "heads"


@settings(max_examples=int(os.environ.get("SQLHELPERS_EXAMPLES", "60")), deadline=None)
@given(histories())
def test_heads_and_ways_are_alembics(history):
    """Whatever the graph: the same heads, and between any two points the same revisions in the same order."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, history)
        ours = Revisions(RevisionFiles(folder))
        alembics = ScriptDirectory.from_config(alembic_config(folder))

        def by_alembic(current, target):
            found = alembics.iterate_revisions(target, current, implicit_base=True)
            return tuple(reversed([each.revision for each in found]))

        heads = outcome(lambda: tuple(sorted(alembics.get_heads())))
        if isinstance(heads, str):
            with pytest.raises(AppError):
                ours.heads()
            return

        assert ours.heads() == heads
        for current, target in ways(heads, [each[0] for each in history]):
            expected = outcome(lambda: by_alembic(current, target))  # noqa: B023
            assert outcome(lambda: ours.between(current, target)) == expected, (current, target)  # noqa: B023


@settings(max_examples=int(os.environ.get("SQLHELPERS_EXAMPLES", "60")), deadline=None)
@given(histories())
def test_alembic_is_not_asked_for_what_is_plain(history):
    """It takes its time: whether files fit together, and the way along a chain, are found out without it."""
    names = [each[0] for each in history]
    follows = all(downs == names[:place][-1:] for place, (_, downs, _, _) in enumerate(history))
    needs, labels = any(each[3] for each in history), any(each[2] for each in history)
    with TemporaryDirectory() as name:
        write(Path(name), history)
        graph = RevisionFiles(Path(name)).graph()

    assert graph.is_sound
    assert graph.between(graph.heads, "heads") == (() if len(graph.heads) == 1 else None)
    assert _chained(graph.files) == (names if follows and not needs else [])
    if not follows or needs or labels:
        assert graph.chain is None
        return

    assert list(graph.chain) == [file.revision for file in graph.files] == names
    for end, target in enumerate(names, 1):
        assert graph.between((), target) == tuple(names[:end])
        for start, current in enumerate(names, 1):
            way = tuple(names[start:end])
            assert graph.between((current,), target) == (way if start <= end else None)
    assert graph.between(tuple(names[:1]), "heads") == tuple(names[1:])
    assert graph.between(("gone",), names[-1]) is graph.between((), "gone") is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ([("a", ["b"], [], []), ("b", ["a"], [], [])], "Cycle is detected"),
        ([("a", [], [], []), ("b", ["gone"], [], [])], "gone referenced from .* is not present"),
        ([("a", ["a"], [], [])], "Self-loop is detected"),
        ([("a", [], [], ["b"]), ("b", [], [], ["a"])], "Dependency cycle is detected"),
        ([("a", [], ["x"], []), ("b", [], ["x"], [])], "Branch name 'x' .* already used"),
        ([("a", [], [], ["nobody"])], "nobody"),
    ],
)
def test_files_that_contradict_each_other_are_explained(tmp_path, broken, reason):
    """What Alembic says about them is in the error."""
    write(tmp_path, broken)

    with pytest.raises(AppError, match=reason):
        Revisions(RevisionFiles(tmp_path)).heads()


def test_a_revision_that_is_there_twice_is_an_error(tmp_path):
    """Alembic would take one of the files and warn. Both are named."""
    write(tmp_path, [("a", [], [], [])])
    (tmp_path / "versions" / "z.py").write_text("revision = 'a'\ndown_revision = None\n")

    with pytest.raises(AppError, match=r"a is present more than once: .*/versions/a\.py and .*/versions/z\.py$"):
        Revisions(RevisionFiles(tmp_path)).heads()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'Add a table.\\n\\nAnd more.'\n", "Add a table."),
        ("'\\n  add a table\\n\\nRevision ID: a1\\n'\n", "add a table"),
        ("# coding: latin-1\n'größer'\n", "größer"),
        ("", ""),
        ("''\n", ""),
    ],
)
def test_what_a_revision_says_that_it_does(tmp_path, text, expected):
    """The first line of its docstring; nothing if it has none, or has gone."""
    (tmp_path / "versions").mkdir()
    file = tmp_path / "versions" / "a1.py"
    file.write_text(f"{text}revision = 'a1'\ndown_revision = None\n", "latin-1" if "latin-1" in text else "utf-8")
    revisions = Revisions(RevisionFiles(tmp_path))

    assert revisions.message("a1") == expected
    file.unlink()
    assert revisions.message("a1") == ""


def test_a_folder_without_revisions_has_no_head(tmp_path):
    """The error says so, and what may be the cause."""
    (tmp_path / "versions").mkdir()

    with pytest.raises(MigrationsNotFound, match="holds no revisions; write the first one"):
        Revisions(RevisionFiles(tmp_path)).head()


def test_the_checksum_of_a_revision(tmp_path):
    """It is that of the source, whatever its line ends are; without a source there is none."""
    for name, text in (("a.py", b"x = 1\n"), ("b.py", b"x = 1\r\n"), ("c.pyc", b"")):
        (tmp_path / name).write_bytes(text)
    one, other, compiled, absent = (checksum(str(tmp_path / name)) for name in ("a.py", "b.py", "c.pyc", "d.py"))

    assert one == other is not None
    assert compiled is absent is None


def test_only_the_revision_that_is_needed_is_run(tmp_path):
    """Alembic's objects run a file when its module is asked for."""
    write(tmp_path, [("a", [], [], []), ("b", ["a"], [], []), ("c", ["b"], [], [])])
    for name in ("a", "c"):
        with (tmp_path / "versions" / f"{name}.py").open("a") as file:
            file.write("raise ValueError('was run')\n")
    script = Revisions(RevisionFiles(tmp_path)).script

    assert script.get_revision("b").module.revision == "b"
    assert not hasattr(script.get_revision("b").module, "ddl_lock_timeout")
    with pytest.raises(AppError, match=r"versions/c\.py cannot be run: ValueError: was run"):
        script.get_revision("c").module  # noqa: B018


def test_a_file_without_a_way_up_or_down_is_named(tmp_path):
    """When the way is planned: nothing has been run then. What is not needed may be missing."""
    write(tmp_path, [])
    (tmp_path / "versions" / "a.py").write_text("revision = 'a'\ndown_revision = None\ndef upgrade(): pass\n")
    (tmp_path / "versions" / "b.py").write_text("revision = 'b'\ndown_revision = 'a'\ndef downgrade(): pass\n")
    script = Revisions(RevisionFiles(tmp_path)).script

    with pytest.raises(AppError, match=r"/versions/b\.py has no upgrade\(\)$"):
        script._upgrade_revs("head", None)
    assert script._upgrade_revs("a", None)
    assert script._downgrade_revs("a", "b")
    with pytest.raises(AppError, match=r"/versions/a\.py has no downgrade\(\)$"):
        script._downgrade_revs("base", "b")


CHAIN = [("a1", [], [], []), ("b2", ["a1"], [], [])]


@pytest.fixture
def chain(tmp_path):
    """The revisions of an app, one after the other."""
    write(tmp_path, CHAIN)
    return Revisions(RevisionFiles(tmp_path), "shop")


def test_what_a_chain_is_asked_for_most_is_known_without_alembic(chain):
    """Its heads by name, and its history."""
    assert chain.resolve("head") == chain.resolve("heads") == ("b2",)
    assert chain.walk() == ("b2", "a1")
    assert chain.between((), "heads") == ("a1", "b2")
    assert chain.all_current(("a1",)) == ("a1",)
    assert "script" not in vars(chain)
    assert chain.walk("b2") == ("b2",)
    assert chain.walk("", "a1") == ("a1",)


def test_what_depends_on_another_branch_brings_it_along(tmp_path):
    """By its name as well as by its label."""
    write(tmp_path, [("a1", [], ["x"], []), ("b1", [], [], ["a1"]), ("c1", [], [], ["x"])])
    revisions = Revisions(RevisionFiles(tmp_path))

    for name in ("b1", "c1"):
        assert revisions.applied([name]) == {"a1", name}
        assert revisions.all_current((name,)) == ("a1", name)
    assert revisions.resolve("x@head") == ("a1",)
    assert revisions.resolve("base") == ()


def test_errors_name_the_app_or_the_folder(tmp_path):
    """Whichever there is, with the way out."""
    (tmp_path / "versions").mkdir()
    for app, begins in ((None, "the migrations folder /"), ("shop", "app 'shop': the migrations folder /")):
        with pytest.raises(MigrationsNotFound, match=f"^{begins}.* holds no revisions; write the first one"):
            Revisions(RevisionFiles(tmp_path), app).head()
    (tmp_path / "versions").rmdir()
    write(tmp_path, [("a1", [], [], []), ("b1", [], [], [])])
    for app, begins in ((None, "the migrations folder /"), ("shop", "app 'shop'")):
        with pytest.raises(AppError, match=f"^{begins}.*a2"):
            Revisions(RevisionFiles(tmp_path), app).check("a2")
    with pytest.raises(MultipleHeads, match="'shop'"):
        Revisions(RevisionFiles(tmp_path), "shop").head()
    with pytest.raises(AppError, match=r"^app 'shop': there is no revision 'a2'"):
        Revisions(RevisionFiles(tmp_path), "shop").walk("a2")
    for text, said in (
        ("revision = 'a1'\ndown_revision = None\n", "/.*: revision a1 is present more than once"),
        ("revision = 'c1'\ndown_revision = 'gone'\n", "/.*: .*gone .*is not present"),
        ("nonsense(", r"/.*/c1\.py cannot be read: SyntaxError"),
    ):
        (tmp_path / "versions" / "c1.py").write_text(text)
        with pytest.raises(AppError, match=f"^app 'shop': the migrations folder {said}"):
            Revisions(RevisionFiles(tmp_path), "shop").heads()
    with pytest.raises(MigrationsNotFound, match=r"^app 'shop': the migrations folder /.*/typo is missing"):
        Revisions(RevisionFiles(tmp_path / "typo"), "shop")


def test_a_docstring_is_what_was_written():
    """But for the lines around it."""
    assert docstring(b'"""Add a table.\n\n  - as it is\n"""\n') == "Add a table.\n\n  - as it is"


def test_what_an_environment_says_of_itself(chain):
    """Whether it connects asynchronously, and looks for the position where it is; whatever its encoding."""
    file = chain.folder / "env.py"

    assert not chain.has_environment
    assert not chain.has_async_environment
    assert not chain.environment_lacks("alembic_version_shop")

    file.write_bytes("größer = async_engine_from_config()\n".encode("latin-1"))

    assert chain.has_async_environment
    assert chain.environment_lacks("alembic_version_shop")
    assert not chain.environment_lacks("alembic_version")

    file.write_bytes("context.configure(version_table='alembic_version_shop')  # größer\n".encode("latin-1"))

    assert not chain.has_async_environment
    assert not chain.environment_lacks("alembic_version_shop")
