"""The pages of agents, with pause, resume and wake."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import agent_out
from api.schemas.agents import AgentPath, AgentWhole, NotesIn, budget_of
from api.schemas.base import NoteIn
from api.schemas.messages import WakeIn
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.runtimes import address_of
from api.web.forms.validation import filled, shaped
from api.web.insights import read_panel
from api.web.list_filters import FROM, TO, Filter, choice, read_filters
from scheduler.intake.wakes import intake
from scheduler.intake.wakes.intake import Call
from scheduler.storage.notes import MOST_CHARACTERS, read_notes
from scheduler.storage.read_models.history import LedgerFilter, list_invocations
from scheduler.storage.read_models.overviews import find_agents, summarize_agents, woken_by
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.storage.read_models.triggers import TriggerView, list_views
from scheduler.storage.sessions import SessionFilter, list_sessions

MOST_TRIGGERS = 200
"""How many triggers an agent's page shows; the list of triggers has them all."""
LATEST = 10
"""How many invocations and sessions an agent's page shows."""

STATES = {"enabled": False, "paused": True}
FILTERS = (
    Filter("q", "Search", hint="Part of the name."),
    choice("state", "State", list(STATES)),
    replace(FROM, label="Created from"),
    replace(TO, label="Created to"),
)

agents = page_blueprint("agents")


@agents.get("/agents")
@needs(Level.READ)
def show_agents() -> Response:
    """Lists agents, newest first, with their status."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        words, is_paused = asked.get("q") or "", STATES.get(asked.get("state"))
        page = asked.page(
            lambda **span: find_agents(conn, who.tenant_id, words, is_paused=is_paused, made=asked.span, **span)
        )
        standing = summarize_agents(conn, [row.id for row in page])
    return render("agents.html", asked.status, page=page, standing=standing, asked=asked)


@agents.get("/agents/<agent_id>")
@needs(Level.READ)
def show_agent(agent_id: str) -> Response:
    """Shows an agent: its triggers by focus, its recent activity, and its usage."""
    who, path = caller(), _path(agent_id)
    row, budget = services().agents.get_with_budget(who.tenant_id, path.agent_id)
    agent = AgentWhole(**dict(agent_out(row)), budget=budget_of(budget)).model_dump(mode="json")
    with services().db.begin() as conn:
        triggers = list_views(conn, who.tenant_id, TriggerFilter(path.agent_id), limit=MOST_TRIGGERS + 1)
        latest = list_invocations(conn, who.tenant_id, LedgerFilter(path.agent_id), limit=LATEST)
        return render(
            "agent.html",
            agent=agent,
            address=address_of(agent["runtime"]),
            groups=_by_focus(triggers[:MOST_TRIGGERS]),
            has_more=len(triggers) > MOST_TRIGGERS,
            latest=latest,
            wakers=woken_by(conn, [row.id for row in latest]),
            notes=read_notes(conn, path.agent_id),
            most_notes=MOST_CHARACTERS,
            panel=read_panel(conn, agent_id=path.agent_id),
            sessions=list_sessions(conn, who.tenant_id, SessionFilter(path.agent_id), limit=LATEST),
        )


@agents.post("/agents/<agent_id>/notes")
@needs(Level.WRITE)
def write(agent_id: str) -> Response:
    """Replaces an agent's notes with what a person wrote."""
    who, path = caller(), _path(agent_id)
    given = request.form.get("text", "").replace("\r\n", "\n")
    text = shaped(NotesIn, {"text": given}).text
    services().agents.write_notes(who.tenant_id, path.agent_id, text, actor=who.actor)
    return done(f"/agents/{path.agent_id}", "The notes were saved.")


@agents.post("/agents/<agent_id>/pause")
@needs(Level.WRITE)
def pause(agent_id: str) -> Response:
    """Pauses an agent, with a note that explains why."""
    who, path = caller(), _path(agent_id)
    note = shaped(NoteIn, filled("note")).note
    services().agents.pause(who.tenant_id, path.agent_id, actor=who.actor, note=note)
    return done(f"/agents/{path.agent_id}", "Paused. Firings are recorded and wait.")


@agents.post("/agents/<agent_id>/resume")
@needs(Level.WRITE)
def resume(agent_id: str) -> Response:
    """Resumes an agent."""
    who, path = caller(), _path(agent_id)
    services().agents.resume(who.tenant_id, path.agent_id, actor=who.actor)
    return done(f"/agents/{path.agent_id}", "Resumed. Waiting firings are delivered now.")


@agents.post("/agents/<agent_id>/wake")
@needs(Level.WRITE)
def wake(agent_id: str) -> Response:
    """Wakes an agent now with a message, and shows the invocation that carries it."""
    who, path = caller(), _path(agent_id)
    body = shaped(WakeIn, {"message": "", "skip_dedup": True, **filled("message")})
    call = Call(who.tenant_id, path.agent_id, body.message, skip_dedup=body.skip_dedup)
    woken = intake.wake(services().db, call, actor=who.actor)
    return done(f"/invocations/{woken.invocation_id}", "Woken. This invocation carries your message.")


def _path(agent_id: str) -> AgentPath:
    return shaped(AgentPath, {"agent_id": agent_id})


def _by_focus(triggers: list[TriggerView]) -> list[tuple[str, list[TriggerView]]]:
    """Groups triggers by focus; those without one come last."""
    ordered = sorted(
        triggers, key=lambda trigger: (trigger.focus_ref is None, trigger.focus_ref or "", trigger.name)
    )
    groups = groupby(ordered, lambda trigger: trigger.focus_ref or "")
    return [(focus, list(members)) for focus, members in groups]
