"""Triggers: access and responses. Their life cycle is in `scheduler.manage.triggers.service.Triggers`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from flask import Response
from pydantic import Field

from api.addresses import hook_address
from api.auth import Level, caller, needs
from api.idempotency import keyed_request
from api.resources.base import (
    CHANGES,
    EMPTY,
    answer,
    blueprint,
    given,
    no_content,
    one_more,
    optional_body,
    page,
    problems,
)
from api.schemas.agents import AgentPath
from api.schemas.base import Answer, NoteIn
from api.schemas.history import AckCounts
from api.schemas.kinds import TriggerTypeOut, TriggerTypesOut
from api.schemas.triggers import (
    AgentTriggerQuery,
    FiredOut,
    PreviewIn,
    PreviewOut,
    PreviewQuery,
    TriggerIn,
    TriggerOut,
    TriggerPage,
    TriggerPatch,
    TriggerPath,
    TriggerQuery,
    TriggerWhole,
)
from api.services import services
from scheduler.domain.shapes import Shape
from scheduler.manage.row_errors import MOST_ROWS
from scheduler.manage.triggers.new import CreatedTrigger
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.agents import get_agent
from scheduler.storage.idempotency import answered_before
from scheduler.storage.read_models.history import count_acks
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.preview import preview
from scheduler.triggers.registry import KINDS


class TriggerRow(TriggerIn):
    """A new trigger with its agent."""

    agent_id: Annotated[UUID, Field(strict=False)]


class TriggersIn(Shape):
    """New triggers, created all or none."""

    items: list[TriggerRow] = Field(min_length=1, max_length=MOST_ROWS)


class TriggersMade(Answer):
    """The created triggers, in the order of the request."""

    items: list[TriggerOut]


triggers = blueprint("triggers", "What wakes an agent.")


@triggers.post("/agents/<agent_id>/triggers", responses={201: TriggerOut, **CHANGES})
@needs(Level.WRITE, own=True)
def make_trigger(path: AgentPath, body: TriggerIn) -> Response:
    """Create a trigger for an agent. A webhook's hook_url is in this response only.

    One created with an agent's own key is limited, and may await approval.
    """
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    spec = TriggerSpec(**given(body))
    made = services().triggers.create(who.tenant_id, path.agent_id, spec, actor=who.actor, by_agent=who.is_agent)
    return answer(_created(made), 201, location=f"/triggers/{made.trigger.id}")


@triggers.post("/triggers/bulk", responses={201: TriggersMade, **CHANGES})
@needs(Level.WRITE, own=True)
def make_triggers(body: TriggersIn) -> Response:
    """Create up to 1,000 triggers of any agents, all or none. `errors` of a refusal names each invalid row.

    Each is created as if alone, so a webhook's hook_url is in this response only.
    """
    who = caller()
    wanted = []
    for item in body.items:
        who.must_reach(item.agent_id, "agent", item.agent_id)
        fields = given(item)
        wanted.append((fields.pop("agent_id"), TriggerSpec(**fields)))
    made = services().triggers.create_all(who.tenant_id, wanted, actor=who.actor, by_agent=who.is_agent)
    return answer(TriggersMade(items=[_created(each) for each in made]), 201)


@triggers.get("/agents/<agent_id>/triggers", responses={200: TriggerPage})
@needs(Level.READ, own=True)
def show_agent_triggers(path: AgentPath, query: AgentTriggerQuery) -> Response:
    """List an agent's triggers, newest first."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, path.agent_id)
    found = services().triggers.list(who.tenant_id, query.filter(path.agent_id), **one_more(query))
    return page(TriggerPage, found, query)


@triggers.get("/triggers", responses={200: TriggerPage})
@needs(Level.READ, own=True)
def show_triggers(query: TriggerQuery) -> Response:
    """List triggers, newest first."""
    who = caller()
    wanted = query.filter(who.narrow(query.agent_id))
    return page(TriggerPage, services().triggers.list(who.tenant_id, wanted, **one_more(query)), query)


@triggers.get("/triggers/<item:trigger_id>", responses={200: TriggerWhole})
@needs(Level.READ, own=True)
def show_trigger(path: TriggerPath) -> Response:
    """Show a trigger, with its agent's acknowledgements."""
    found = reached(path.trigger_id)
    with services().db.begin() as conn:
        acks = count_acks(conn, path.trigger_id)
    shown = TriggerOut.model_validate(found)
    names = services().checks.header_names(found)
    return answer(TriggerWhole(**dict(shown), acks=AckCounts(**acks), header_names=names))


@triggers.patch("/triggers/<item:trigger_id>", responses={200: TriggerOut, **CHANGES})
@needs(Level.WRITE, own=True)
def change_trigger(path: TriggerPath, body: TriggerPatch) -> Response:
    """Change a trigger. `config` is merged and checked as at creation; tokens and counts are kept."""
    reached(path.trigger_id)
    who = caller()
    changed = services().triggers.update(
        who.tenant_id, path.trigger_id, given(body), actor=who.actor, by_agent=who.is_agent
    )
    return answer(TriggerOut.model_validate(changed))


@triggers.delete("/triggers/<item:trigger_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.WRITE, own=True)
def delete_trigger(path: TriggerPath) -> Response:
    """Delete a trigger. Its firings stay, and waiting ones are still delivered."""
    reached(path.trigger_id)
    who = caller()
    services().triggers.delete(who.tenant_id, path.trigger_id, actor=who.actor, by_agent=who.is_agent)
    return no_content()


@triggers.post(
    "/triggers/<trigger_id>/pause", responses={200: TriggerOut, **CHANGES}, request_body=optional_body(NoteIn)
)
@needs(Level.WRITE, own=True, optional_body=True)
def pause_trigger(path: TriggerPath, body: NoteIn) -> Response:
    """Pause a trigger: it makes no new firings; waiting ones are still delivered."""
    reached(path.trigger_id)
    who = caller()
    paused = services().triggers.pause(
        who.tenant_id, path.trigger_id, actor=who.actor, note=body.note, by_agent=who.is_agent
    )
    return answer(TriggerOut.model_validate(paused))


@triggers.post("/triggers/<trigger_id>/resume", responses={200: TriggerOut, **CHANGES})
@needs(Level.WRITE, own=True)
def resume_trigger(path: TriggerPath) -> Response:
    """Resume a trigger from now on. Missed times do not fire, except for a once; it counts fires from zero."""
    reached(path.trigger_id)
    who = caller()
    resumed = services().triggers.resume(who.tenant_id, path.trigger_id, actor=who.actor, by_agent=who.is_agent)
    return answer(TriggerOut.model_validate(resumed))


@triggers.post("/triggers/<trigger_id>/fire", responses={202: FiredOut, **CHANGES, **problems(429)})
@needs(Level.WRITE, own=True)
def fire_trigger(path: TriggerPath) -> Response:
    """Fire now, regardless of schedule and cooldown. It counts towards max_fires.

    A poll is checked first, and the firing carries the result; if the check fails, it fires without one. With an
    Idempotency-Key a repeated request fires nothing and returns the first firing.
    """
    found = reached(path.trigger_id)
    who = caller()
    request = keyed_request(f"fire:{path.trigger_id}")
    with services().db.begin() as conn:
        is_repeated = answered_before(conn, request) is not None
    fired = services().triggers.fire(
        who.tenant_id,
        path.trigger_id,
        actor=who.actor,
        by_agent=who.is_agent,
        request=request,
        seen=None if is_repeated else services().checks.find_now(who.trier, found),
    )
    return answer(FiredOut.model_validate(fired), 202)


@triggers.post("/triggers/<trigger_id>/rotate-token", responses={200: TriggerOut, **CHANGES})
@needs(Level.WRITE, own=True)
def rotate_token(path: TriggerPath) -> Response:
    """Give a webhook a new hook_url, shown in this response only; the old one is invalid from now on."""
    reached(path.trigger_id)
    who = caller()
    rotated = services().triggers.rotate_token(
        who.tenant_id, path.trigger_id, actor=who.actor, by_agent=who.is_agent
    )
    return answer(_created(rotated))


@triggers.get("/triggers/<trigger_id>/preview", responses={200: PreviewOut})
@needs(Level.READ, own=True)
def preview_trigger(path: TriggerPath, query: PreviewQuery) -> Response:
    """Show when a trigger fires next, in its own zone."""
    reached(path.trigger_id)
    found = services().triggers.preview(caller().tenant_id, path.trigger_id, query.count)
    return answer(PreviewOut.model_validate(asdict(found)))


@triggers.post("/triggers/preview", responses={200: PreviewOut, **CHANGES})
@needs(Level.READ, own=True)
def preview_config(body: PreviewIn) -> Response:
    """Show when a trigger of this type and config would fire; in UTC without a timezone."""
    after = body.after or services().clock.now()
    found = preview(body.type, body.config, zone=body.timezone, after=after, count=body.count, naive_ok=False)
    return answer(PreviewOut.model_validate(asdict(found)))


@triggers.get("/trigger-types", responses={200: TriggerTypesOut})
@needs(Level.READ, own=True)
def show_trigger_types() -> Response:
    """List the kinds of trigger: ours, and those of installed packages."""
    found = sorted(KINDS.values(), key=lambda kind: not kind.is_offered)
    return answer(TriggerTypesOut(items=[_type_out(kind) for kind in found]))


def _type_out(kind: type[TriggerConfig]) -> TriggerTypeOut:
    return TriggerTypeOut(
        type=kind.kind,
        label=kind.label,
        summary=kind.summary,
        docs=kind.docs,
        is_offered=kind.is_offered,
        config_schema=kind.model_json_schema(),
    )


def reached(trigger_id: UUID) -> TriggerView:
    """Returns the trigger, if the caller may access it; raises NotFound."""
    who = caller()
    found = services().triggers.get(who.tenant_id, trigger_id)
    who.must_reach(found.agent_id, "trigger", trigger_id)
    return found


def _created(made: CreatedTrigger) -> TriggerOut:
    shown = TriggerOut.model_validate(made.trigger)
    if made.hook_token is None:
        return shown
    return shown.model_copy(update={"hook_url": hook_address(made.hook_token)})
