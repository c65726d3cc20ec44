"""Describes to agents the kinds of trigger that they may create."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.field_names import fields_of
from scheduler.triggers.registry import CLOCKED, OFFERED

MOST_FIELDS = 6
"""How many optional fields of a kind are shown; the error for an invalid config names the others."""


def kinds_for_agents() -> str:
    """Returns a line for each kind: its type, a config example, and when it fires."""
    return "\n".join(f"- {name}: {example_text(kind)}" for name, kind in OFFERED.items())


def example_text(kind: type[TriggerConfig]) -> str:
    """Returns a config example and when it fires: the kind's own text, or one made from its fields and summary."""
    return kind.for_agents or f"{{{', '.join(_members(kind))}}}: {_in_a_sentence(kind.summary)}"


def names_for_agents(*, timed: bool = False) -> str:
    """Returns the types in a sentence; `timed`: only those that fire by the clock."""
    *names, last = (name for name in OFFERED if not timed or name in CLOCKED)
    return f"{', '.join(names)} or {last}" if names else last


def example_of(kind: type[TriggerConfig]) -> tuple[str, list[str]]:
    """Returns a short config of a kind as an example, and the names of the other fields."""
    fields = list(fields_of(kind))
    shown = [each for each in fields if each[1].is_required()] or [each for each in fields if each[1].examples][:1]
    said = ", ".join(f'"{name}": {_example(field)}' for name, field in shown)
    named = {name for name, _ in shown}
    return f"{{{said}}}", [name for name, _ in fields if name not in named]


def _members(kind: type[TriggerConfig]) -> Iterator[str]:
    shown = 0
    for name, field in fields_of(kind):
        if not field.is_required():
            shown += 1
            if shown > MOST_FIELDS:
                continue
        yield f'"{name}"{"" if field.is_required() else "?"}: {_example(field)}'


def _example(field: FieldInfo) -> str:
    if field.examples:
        return _as_json(field.examples[0])
    if get_origin(field.annotation) is Literal:
        return "|".join(_as_json(value) for value in get_args(field.annotation))
    if not field.is_required() and field.default_factory is None and field.default is not None:
        return _as_json(field.default)
    return (field.title or "…").upper()


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _in_a_sentence(summary: str) -> str:
    return summary[:1].lower() + summary[1:].rstrip(".")
