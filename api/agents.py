"""Agents."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import Connection, Row, func

from api import agent_rules as rules
from api.auth import Level, caller, needs
from api.remote_rules import header_names, mcp_columns
from api.resource import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, optional_body, page
from api.schemas.agents import AgentIn, AgentOut, AgentPage, AgentPatch, AgentPath
from api.schemas.base import NoteIn, Page
from api.schemas.budgets import AgentWhole, budget_of
from api.services import services
from scheduler.domain.model import HeldReason
from scheduler.invocations.budgets import free_agents_window, read_budget
from scheduler.invocations.windows import release_window
from scheduler.manage.trigger_jobs import delete_agent_triggers, rezone_agent
from scheduler.storage.agents import create_agent, get_agent, list_agents, update_agent
from scheduler.storage.audit import Event, record_events
from scheduler.storage.budgets import LIMITS, forget_notices
from scheduler.storage.keys import revoke_agent_keys
from scheduler.storage.tenants import get_tenant

agents = blueprint("agents", "Who is woken, and how.")


@agents.post("/agents", responses={201: AgentOut, **CHANGES})
@needs(Level.WRITE)
def make_agent(body: AgentIn) -> Response:
    """Make an agent. An http runtime's secret is in this answer only."""
    who = caller()
    runtime = rules.new_runtime(body.runtime, services())
    values = body.model_dump(exclude={"runtime", "mcp_servers"})
    values |= mcp_columns(body.mcp_servers, None, services())
    with services().db.begin() as conn:
        values |= rules.limit_columns(values, get_tenant(conn, who.tenant_id, keep=True))
        rules.check_models(conn, who.tenant_id, runtime)
        row = create_agent(conn, who.tenant_id, values | runtime.columns)
        _audit(conn, "created", row, name=row.name)
    return answer(show(row, runtime.new_secret), 201, location=f"/agents/{row.id}")


@agents.get("/agents", responses={200: AgentPage})
@needs(Level.READ, own=True)
def show_agents(query: Page) -> Response:
    """List agents, newest first."""
    who = caller()
    with services().db.begin() as conn:
        rows = list_agents(conn, who.tenant_id, only=who.agent_id, **one_more(query))
    return page(AgentPage, [show(row) for row in rows], query)


@agents.get("/agents/<agent_id>", responses={200: AgentWhole})
@needs(Level.READ, own=True)
def show_agent(path: AgentPath) -> Response:
    """Show an agent, with what it has spent of its budgets."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    with services().db.begin() as conn:
        shown = show(get_agent(conn, who.tenant_id, path.agent_id))
        budget = budget_of(read_budget(conn, path.agent_id))
    return answer(AgentWhole(**dict(shown), budget=budget))


@agents.patch("/agents/<agent_id>", responses={200: AgentOut, **CHANGES})
@needs(Level.WRITE)
def change_agent(path: AgentPath, body: AgentPatch) -> Response:
    """Change an agent. A timezone moves its triggers that have none of their own; a new secret is shown once.

    What was held for a limit that is changed is decided anew, at once.
    """
    who = caller()
    patch = given(body)
    new_secret = None
    with services().db.begin() as conn:
        row = get_agent(conn, who.tenant_id, path.agent_id, lock=True)
        values = {name: value for name, value in patch.items() if name != "runtime"}
        values |= rules.limit_columns(patch, get_tenant(conn, who.tenant_id))
        if "runtime" in patch:
            runtime = rules.patched_runtime(row, patch["runtime"], services())
            rules.check_models(conn, who.tenant_id, runtime)
            values |= runtime.columns
            new_secret = runtime.new_secret
        if "mcp_servers" in patch:
            values |= mcp_columns(patch["mcp_servers"], row, services())
        values = {name: value for name, value in values.items() if getattr(row, name) != value}
        if values:
            row = update_agent(conn, path.agent_id, values)
            if "timezone" in values:
                rezone_agent(conn, path.agent_id)
            if LIMITS & values.keys():
                forget_notices(conn, path.agent_id)
            if (LIMITS | {"timezone"}) & values.keys():
                free_agents_window(conn, path.agent_id)
            _audit(conn, "updated", row, fields=sorted(patch))
    return answer(show(row, new_secret))


@agents.delete("/agents/<agent_id>", responses={204: EMPTY})
@needs(Level.WRITE)
def delete_agent(path: AgentPath) -> Response:
    """Delete an agent and its triggers. What was recorded stays readable; what still waits is skipped."""
    who = caller()
    with services().db.begin() as conn:
        row = get_agent(conn, who.tenant_id, path.agent_id, lock=True)
        update_agent(conn, path.agent_id, {"deleted_at": func.clock_timestamp()})
        delete_agent_triggers(conn, path.agent_id, actor=who.actor)
        revoke_agent_keys(conn, path.agent_id)
        release_window(conn, path.agent_id, {HeldReason.PAUSED, HeldReason.BUDGET})
        _audit(conn, "deleted", row, name=row.name)
    return no_content()


@agents.post("/agents/<agent_id>/pause", responses={200: AgentOut, **CHANGES}, request_body=optional_body(NoteIn))
@needs(Level.WRITE, optional_body=True)
def pause_agent(path: AgentPath, body: NoteIn) -> Response:
    """Pause an agent: its firings are recorded and wait. Pausing twice changes nothing but the note."""
    who = caller()
    with services().db.begin() as conn:
        row = get_agent(conn, who.tenant_id, path.agent_id, lock=True)
        if not row.is_paused or body.note is not None:
            row = update_agent(conn, path.agent_id, {"is_paused": True, "paused_note": body.note})
            _audit(conn, "paused", row, note=body.note)
    return answer(show(row))


@agents.post("/agents/<agent_id>/resume", responses={200: AgentOut, **CHANGES})
@needs(Level.WRITE)
def resume_agent(path: AgentPath) -> Response:
    """Resume an agent: what waited is delivered now."""
    who = caller()
    with services().db.begin() as conn:
        row = get_agent(conn, who.tenant_id, path.agent_id, lock=True)
        if row.is_paused:
            row = update_agent(conn, path.agent_id, {"is_paused": False, "paused_note": None})
            release_window(conn, path.agent_id, {HeldReason.PAUSED})
            _audit(conn, "resumed", row)
    return answer(show(row))


def show(row: Row[Any], new_secret: str | None = None) -> AgentOut:
    """A row of `agents` as the API shows it."""
    runtime = {"kind": row.runtime_kind, **row.runtime}
    if new_secret is not None:
        runtime["secret"] = new_secret
    shown = {**row._mapping, "runtime": runtime, "header_names": header_names(row, services())}  # noqa: SLF001  # public in all but name
    return AgentOut.model_validate(shown)


def _audit(conn: Connection, verb: str, row: Row[Any], **detail: object) -> None:
    record_events(conn, [Event(f"agent.{verb}", row.tenant_id, row.id, row.id, caller().actor, detail)])
