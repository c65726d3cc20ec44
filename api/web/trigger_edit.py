"""Creates and changes triggers with a form for each kind and a preview of its fire times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, g, request

from api.auth import Level, caller, needs
from api.resources.base import given
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.fields import texts_of
from api.web.forms.kept_secrets import KeptSecrets
from api.web.forms.triggers import (
    WrongFields,
    changes,
    errors_of,
    first_values,
    form_of,
    merged_config,
    new_trigger,
    read_form,
    values_of,
)
from api.web.triggers import PREVIEWED, made_page
from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.agents import get_agent, list_agents
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.triggers.preview import Preview, preview
from scheduler.triggers.registry import CLOCKED, OFFERED, kind_of

MAX_AGENTS = 200

trigger_edit = page_blueprint("trigger_edit")


@trigger_edit.get("/triggers/new")
@needs(Level.WRITE)
def choose() -> Response:
    """Shows the kinds to choose from, or the form of the chosen one."""
    kind = request.args.get("type", "")
    if kind not in OFFERED:
        return render("trigger_kinds.html", kinds=OFFERED.values(), agent_id=request.args.get("agent_id", ""))
    return _form(kind, {**first_values(kind), "agent_id": request.args.get("agent_id", "")})


@trigger_edit.post("/triggers/new")
@needs(Level.WRITE)
def make() -> Response:
    """Creates the trigger; or only previews when it would fire or what it would see."""
    kind = _kind(request.form.get("type", ""))
    kept = _secrets(kind)
    shown = kept.put_back(texts_of(request.form, form_of(kind)))
    try:
        kept.check()
        if request.form.get("do") == "keep":
            return _form(kind, shown)
        if request.form.get("do") == "preview":
            return _form(kind, shown, ahead=_ahead(kind, _config(kind, shown)))
        if request.form.get("do") == "try":
            trial = services().checks.try_config(caller().trier, kind, _config(kind, shown))
            return _form(kind, shown, trial=trial)
        body = new_trigger(kind, shown)
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
    """Shows the form with the trigger's values."""
    found = _found(trigger_id)
    return _form(found.type, values_of(found), trigger=found)


@trigger_edit.post("/triggers/<trigger_id>/edit")
@needs(Level.WRITE)
def change(trigger_id: str) -> Response:
    """Changes the trigger; or only previews when it would fire then."""
    found = _found(trigger_id)
    kept = _secrets(found.type, found)
    shown = kept.put_back(texts_of(request.form, form_of(found.type)))
    try:
        kept.check()
        if request.form.get("do") == "keep":
            return _form(found.type, shown, trigger=found)
        if request.form.get("do") == "preview":
            ahead = _ahead(found.type, merged_config(found, shown))
            return _form(found.type, shown, trigger=found, ahead=ahead)
        patch = changes(found, shown)
        if patch:
            who = caller()
            services().triggers.update(who.tenant_id, found.id, patch, actor=who.actor)
    except ReveilleError as error:
        return _form(found.type, shown, trigger=found, error=error)
    return done(f"/triggers/{found.id}", "Saved." if patch else "Nothing was changed.")


@trigger_edit.post("/triggers/preview")
@needs(Level.READ)
def show_preview() -> Response:
    """Returns the preview of this form's fire times, which a script shows during typing."""
    kind = _kind(request.form.get("type", ""))
    shown = _secrets(kind).put_back(texts_of(request.form, form_of(kind)))
    try:
        return render("trigger_preview.html", ahead=_ahead(kind, _config(kind, shown)))
    except ReveilleError as error:
        said = " ".join(errors_of(error, kind).values())
        return render("trigger_preview.html", ahead=None, refusal=said or error.message)


def _config(kind: str, shown: Mapping[str, str]) -> dict[str, Any]:
    """Returns the config in the form. Raises WrongFields for invalid values."""
    fields, errors = read_form(kind, shown)
    wrong = {name: text for name, text in errors.items() if name.startswith("config.")}
    if wrong:
        raise WrongFields(wrong)
    return dict(fields["config"])


def _ahead(kind: str, config: dict[str, Any]) -> Preview:
    who = caller()
    zone = None
    if request.form.get("agent_id"):
        with services().db.begin() as conn:
            zone = get_agent(conn, who.tenant_id, parse_id(request.form["agent_id"], "agent")).timezone
    after = services().clock.now()
    return preview(kind, config, zone=zone or g.signed_in.timezone, after=after, count=PREVIEWED, naive_ok=False)


def _form(kind: str, values: dict[str, str], *, error: ReveilleError | None = None, **more: Any) -> Response:
    trigger: TriggerView | None = more.get("trigger")
    with services().db.begin() as conn:
        agents = list_agents(conn, caller().tenant_id, limit=MAX_AGENTS)
    errors = errors_of(error, kind) if error else {}
    inputs = form_of(kind)
    secrets = _secrets(kind, trigger)
    return render(
        "trigger_form.html",
        error.status if error else 200,
        kind=kind,
        about=kind_of(kind),
        inputs=inputs,
        first_wrong=next((each.name for each in inputs if each.name in errors), None),
        is_unfolded=any(each.is_folded and each.name in errors for each in inputs),
        values=secrets.without(values),
        kept=secrets.sealed(values),
        agents=agents,
        action=_path(trigger),
        error=error,
        errors=errors,
        has_slots=kind in CLOCKED,
        **({"trigger": None} | more),
    )


def _path(trigger: TriggerView | None) -> str:
    return f"/triggers/{trigger.id}/edit" if trigger else "/triggers/new"


def _secrets(kind: str, trigger: TriggerView | None = None) -> KeptSecrets:
    return KeptSecrets(f"{_path(trigger)} {kind}", [each.name for each in form_of(kind) if each.is_secret])


def _found(trigger_id: str) -> TriggerView:
    found = services().triggers.get(caller().tenant_id, parse_id(trigger_id, "trigger"))
    _kind(found.type)
    return found


def _kind(name: str) -> str:
    if name not in OFFERED:
        known = ", ".join(OFFERED)
        raise InvalidField(f"There is no kind of trigger {name[:40]!r}; the kinds are {known}.", field="type")
    return name
