"""The pictures of ``docs/screens.md`` show what the commands print, and load nothing from elsewhere."""

from __future__ import annotations

import html
import re
import runpy
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED = sorted((DOCS / "screens").glob("*.svg"))


def shown(picture: Path) -> list[str]:
    """Return the lines of a picture."""
    texts = re.findall(r'<text [^>]*?y="([\d.]+)"[^>]*>([^<]*)</text>', picture.read_text("utf-8"))
    lines: dict[str, str] = {}
    for place, text in texts:
        lines[place] = lines.get(place, "") + html.unescape(text).replace("\xa0", " ").replace("\n", "")
    return [line.rstrip() for line in lines.values()]


def test_they_show_what_the_commands_print(tmp_path):
    """``make docs-screens`` takes them anew."""
    made = sorted(runpy.run_path(str(DOCS / "screens.py"))["make"](tmp_path / "screens"))

    assert [each.name for each in made] == [each.name for each in COMMITTED]
    assert {each.name: shown(each) for each in made} == {each.name: shown(each) for each in COMMITTED}


@pytest.mark.parametrize("picture", COMMITTED, ids=lambda each: each.stem)
def test_they_stand_for_themselves(picture):
    """Nothing is loaded from other hosts, nothing tells of the machine, and the page shows each."""
    text = picture.read_text("utf-8")
    names = {each.tag.rpartition("}")[2] for each in ET.fromstring(text).iter()}

    assert re.findall(r"https?://[^\s\"]+|@import|@font-face", text) == ["http://www.w3.org/2000/svg"]
    assert names.isdisjoint({"script", "image", "foreignObject"})
    assert "/tmp/" not in text
    assert f"](screens/{picture.name})" in (DOCS / "screens.md").read_text("utf-8")
