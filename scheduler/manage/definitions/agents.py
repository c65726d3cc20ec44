"""Definitions of agents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute

from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.text import counted
from scheduler.manage.agents.runtimes import CEILINGS, FLOORS
from scheduler.manage.agents.service import NewAgent, SavedAgent
from scheduler.manage.definitions.agent_parts import (
    SECRETS,
    apply_heartbeat,
    by_server,
    generated_secrets,
    read_heartbeats,
    server_docs,
    server_patch,
    wanted_heartbeat,
    with_model_ids,
    with_model_names,
)
from scheduler.manage.definitions.compare import keep, patch_to
from scheduler.manage.definitions.shapes import (
    AGENT,
    Doc,
    FieldChange,
    StoredDefinition,
    WantedDefinition,
    as_json,
)
from scheduler.manage.definitions.unit_of_work import Kind, NewObject, create_in_bulk
from scheduler.manage.triggers.rows import HEARTBEAT
from scheduler.runtimes.base import RuntimeConfig
from scheduler.runtimes.registry import RUNTIME, runtime_of
from scheduler.storage.agents import AGENTS
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import Agent, Trigger
from scheduler.storage.tables.notifications import NotificationTarget

SERVERS = "mcp_servers"
PARTS = frozenset({"runtime", SERVERS, "is_paused", HEARTBEAT})


class Agents(Kind):
    """Agents, with their runtimes, MCP servers and heartbeats."""

    name: ClassVar = AGENT
    keeps: ClassVar = ("is_paused", HEARTBEAT)
    whole: ClassVar = ("runtime.body",)

    def read(self) -> list[StoredDefinition]:
        """Returns the tenant's agents."""
        query = select(AGENTS).where(Agent.tenant_id == self.work.tenant.id, Agent.deleted_at.is_(None))
        found = rows_as(Agent, self.work.conn.execute(query))
        names = {id_: name for name, id_ in self.work.model_ids.items()}
        beats = read_heartbeats(self.work.conn, self.work.tenant.id)
        return [
            StoredDefinition(row.id, None, row.name, self._doc(row, names, beats.get(row.id)), row)
            for row in found
        ]

    def _doc(self, row: Agent, models: Mapping[UUID, str], heartbeat: Doc | None) -> Doc:
        doc: Doc = {name: as_json(getattr(row, name)) for name in SETTINGS}
        doc |= {"runtime": self._runtime_doc(row, models), "is_paused": row.is_paused}
        for name, tenants_name in (CEILINGS | FLOORS).items():
            if doc[name] == getattr(self.work.tenant, tenants_name):
                doc[name] = None
        held = {} if row.mcp_secrets is None else json.loads(self.work.operator.box.decrypt(row.mcp_secrets))
        doc[SERVERS] = {
            each["name"]: {**each, **({"headers": held[each["name"]]} if each["name"] in held else {})}
            for each in row.mcp_servers
        }
        return doc if heartbeat is None else doc | {HEARTBEAT: heartbeat}

    def _runtime_doc(self, row: Agent, models: Mapping[UUID, str]) -> Doc:
        secrets: Mapping[str, Any] = {}
        if row.runtime_secret is not None:
            opened = runtime_of(row.runtime_kind).unpack(self.work.operator.box.decrypt(row.runtime_secret))
            secrets = {name: value for name, value in opened.items() if value}
        return with_model_names({"kind": row.runtime_kind, **row.runtime, **secrets}, models)

    def is_secret(self, path: str) -> bool:
        """The runtime's secrets and the headers of MCP servers are."""
        first, *rest = path.split(".")
        if first == "runtime" and rest:
            return rest[0] in SECRETS
        return first == SERVERS and rest[1:2] == ["headers"]

    def desired(self, wanted: WantedDefinition, held: StoredDefinition | None) -> Doc:
        """Returns the definition; secrets that are not given stay."""
        stored = None if held is None else held.doc
        doc: Doc = {name: as_json(wanted.fields[name]) for name in SETTINGS if name in wanted.fields}
        doc["name"] = wanted.name
        for name, tenants_name in (CEILINGS | FLOORS).items():
            if doc[name] == getattr(self.work.tenant, tenants_name):
                doc[name] = None
        if wanted.fields.get("is_paused") is not None:
            doc["is_paused"] = wanted.fields["is_paused"]
        if wanted.fields.get(HEARTBEAT) is not None:
            doc[HEARTBEAT] = wanted_heartbeat(self.work, wanted.fields[HEARTBEAT], (stored or {}).get(HEARTBEAT))
        doc["runtime"] = deepcopy(wanted.fields["runtime"])
        doc[SERVERS] = server_docs(wanted.fields[SERVERS], {} if stored is None else stored[SERVERS])
        for path, why in wanted.kept.items():
            keep(doc, by_server(path, wanted.fields[SERVERS]), why, stored)
        doc["runtime"] = self._whole_runtime(doc["runtime"], None if stored is None else stored["runtime"])
        return doc

    def _whole_runtime(self, given: Doc, stored: Doc | None) -> Doc:
        """Returns the runtime with what its shape fills in. Raises InvalidField below `runtime`."""
        if stored is not None and stored["kind"] == given.get("kind"):
            names = runtime_of(stored["kind"]).secrets
            given = {name: stored[name] for name in names if name in stored} | given
        parsed = self._parsed(given)
        if stored is not None:
            parsed = parsed.completed()
        models = {id_: name for name, id_ in self.work.model_ids.items()}
        shown = parsed.model_dump(mode="json", exclude_none=True)
        return with_model_names({**shown, "kind": parsed.kind_name()}, models)

    def _parsed(self, given: Doc) -> RuntimeConfig:
        try:
            return RUNTIME.validate_python(with_model_ids(given, self.work.model_ids))
        except ValidationError as error:
            raise InvalidRequest(field_errors(error, ("runtime",))) from None

    def create(self, new: Sequence[tuple[WantedDefinition, Doc]]) -> list[tuple[WantedDefinition, NewObject]]:
        """Creates agents in one go."""
        planned, beats = [], {}
        for wanted, doc in new:
            with self.work.errors.at(wanted.place):
                settings = {name: wanted.fields[name] for name in SETTINGS if name in wanted.fields}
                runtime, servers = self._parsed(doc["runtime"]), wanted.fields[SERVERS]
                planned.append((wanted, NewAgent({**settings, "name": wanted.name}, runtime, servers)))
                if HEARTBEAT in doc:
                    beats[wanted.key] = doc[HEARTBEAT]
        service, tenant_id, actor = self.work.services.agents, self.work.tenant.id, self.work.actor
        saved = create_in_bulk(
            self.work.errors, planned, lambda rows: service.create_all(tenant_id, rows, actor=actor)
        )
        models = {id_: name for name, id_ in self.work.model_ids.items()}
        for wanted, each in saved:
            if wanted.fields.get("is_paused"):
                service.pause(tenant_id, each.row.id, actor=actor)
            if wanted.key in beats:
                with self.work.errors.at(f"{wanted.place}.{HEARTBEAT}"):
                    apply_heartbeat(self.work, each.row.id, beats[wanted.key])
        return [(wanted, self._made(wanted, each, models, beats.get(wanted.key))) for wanted, each in saved]

    def _made(
        self, wanted: WantedDefinition, saved: SavedAgent, models: Mapping[UUID, str], heartbeat: Doc | None
    ) -> NewObject:
        doc = self._doc(saved.row, models, heartbeat)
        if not wanted.fields.get("is_paused"):
            del doc["is_paused"]
        return NewObject(saved.row.id, doc, generated_secrets(saved, wanted.fields["runtime"]))

    def update(
        self, wanted: WantedDefinition, held: StoredDefinition, desired: Doc, changes: Sequence[FieldChange]
    ) -> dict[str, str]:
        """Changes the fields that differ."""
        changed = {change.path.split(".")[0] for change in changes}
        patch: dict[str, Any] = {
            name: wanted.name if name == "name" else wanted.fields[name] for name in changed - PARTS
        }
        if "runtime" in changed:
            patch["runtime"] = self._runtime_patch(held.doc["runtime"], desired["runtime"])
        if SERVERS in changed:
            patch[SERVERS] = server_patch(held.doc[SERVERS], desired[SERVERS])
        service, tenant_id, actor = self.work.services.agents, self.work.tenant.id, self.work.actor
        shown: dict[str, str] = {}
        if patch:
            saved = service.update(tenant_id, held.id, patch, actor=actor)
            shown = generated_secrets(saved, wanted.fields["runtime"])
        if "is_paused" in changed:
            (service.pause if desired["is_paused"] else service.resume)(tenant_id, held.id, actor=actor)
        if HEARTBEAT in changed:
            apply_heartbeat(self.work, held.id, desired[HEARTBEAT])
        return shown

    def _runtime_patch(self, before: Doc, after: Doc) -> Doc:
        before, after = (with_model_ids(each, self.work.model_ids) for each in (before, after))
        if before["kind"] != after["kind"]:
            return after
        return {"kind": after["kind"]} | patch_to(before, after, runtime_of(after["kind"]).whole)

    def delete_all(self, held: Sequence[StoredDefinition]) -> dict[UUID, str]:
        """Deletes agents in one go, except those of which something was not made by apply."""
        foreign = (
            Trigger.is_system.is_(False),
            Trigger.created_by.not_like("agent:%"),
            Trigger.deleted_at.is_(None),
        )
        triggers = self._counts(Trigger.agent_id, held, *foreign)
        targets = self._counts(NotificationTarget.agent_id, held)
        stay = {
            id_: f"it still has {counted(triggers.get(id_, 0), 'trigger')} and "
            f"{counted(targets.get(id_, 0), 'target')} that apply did not make"
            for id_ in triggers.keys() | targets.keys()
        }
        gone = [each.id for each in held if each.id not in stay]
        self.work.services.agents.delete_all(self.work.tenant.id, gone, actor=self.work.actor)
        return stay

    def _counts(
        self, agent_id: InstrumentedAttribute[UUID], held: Sequence[StoredDefinition], *which: ColumnElement[bool]
    ) -> dict[UUID, int]:
        """Counts an agent's rows, for each agent that has any."""
        ids = literal([each.id for each in held], ARRAY(Uuid()))
        query = select(agent_id, func.count()).where(agent_id == any_(ids), *which).group_by(agent_id)
        return {row[0]: row[1] for row in self.work.conn.execute(query)}

    def learn(self, held: Sequence[StoredDefinition]) -> None:
        """Notes the ids, which triggers and targets refer to by name."""
        self.work.agent_ids = {each.name: each.id for each in held}


SETTINGS = (
    "name", "role_description", "language", "timezone", "dedup_delay_seconds", "max_batch", "timeout_seconds",
    "max_triggers", "min_poll_interval_min", "webhook_rate_limit", "max_tokens_per_day", "max_invocations_per_hour",
    "expect_wake_within", "expires_at", "approve_triggers", "public_card",
)  # fmt: skip
"""The plain fields of an agent; a test compares them with the API's."""
