"""A picture of results as SVG: a bar of the average throughput for each collection, its samples as dots. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

ROW = 26
NAMES = 330
BARS = 520
MARGIN = 12


def svg(results: Sequence[Mapping[str, Any]]) -> str:
    """Rows in order; all share one scale, which begins at 0."""
    most = max([1.0, *(each["throughput"]["average"] for each in results), *(s for r in results for s in r["samples"])])
    width, height = NAMES + BARS + 90, ROW * (len(results) + 1) + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{NAMES}" y="{MARGIN + 10}" fill="#555">pods a second: bar = average, dots = samples</text>',
    ]
    for index, each in enumerate(results):
        top = MARGIN + ROW * (index + 1)
        average = each["throughput"]["average"]
        length = BARS * average / most
        drawn += [
            f'<text x="{NAMES - 8}" y="{top + 14}" text-anchor="end">{escape(each["name"])}</text>',
            f'<rect x="{NAMES}" y="{top + 3}" width="{length:.1f}" height="{ROW - 10}" fill="#6b9bd1"/>',
            f'<text x="{NAMES + BARS + 12}" y="{top + 14}">{average:.0f}</text>',
        ]
        drawn += [
            f'<circle cx="{NAMES + BARS * sample / most:.1f}" cy="{top + 11}" r="2.5" fill="#1f3a5f" opacity="0.6"/>'
            for sample in each["samples"]
        ]
    return "\n".join([*drawn, "</svg>", ""])
