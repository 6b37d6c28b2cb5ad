"""Lays out a machine of stages: boxes in one column, arrows in lanes at both sides, so that nothing lies on anything.

A bundle is one event (or several) by which several stages lead to one. It has a lane of its own: its way down is at
the right, its way up at the left, and its name stands at the arrow's head. A step to the very next box goes straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from .exploring import RULE, Edge
from .svg import Sheet, width_of

BOX = 160
LANE = 14
LINE = 17
GAP = 26


class Bundle(Struct, frozen=True):
    """Arrows that share their events and their end. Places are the rows of boxes."""

    sources: tuple[int, ...]
    target: int
    labels: tuple[str, ...]

    @property
    def straight(self) -> bool:
        return self.sources == (self.target - 1,)

    @property
    def up(self) -> bool:
        return max(self.sources) > self.target

    @property
    def rows(self) -> tuple[int, int]:
        places = (*self.sources, self.target)
        return min(places), max(places)

    @property
    def kind(self) -> str:
        return "dashed" if self.labels == (RULE,) else "line"


def bundles_of(edges: Sequence[Edge], stages: Sequence[Enum]) -> list[Bundle]:
    """Edges of one event and end become one; then ends with the same sources share their lane."""
    row = {stage: place for place, stage in enumerate(stages)}
    sources: dict[tuple[int, bool, str], list[int]] = {}
    for edge in edges:
        up = row[edge.source] > row[edge.target]
        sources.setdefault((row[edge.target], up, edge.label), []).append(row[edge.source])
    merged: dict[tuple[tuple[int, ...], int, bool], list[str]] = {}
    for (target, _, label), places in sources.items():
        merged.setdefault((tuple(places), target, label == RULE), []).append(label)
    return [Bundle(places, target, tuple(labels)) for (places, target, _), labels in merged.items()]


class Side:
    """One side of the column: a lane for each bundle, and its places at the boxes."""

    def __init__(self, bundles: Sequence[Bundle], up: bool) -> None:
        self.up = up
        self.bundles = [bundle for bundle in bundles if bundle.up is up and not bundle.straight]
        self.lane: dict[Bundle, int] = {}
        for bundle in sorted(self.bundles, key=lambda each: (each.rows[1] - each.rows[0], each.rows, each.labels)):
            taken = {self.lane[other] for other in self.lane if _meet(bundle, other)}
            self.lane[bundle] = next(lane for lane in range(len(self.bundles)) if lane not in taken)
        self.lanes = max(self.lane.values(), default=-1) + 1
        self.label_width = max((width_of(label) for bundle in self.bundles for label in bundle.labels), default=0) + 20

    def ports(self, row: int) -> list[tuple[Bundle, bool]]:
        """What meets the box of a row, from above: bundle, and whether it ends here. In this order fewest cross."""
        ends = sorted((b for b in self.bundles if b.target == row), key=lambda b: self.lane[b], reverse=self.up)
        starts = sorted((b for b in self.bundles if row in b.sources), key=lambda b: self.lane[b], reverse=not self.up)
        ending, starting = [(bundle, True) for bundle in ends], [(bundle, False) for bundle in starts]
        return starting + ending if self.up else ending + starting

    def height(self, row: int) -> int:
        return sum(_port_height(bundle, ends) for bundle, ends in self.ports(row))


def _meet(one: Bundle, other: Bundle) -> bool:
    return one.rows[0] <= other.rows[1] and other.rows[0] <= one.rows[1]


def _port_height(bundle: Bundle, ends: bool) -> int:
    return LINE * len(bundle.labels) + 7 if ends else 13


class Column:
    """The whole machine: knows its size before it is drawn."""

    def __init__(self, edges: Sequence[Edge], stages: Sequence[Enum], notes: dict[Enum, str]) -> None:
        self.stages, self.notes = stages, notes
        bundles = bundles_of(edges, stages)
        self.straight = {bundle.target: bundle for bundle in bundles if bundle.straight and not _both(bundle, bundles)}
        self.twins = [bundle for bundle in bundles if _both(bundle, bundles)]
        self.left, self.right = Side(bundles, True), Side(bundles, False)
        self.box_x = self.left.lanes * LANE + self.left.label_width
        self.width = self.box_x + BOX + self.right.label_width + self.right.lanes * LANE
        self.tops: list[int] = []
        y = 0
        for row in range(len(stages)):
            y += self._gap(row)
            self.tops.append(y)
            y += self._height(row)
        self.height = y

    def _gap(self, row: int) -> int:
        if row == 0:
            return 0
        lines = sum(len(bundle.labels) for bundle in self._steps(row))
        return GAP + LINE * lines

    def _steps(self, row: int) -> list[Bundle]:
        found = [self.straight[row]] if row in self.straight else []
        return found + [bundle for bundle in self.twins if bundle.target == row]

    def _height(self, row: int) -> int:
        text = 46 if self.stages[row] in self.notes else 32
        return max(text, self.left.height(row) + 6, self.right.height(row) + 6)

    def draw(self, sheet: Sheet, x: int, y: int) -> None:
        for row, stage in enumerate(self.stages):
            top, height = y + self.tops[row], self._height(row)
            sheet.box(x + self.box_x, top, BOX, height)
            middle, centre = x + self.box_x + BOX // 2, top + height // 2
            note = self.notes.get(stage, "")
            sheet.text(middle, centre + (-3 if note else 5), stage.name, "name", "middle")
            if note:
                sheet.text(middle, centre + 14, note, "note", "middle")
            self._draw_step(sheet, row, middle, y)
        for side in (self.left, self.right):
            self._draw_side(sheet, side, x, y)

    def _draw_step(self, sheet: Sheet, row: int, x: int, y: int) -> None:
        steps = self._steps(row)
        if not steps:
            return
        start, end = y + self.tops[row - 1] + self._height(row - 1), y + self.tops[row]
        for place, bundle in enumerate(steps):
            # Of two, the first one stands aside, its words at its left.
            aside = len(steps) == 2 and place == 0
            at = x - 30 if aside else x
            sheet.path([(at, start), (at, end - 8)], bundle.kind)
            sheet.tip(at, end, "down")
            first = (start + end) // 2 + 4 - LINE * (len(bundle.labels) - 1) // 2
            for number, label in enumerate(bundle.labels):
                words_at = at - 10 if aside else at + 10
                sheet.text(words_at, first + LINE * number, label, "label", "end" if aside else "start")

    def _draw_side(self, sheet: Sheet, side: Side, x: int, y: int) -> None:
        edge = x + self.box_x if side.up else x + self.box_x + BOX
        out = -1 if side.up else 1
        heights: dict[Bundle, list[int]] = {}
        for row in range(len(self.stages)):
            at = y + self.tops[row] + (self._height(row) - side.height(row)) // 2
            for bundle, ends in side.ports(row):
                lane = edge + out * (side.label_width + LANE * side.lane[bundle])
                port = at + _port_height(bundle, ends) - (5 if ends else 6)
                at += _port_height(bundle, ends)
                heights.setdefault(bundle, []).append(port)
                sheet.path([(edge + (out * 8 if ends else 0), port), (lane, port)], bundle.kind)
                if ends:
                    self._draw_end(sheet, side, bundle, edge, port)
                else:
                    sheet.dot(lane, port, radius=2)
        for bundle, ports in heights.items():
            lane = edge + out * (side.label_width + LANE * side.lane[bundle])
            sheet.path([(lane, min(ports)), (lane, max(ports))], bundle.kind)

    def _draw_end(self, sheet: Sheet, side: Side, bundle: Bundle, edge: int, port: int) -> None:
        sheet.tip(edge, port, "right" if side.up else "left")
        for number, label in enumerate(reversed(bundle.labels)):
            height = port - 5 - LINE * number
            sheet.text(edge + (-12 if side.up else 12), height, label, "label", "end" if side.up else "start")


def _both(bundle: Bundle, bundles: Sequence[Bundle]) -> bool:
    """Whether an event and the rule both go this one step: two arrows then."""
    same = [each for each in bundles if each.straight and each.target == bundle.target]
    return bundle.straight and len(same) > 1 and bundle.kind == "line"
