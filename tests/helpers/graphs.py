"""What is drawn: random histories and their revision files, and models of an app that needs those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

#: The models of an app beside ``atlas``, whose tables refer to the ``lands`` of that.
TOWNS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column
from atlas.models import Base

class Town(Base):
    __tablename__ = "towns"
    id: Mapped[int] = mapped_column(primary_key=True)
    land_id: Mapped[int] = mapped_column(ForeignKey("lands.id"))
"""


@st.composite
def histories(draw):
    """Return revisions as (name, down revisions, labels, dependencies): chains, branches, merges, several bases."""
    number = draw(st.integers(1, 9))
    names = draw(st.permutations([f"r{place}" for place in range(number)]))
    found, labelled = [], []
    for place, name in enumerate(names):
        earlier = list(names[:place])
        shape = draw(st.sampled_from(["chain", "chain", "chain", "branch", "merge", "base"])) if earlier else "base"
        downs = {
            "chain": earlier[-1:],
            "branch": [draw(st.sampled_from(earlier))] if earlier else [],
            "merge": draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=3, unique=True)) if earlier else [],
            "base": [],
        }[shape]
        labels = [f"label{place}"] if draw(st.integers(0, 5)) == 0 else []
        others = [each for each in earlier if each not in downs] + labelled
        needed = [draw(st.sampled_from(others))] if others and draw(st.integers(0, 4)) == 0 else []
        found.append((name, downs, labels, needed))
        labelled += labels
    return found


def write(folder: Path, history) -> None:
    """Write the files of a history."""
    (folder / "versions").mkdir(parents=True)
    for name, downs, labels, needed in history:
        down = None if not downs else downs[0] if len(downs) == 1 else tuple(downs)
        lines = [f"revision = {name!r}", f"down_revision = {down!r}"]
        lines += [f"branch_labels = {tuple(labels)!r}"] if labels else []
        lines += [f"depends_on = {tuple(needed)!r}"] if needed else []
        lines += ["def upgrade(): pass", "def downgrade(): pass", ""]
        (folder / "versions" / f"{name}.py").write_text("\n".join(lines))
