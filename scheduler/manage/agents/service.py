"""The life cycle of an agent. Its row, its limits and its triggers change in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.model import HeldReason
from scheduler.invocations.budgets import BudgetState, free_agents_window, read_budget
from scheduler.invocations.shortening import shorten_window
from scheduler.invocations.windows import release_window, release_windows
from scheduler.manage.agents import runtimes
from scheduler.manage.agents.remotes import McpServer, header_names, mcp_columns
from scheduler.manage.row_errors import RowErrors
from scheduler.manage.triggers.jobs import delete_agent_triggers, rezone_agent
from scheduler.runtimes.base import Operator, RuntimeConfig
from scheduler.storage.agents import (
    DUPLICATE,
    create_agents,
    delete_agents,
    get_agent,
    list_agents,
    taken_names,
    update_agent,
)
from scheduler.storage.audit import Event, record_events
from scheduler.storage.budgets import LIMITS, forget_notices
from scheduler.storage.engine import Database
from scheduler.storage.group_commit import GroupCommits
from scheduler.storage.keys import revoke_agent_keys
from scheduler.storage.live import MAX_TOLD
from scheduler.storage.notes import Notes, read_notes, write_notes
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.tenants import Tenant
from scheduler.storage.tenants import get_tenant


@dataclass(frozen=True, slots=True)
class SavedAgent:
    """An agent after a change. `new_secrets` of its runtime are shown only this once."""

    row: Agent
    new_secrets: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewAgent:
    """The input for a new agent. `settings` are its plain columns."""

    settings: Mapping[str, Any]
    runtime: RuntimeConfig
    mcp_servers: Sequence[McpServer] = ()


@dataclass(frozen=True, slots=True)
class _AgentPlan:
    """The columns of a new agent that has been checked."""

    columns: dict[str, Any]
    new_secrets: Mapping[str, Any]
    actor: str


class Agents:
    """The operations on agents. Every change is one transaction and writes an audit event."""

    def __init__(self, db: Database, operator: Operator) -> None:
        self._db = db
        self._operator = operator
        self._new: GroupCommits[UUID, tuple[NewAgent, str], SavedAgent] = GroupCommits(self._create, MAX_TOLD)

    def header_names(self, agent: Agent) -> dict[str, list[str]]:
        """Returns the names of the sent headers, by field."""
        return header_names(agent, self._operator)

    def create(self, tenant_id: UUID, new: NewAgent, *, actor: str) -> SavedAgent:
        """Creates an agent. Raises InvalidField, NotFound for the tenant, or Conflict for its name.

        Agents of one tenant that are created at the same time share a transaction; one that is refused does not
        affect the others.
        """
        return self._new.submit(tenant_id, (new, actor))

    def _create(self, tenant_id: UUID, wanted: Sequence[tuple[NewAgent, str]]) -> list[SavedAgent]:
        with self._db.begin() as conn:
            tenant = get_tenant(conn, tenant_id, keep=True)
            planned = [self._plan(conn, tenant, new, actor) for new, actor in wanted]
            return _write(conn, tenant_id, planned)

    def create_all(self, tenant_id: UUID, wanted: Sequence[NewAgent], *, actor: str) -> list[SavedAgent]:
        """Creates all of these agents or none. Raises NotFound for the tenant, else every error, by row."""
        errors, names = RowErrors(), [str(new.settings["name"]) for new in wanted]
        errors.note_repeated(names)
        planned = []
        with self._db.begin() as conn:
            tenant = get_tenant(conn, tenant_id, keep=True)
            taken = taken_names(conn, tenant_id, names)
            for index, new in enumerate(wanted):
                with errors.of(index):
                    if names[index] in taken:
                        raise Conflict(DUPLICATE, field="name")
                    planned.append(self._plan(conn, tenant, new, actor))
            errors.raise_all()
            return _write(conn, tenant_id, planned)

    def _plan(self, conn: Connection, tenant: Tenant, new: NewAgent, actor: str) -> _AgentPlan:
        """Checks a new agent of a tenant."""
        runtime = runtimes.new_runtime(new.runtime, self._operator)
        values = dict(new.settings) | mcp_columns(new.mcp_servers, None, self._operator)
        values |= runtimes.limit_columns(values, tenant)
        runtimes.check_models(conn, tenant.id, runtime)
        return _AgentPlan(values | runtime.columns, runtime.new_secrets, actor)

    def list(
        self, tenant_id: UUID, *, only: UUID | None = None, limit: int, after: UUID | None = None
    ) -> Sequence[Agent]:
        """Lists agents, newest first; `only` restricts the list to one."""
        with self._db.begin() as conn:
            return list_agents(conn, tenant_id, only=only, limit=limit, after=after)

    def get(self, tenant_id: UUID, agent_id: UUID) -> Agent:
        """Returns one agent. Raises NotFound."""
        with self._db.begin() as conn:
            return get_agent(conn, tenant_id, agent_id)

    def get_with_budget(self, tenant_id: UUID, agent_id: UUID) -> tuple[Agent, BudgetState]:
        """Returns one agent and the state of its budgets. Raises NotFound."""
        with self._db.begin() as conn:
            return get_agent(conn, tenant_id, agent_id), read_budget(conn, agent_id)

    def update(self, tenant_id: UUID, agent_id: UUID, patch: Mapping[str, Any], *, actor: str) -> SavedAgent:
        """Changes fields;

        `runtime` is merged (RFC 7396). A new timezone moves the triggers without one of their own. Windows held
        for a changed limit are reconsidered at once, and a lower delay or `max_batch` shortens the open window.
        Raises NotFound, InvalidField, Conflict.
        """
        with self._db.begin() as conn:
            row = get_agent(conn, tenant_id, agent_id, lock=True)
            values, new_secrets = self._patched(conn, row, patch)
            values = {name: value for name, value in values.items() if getattr(row, name) != value}
            if values:
                row = update_agent(conn, agent_id, values)
                _follow(conn, agent_id, set(values))
                _audit(conn, "updated", row, actor, fields=sorted(patch))
        return SavedAgent(row, new_secrets)

    def delete(self, tenant_id: UUID, agent_id: UUID, *, actor: str) -> None:
        """Deletes an agent, its triggers and its keys. Recorded history stays; waiting firings are skipped."""
        if not self.delete_all(tenant_id, [agent_id], actor=actor):
            raise NotFound(f"There is no agent '{agent_id}'.")

    def delete_all(self, tenant_id: UUID, agent_ids: Sequence[UUID], *, actor: str) -> int:
        """Deletes many agents as `delete` does; any that are gone are left out. Returns how many were there."""
        with self._db.begin() as conn:
            found = delete_agents(conn, tenant_id, agent_ids)
            ids = [row.id for row in found]
            delete_agent_triggers(conn, ids, actor=actor)
            revoke_agent_keys(conn, ids)
            release_windows(conn, ids, {HeldReason.PAUSED, HeldReason.BUDGET})
            record_events(conn, [_event("deleted", row, actor, {"name": row.name}) for row in found])
        return len(found)

    def pause(self, tenant_id: UUID, agent_id: UUID, *, actor: str, note: str | None = None) -> Agent:
        """Pauses an agent: its firings are recorded and wait. Pausing it again only changes the note."""
        with self._db.begin() as conn:
            row = get_agent(conn, tenant_id, agent_id, lock=True)
            if not row.is_paused or note is not None:
                row = update_agent(conn, agent_id, {"is_paused": True, "paused_note": note})
                _audit(conn, "paused", row, actor, note=note)
        return row

    def resume(self, tenant_id: UUID, agent_id: UUID, *, actor: str) -> Agent:
        """Resumes an agent: waiting firings are delivered now."""
        with self._db.begin() as conn:
            row = get_agent(conn, tenant_id, agent_id, lock=True)
            if row.is_paused:
                row = update_agent(conn, agent_id, {"is_paused": False, "paused_note": None})
                release_window(conn, agent_id, {HeldReason.PAUSED})
                _audit(conn, "resumed", row, actor)
        return row

    def read_notes(self, tenant_id: UUID, agent_id: UUID) -> Notes:
        """Returns an agent's notes and who last wrote them. Raises NotFound."""
        with self._db.begin() as conn:
            get_agent(conn, tenant_id, agent_id)
            return read_notes(conn, agent_id)

    def write_notes(self, tenant_id: UUID, agent_id: UUID, text: str, *, actor: str) -> Notes:
        """Replaces an agent's notes; empty text deletes them. Raises NotFound, InvalidField."""
        with self._db.begin() as conn:
            get_agent(conn, tenant_id, agent_id)
            return write_notes(conn, tenant_id, agent_id, text, actor=actor)

    def _patched(
        self, conn: Connection, row: Agent, patch: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Returns the columns that `patch` changes, and new secrets."""
        values = {name: value for name, value in patch.items() if name != "runtime"}
        values |= runtimes.limit_columns(patch, get_tenant(conn, row.tenant_id))
        new_secrets: Mapping[str, Any] = {}
        if "runtime" in patch:
            runtime = runtimes.patched_runtime(row, patch["runtime"], self._operator)
            runtimes.check_models(conn, row.tenant_id, runtime)
            values |= runtime.columns
            new_secrets = runtime.new_secrets
        if "mcp_servers" in patch:
            values |= mcp_columns(patch["mcp_servers"], row, self._operator)
        return values, new_secrets


def _write(conn: Connection, tenant_id: UUID, planned: Sequence[_AgentPlan]) -> list[SavedAgent]:
    made = create_agents(conn, tenant_id, [each.columns for each in planned])
    pairs = [*zip(made, planned, strict=True)]
    record_events(
        conn,
        [Event("agent.created", tenant_id, row.id, row.id, each.actor, {"name": row.name}) for row, each in pairs],
    )
    return [SavedAgent(row, each.new_secrets) for row, each in pairs]


def _follow(conn: Connection, agent_id: UUID, changed: set[str]) -> None:
    """Applies the consequences of changed columns."""
    if "timezone" in changed:
        rezone_agent(conn, agent_id)
    if LIMITS & changed:
        forget_notices(conn, agent_id)
    if (LIMITS | {"timezone"}) & changed:
        free_agents_window(conn, agent_id)
    if {"dedup_delay_seconds", "max_batch"} & changed:
        shorten_window(conn, agent_id)


def _audit(conn: Connection, verb: str, row: Agent, actor: str, **detail: object) -> None:
    record_events(conn, [_event(verb, row, actor, detail)])


def _event(verb: str, row: Agent, actor: str, detail: dict[str, Any]) -> Event:
    return Event(f"agent.{verb}", row.tenant_id, row.id, row.id, actor, detail)
