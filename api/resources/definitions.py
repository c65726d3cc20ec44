"""Definitions as code: applied and exported as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Response
from pydantic import BaseModel

from api.addresses import hook_address
from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint
from api.schemas.definitions import (
    AgentDefinition,
    AppliedOut,
    ChangeOut,
    ChannelDefinition,
    DefinitionsIn,
    DefinitionsOut,
    ModelDefinition,
    TargetDefinition,
    TriggerDefinition,
)
from api.schemas.triggers import HeartbeatIn
from api.services import services
from scheduler.domain.text import counted
from scheduler.manage.definitions.service import Options, StoredDefinitions
from scheduler.manage.definitions.shapes import AGENT, CHANNEL, MODEL, TARGET, TRIGGER, Change, Doc, FieldChange
from scheduler.manage.definitions.triggers import HOOK
from scheduler.manage.definitions.unit_of_work import Kind
from scheduler.manage.models import Author
from scheduler.runtimes.registry import runtime_of

definitions = blueprint(
    "definitions", "Models, agents, triggers, targets and channels as code: applied and exported as a whole."
)

SHAPES: Mapping[str, type[BaseModel]] = {
    MODEL: ModelDefinition,
    AGENT: AgentDefinition,
    TRIGGER: TriggerDefinition,
    TARGET: TargetDefinition,
    CHANNEL: ChannelDefinition,
}
FIRST = ("name", "type", "kind", "provider", "model", "runtime", "config", "reason")
"""The fields that come first in an export."""
UNSAID = {"is_enabled": True, "is_paused": False}
"""Fields that an export may omit, although an apply has no default for them."""


@definitions.post("/definitions", responses={200: AppliedOut, **CHANGES})
@needs(Level.WRITE)
def apply_definitions(body: DefinitionsIn) -> Response:
    """Make models, agents, triggers, targets and channels as defined, all or none; a second time changes nothing.

    Of what exists, every field is set, to its default if it is left out. Secrets, `is_enabled` and `is_paused` that
    are left out stay. `errors` of a refusal names each invalid field, such as triggers.3.config.expr.
    """
    who = caller()
    options = Options(body.set, body.dry_run, body.prune)
    author = Author(who.actor, who.is_operator)
    applied = services().definitions.apply(who.tenant_id, body.wanted(), author, options)
    changes = [_change_out(each, is_done=not body.dry_run) for each in applied.changes]
    return answer(
        AppliedOut(changes=changes, unchanged=applied.unchanged, notes=applied.notes, dry_run=body.dry_run)
    )


@definitions.get("/definitions", responses={200: DefinitionsOut})
@needs(Level.READ)
def export_definitions() -> Response:
    """Export all models, agents, triggers, targets and channels, without secrets. Applied again, it changes nothing."""
    found = {each.kind.name: each for each in services().definitions.read(caller().tenant_id)}
    models = [_exported(found[MODEL].kind, each.doc, ("MODEL", each.name)) for each in found[MODEL].held]
    own = sum(each.is_own for each in found[TRIGGER].held)
    agents = [
        _exported(found[AGENT].kind, each.doc, (each.name,))
        | _nested(found[TRIGGER], each.name)
        | _nested(found[TARGET], each.name)
        | _nested(found[CHANNEL], each.name)
        for each in found[AGENT].held
    ]
    left_out = [f"{counted(own, 'trigger')} that agents made themselves"] if own else []
    return answer(DefinitionsOut(models=models, agents=agents, left_out=left_out))


def _change_out(change: Change, *, is_done: bool) -> ChangeOut:
    shown = dict(change.shown_once) if is_done else {}
    token = shown.pop(HOOK, None)
    fields = [asdict(each) for each in change.fields if change.action != "create" or not _is_assumed(change, each)]
    return ChangeOut.model_validate(
        asdict(change)
        | {
            "fields": fields,
            "secret": shown.get("secret"),
            "hook_url": None if token is None else hook_address(token),
        }
    )


def _is_assumed(change: Change, field: FieldChange) -> bool:
    """Whether a new object gets this field's value without being told."""
    shape: type[BaseModel] = SHAPES[change.kind]
    name = field.path
    if name.startswith("runtime."):
        kind = next((each.after for each in change.fields if each.path == "runtime.kind"), "")
        shape, name = runtime_of(kind), name.removeprefix("runtime.")
    return not field.is_secret and is_default(shape, name, field.after)


def _nested(found: StoredDefinitions, agent: str) -> dict[str, Any]:
    items = [
        _exported(found.kind, each.doc, (agent, each.name))
        for each in found.held
        if each.agent == agent and not each.is_own
    ]
    return {f"{found.kind.name}s": items} if items else {}


def _exported(kind: Kind, doc: Doc, names: Sequence[str]) -> dict[str, Any]:
    """Returns a definition without defaults, and with references in place of secrets."""
    shape = SHAPES[kind.name]
    shown = {
        name: _referring(kind, doc[name], name, names)
        for name in sorted(doc, key=_rank)
        if not is_default(shape, name, doc[name]) and UNSAID.get(name, ...) != doc[name]
    }
    if "runtime" in shown:
        runtime = runtime_of(doc["runtime"]["kind"])
        shown["runtime"] = {
            name: value for name, value in shown["runtime"].items() if not is_default(runtime, name, value)
        }
    if "heartbeat" in shown:
        shown["heartbeat"] = {
            name: value for name, value in shown["heartbeat"].items() if not is_default(HeartbeatIn, name, value)
        }
    if "mcp_servers" in shown:
        shown["mcp_servers"] = list(shown["mcp_servers"].values())
    return shown


def is_default(shape: type[BaseModel], name: str, value: Any) -> bool:
    """Whether a field has this value if it is omitted."""
    field = shape.model_fields.get(name)
    if field is None or field.is_required():
        return field is None and value is None
    default = field.get_default(call_default_factory=True)
    return bool(value == default) or (not value and not default and value not in (False, 0))


def _rank(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


def _referring(kind: Kind, value: Any, path: str, names: Sequence[str]) -> Any:
    """Returns a value with `{env: NAME}` in place of each secret."""
    if isinstance(value, Mapping):
        return {name: _referring(kind, each, f"{path}.{name}", names) for name, each in value.items()}
    if kind.is_secret(path):
        words = [*names, *path.split(".")[1:]] if "." in path else [*names, path]
        return {"env": re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")}
    return value
