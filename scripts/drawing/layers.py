"""docs/layers.svg: the packages by layer as the import contract has them, each with what it really imports."""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path
from typing import Any

import grimp

from .svg import CHARACTER, Sheet

ROOT = Path(__file__).parents[2]
WIDTH, MARGIN, SIDE, GAP, LINE = 960, 24, 40, 10, 17


def draw() -> str:
    layers = read_layers()
    imports: dict[str, list[str]] = {}
    graph = grimp.build_graph(*root_packages())
    names = [name for layer in layers for name in layer]
    for name in names:
        inside = {module for module in graph.modules if _owner(module, names) == name}
        found = {_owner(other, names) for module in inside for other in graph.find_modules_directly_imported_by(module)}
        imports[name] = [other for other in names if other in found and other != name]
    room = WIDTH - MARGIN - SIDE - MARGIN
    rows = [[(name, _wrapped(imports[name], room, len(layer))) for name in layer] for layer in layers]
    heights = [36 + LINE * max(len(lines) for _, lines in row) + 8 for row in rows]
    height = 96 + sum(heights) + 26 * len(rows)
    sheet = Sheet(WIDTH, height, "Layers", "the import contract in pyproject.toml and the imports themselves")
    sheet.text(MARGIN, 34, "Layers", "title")
    sheet.text(MARGIN, 56, "Imports point down only, and packages side by side never import each other.", "note")
    sheet.text(MARGIN, 74, "Blue: what a package really imports. Dashed: knows nothing of the rest.", "note")
    sheet.path([(MARGIN + 8, 92), (MARGIN + 8, height - 34)], "blue")
    sheet.tip(MARGIN + 8, height - 26, "down", "bluetip")
    y = 92
    for row, tall in zip(rows, heights, strict=True):
        _draw_row(sheet, row, y, tall)
        y += tall + 26
    return sheet.render()


def _draw_row(sheet: Sheet, row: list[tuple[str, list[str]]], y: int, height: int) -> None:
    room = WIDTH - MARGIN - SIDE - MARGIN
    wide = (room - GAP * (len(row) - 1)) // len(row)
    for place, (name, lines) in enumerate(row):
        x = MARGIN + SIDE + place * (wide + GAP)
        sheet.box(x, y, wide, height, "box" if name.startswith("kube_actors.") else "outer")
        sheet.text(x + wide // 2, y + 23, _short(name), "name", "middle")
        for number, line in enumerate(lines):
            sheet.text(x + wide // 2, y + 43 + LINE * number, line, "label", "middle")


def configuration() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return found


def root_packages() -> list[str]:
    return list(configuration()["root_packages"])


def read_layers() -> list[list[str]]:
    """The layers from above; the packages that stand outside come last."""
    contracts: list[dict[str, list[str]]] = configuration()["contracts"]
    told = next(contract["layers"] for contract in contracts if "layers" in contract)
    layers = [[name.strip() for name in layer.split("|")] for layer in told]
    tops = {name.partition(".")[0] for layer in layers for name in layer}
    return [*layers, [name for name in root_packages() if name not in tops]]


def _owner(module: str, names: list[str]) -> str | None:
    return next((name for name in names if module == name or module.startswith(name + ".")), None)


def _wrapped(imports: list[str], room: int, boxes: int) -> list[str]:
    letters = ((room - GAP * (boxes - 1)) // boxes - 16) // CHARACTER
    return textwrap.wrap(" ".join(_short(name) for name in imports), letters)


def _short(name: str) -> str:
    return name.removeprefix("kube_actors.")
