"""Fills JSON templates with placeholders, `{{name}}`, and names the values of a wake that they can use.

Values are inserted as values, so they cannot change the structure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from scheduler.domain.errors import InvalidField
from scheduler.domain.json_values import write_json
from scheduler.domain.run import RunRequest
from scheduler.domain.text import counted

MAX_TEMPLATE_CHARS = 65_536
MAX_DEPTH = 32
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
Values = Callable[[str], Any]
"""Returns the value of a known name."""
MAX_NAMED = 5
"""How many triggers a summary names."""


def check_template(template: object, known: Collection[str], field: str) -> None:
    """Raises InvalidField on `field` for a template that cannot be filled with the `known` names."""
    try:
        size = len(json.dumps(template, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        raise InvalidField(f"{field} is not JSON.", field=field) from None
    if size > MAX_TEMPLATE_CHARS:
        raise InvalidField(f"{field} is {size} characters of JSON; {MAX_TEMPLATE_CHARS} are allowed.", field=field)
    for place, text, is_name in _texts(template, ""):
        where = f"{field}{place}" if place else field
        if is_name and "{{" in text:
            raise InvalidField(
                f"{where}: placeholders are only allowed in values, but the name {text!r} contains one.",
                field=field,
            )
        for name in _names_in(text, where, field):
            if name not in known:
                raise InvalidField(f"{where}: {_unknown(name, known)}", field=field)


def fill(template: object, values: Values) -> Any:
    """Returns the filled template: a placeholder that is a whole string keeps the value's type; within text it
    becomes text.
    """
    if isinstance(template, str):
        alone = _PLACEHOLDER.fullmatch(template)
        return values(alone[1]) if alone else fill_text(template, values)
    if isinstance(template, Mapping):
        return {name: fill(each, values) for name, each in template.items()}
    if isinstance(template, list):
        return [fill(each, values) for each in template]
    return template


def fill_text(template: str, values: Values) -> str:
    """Returns text with the values as text: non-text values as JSON, null as nothing."""
    return _PLACEHOLDER.sub(lambda found: as_text(values(found[1])), template)


def fill_path(template: str, values: Values) -> str:
    """Returns the path of a URL, with each value percent-encoded as one segment. Raises InvalidField."""
    return _PLACEHOLDER.sub(lambda found: _segment(found[1], as_text(values(found[1]))), template)


def names_in(template: object) -> set[str]:
    """Returns the names of all placeholders."""
    return {
        each[1] for _, text, is_name in _texts(template, "") if not is_name for each in _PLACEHOLDER.finditer(text)
    }


def as_text(value: object) -> str:
    """Returns text unchanged, nothing for null, and anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else write_json(value, ascii_only=False, sort_keys=False)


def _segment(name: str, value: str) -> str:
    if value in ("", ".", ".."):
        raise InvalidField(f"The value of {name}, {value!r}, cannot be part of an address.", field=name)
    return quote(value, safe="", errors="replace")


def _texts(template: object, place: str, depth: int = 0) -> Iterator[tuple[str, str, bool]]:
    """Yields all texts with their locations, and whether each is a member's name."""
    if depth > MAX_DEPTH:
        raise InvalidField(f"The template is nested deeper than {MAX_DEPTH} levels.", field=place)
    if isinstance(template, str):
        yield place, template, False
    elif isinstance(template, Mapping):
        for name, each in template.items():
            yield place, str(name), True
            yield from _texts(each, f"{place}.{name}", depth + 1)
    elif isinstance(template, list):
        for index, each in enumerate(template):
            yield from _texts(each, f"{place}[{index}]", depth + 1)


def _names_in(text: str, where: str, field: str) -> Iterator[str]:
    for found in _PLACEHOLDER.finditer(text):
        yield found[1]
    if "{{" in _PLACEHOLDER.sub("", text):
        raise InvalidField(f"{where}: {{{{ has no matching }}}}.", field=field)


def _unknown(name: str, known: Collection[str]) -> str:
    listed = ", ".join(known)
    return f"there is no value {name!r}; the values are {listed}." if known else "it takes no values."


def summary_of(request: RunRequest) -> str:
    """Summarizes in one line what woke the agent."""
    counts = Counter(f"{each.trigger.name} ({each.trigger.type})" for each in request.firings)
    named = [f"{name} x{count}" if count > 1 else name for name, count in counts.most_common(MAX_NAMED)]
    more = ["…"] if len(counts) > MAX_NAMED else []
    return f"{counted(len(request.firings), 'firing')}: {', '.join(named + more)}"


WAKE_VALUES: Mapping[str, Callable[[RunRequest], Any]] = MappingProxyType(
    {
        "context": lambda request: request.context,
        "summary": summary_of,
        "invocation_id": lambda request: str(request.invocation_id),
        "attempt": lambda request: request.attempt,
        "agent": lambda request: request.agent.model_dump(mode="json"),
        "agent.id": lambda request: str(request.agent.id),
        "agent.name": lambda request: request.agent.name,
        "firings": lambda request: [each.model_dump(mode="json") for each in request.firings],
        "firing_count": lambda request: len(request.firings),
        "complete_url": lambda request: request.complete_url,
        "complete_token": lambda request: request.complete_token,
        "request": lambda request: request.model_dump(mode="json"),
    }
)
"""All values by name."""
PLAIN = ("invocation_id", "attempt", "agent.id")
"""Those that can be used in a header."""
