"""Definitions of triggers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import fields
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select

from scheduler.domain.errors import InvalidField
from scheduler.manage.definitions.compare import keep, patch_to, pick, put
from scheduler.manage.definitions.shapes import (
    TRIGGER,
    Doc,
    FieldChange,
    StoredDefinition,
    WantedDefinition,
    as_json,
)
from scheduler.manage.definitions.unit_of_work import Kind, NewObject, create_in_bulk
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.bulk import FINISHED
from scheduler.manage.triggers.new import CreatedTrigger
from scheduler.manage.triggers.spec import AgentLimits, TriggerSpec
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import Agent, Trigger
from scheduler.triggers.base import join_secrets
from scheduler.triggers.field_names import by_new_names
from scheduler.triggers.registry import KINDS, UNLISTED, kind_of

SPEC = tuple(each.name for each in fields(TriggerSpec) if each.name != "config")
HOOK = "hook"
"""The name of a webhook's token among what is shown once."""
SENDER = "from_agent"
"""The field of a config that refers to an agent: stored by id, written by name."""


class Triggers(Kind):
    """Triggers of agents, without those of the system and those that agents made themselves."""

    name: ClassVar = TRIGGER
    keeps: ClassVar = ("is_enabled",)

    def read(self) -> list[StoredDefinition]:
        """Returns the tenant's triggers."""
        query = (
            select(Trigger.__table__)
            .join(Agent, Agent.id == Trigger.agent_id)
            .where(Trigger.tenant_id == self.work.tenant.id, Trigger.deleted_at.is_(None))
            .where(Trigger.is_system.is_(False), Trigger.type.not_in(UNLISTED), Agent.deleted_at.is_(None))
            .order_by(Trigger.id)
        )
        names = {id_: name for name, id_ in self.work.agent_ids.items()}
        found = rows_as(Trigger, self.work.conn.execute(query))
        return [
            StoredDefinition(
                row.id, names[row.agent_id], row.name, self._doc(row, names), row,
                is_own=row.created_by.startswith("agent:"),
            )
            for row in found
        ]  # fmt: skip

    def _doc(self, row: Trigger, names: Mapping[UUID, str]) -> Doc:
        box = self.work.operator.box
        secrets = {} if row.secret is None else json.loads(box.decrypt(row.secret))
        doc: Doc = {name: as_json(getattr(row, name)) for name in SPEC}
        return doc | {
            "config": _with_names(join_secrets(row.config, secrets), names),
            "is_enabled": row.is_enabled,
        }

    def is_secret(self, path: str) -> bool:
        """The secrets of any kind's config are."""
        return any(f"{path}.".startswith(f"config.{secret}.") for secret in SECRETS)

    def prepare(self, pairs: Sequence[tuple[WantedDefinition, StoredDefinition | None]]) -> None:
        """Locks the agents whose triggers may change."""
        ids = {self.work.agent_ids[wanted.agent] for wanted, _ in pairs if wanted.agent in self.work.agent_ids}
        self._agents = rows.lock_agents(self.work.conn, self.work.tenant.id, ids)

    def desired(self, wanted: WantedDefinition, held: StoredDefinition | None) -> Doc:
        """Returns the definition; secrets that are not given stay."""
        given = {name: as_json(value) for name, value in wanted.fields.items() if name in SPEC}
        doc: Doc = given | {"name": wanted.name, "config": deepcopy(wanted.fields["config"])}
        if wanted.fields.get("is_enabled") is not None:
            doc["is_enabled"] = wanted.fields["is_enabled"]
        for path, why in wanted.kept.items():
            keep(doc, path, why, None if held is None else held.doc)
        if held is not None:
            self._follow(doc, wanted, held)
        return doc

    def _follow(self, doc: Doc, wanted: WantedDefinition, held: StoredDefinition) -> None:
        """Completes the definition of an existing trigger."""
        if doc.get("is_enabled") and held.row.paused_note in FINISHED:
            del doc["is_enabled"]  # it ended by itself
        if doc["type"] != held.doc["type"]:
            raise InvalidField(
                f"The trigger is of type {held.doc['type']}, which cannot change; give the new one another name.",
                field="type",
            )
        kind = kind_of(doc["type"])
        config = by_new_names(kind, doc["config"])
        for secret in kind.secrets:
            stored = pick(held.doc["config"], secret)
            *parents, _ = secret.split(".")
            has_parent = not parents or isinstance(pick(config, ".".join(parents)), dict)
            if stored is not None and pick(config, secret) is None and has_parent:
                put(config, secret, stored)
        names = {id_: name for name, id_ in self.work.agent_ids.items()}
        config = _with_names(config, names)
        if config != held.doc["config"]:
            config = _with_names(self._resolved(kind_of(doc["type"]), config, wanted), names)
        doc["config"] = config

    def _resolved(self, kind: Any, config: Doc, wanted: WantedDefinition) -> Doc:
        """Returns a config as it is stored. One that is refused is compared as given: its change is refused too."""
        agent = self._agents[self.work.agent_ids[wanted.agent or ""]]
        with suppress(InvalidField):
            return self.work.services.triggers.resolved(self.work.conn, agent, kind, config)
        return config

    def create(self, new: Sequence[tuple[WantedDefinition, Doc]]) -> list[tuple[WantedDefinition, NewObject]]:
        """Creates triggers in one go."""
        planned = []
        for wanted, doc in new:
            agent_id = self.work.agent_ids.get(wanted.agent or "")
            if agent_id is None:
                continue  # its agent was refused, or there is none, which is reported once
            values = {name: wanted.fields[name] for name in SPEC if name in wanted.fields}
            spec = TriggerSpec(**{**values, "name": wanted.name, "config": doc["config"]})
            planned.append((wanted, (agent_id, spec)))
        service, tenant_id, actor = self.work.services.triggers, self.work.tenant.id, self.work.actor
        made = create_in_bulk(
            self.work.errors, planned, lambda rows: service.create_all(tenant_id, rows, actor=actor)
        )
        for wanted, each in made:
            if wanted.fields.get("is_enabled") is False and each.trigger.is_enabled:
                service.update(tenant_id, each.trigger.id, {"is_enabled": False}, actor=actor)
        names = {id_: name for name, id_ in self.work.agent_ids.items()}
        return [(wanted, _made(wanted, each, names)) for wanted, each in made]

    def update(
        self, wanted: WantedDefinition, held: StoredDefinition, desired: Doc, changes: Sequence[FieldChange]
    ) -> dict[str, str]:
        """Changes the fields that differ."""
        changed = {change.path.split(".")[0] for change in changes}
        patch: dict[str, Any] = {
            name: desired[name] if name in ("name", "is_enabled") else wanted.fields[name]
            for name in changed - {"config"}
        }
        if "config" in changed:
            patch["config"] = patch_to(held.doc["config"], desired["config"])
        self.work.services.triggers.update(self.work.tenant.id, held.id, patch, actor=self.work.actor)
        return {}

    def delete_all(self, held: Sequence[StoredDefinition]) -> dict[UUID, str]:
        """Deletes triggers in one go; none of them is the system's."""
        ids = [each.id for each in held]
        self.work.services.triggers.delete_all(self.work.tenant.id, ids, actor=self.work.actor)
        return {}

    _agents: Mapping[UUID, AgentLimits]


def _made(wanted: WantedDefinition, made: CreatedTrigger, names: Mapping[UUID, str]) -> NewObject:
    view = made.trigger
    doc: Doc = {name: as_json(getattr(view, name)) for name in SPEC}
    doc["config"] = _with_names(view.config, names)
    if wanted.fields.get("is_enabled") is not None:
        doc["is_enabled"] = wanted.fields["is_enabled"]
    return NewObject(view.id, doc, {} if made.hook_token is None else {HOOK: made.hook_token})


def _with_names(config: Mapping[str, Any], names: Mapping[UUID, str]) -> Doc:
    """Returns a config that refers to its sender by name."""
    doc = dict(config)
    sender = doc.get(SENDER)
    if isinstance(sender, str):
        with suppress(ValueError):
            doc[SENDER] = names.get(UUID(sender), sender)
    return doc


SECRETS = frozenset(secret for kind in KINDS.values() for secret in kind.secrets)
