"""The pictures in docs/ show what the project is now, and are shown."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = ("pod-lifecycle.svg", "layers.svg", "one-pod.svg")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_drawn_again_is_the_same(name: str) -> None:
    command = [sys.executable, "scripts/draw.py", "--check", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_shown_and_keeps_its_text_within_its_frame(name: str) -> None:
    assert f"docs/{name}" in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    picture = ET.fromstring((ROOT / "docs" / name).read_text(encoding="utf-8"))
    width = int(picture.attrib["width"])
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        wide, x = 8 * len(text.text or ""), int(text.attrib["x"])
        start = x - {"start": 0, "middle": wide // 2, "end": wide}[text.attrib["text-anchor"]]
        assert start >= 0 and start + wide <= width, text.text
