"""Making and changing a trigger: a form for its kind, with a preview of when it would fire."""

from __future__ import annotations

from typing import Any

from flask import Response, g, request

from api.auth import Level, caller, needs
from api.polls import checked_poll, look
from api.resource import given
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.trigger_forms import KINDS, as_patch, as_trigger, errors_of, inputs_of, read_form, values_of
from api.web.triggers import PREVIEWED, WITH_SLOTS, made_page
from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.domain.model import TriggerType
from scheduler.manage.trigger_spec import TriggerSpec
from scheduler.storage.agents import get_agent, list_agents
from scheduler.storage.trigger_views import TriggerView
from scheduler.triggers.preview import Preview, preview

MAX_AGENTS = 200
DEFAULTS = {
    "cooldown_seconds": "60",
    "misfire_policy": "latest",
    "grace_seconds": "60",
    "config.minutes": "30",
    "config.interval_min": "5",
    "config.method": "GET",
    "config.fire_on": "change",
}

trigger_edit = page_blueprint("trigger_edit")


@trigger_edit.get("/triggers/new")
@needs(Level.WRITE)
def choose() -> Response:
    """The kinds to choose from, or the form of the one that was chosen."""
    kind = request.args.get("type", "")
    if kind not in KINDS:
        return render("trigger_kinds.html", agent_id=request.args.get("agent_id", ""))
    return _form(kind, {**DEFAULTS, "agent_id": request.args.get("agent_id", "")})


@trigger_edit.post("/triggers/new")
@needs(Level.WRITE)
def make() -> Response:
    """Make it; or only show when it would fire, or what it would see."""
    kind = _kind(request.form.get("type", ""))
    shown = request.form.to_dict()
    try:
        fields = read_form(kind, request.form)
        if request.form.get("do") == "preview":
            return _form(kind, shown, ahead=_ahead(kind, fields))
        if request.form.get("do") == "try":
            return _form(kind, shown, trial=look(checked_poll(fields["config"]), None))
        body = as_trigger(fields)
        agent_id = parse_id(request.form.get("agent_id", ""), "agent")
        who = caller()
        made = services().triggers.create(who.tenant_id, agent_id, TriggerSpec(**given(body)), actor=who.actor)
    except ReveilleError as error:
        return _form(kind, shown, error=error)
    if made.hook_token is not None:
        return made_page(made.trigger, made.hook_token)
    return done(f"/triggers/{made.trigger.id}", f"{made.trigger.name} was created.")


@trigger_edit.get("/triggers/<trigger_id>/edit")
@needs(Level.WRITE)
def edit(trigger_id: str) -> Response:
    """The form as the trigger is."""
    found = _found(trigger_id)
    return _form(found.type, values_of(found.type, found), trigger=found)


@trigger_edit.post("/triggers/<trigger_id>/edit")
@needs(Level.WRITE)
def change(trigger_id: str) -> Response:
    """Change it; or only show when it would fire then."""
    found = _found(trigger_id)
    shown = request.form.to_dict()
    try:
        fields = read_form(found.type, request.form)
        if request.form.get("do") == "preview":
            return _form(found.type, shown, trigger=found, ahead=_ahead(found.type, fields))
        who = caller()
        services().triggers.update(who.tenant_id, found.id, as_patch(found.type, fields), actor=who.actor)
    except ReveilleError as error:
        return _form(found.type, shown, trigger=found, error=error)
    return done(f"/triggers/{found.id}", "Saved.")


@trigger_edit.post("/triggers/preview")
@needs(Level.READ)
def show_preview() -> Response:
    """When a trigger of this form would fire: what a script shows while one types."""
    kind = _kind(request.form.get("type", ""))
    try:
        return render("trigger_preview.html", ahead=_ahead(kind, read_form(kind, request.form)))
    except ReveilleError as error:
        return render("trigger_preview.html", ahead=None, refusal=error.message)


def _ahead(kind: str, fields: dict[str, Any]) -> Preview:
    who = caller()
    zone = None
    if request.form.get("agent_id"):
        with services().db.begin() as conn:
            zone = get_agent(conn, who.tenant_id, parse_id(request.form["agent_id"], "agent")).timezone
    after = services().clock.now()
    return preview(
        kind, fields["config"], zone=zone or g.signed_in.timezone, after=after, count=PREVIEWED, naive_ok=False
    )


def _form(kind: str, values: dict[str, str], *, error: ReveilleError | None = None, **more: Any) -> Response:
    trigger: TriggerView | None = more.get("trigger")
    with services().db.begin() as conn:
        agents = list_agents(conn, caller().tenant_id, limit=MAX_AGENTS)
    return render(
        "trigger_form.html",
        error.status if error else 200,
        kind=kind,
        inputs=inputs_of(kind),
        values=values,
        agents=agents,
        action=f"/triggers/{trigger.id}/edit" if trigger else "/triggers/new",
        error=error,
        errors=errors_of(error) if error else {},
        has_slots=kind in WITH_SLOTS,
        **({"trigger": None} | more),
    )


def _found(trigger_id: str) -> TriggerView:
    found = services().triggers.get(caller().tenant_id, parse_id(trigger_id, "trigger"))
    _kind(found.type)
    return found


def _kind(name: str) -> str:
    if name not in KINDS:
        known = ", ".join(each.value for each in TriggerType if each.value in KINDS)
        raise InvalidField(f"There is no kind of trigger {name[:40]!r}; there are {known}.", field="type")
    return name
