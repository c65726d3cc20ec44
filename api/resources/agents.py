"""Agents."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.presenters import agent_out
from api.resources.base import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, optional_body, page
from api.schemas.agents import (
    AgentIn,
    AgentOut,
    AgentPage,
    AgentPatch,
    AgentPath,
    AgentsIn,
    AgentsMade,
    AgentWhole,
    budget_of,
)
from api.schemas.base import NoteIn, Page
from api.schemas.kinds import RuntimeTypeOut, RuntimeTypesOut
from api.services import services
from scheduler.runtimes.registry import RUNTIMES

agents = blueprint("agents", "The agents that Reveille wakes.")


@agents.post("/agents", responses={201: AgentOut, **CHANGES})
@needs(Level.WRITE)
def make_agent(body: AgentIn) -> Response:
    """Create an agent. An http runtime's secret is in this response only."""
    who = caller()
    made = services().agents.create(who.tenant_id, body.spec(), actor=who.actor)
    return answer(agent_out(made.row, made.new_secrets), 201, location=f"/agents/{made.row.id}")


@agents.post("/agents/bulk", responses={201: AgentsMade, **CHANGES})
@needs(Level.WRITE)
def make_agents(body: AgentsIn) -> Response:
    """Create up to 1,000 agents, all or none. `errors` of a refusal names each invalid row, such as items.3.name."""
    who = caller()
    made = services().agents.create_all(who.tenant_id, [item.spec() for item in body.items], actor=who.actor)
    return answer(AgentsMade(items=[agent_out(each.row, each.new_secrets) for each in made]), 201)


@agents.get("/agents", responses={200: AgentPage})
@needs(Level.READ, own=True)
def show_agents(query: Page) -> Response:
    """List agents, newest first."""
    who = caller()
    rows = services().agents.list(who.tenant_id, only=who.agent_id, **one_more(query))
    return page(AgentPage, [agent_out(row) for row in rows], query)


@agents.get("/runtimes", responses={200: RuntimeTypesOut})
@needs(Level.READ, own=True)
def show_runtimes() -> Response:
    """List the runtimes and their presets: ours, and those of installed packages."""
    return answer(
        RuntimeTypesOut(
            items=[
                RuntimeTypeOut(
                    kind=kind,
                    label=each.label,
                    summary=each.summary,
                    docs=each.docs,
                    presets=each.described_presets(),
                    config_schema=each.model_json_schema(),
                )
                for kind, each in RUNTIMES.items()
            ]
        )
    )


@agents.get("/agents/<item:agent_id>", responses={200: AgentWhole})
@needs(Level.READ, own=True)
def show_agent(path: AgentPath) -> Response:
    """Show an agent, with its budget usage."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    row, budget = services().agents.get_with_budget(who.tenant_id, path.agent_id)
    return answer(AgentWhole(**dict(agent_out(row)), budget=budget_of(budget)))


@agents.patch("/agents/<item:agent_id>", responses={200: AgentOut, **CHANGES})
@needs(Level.WRITE)
def change_agent(path: AgentPath, body: AgentPatch) -> Response:
    """Change an agent. A timezone moves its triggers without their own; a new secret is shown once.

    Windows held for a changed limit are reconsidered at once.
    """
    who = caller()
    changed = services().agents.update(who.tenant_id, path.agent_id, given(body), actor=who.actor)
    return answer(agent_out(changed.row, changed.new_secrets))


@agents.delete("/agents/<item:agent_id>", responses={204: EMPTY})
@needs(Level.WRITE)
def delete_agent(path: AgentPath) -> Response:
    """Delete an agent and its triggers. Recorded history stays readable; waiting firings are skipped."""
    who = caller()
    services().agents.delete(who.tenant_id, path.agent_id, actor=who.actor)
    return no_content()


@agents.post("/agents/<agent_id>/pause", responses={200: AgentOut, **CHANGES}, request_body=optional_body(NoteIn))
@needs(Level.WRITE, optional_body=True)
def pause_agent(path: AgentPath, body: NoteIn) -> Response:
    """Pause an agent: its firings are recorded and wait. Pausing it again only changes the note."""
    who = caller()
    return answer(
        agent_out(services().agents.pause(who.tenant_id, path.agent_id, actor=who.actor, note=body.note))
    )


@agents.post("/agents/<agent_id>/resume", responses={200: AgentOut, **CHANGES})
@needs(Level.WRITE)
def resume_agent(path: AgentPath) -> Response:
    """Resume an agent: waiting firings are delivered now."""
    who = caller()
    return answer(agent_out(services().agents.resume(who.tenant_id, path.agent_id, actor=who.actor)))
