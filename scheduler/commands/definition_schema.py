"""The JSON Schema of definition files, built from the shapes that the service validates with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.schemas.definitions import (
    AgentDefinition,
    ChannelDefinition,
    ModelDefinition,
    TargetDefinition,
    TriggerDefinition,
)
from scheduler.definitions.files import NESTED
from scheduler.manage.definitions import channels, models, targets
from scheduler.runtimes.registry import RUNTIMES
from scheduler.triggers.registry import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "Reference"
SECTIONS: Mapping[str, type[BaseModel]] = {
    "models": ModelDefinition,
    "agents": AgentDefinition,
    "triggers": TriggerDefinition,
    "targets": TargetDefinition,
    "channels": ChannelDefinition,
}
SECRETS = {"models": models.SECRETS, "targets": targets.SECRETS, "channels": channels.SECRETS}


def definition_schema() -> dict[str, Any]:
    """Returns the schema."""
    offered = {name: kind for name, kind in KINDS.items() if kind.is_offered}
    shapes: list[type[BaseModel]] = [*SECTIONS.values(), *RUNTIMES.values(), *offered.values()]
    refs, whole = models_json_schema([(shape, "validation") for shape in shapes], ref_template="#/$defs/{model}")
    parts: dict[str, Any] = whole["$defs"]
    parts[REFERENCE] = _reference()
    own = {section: parts[_name(refs[shape, "validation"])] for section, shape in SECTIONS.items()}
    for section, secrets in SECRETS.items():
        _may_refer(own[section], secrets)
    for name, runtime in RUNTIMES.items():
        part = parts[_name(refs[runtime, "validation"])]
        _may_refer(part, runtime.secrets)
        _name_models(part, [field for field, choice in runtime.choices.items() if choice == "models"])
        own["agents"].setdefault("allOf", []).append(_when("runtime", "kind", name, refs[runtime, "validation"]))
    for name, kind in offered.items():
        _may_refer(parts[_name(refs[kind, "validation"])], [path.split(".")[0] for path in kind.secrets])
        own["triggers"].setdefault("allOf", []).append(_with_config(name, refs[kind, "validation"]))
    _nest(parts, own)
    sections = {name: _list_of(refs[shape, "validation"]) for name, shape in SECTIONS.items()}
    return {
        "$schema": DIALECT,
        "title": "Reveille definitions",
        "type": "object",
        "properties": sections,
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "$defs": parts,
    }


def _nest(parts: dict[str, Any], own: dict[str, Any]) -> None:
    """Lets triggers, targets and channels stand within their agent, where they do not name it."""
    for section in NESTED:
        nested = own[section] | {
            "properties": {name: each for name, each in own[section]["properties"].items() if name != "agent"},
            "required": [name for name in own[section]["required"] if name != "agent"],
        }
        parts[f"Nested{section.title()}"] = nested
        own["agents"]["properties"][section] = _list_of({"$ref": f"#/$defs/Nested{section.title()}"})


def _reference() -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return {
        "description": "Where a secret is: an environment variable, or a file beside this one.",
        "oneOf": [
            {"type": "object", "properties": {name: text}, "required": [name], "additionalProperties": False}
            for name in ("env", "file")
        ],
    }


def _may_refer(part: dict[str, Any], fields: Iterable[str]) -> None:
    """Lets secrets, and what is within them, be references."""
    for name in fields:
        field = part["properties"].get(name)
        if field is None:
            continue
        words = {key: field[key] for key in ("title", "description") if key in field}
        within = {"type": "object", "additionalProperties": True}
        part["properties"][name] = words | {"anyOf": [{"$ref": f"#/$defs/{REFERENCE}"}, field, within]}


def _name_models(part: dict[str, Any], fields: Iterable[str]) -> None:
    """Lets a runtime refer to a model by name: `model` beside `model_id`."""
    for field in fields:
        short = field.removesuffix("_id")
        part["properties"][short] = {"type": "string", "description": "The name of a model."}
        part["required"] = [name for name in part.get("required", []) if name != field]


def _when(holder: str, field: str, value: str, ref: dict[str, Any]) -> dict[str, Any]:
    asked = {"properties": {holder: {"properties": {field: {"const": value}}, "required": [field]}}}
    return {"if": asked, "then": {"properties": {holder: ref}}}


def _with_config(kind: str, ref: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {"type": {"const": kind}}}, "then": {"properties": {"config": ref}}}


def _list_of(ref: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": ref}


def _name(ref: dict[str, Any]) -> str:
    return str(ref["$ref"]).rsplit("/", 1)[-1]
