"""``sqlhelpers graph``: revisions, branches, merges, labels and positions, in Mermaid, DOT, SVG and plain text."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from xml.etree import ElementTree as ET

import mermaid
import pytest
from graphs import TOWNS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from projects import revision_text

from sqlhelpers import Runtime
from sqlhelpers_graph import draw, read
from sqlhelpers_graph.stories import Step, Story

needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Land(Base):
    __tablename__ = "lands"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
PYPROJECT = """
[tool.sqlhelpers.databases]
default = "sqlite:///default.db"
other = "sqlite:///other.db"
[tool.sqlhelpers.apps.atlas]
package = "atlas"
[tool.sqlhelpers.apps.travel]
package = "travel"
[tool.sqlhelpers.apps.far]
package = "far"
bind = "other"
requires = ["travel"]
[tool.sqlhelpers.apps.bare]
package = "bare"
migrations = false
"""


def revision(name, *downs, says="", labels=None, needs=None):
    """Return the name and the text of a revision file."""
    down = None if not downs else downs[0] if len(downs) == 1 else downs
    text = f'"""{says}"""\nbranch_labels = {labels!r}\ndepends_on = {needs!r}\n'
    return f"{name}.py", text + revision_text(name).replace("down_revision = None", f"down_revision = {down!r}")


BRANCHED = dict(
    [
        revision("a1", says="The first one."),
        revision(
            "a2", "a1", says="Pay: with cards, and with all else that people have about them today", labels=["pay"]
        ),
        revision("a3", "a1"),
        revision("a4", "a3", needs="pay"),
        revision("a5", "a2", "a4", says="Bring them together.\n\nAt last."),
        revision("a6", "a5"),
    ],
)


def record(database, app, *revisions):
    """Write a position into a SQLite file."""
    table = f"alembic_version_{app}" if app else "alembic_version"
    with sqlite3.connect(database) as connection:
        connection.execute(f"CREATE TABLE {table} (version_num VARCHAR(32))")
        connection.executemany(f"INSERT INTO {table} VALUES (?)", [(each,) for each in revisions])
    connection.close()


@pytest.fixture
def atlas(project):
    """A project with apps in two databases, one of them with branches, and one without migrations."""
    project.write_pyproject(PYPROJECT)
    project.write_app("atlas", MODELS, BRANCHED)
    project.write_app("travel", TOWNS, dict([revision("t1"), revision("t2", "t1")]))
    project.write_app("far", "", dict([revision(f"f{n:03}", *[f"f{n - 1:03}"][: bool(n)]) for n in range(120)]))
    project.write_app("bare", "")
    return project


def chart(command, *arguments):
    """Return what the command draws in Mermaid."""
    done = command("graph", *arguments)
    assert done.status == 0, done.output
    return mermaid.flowchart(done.stdout)


# What is drawn


def test_one_subgraph_for_each_app(atlas, command):
    """In their order, with dashed arrows between those that come before others; no database is made."""
    found = chart(command)

    assert list(found.groups.values()) == ["atlas", "travel", "far"]
    assert found.between == [("app_atlas", "app_travel"), ("app_travel", "app_far")]
    assert found.members["r_a1"] == "app_atlas"
    assert not list(atlas.folder.glob("*.db"))


@pytest.mark.usefixtures("atlas")
def test_revisions(command):
    """Each is told by what it is and says, and leads to those that follow it."""
    found = chart(command, "atlas")

    assert found.nodes == {
        "r_a1": ("([])", ["a1", "The first one", "base"], "step1"),
        "r_a2": ("[]", ["a2", "Pay: with cards, and with all else that people…", "@pay"], "step1"),
        "r_a3": ("[]", ["a3"], "step1"),
        "r_a4": ("[]", ["a4"], "step1"),
        "r_a5": ("{{}}", ["a5", "Bring them together", "merge"], "step1"),
        "r_a6": ("[]", ["a6", "head"], "head1"),
    }
    assert sorted(found.edges) == [
        ("r_a1", "r_a2", True),
        ("r_a1", "r_a3", True),
        ("r_a2", "r_a4", False),
        ("r_a2", "r_a5", True),
        ("r_a3", "r_a4", True),
        ("r_a4", "r_a5", True),
        ("r_a5", "r_a6", True),
    ]


@pytest.mark.usefixtures("atlas")
def test_older_revisions_are_one_node(command):
    """Of a long history the newest are drawn, as many as one wants."""
    default, three, whole = chart(command, "far"), chart(command, "far", "--last", "3"), chart(command, "--last", "0")

    assert len(default.nodes) == 51
    assert default.labelled("older1") == ["70 older revisions"]
    assert list(three.nodes) == ["older1", "r_f117", "r_f118", "r_f119"]
    assert three.edges[0] == ("older1", "r_f117", True)
    assert len(whole.nodes) == 120 + 6 + 2


@pytest.mark.usefixtures("atlas")
@pytest.mark.parametrize("last", range(1, 7))
def test_what_follows_a_drawn_revision_is_drawn(command, last):
    """However few are; what they need and is not drawn is the one node."""
    found = chart(command, "atlas", "--last", str(last))
    kept = [name for name in found.nodes if name != "older1"]
    whole = chart(command, "atlas")

    assert len(kept) == last
    for before, after, is_down in whole.edges:
        if before in kept:
            assert (before, after, is_down) in found.edges
        elif after in kept:
            assert ("older1", after, is_down) in found.edges
    assert found.labelled("older1") == [f"{6 - last} older revision{'s' * (last < 5)}"] if last < 6 else True


@pytest.mark.usefixtures("atlas")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["travel"], ["travel"]),
        (["-d", "other"], ["far"]),
        (["-d", "default", "-d", "other"], ["atlas", "travel", "far"]),
        (["far", "atlas"], ["atlas", "far"]),
    ],
)
def test_which_apps_are_drawn(command, arguments, expected):
    """Those that are named, and those in a database; each in the colour that it has among all."""
    found, whole = command("graph", *arguments).stdout, command("graph").stdout
    styles = set(re.findall(r"style app_\w+ .*", found))

    assert list(mermaid.flowchart(found).groups.values()) == expected
    assert styles <= set(re.findall(r"style app_\w+ .*", whole))
    assert len(styles) == len(expected)


@pytest.mark.usefixtures("atlas")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["atlass"], "there is no app 'atlass' (apps: atlas, bare, far, travel); did you mean atlas?"),
        (["-d", "x"], "no database named 'x' is configured (configured: default, other)"),
        (["bare"], "there is nothing to draw: no revision of bare in database default or other"),
        (["far", "-d", "default"], "there is nothing to draw: no revision of far in database default"),
        (["-o", "x.pdf"], "x.pdf: say --format, or take one of the suffixes .md .mermaid .mmd .dot .gv .svg .txt"),
        (["--last", "-1"], None),
    ],
)
def test_what_cannot_be_drawn(command, arguments, message):
    """One line that names it, and 2."""
    done = command("graph", *arguments)

    assert (done.status, done.stdout) == (2, "")
    assert message is None or re.sub(r"\(apps: .*?\)", "", done.errors[0]) == re.sub(
        r"\(apps: .*?\)", "", f"error: {message}"
    )


def test_a_folder_without_an_app(project, command):
    """Is drawn under the name of its database, beside the apps."""
    project.write_pyproject(
        '[tool.sqlhelpers.databases.default]\nsqlalchemy.url = "sqlite:///a.db"\nalembic.migrations_path = "moves"\n'
        '[tool.sqlhelpers.databases.empty]\nsqlalchemy.url = "sqlite:///b.db"\nalembic.migrations_path = "none"\n',
    )
    (project.folder / "none" / "versions").mkdir(parents=True)
    project.write("moves/versions/m1.py", revision("m1")[1])

    found = chart(command)

    assert list(found.groups.values()) == ["database default"]
    assert list(found.nodes) == ["r_m1"]


# Where databases are


def test_current_revisions(atlas, command):
    """``--current`` marks them, whether they are drawn, left out, or in no file; several heads are no obstacle."""
    atlas.write("travel/migrations/versions/t3.py", revision("t3", "t1")[1])
    record("default.db", "atlas", "a2", "a4")
    record("default.db", "travel", "t2", "zz")
    record("other.db", "far", "f005")

    found, text = chart(command, "--current"), command("graph", "--current", "--format", "text").stdout

    assert found.here == {"r_a2", "r_a4", "r_t2", "r_zz", "older3"}
    assert found.labelled("r_t2") == ["t2", "head, default is here"]
    assert found.labelled("r_zz") == ["zz, which is in no file", "default is here"]
    assert found.labelled("older3") == ["70 older revisions", "other is here"]
    assert "  ?  zz, which is in no file  (default is here)\n" in text
    assert "  :  70 older revisions  (other is here)\n" in text
    assert chart(command).here == set()


def test_the_position_of_a_folder_beside_apps(atlas, command):
    """It has no name to ask by, and is drawn all the same."""
    atlas.write_pyproject(PYPROJECT.replace('other = "sqlite:///other.db"\n', "")
                          .replace('default = "sqlite:///default.db"', "")
                          .replace('bind = "other"\n', "")
                          + '[tool.sqlhelpers.databases.default]\nsqlalchemy.url = "sqlite:///default.db"\n'
                          'alembic.migrations_path = "moves"\n')  # fmt: skip
    atlas.write("moves/versions/m1.py", revision("m1")[1])
    record("default.db", None, "m1")
    record("default.db", "atlas", "a6")

    found = chart(command, "--current")

    assert found.here == {"r_m1", "r_a6"}
    assert list(found.groups.values()) == ["atlas", "travel", "far", "database default"]


def test_a_database_that_is_away(atlas, command):
    """Is an error of one line, and 1; without ``--current`` nothing is asked."""
    (atlas.folder / "default.db").write_text("this is no database, but long enough to be taken for one" * 20)

    asked, silent = command("graph", "--current"), command("graph")

    assert (asked.status, len(asked.errors), silent.status) == (1, 1, 0)


# The formats


@pytest.mark.usefixtures("atlas")
def test_plain_text(command):
    """The newest on top, a column for each branch."""
    assert command("graph", "atlas", "travel", "--format", "text").stdout == (
        "atlas\n"
        "  *    a6  (head)\n"
        "  *    a5  Bring them together  (merge)\n"
        "  +-.\n"
        "  | *  a4  (depends on a2)\n"
        "  | *  a3\n"
        "  * |  a2  Pay: with cards, and with all else that people…  (@pay)\n"
        "  +-'\n"
        "  *    a1  The first one  (base)\n"
        "\n"
        "travel (after atlas)\n"
        "  *  t2  (head)\n"
        "  *  t1  (base)\n"
    )


@needs_graphviz
@pytest.mark.usefixtures("atlas")
def test_svg(command):
    """Graphviz draws every revision of every app, and the arrows."""
    record("default.db", "travel", "t2", "zz")
    picture = command("graph", "--current", "--last", "4", "--format", "svg").stdout
    elements = list(ET.fromstring(picture).iter())
    texts = {"".join(each.itertext()) for each in elements if each.tag.endswith("}text")}
    kinds = [each.get("class") for each in elements if each.get("class")]

    assert {"atlas", "a3", "a6", "travel", "t1", "f119", "2 older revisions", "zz, which is in no file"} <= texts
    assert kinds.count("node") == 5 + 3 + 5
    assert kinds.count("edge") == 6 + 1 + 4 + 2


@pytest.mark.usefixtures("atlas")
def test_dot(command):
    """A cluster for each app; shapes and colours say what a revision is."""
    record("default.db", "atlas", "a6")
    dot = command("graph", "atlas", "travel", "--current", "--format", "dot").stdout

    (head,) = re.findall(r"\[label=<<b>a6</b>.*", dot)
    (merge,) = re.findall(r"\[label=<<b>a5</b>.*", dot)
    (base,) = re.findall(r"\[label=<<b>a1</b>.*", dot)
    assert "penwidth=2.5" in head
    assert "fillcolor=" in head
    assert "shape=hexagon" in merge
    assert 'style="rounded,filled"' in base
    assert 'style=dashed, label=" depends on"' in dot
    assert "ltail=cluster_1, lhead=cluster_2, style=dashed, constraint=false" in dot


# Any history, any name

texts = st.one_of(st.text(min_size=1, max_size=8), st.sampled_from(mermaid.NASTY))


@st.composite
def stories(draw_):
    """Return histories of any shape, whose revisions have any names."""
    found = []
    for app in draw_(st.lists(texts, min_size=1, max_size=3, unique=True)):
        names = draw_(st.lists(texts, min_size=1, max_size=7, unique=True))
        steps = [_step(draw_, names[:place], name) for place, name in enumerate(names)]
        followed = {down for step in steps for down in step.down_revisions}
        steps = [Step(**{**vars(step), "is_head": step.revision not in followed}) for step in steps]
        cut = draw_(st.integers(0, len(steps) - 1))
        needs = draw_(st.lists(st.sampled_from([each.app for each in found]), unique=True)) if found else []
        unknown = tuple(each for each in draw_(st.lists(texts, max_size=1)) if each not in names)
        story = Story(
            app=app, bind=draw_(texts), steps=tuple(steps[cut:]), left_out=cut, needs=tuple(needs), unknown=unknown
        )
        found.append(story)
    return found


def _step(draw_, earlier, name):
    some = st.lists(st.sampled_from(earlier), max_size=3, unique=True) if earlier else st.just([])
    return Step(
        revision=name,
        message=draw_(st.one_of(st.just(""), texts)),
        down_revisions=tuple(draw_(some)),
        depends_on=tuple(draw_(some)[:1]),
        branch_labels=tuple(draw_(st.lists(texts, max_size=1))),
        is_current=draw_(st.booleans()),
    )


any_histories = given(stories())
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shown(text):
    """Return a text as a drawing can show it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text.replace("\n", " "))


@quick
@any_histories
def test_any_history_can_be_read_back_from_mermaid(histories):
    """All nodes and arrows are there, and say what the revisions are called."""
    found = mermaid.flowchart(draw(histories))

    assert list(found.groups.values()) == [shown(story.name) for story in histories]
    assert len(found.between) == sum(len(story.needs) for story in histories)
    expected = []
    for story in histories:
        expected += [f"{story.left_out} older revision{'s' * (story.left_out > 1)}"] * bool(story.left_out)
        expected += [shown(step.revision) for step in story.steps]
        expected += [f"{shown(name)}, which is in no file" for name in story.unknown]
    assert [lines[0] for _, lines, _ in found.nodes.values()] == expected
    arrows = [each for story in histories for each in arrows_of(story)]
    assert sorted((found.labelled(one)[0], found.labelled(other)[0]) for one, other, down in found.edges if down) == (
        sorted((shown(one), shown(other)) for one, other in arrows)
    )


def arrows_of(story):
    """Return the arrows of a history, as pairs of what stands in the first line."""
    drawn = {step.revision for step in story.steps}
    for step in story.steps:
        for down in dict.fromkeys(each if each in drawn else story.older for each in step.down_revisions):
            yield down, step.revision


@quick
@any_histories
def test_the_lines_of_plain_text_lead_where_they_should(histories):
    """From each revision straight down, or along the line below it, to those that it follows."""
    for story in histories:
        steps = {f"n{place}": step for place, step in enumerate(story.steps)}
        names = {step.revision: name for name, step in steps.items()}
        renamed = [
            Step(revision=names[each.revision], down_revisions=tuple(names.get(d, d) for d in each.down_revisions))
            for each in story.steps
        ]
        plain = Story(app="x", bind="b", steps=tuple(renamed), left_out=story.left_out)

        assert sorted(traced(draw([plain], format="text"))) == sorted(
            (down.replace(plain.older, ":"), name) for down, name in arrows_of(plain)
        )


def traced(text):
    """Yield the arrows that one sees in a drawing of plain text: which revision leads down to which."""
    rows = [line[2:] for line in text.splitlines()[1:]]
    names = {place: re.search(r"n\d+", row)[0] for place, row in enumerate(rows) if "*" in row}

    def below(place, column):
        for number in range(place, len(rows)):
            sign = rows[number].ljust(column + 1)[column]
            if sign in "*:":
                return names.get(number, ":")
            if sign == "'":  # its line goes on in the column on the left
                column = rows[number].index("+")
            assert sign in "|+.'", (sign, text)
        raise AssertionError(text)

    for place, name in names.items():
        column = rows[place].index("*")
        following = rows[place + 1] if place + 1 < len(rows) else ""
        ends = [column] if following.ljust(column + 1)[column] not in " '" else []
        if place + 1 not in names and "-" in following and not following.lstrip().startswith(":"):
            ends += [other for other, sign in enumerate(following) if sign in "+." and other != column]
        yield from ((below(place + 1, each), name) for each in ends)


@needs_graphviz
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@any_histories
def test_graphviz_takes_any_history(histories):
    """And its picture has a node for each revision."""
    picture = ET.fromstring(draw(histories, format="svg"))
    kinds = [each.get("class") for each in picture.iter() if each.get("class")]

    more = sum(len(story.unknown) + bool(story.left_out) for story in histories)
    assert kinds.count("node") == sum(len(story.steps) for story in histories) + more


# As functions and as plugins


@pytest.mark.usefixtures("atlas")
def test_in_code():
    """``read`` returns values, for all databases or some."""
    with Runtime() as runtime:
        histories = read(runtime, binds=["other"], last=2)

    (story,) = histories
    assert (story.app, story.bind, story.left_out, story.needs) == ("far", "other", 118, ("travel",))
    assert [step.revision for step in story.steps] == ["f118", "f119"]


def test_plugins_are_listed_and_can_be_left_out(project, command, monkeypatch):
    """As those of anybody else."""
    listed = command("plugins").stdout
    monkeypatch.setenv("SQLHELPERS_DISABLE_PLUGINS", "countries,bookshop,graph,diagram")

    left_out = project.run("graph")

    for name in ("graph", "diagram"):
        (line,) = (line for line in listed.splitlines() if f" sqlhelpers_{name} " in line)
        assert line.split()[-2:] == ["loaded", "register_commands"]
    assert left_out.status == 2
    assert "there is no command 'graph'" in left_out.stderr


def test_they_are_imported_quickly():
    """A runtime anywhere imports the plugins, so they bring nothing with them; nor do their commands for ``--help``."""
    code = (
        "import sys, sqlhelpers_graph, sqlhelpers_diagram\n"
        "assert 'click' not in sys.modules\n"
        "import sqlhelpers_graph.command, sqlhelpers_diagram.command\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'pydantic', 'rich') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
