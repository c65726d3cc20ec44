"""Prints results: tables that fit a terminal, plain columns elsewhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import typer

from scheduler.commands.exits import print_error, printable
from scheduler.domain.text import ENDS, STATE_WORDS

Columns = Sequence[tuple[str, str]]
"""The heading and dotted path of each column, e.g. `("RUNTIME", "runtime.kind")`."""

NOTHING = "-"
FOLDABLE = ("ADVICE", "DETAIL", "ERROR", "NOTE", "REASON", "SCOPES", "SUMMARY", "TEXT", "TITLE", "WHAT TO DO")
"""Columns of free text, which may wrap when the terminal is narrow."""
FOLDED_WIDTH = 20
GAP = 2
"""Between columns."""
SHORTEST_ID = 8
SPARE_DIGITS = 2
"""Characters added to short ids, so that an id created a moment later differs too."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_WORDS = {"state": STATE_WORDS, "paused_note": ENDS}
"""What people read for the API's values of a field."""
_TIMES = re.compile(r"(?:.*\.)?(?:.*_)?(?:at|until|scheduled_for)")
_IDS = re.compile(r"(?:.*\.)?(?:.*_)?id")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class View:
    """How results are shown: `wide` tables are not fitted to the terminal, and `utc` times are not local."""

    wide: bool = False
    utc: bool = False

    @property
    def fits(self) -> bool:
        """Whether tables are fitted to a terminal."""
        return sys.stdout.isatty() and not self.wide

    def cell(self, path: str, value: object) -> str:
        """Formats a field of a result on one line."""
        if isinstance(value, str) and _TIMES.fullmatch(path) and _MOMENT.fullmatch(value):
            return self.time(value)
        words = _WORDS.get(path.rpartition(".")[2], {})
        if isinstance(value, str) and value in words:
            return words[value]
        return _one_line(cell(value))

    def time(self, text: str) -> str:
        """Formats a time with its zone: by name on a terminal, elsewhere as RFC 3339, which programs read."""
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC if self.utc else None)
        except (ValueError, OverflowError):
            return text
        if sys.stdout.isatty():
            return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname()}"
        return moment.isoformat().replace("+00:00", "Z")


def say(text: str) -> None:
    """Prints lines for people."""
    _write("\n".join(printable(line) for line in text.split("\n")))


def show_json(value: object, *, indent: int | None = 2) -> None:
    """Prints the API's JSON, indented; escapes terminal control characters as JSON does (RFC 8259 section 7)."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    shown = "".join(char if char.isprintable() or char == "\n" else _json_escape(char) for char in text)
    typer.echo(shown.encode("utf-8", "backslashreplace"))


def show_table(
    rows: Sequence[Mapping[str, Any]], columns: Columns, *, empty: str, view: View | None = None
) -> None:
    """Prints one line for each row; prints `empty` to stderr when there are none."""
    if not rows:
        print_error(empty)
        return
    if not all(isinstance(row, Mapping) for row in rows):
        raise TypeError("rows are objects")
    seen = view or View()
    heads = [head for head, _ in columns]
    cells = [[seen.cell(path, pick(row, path)) for _, path in columns] for row in rows]
    if seen.fits:
        _shorten([path for _, path in columns], cells)
        _fitting_table(heads, cells)
    else:
        _plain_table([heads, *cells])


def show_details(row: Mapping[str, Any], fields: Columns, view: View | None = None) -> None:
    """Prints one line for each field that has a value."""
    seen = view or View()
    shown = [(head, seen.cell(path, pick(row, path))) for head, path in fields if pick(row, path) is not None]
    width = max((len(head) for head, _ in shown), default=0)
    for head, text in shown:
        say(f"{head:<{width}}  {text}")


def show_block(title: str, text: str | None) -> None:
    """Prints a multi-line text under its title; nothing for an empty text."""
    if text:
        say(f"\n{title}\n{text}")


def pick(row: Mapping[str, Any], path: str) -> Any:  # JSON
    """Returns the value at a dotted path; None when the path ends early."""
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def cell(value: object) -> str:
    """Formats a JSON value for people."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value) or NOTHING
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Returns for each id the first characters that tell it from the others, and a few more."""
    ordered = sorted(set(ids))
    common = max((_common(one, next_) for one, next_ in pairwise(ordered)), default=0)
    length = max(SHORTEST_ID, common + 1 + SPARE_DIGITS)
    return {each: each[:length].rstrip("-") for each in ordered}


def _common(one: str, other: str) -> int:
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def _shorten(paths: Sequence[str], cells: Sequence[list[str]]) -> None:
    """Shortens the columns of ids, in place."""
    for column, path in enumerate(paths):
        if _IDS.fullmatch(path):
            short = short_ids([line[column] for line in cells if _ID.fullmatch(line[column])])
            for line in cells:
                line[column] = short.get(line[column], line[column])


def _write(line: str) -> None:
    """Prints to stdout in its charset; Typer treats ASCII as a mistake and prints UTF-8."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _one_line(text: str) -> str:
    return printable(text.replace("\t", " "))


def _json_escape(char: str) -> str:
    return json.dumps(char)[1:-1]


def _plain_table(lines: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(lines[0]))]
    for line in lines:
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        _write("  ".join(padded).rstrip())


def _fitting_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Prints a table if the terminal is wide enough, else each row on separate lines: ids are never split."""
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    widths = [max(cell_len(line[index]) for line in (heads, *cells)) for index in range(len(heads))]
    least = [
        min(width, FOLDED_WIDTH) if head in FOLDABLE else width for head, width in zip(heads, widths, strict=True)
    ]
    if sum(least) + GAP * (len(heads) - 1) > console.width:
        _records(heads, cells)
        return
    # One column of padding and one of the box make GAP.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head not in FOLDABLE)
    for line in cells:
        table.add_row(*(Text(text) for text in line))
    console.print(table)


def _records(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    width = max(map(len, heads))
    for number, line in enumerate(cells):
        if number:
            _write("")
        for head, text in zip(heads, line, strict=True):
            if text != NOTHING:
                _write(f"{head:<{width}}  {text}")
