"""Draws the lateness of all peers as SVG: a bar from p50 to p99 for each burst, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.peers.measure import BURSTS, Found

LEFT, WIDTH, ROW, BAR = 170, 560, 52, 12
LOWEST, HIGHEST = 0.001, 100.0
COLOURS = ("#2f6f4f", "#c98a1b", "#a33b3b")


def _x(seconds: float) -> float:
    share = math.log10(min(max(seconds, LOWEST), HIGHEST) / LOWEST) / math.log10(HIGHEST / LOWEST)
    return round(LEFT + share * WIDTH, 1)


def _bars(row: Found, top: float) -> Iterator[str]:
    yield f'<text x="{LEFT - 8}" y="{top + 24}" text-anchor="end">{escape(row.name)}</text>'
    for number, (count, colour) in enumerate(zip(BURSTS, COLOURS, strict=True)):
        y = top + 4 + number * (BAR + 2)
        if count not in row.lateness:
            words = f"none of {count:,} ran" if count in row.ran else f"{count:,} not tried"
            yield f'<text x="{LEFT + 4}" y="{y + 10}" fill="{colour}" font-size="10">{words}</text>'
            continue
        low, high = (_x(each) for each in row.lateness[count])
        yield f'<rect x="{low}" y="{y}" width="{max(high - low, 3)}" height="{BAR}" fill="{colour}"/>'


def picture(rows: Sequence[Found], where: str) -> str:
    """Returns the whole picture."""
    height = len(rows) * ROW + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 40} {height}">',
        "<style>text { font: 13px sans-serif }</style>",
        "<title>Lateness from p50 to p99, seconds</title>",
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
    ]
    for power in range(-3, 3):
        x = _x(10.0**power)
        parts.append(f'<line x1="{x}" y1="30" x2="{x}" y2="{height - 40}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x}" y="{height - 22}" text-anchor="middle">{10.0**power:g} s</text>')
    for number, (count, colour) in enumerate(zip(BURSTS, COLOURS, strict=True)):
        parts.append(f'<rect x="{LEFT + number * 150}" y="8" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 18 + number * 150}" y="19">{count:,} due at once</text>')
    for number, row in enumerate(rows):
        parts += _bars(row, 30 + number * ROW)
    parts.append(f'<text x="{LEFT}" y="{height - 5}" font-size="10">{escape(where)}</text></svg>\n')
    return "\n".join(parts)
