"""Prints results: tables with rich on a terminal, plain columns elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from scheduler.commands.exits import complain

Columns = Sequence[tuple[str, str]]
"""The heading and dotted path of each column, e.g. `("RUNTIME", "runtime.kind")`."""

NOTHING = "-"
FOLDABLE = ("ERROR", "NOTE", "REASON", "SCOPES")
"""Columns of free text, which may wrap when the terminal is narrow."""
FOLDED_WIDTH = 20
GAP = 2
"""Between columns."""
KEPT = "\t\u200c\u200d"
"""Invisible characters that are allowed: tabs, and the joiners in Persian or in emoji."""


def say(text: str) -> None:
    """Prints lines for people."""
    typer.echo("\n".join(printable(line) for line in text.split("\n")))


def show_json(value: object) -> None:
    """Prints the API's JSON, indented; escapes terminal control characters as JSON does (RFC 8259 section 7)."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    shown = "".join(char if char.isprintable() or char == "\n" else _json_escape(char) for char in text)
    typer.echo(shown.encode("utf-8", "backslashreplace"))


def show_table(rows: Sequence[Mapping[str, Any]], columns: Columns, *, empty: str) -> None:
    """Prints one line for each row; prints `empty` to stderr when there are none."""
    if not rows:
        complain(empty)
        return
    heads = [head for head, _ in columns]
    cells = [[_one_line(cell(pick(row, path))) for _, path in columns] for row in rows]
    if sys.stdout.isatty():
        _fitting_table(heads, cells)
    else:
        _plain_table([heads, *cells])


def show_details(row: Mapping[str, Any], fields: Columns) -> None:
    """Prints one line for each field that has a value."""
    shown = [(head, _one_line(cell(pick(row, path)))) for head, path in fields if pick(row, path) is not None]
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


def printable(text: str) -> str:
    """Escapes terminal control characters, so that other people's text cannot control the terminal."""
    return "".join(char if char.isprintable() or char in KEPT else _escape(char) for char in text)


def _one_line(text: str) -> str:
    return printable(text.replace("\t", " "))


def _json_escape(char: str) -> str:
    return json.dumps(char)[1:-1]


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _plain_table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    for line in lines:
        padded = (f"{text:<{width}}" for text, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


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
    if sum(least) + GAP * len(heads) > console.width:
        _records(heads, cells)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head not in FOLDABLE)
    for line in cells:
        table.add_row(*(Text(text) for text in line))
    console.print(table)


def _records(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    width = max(map(len, heads))
    for number, line in enumerate(cells):
        if number:
            typer.echo("")
        for head, text in zip(heads, line, strict=True):
            if text != NOTHING:
                typer.echo(f"{head:<{width}}  {text}")
