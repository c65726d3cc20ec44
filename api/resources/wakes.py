"""Wakes without an event: calls of an agent, and its heartbeat."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from api.auth import Level, caller, needs
from api.body import read_traceparent
from api.idempotency import keyed_request
from api.resources.base import CHANGES, answer, blueprint, problems
from api.schemas.agents import AgentPath
from api.schemas.messages import WakeIn
from api.schemas.triggers import FiredOut, HeartbeatIn, TriggerOut
from api.services import services
from scheduler.intake.wakes.intake import Call, wake
from scheduler.manage.agents.heartbeat import HeartbeatSettings, set_heartbeat
from scheduler.metrics import INTAKE_DURATION
from scheduler.storage.references import find_agent

wakes = blueprint("wakes", "Calls of an agent by people and other agents, and its heartbeat.")


@wakes.post("/agents/<agent_id>/wake", responses={202: FiredOut, **CHANGES, **problems(429)})
@needs(Level.WRITE, own=True)
def wake_agent(path: AgentPath, body: WakeIn) -> Response:
    """Wake an agent with a message. 429 when agents wake each other in too long a chain, or one too often.

    An agent's own key calls as its agent. With an Idempotency-Key a repeated request wakes nobody and returns the
    first firing.
    """
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    if body.from_agent_id is not None:
        with services().db.begin() as conn:
            find_agent(conn, who.tenant_id, "from_agent_id", str(body.from_agent_id))
    sender = who.agent_id or body.from_agent_id
    call = Call(
        who.tenant_id, path.agent_id, body.message, sender, body.skip_dedup, traceparent=read_traceparent()
    )
    keyed = keyed_request(f"wake:{path.agent_id}", body.model_dump(mode="json"))
    with INTAKE_DURATION.labels("wake").time():
        woken = wake(services().db, call, actor=who.actor, request=keyed)
    return answer(FiredOut.model_validate(asdict(woken)), 202)


@wakes.put("/agents/<agent_id>/heartbeat", responses={200: TriggerOut, **CHANGES})
@needs(Level.WRITE)
def put_heartbeat(path: AgentPath, body: HeartbeatIn) -> Response:
    """Create or replace the agent's heartbeat. It is a trigger: pause, resume or PATCH it like any other.

    A heartbeat faster than the tenant's min_heartbeat_interval is slowed down to it.
    """
    who = caller()
    settings = HeartbeatSettings(**body.model_dump())
    shown = set_heartbeat(
        services().db, services().triggers, who.tenant_id, path.agent_id, settings, actor=who.actor
    )
    return answer(TriggerOut.model_validate(shown))
