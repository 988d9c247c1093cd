"""Counts what the architecture promises: lines of each room, comparisons of dialects, and changes of module.

``make house``; with a folder as argument it counts another checkout, also one that has modules and no rooms.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
CORE = ROOT / "sqlhelpers"
COMPARES = re.compile(
    r"""(dialect\.name|\.driver\b|backend_name\(\)|driver_name\(\)|\bdialect\b)\s*(==|!=|in\b|not\ in\b)\s*[("'\[{]"""
    r"""|["'](sqlite|postgresql|mysql|mariadb)["']\s*(==|!=|in\b)"""
)

#: Makes one engine, and runs one revision on SQLite; counts how often another module of the core takes over.
TRACED = """
import sys
from pathlib import Path

root = sys.argv[1]
sys.path[:0] = [root, str(Path(root, "plugins")), "."]
from sqlhelpers import Runtime, Settings

changes, last = 0, ""


def profile(frame, event, _):
    global changes, last
    name = frame.f_globals.get("__name__") or ""
    if event == "call" and name.partition(".")[0] == "sqlhelpers" and name != last:
        changes, last = changes + 1, name


def counted(work):
    global changes, last
    changes, last = 0, ""
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return changes


def settings():
    databases = {"default": {"sqlalchemy": {"url": "sqlite:///x.db"}, "alembic": {"migrations_path": "migrations"}}}
    return Settings(databases=databases, enable_apps=[])


with Runtime(settings()) as first:
    first.manager()
    print("changes of module for one engine:", counted(lambda: first.manager().engine))
with Runtime(settings()) as second:
    second.manager().engine
    print("changes of module for a run-sync of one revision:", counted(second.run_sync))
"""

REVISION = """import sqlalchemy as sa
from alembic import op

revision = "r1"
down_revision = None


def upgrade():
    op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("t")
"""


def main() -> None:
    """Print the counts."""
    lines: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for file in sorted(CORE.rglob("*.py")):
        parts = file.relative_to(CORE).parts
        text = file.read_text("utf-8").splitlines()
        lines[parts[0] if len(parts) > 1 else "(the ground)"] += len(text)
        compared["/".join(parts[:-1]) or parts[-1]] += sum(bool(COMPARES.search(line)) for line in text)
    for room, number in sorted(lines.items()):
        print(f"{number:6}  {room}")
    print(f"{sum(lines.values()) - lines['cli']:6}  the core without its command line")
    apart = ("backends", "queries", "upstream")
    print("comparisons of a dialect's name outside", ", ".join(apart), "is",
          sum(number for place, number in compared.items() if place.split("/")[0] not in apart))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder, "migrations", "versions")
        versions.mkdir(parents=True)
        (versions / "r1.py").write_text(REVISION, "utf-8")
        subprocess.run([sys.executable, "-c", TRACED, str(ROOT)], cwd=folder, check=True)


if __name__ == "__main__":
    main()
