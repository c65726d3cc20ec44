"""The form of each kind of trigger: its inputs, and what they come to as the API's own shapes.

An input's name is the path of its field, `config.signature.scheme`, so that an error finds its input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from api.problems import InvalidRequest, field_errors
from api.schemas.triggers import TriggerIn
from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.signatures.registry import PRESETS

CONFIG = "config."
SECRET_KEPT = "Stored and never shown. Leave empty to keep it."  # noqa: S105  # a hint


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `kind`: text, number, lines, headers, json, area, check, secret, or select with `options`."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    options: tuple[str, ...] = ()


ZONE = Input("config.timezone", "Time zone", "For example Europe/Berlin. Empty: the agent's, else the tenant's.")
RECURRING = (
    Input("config.only_between", "Only between", "HH:MM-HH:MM in local time; may span midnight."),
    Input("config.exclude", "Excluded dates", "One date or FIRST/LAST range per line.", "lines"),
    Input("config.until", "Until", "A date (inclusive) or a time."),
    Input(
        "config.jitter_seconds",
        "Jitter (seconds)",
        "Spreads out runs that share a start time.",
        "number",
    ),
)
KINDS: dict[str, tuple[Input, ...]] = {
    "cron": (
        Input(
            "config.expr",
            "Expression",
            "Minute hour day month weekday, for example 0 9 * * mon-fri, or @daily.",
        ),
        ZONE,
        *RECURRING,
    ),
    "interval": (
        Input(
            "config.minutes",
            "Every (minutes)",
            "The first run is one interval from now. Fractions are allowed.",
            "number",
        ),
        ZONE,
        *RECURRING,
    ),
    "once": (
        Input("config.at", "At", "ISO 8601, for example 2030-01-31T09:00:00+01:00. Without an offset: UTC."),
    ),
    "poll": (
        Input("config.url", "URL", "Must answer with JSON."),
        Input("config.method", "Method", kind="select", options=("GET", "POST", "PUT", "PATCH")),
        Input("config.headers", "Headers", "One per line, as Name: value. " + SECRET_KEPT, "headers"),
        Input("config.body", "Body", "JSON, or plain text.", "json"),
        Input(
            "config.json_path",
            "JSONPath",
            "Where the value is (RFC 9535), for example $.status. Empty: the whole document.",
        ),
        Input("config.interval_min", "Check every (minutes)", "At least five.", "number"),
        Input("config.fire_on", "Fires on", kind="select", options=("change", "match")),
        Input("config.match_value", "Value to match", "JSON, or plain text.", "json"),
        Input(
            "config.repeat", "Fire on every matching check, not only when the value first matches", kind="check"
        ),
    ),
    "on_message": (
        Input("config.from_agent", "From agent", "Name or ID. Alternatively, name a user below."),
        Input("config.from_user", "From user", "Name or ID."),
        Input(
            "config.channels",
            "Channels",
            "One per line: web, slack, discord, feishu. Leave empty for all.",
            "lines",
        ),
        Input("config.text_match.contains", "Text contains"),
        Input("config.text_match.regex", "Text matches", "A regular expression."),
        Input("config.any_session", "Any session, not only those with this agent", kind="check"),
    ),
    "webhook": (
        Input(
            "config.signature.scheme",
            "Signature scheme",
            "Leave empty to let anyone who knows the address call.",
            "select",
            ("", *PRESETS),
        ),
        Input("config.signature.secret", "Signing secret", SECRET_KEPT, "secret"),
        Input("config.signature.header", "Signature header", "For generic-hmac."),
        Input("config.filter.json_path", "Filter: JSONPath", "Only deliveries whose body has a match."),
        Input("config.filter.header", "Filter: header", "Only deliveries with this header."),
        Input("config.filter.equals", "Filter: equals", "The value that the match or header must have."),
    ),
}
COMMON = (
    Input("reason", "Reason", "Tells the agent why it is woken.", "area"),
    Input("focus_ref", "Focus", "What it belongs to, for example tickets/4711. Triggers are grouped by focus."),
    Input(
        "notification_summary",
        "Notification summary",
        "Heads the agent's reply where people read it. Leave empty to use the start of the reason.",
    ),
    Input("urgent", "Urgent: close the agent's batching window immediately", kind="check"),
)
LIMITS = (
    Input("max_fires", "Maximum runs", "Then it is disabled. Leave empty for no limit.", "number"),
    Input(
        "cooldown_seconds",
        "Cooldown (seconds)",
        "Minimum time between two wakes. Nothing is lost.",
        "number",
    ),
    Input("expires_at", "Expires at", "ISO 8601."),
    Input("misfire_policy", "Missed runs", kind="select", options=("latest", "all", "skip")),
    Input("grace_seconds", "Grace period (seconds)", "How late a run may still start under skip.", "number"),
)
MULTI = frozenset({"lines", "headers"})
WHOLE = ("signature", "filter", "text_match")
"""Parts of a config that are there whole or not at all."""


def inputs_of(kind: str) -> Sequence[Input]:
    """All inputs of a kind of trigger."""
    return (Input("name", "Name"), *KINDS[kind], *COMMON, *LIMITS)


def read_form(kind: str, form: Mapping[str, str]) -> dict[str, Any]:
    """What a form of `kind` says, as the fields of a TriggerIn; what was left empty is left out.

    Raises InvalidField for what cannot be a value of its input.
    """
    fields: dict[str, Any] = {"type": kind, "config": {}}
    for each in inputs_of(kind):
        value = _read(each, form.get(each.name, "").replace("\r\n", "\n"))
        if value is not None:
            _put(fields, each.name, value)
    return fields


def as_trigger(fields: Mapping[str, Any]) -> TriggerIn:
    """The fields as the API's own shape. Raises InvalidRequest, naming each wrong field."""
    try:
        return TriggerIn.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None


def as_patch(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The change (RFC 7396) that makes a trigger what the form says: what is empty goes, a secret stays."""
    checked = as_trigger(fields)
    shown = {each.name for each in inputs_of(kind)} - {name for name in _names(kind) if _is_secret(kind, name)}
    patch = {name: getattr(checked, name) for name in shown if not name.startswith(CONFIG)}
    config: dict[str, Any] = {
        name.split(".")[1]: None for name in shown if name.startswith(CONFIG) and name.count(".") == 1
    }
    for part in WHOLE:
        if any(name.startswith(f"{CONFIG}{part}.") for name in _names(kind)):
            config[part] = None
    for name, value in checked.config.items():
        config[name] = _with_nulls(kind, name, value) if name in WHOLE else value
    return patch | {"config": config}


def values_of(kind: str, trigger: Any) -> dict[str, str]:
    """What the inputs show of a trigger; nothing of a secret."""
    shown = {}
    for each in inputs_of(kind):
        value: Any = trigger.config if each.name.startswith(CONFIG) else trigger
        for part in each.name.removeprefix(CONFIG).split("."):
            value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        shown[each.name] = "" if _is_secret(kind, each.name) else _shown(each, value)
    return shown


def errors_of(error: ReveilleError) -> dict[str, str]:
    """Each wrong field's message, by the name of its input."""
    if isinstance(error, InvalidRequest):
        return {each.field: each.message for each in error.errors}
    return {error.field: error.message} if error.field else {}


def _names(kind: str) -> list[str]:
    return [each.name for each in KINDS[kind]]


def _is_secret(kind: str, name: str) -> bool:
    return any(each.name == name and each.kind in ("secret", "headers") for each in KINDS[kind])


def _with_nulls(kind: str, part: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a config with a null for each of its inputs that was left empty; a secret is just left out."""
    prefix = f"{CONFIG}{part}."
    inside = [name for name in _names(kind) if name.startswith(prefix) and not _is_secret(kind, name)]
    return {name.removeprefix(prefix): None for name in inside} | dict(value)


def _read(each: Input, text: str) -> Any:
    if each.kind not in ("json", "area"):
        text = text.strip()
    if each.kind == "check":
        return True if text else None
    if not text:
        return None
    if each.kind in MULTI or each.kind == "number":
        return _READERS[each.kind](each, text)
    return _json_or_text(text) if each.kind == "json" else text


def _number(each: Input, text: str) -> float | int:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise InvalidField(f"{each.label}: {text[:40]!r} is not a number.", field=each.name) from None


def _lines(_each: Input, text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _headers(each: Input, text: str) -> dict[str, str]:
    headers = {}
    for line in _lines(each, text):
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidField(f"{line[:40]!r} is not of the form Name: value.", field=each.name)
        headers[name.strip()] = value.strip()
    return headers


_READERS = {"number": _number, "lines": _lines, "headers": _headers}


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(fields: dict[str, Any], path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        fields = fields.setdefault(part, {})
    fields[last] = value


def _shown(each: Input, value: Any) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, list) and each.kind == "lines":
        return "\n".join(value)
    if each.kind == "json" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if each.kind == "check":
        return "1"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return f"{value:g}" if isinstance(value, float) else str(value)
