"""Creates the inputs of a web form from the fields of a pydantic model: titles, hints and types, and reads their
values.

An input's name is the dotted path of its field, by which an error finds its input.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from werkzeug.datastructures import MultiDict

from scheduler.domain.errors import InvalidField
from scheduler.net.headers import is_header_name
from scheduler.triggers.field_names import fields_of

NUMBERS = (int, float)


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `kind`: text, area, number, whole, check, yesno, select or choices with `options`, lines, headers,
    or json.
    """

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    required: bool = False
    default: Any = None
    can_be_null: bool = True
    """Whether an empty input means null; otherwise the default."""
    group: str = ""
    """The path of its object, which is present or absent as a whole."""
    is_secret: bool = False
    is_folded: bool = False
    example: str = ""
    """The placeholder of an empty input."""
    picker: str = ""
    """What helps to fill it in, named by the field's `x-picker`: `days`, or `zone`."""


def inputs_of(
    model: type[BaseModel], prefix: str = "", *, secrets: Collection[str] = (), leave_out: Collection[str] = ()
) -> Iterator[Input]:
    """Returns the inputs of `model`'s fields, below `prefix`; `secrets` are paths that are never shown."""
    for name, field in fields_of(model):
        if name not in leave_out:
            yield from _of_field(f"{prefix}{name}", name, field, secrets)


def _of_field(path: str, inner: str, field: FieldInfo, secrets: Collection[str]) -> Iterator[Input]:
    core, can_be_null = _core(field.annotation)
    if isinstance(core, type) and issubclass(core, BaseModel):
        for each in inputs_of(core, f"{path}."):
            is_secret = f"{inner}.{each.name.rsplit('.', 1)[1]}" in secrets
            label = f"{field.title}: {each.label[:1].lower()}{each.label[1:]}" if field.title else each.label
            yield replace(
                each,
                is_secret=is_secret,
                label=label,
                group=path,
                required=False,
                hint=each.hint or (field.description or "" if each.required else ""),
            )
        return
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    labels: Any = extra.get("x-labels", {})
    yield Input(
        path,
        field.title or inner.replace("_", " ").capitalize(),
        field.description or "",
        str(extra.get("x-input") or _kind_of(core, can_be_null=can_be_null)),
        _options(core, labels, empty=can_be_null or field.is_required()),
        required=field.is_required(),
        default=_default(core, field),
        can_be_null=can_be_null or core is Any,
        is_secret=inner in secrets,
        is_folded=bool(extra.get("x-folded")),
        picker=str(extra.get("x-picker", "")),
    )


def _default(core: Any, field: FieldInfo) -> Any:
    if _is_choices(core):
        return field.get_default(call_default_factory=True)
    return None if field.is_required() or field.default_factory else field.default


def _core(annotation: Any) -> tuple[Any, bool]:
    """Returns the type without `Annotated` and None, and whether None was in it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _core(get_args(annotation)[0])
    if origin in (Union, UnionType):
        kept = [part for part in get_args(annotation) if part is not NoneType]
        has_null = len(kept) < len(get_args(annotation))
        return (_core(kept[0])[0] if len(kept) == 1 else tuple(_core(part)[0] for part in kept)), has_null
    return annotation, False


def _kind_of(core: Any, *, can_be_null: bool) -> str:
    if core is bool:
        return "yesno" if can_be_null else "check"
    if core in NUMBERS:
        return "whole" if core is int else "number"
    if get_origin(core) is Literal:
        return "select"
    if _is_choices(core):
        return "choices"
    if _is_texts(core) or (isinstance(core, tuple) and str in core and any(map(_is_texts, core))):
        return "lines"
    if get_origin(core) is dict and all(_core(part)[0] is str for part in get_args(core)):
        return "headers"
    return "text" if core is str or hasattr(core, "isoformat") else "json"


def _is_choices(core: Any) -> bool:
    return get_origin(core) is list and get_origin(_core(get_args(core)[0])[0]) is Literal


def _is_texts(core: Any) -> bool:
    return get_origin(core) is list and _core(get_args(core)[0])[0] is str


def _options(core: Any, labels: Mapping[str, str], *, empty: bool) -> tuple[tuple[str, str], ...]:
    if core is bool and empty:
        return (("", "–"), ("yes", "yes"), ("no", "no"))
    if _is_choices(core):
        core, empty = _core(get_args(core)[0])[0], False
    if get_origin(core) is not Literal:
        return ()
    named = tuple((str(value), labels.get(str(value), str(value))) for value in get_args(core))
    return (("", "–"), *named) if empty else named


def texts_of(form: MultiDict[str, str], inputs: Iterable[Input]) -> dict[str, str]:
    """Returns the texts of a form, those of several checkboxes one per line."""
    texts = form.to_dict()
    for each in inputs:
        if each.kind == "choices" and each.name in form:
            texts[each.name] = "\n".join(filter(None, form.getlist(each.name)))
    return texts


def same_lines(text: str) -> str:
    """Returns `text` with the line ends that browsers send."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read(each: Input, text: str) -> Any:
    """Returns the value of `text`; None when it is empty. Raises InvalidField for an invalid one."""
    text = same_lines(text)
    if each.kind not in ("json", "area"):
        text = text.strip()
    if each.kind == "check":
        return bool(text)
    if each.kind == "choices" and not text:
        raise InvalidField("Choose at least one.", field=each.name)
    if not text:
        return None
    return _READERS[each.kind](each, text) if each.kind in _READERS else text


def show(each: Input, value: Any) -> str:
    """Returns the text for a value, such that reading it returns the same value; empty for a secret."""
    if value is None or (value is False and each.kind != "yesno") or each.is_secret:
        return ""
    if each.kind == "yesno":
        return "yes" if value else "no"
    if value is True:
        return "1"
    if each.kind == "choices":
        return "\n".join(option for option, _ in each.options if option in value)
    if each.kind == "lines":
        return value if isinstance(value, str) else "\n".join(value)
    if each.kind == "headers":
        return "\n".join(f"{name}: {held or ''}" for name, held in value.items())
    if each.kind == "json":
        return value if isinstance(value, str) and _json_or_text(each, value) == value else _as_json(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(each: Input, text: str) -> float | int:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise InvalidField("Enter a number.", field=each.name) from None


def _lines(_each: Input, text: str) -> str | list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _secrets(each: Input, text: str) -> str | list[str]:
    found = _lines(each, text)
    return found[0] if len(found) == 1 else found


def _headers(each: Input, text: str) -> dict[str, str | None]:
    """Parses one header per line; one without a value is removed. Errors repeat nothing, which may be secret."""
    headers: dict[str, str | None] = {}
    for number, line in enumerate(_lines(each, text), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not is_header_name(name):
            raise InvalidField(
                f"Line {number} is not of the form Name: value, with a name of letters, digits and hyphens.",
                field=each.name,
            )
        headers[name] = value or None
    return headers


def _json_or_text(_each: Input, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_READERS = {
    "choices": _lines,
    "number": _number,
    "whole": _number,
    "lines": lambda each, text: _secrets(each, text) if each.is_secret else _lines(each, text),
    "headers": _headers,
    "yesno": lambda _each, text: text == "yes",
    "json": _json_or_text,
}
