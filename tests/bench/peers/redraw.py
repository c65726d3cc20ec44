"""Draws the picture again from the output of `python -m tests.bench.peers`: `… redraw FILE "machine and date"`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.peers.__main__ import PICTURE, table
from tests.bench.peers.measure import Found
from tests.bench.peers.plot import picture


def main(path: str, where: str) -> int:
    """Prints the table, and writes the picture."""
    rows = []
    for line in Path(path).read_text().splitlines():
        fields = json.loads(line)
        for name in ("lateness", "rate", "ran"):
            fields[name] = {int(count): value for count, value in fields[name].items()}
        rows.append(Found(**fields))
    print(table(rows))  # noqa: T201
    PICTURE.write_text(picture(rows, where))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
