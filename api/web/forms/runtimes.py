"""The runtime's part of an agent's form, built from the fields of the runtime's settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from annotated_types import MaxLen

from api.schemas.agents import AgentIn
from api.web.forms.fields import Input, inputs_of, read, show
from api.web.forms.validation import of_input
from scheduler.domain.errors import ReveilleError
from scheduler.domain.field_errors import InvalidRequest
from scheduler.runtimes.base import RuntimeConfig
from scheduler.runtimes.registry import runtime_of

LONG = 1000
"""A text with a higher limit gets a multi-line input."""
RUNTIME = "runtime."


@cache
def runtime_inputs(kind: str) -> Sequence[tuple[str, Input]]:
    """Returns each field of a runtime's settings with its input, the main ones first.

    An input has its field's name. A field with the same name as one of the agent's is named after the runtime
    instead: the program of `command` is `command`.
    """
    runtime = runtime_of(kind)
    inputs = dict(_inputs(runtime))
    order = [*runtime.main_fields, *(field for field in inputs if field not in runtime.main_fields)]
    return [(field, inputs[field]) for field in order]


def _inputs(runtime: type[RuntimeConfig]) -> Iterator[tuple[str, Input]]:
    for each in inputs_of(runtime, secrets=runtime.secrets, leave_out={"kind"}):
        field = runtime.model_fields[each.name.partition(".")[0]]
        is_long = any(isinstance(bound, MaxLen) and bound.max_length > LONG for bound in field.metadata)
        yield (
            each.name,
            replace(
                each,
                name=_name(runtime, each.name),
                kind="area" if each.kind == "text" and is_long and not _is_address(each) else each.kind,
                is_folded=bool(runtime.main_fields) and each.name not in runtime.main_fields,
                example=str(field.examples[0]) if field.examples and each.kind == "text" else "",
            ),
        )


def _name(runtime: type[RuntimeConfig], field: str) -> str:
    if field not in AgentIn.model_fields:
        return field
    return runtime.kind_name() if field == "name" else RUNTIME + field


def _is_address(each: Input) -> bool:
    return each.name.rpartition("_")[2] == "url"


def form_of(
    kind: str,
    choices: Mapping[str, Sequence[tuple[str, str]]],
    given: Mapping[str, Any],
    *,
    is_new: bool,
    unfolded: Collection[str] = (),
) -> list[Input]:
    """Returns the inputs of a runtime, with the tenant's models and the operator's commands to choose from.

    The current choice is kept even if it is no longer offered.
    """
    chosen = runtime_of(kind).choices
    found = []
    for field, each in runtime_inputs(kind):
        shown = replace(each, is_folded=each.is_folded and field not in unfolded)
        if field in chosen:
            options = [*([] if each.required else [("", "none")]), *choices[chosen[field]]]
            held = str(given.get(each.name) or "")
            options += [(held, held)] if held and held not in dict(options) and not is_new else []
            shown = replace(shown, kind="select", options=tuple(options))
        found.append(shown)
    return found


def lacking(kind: str, choices: Mapping[str, Sequence[object]]) -> list[str]:
    """Returns the missing choices that the runtime needs."""
    runtime = runtime_of(kind)
    needed = (of for name, of in runtime.choices.items() if runtime.model_fields[name].is_required())
    return [of for of in dict.fromkeys(needed) if not choices[of]]


def values_of(kind: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns the inputs' values for a runtime, without secrets."""
    return {each.name: show(each, _of(settings, field, each.default)) for field, each in runtime_inputs(kind)}


def address_of(settings: Mapping[str, Any]) -> str:
    """Returns the text shown beside a runtime's name: its first setting, unless that is an id."""
    runtime = runtime_of(settings["kind"])
    first = next(iter(runtime.main_fields), "")
    return "" if runtime.choices.get(first) == "models" else str(settings.get(first) or "")


def read_new(kind: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Reads the runtime of a form, without empty fields. Raises InvalidField."""
    runtime: dict[str, Any] = {"kind": kind}
    for field, each in runtime_inputs(kind):
        value = read(each, form.get(each.name, ""))
        if each.kind == "headers" and isinstance(value, Mapping):
            value = {name: held for name, held in value.items() if held is not None} or None
        if value is not None and (each.kind != "check" or value != bool(each.default)):
            _put(runtime, field, value)
    return runtime


def read_changes(kind: str, settings: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """Returns the patch (RFC 7396) between a runtime and a form. Raises InvalidField."""
    changed: dict[str, Any] = {}
    before = values_of(kind, settings)
    for field, each in runtime_inputs(kind):
        text = form.get(each.name, "" if each.kind == "check" else before[each.name]).replace("\r\n", "\n").strip()
        if text == before[each.name].strip() or (each.is_secret and not text):
            continue
        value = read(each, text)
        held = _of(settings, field, None)
        if field not in runtime_of(kind).whole and isinstance(value, Mapping) and isinstance(held, Mapping):
            value = dict.fromkeys(held) | dict(value)
        _put(changed, field, value if value is not None or each.can_be_null else each.default)
    return changed


def errors_of(kind: str, error: ReveilleError) -> dict[str, str]:
    """Returns each invalid field's message by the name of its input; those of no input are under `""`."""
    if isinstance(error, InvalidRequest):
        return {_input_at(kind, each.field): each.message for each in reversed(error.errors)}
    return {_input_at(kind, error.field or ""): error.message}


def _input_at(kind: str, path: str) -> str:
    names = [each.name for _, each in runtime_inputs(kind)]
    if not path.startswith(RUNTIME):
        return path if path in names else path.split(".")[-1]
    fields = {field: each.name for field, each in runtime_inputs(kind)}
    return fields.get(of_input(path.removeprefix(RUNTIME), list(fields)), "")


def _of(settings: Mapping[str, Any], field: str, default: Any) -> Any:
    value: Any = settings
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return default if value is None else value


def _put(runtime: dict[str, Any], field: str, value: Any) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        runtime = runtime.setdefault(parent, {})
    runtime[last] = value
