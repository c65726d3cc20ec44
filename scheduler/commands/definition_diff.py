"""Shows what an apply changes: coloured on a terminal, unless NO_COLOR is set."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import typer

from scheduler.commands.exits import print_error, printable
from scheduler.commands.output import say

MARKS = {"create": "+", "update": "~", "delete": "-"}
COLOURS = {"+": typer.colors.GREEN, "~": typer.colors.YELLOW, "-": typer.colors.RED}
DONE = {"create": "created", "update": "changed", "delete": "deleted"}
TO_DO = {"create": "to create", "update": "to change", "delete": "to delete"}
LONGEST = 100
SECRET = "(secret)"  # noqa: S105  # what is shown in place of one


def show_changes(answer: Mapping[str, Any]) -> None:
    """Prints each object that changes with its fields, and a line with the totals."""
    for change in answer["changes"]:
        _show(change)
    for note in answer["notes"]:
        print_error(printable(note))
    words = TO_DO if answer["dry_run"] else DONE
    counts = {action: sum(each["action"] == action for each in answer["changes"]) for action in MARKS}
    totals = [f"{count} {words[action]}" for action, count in counts.items() if count]
    say(", ".join([*totals, f"{answer['unchanged']} unchanged"]) + ".")


def is_coloured() -> bool:
    """Whether stdout is a terminal that shows colours."""
    from config.settings import read_variable

    return sys.stdout.isatty() and not read_variable("NO_COLOR") and read_variable("TERM") != "dumb"


def _show(change: Mapping[str, Any]) -> None:
    mark = MARKS[change["action"]]
    name = change["name"] if change["agent"] is None else f"{change['agent']}/{change['name']}"
    note = f"  ({change['note']})" if change["note"] else ""
    _line(mark, f"{mark} {change['kind']} {name}{note}")
    for field in change["fields"]:
        for sign, text in _lines(field, is_new=mark == "+"):
            _line(sign, f"    {sign} {text}")
    for what in ("secret", "hook_url"):
        if change[what]:
            say(f"      {what}: {change[what]}  (shown only this once)")


def _lines(field: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
    path = field["path"]
    if field["is_secret"]:
        return [("+" if is_new else "~", f"{path}: {SECRET}")]
    lines = []
    if not is_new and field["before"] is not None:
        lines.append(("-", f"{path}: {_value(field['before'])}{_edited(field)}"))
    if field["after"] is not None:
        lines.append(("+", f"{path}: {_value(field['after'])}"))
    return lines or [("-", f"{path}{_edited(field)}")]


def _edited(field: Mapping[str, Any]) -> str:
    if field["edited_by"] is None:
        return ""
    when = f" at {field['edited_at']}" if field["edited_at"] else ""
    return f"  (edited by hand by {field['edited_by']}{when}; this undoes it)"


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _line(mark: str, text: str) -> None:
    shown = printable(text)
    typer.echo(typer.style(shown, fg=COLOURS[mark]) if is_coloured() else shown)
