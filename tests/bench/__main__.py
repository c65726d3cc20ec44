"""`make bench`: measures what the design promises, in one run on one PostgreSQL.

`python -m tests.bench PART…` measures only some parts, such as `waking`; `--json` prints JSON only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass

from tests.bench.parts import PARTS
from tests.bench.server import bench_server
from tests.support.postgres import Databases


@dataclass(frozen=True)
class Line:
    """A measured figure, and its target, if any."""

    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


def bench(databases: Databases, names: Collection[str], say: Callable[[str], None]) -> list[Line]:
    """Makes the measurements of the named parts, in an order that keeps compared ones together."""
    lines: list[Line] = []
    for name, part in PARTS.items():
        if name not in names:
            continue
        began = time.monotonic()
        for what, value, unit, target, met in part(databases):
            lines.append(Line(what, round(value, 3), unit, target, met))
            verdict = {None: "", True: "  ok", False: "  MISSED"}[met]
            say(f"{what:<62} {value:>12,.2f} {unit:<10} {target}{verdict}")
        say(f"-- {name}: {time.monotonic() - began:.0f} s")
    return lines


def main(arguments: list[str]) -> int:
    """Prints a table during the measurement, then JSON; with --json only that. Exits 1 when a target is missed, and 2
    for a part that does not exist.
    """
    only_json = "--json" in arguments
    names = [each for each in arguments if each != "--json"] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        print(f"There is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}.", file=sys.stderr)  # noqa: T201
        return 2
    say: Callable[[str], None] = (lambda _line: None) if only_json else lambda line: print(line, flush=True)  # noqa: T201
    began = time.monotonic()
    with bench_server() as databases:
        lines = bench(databases, names, say)
    say(f"-- all: {time.monotonic() - began:.0f} s")
    print(json.dumps([asdict(line) for line in lines], indent=None if not only_json else 2))  # noqa: T201
    return 1 if any(line.met is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
