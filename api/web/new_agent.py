"""The page for a new agent, with a form for each runtime."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import agent_out
from api.schemas.agents import AgentIn
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.kept_secrets import KeptSecrets
from api.web.forms.runtimes import errors_of, form_of, lacking, read_new, runtime_inputs, values_of
from api.web.forms.validation import filled, shaped
from scheduler.domain.errors import NotFound, ReveilleError
from scheduler.runtimes.registry import RUNTIMES
from scheduler.storage.models import list_models

FIELDS = ("name", "role_description", "language", "timezone", "dedup_delay_seconds")
LIMITS = {
    "max_batch": "Maximum firings per wake",
    "timeout_seconds": "Timeout (seconds)",
    "max_triggers": "Maximum triggers",
    "min_poll_interval_min": "Minimum polling interval (minutes)",
    "webhook_rate_limit": "Maximum deliveries per minute and webhook",
    "max_tokens_per_day": "Maximum tokens per day",
    "max_invocations_per_hour": "Maximum invocations per hour",
    "expect_wake_within": "Alert when not woken for (seconds, or 2h, 1d)",
    "expires_at": "Expires at",
}
"""Collapsed in the form; empty fields get their defaults."""
CHECKS = ("approve_triggers", "public_card")
MOST_MODELS = 200

new_agent = page_blueprint("new_agent")


@new_agent.get("/agents/new")
@needs(Level.WRITE)
def show_form() -> Response:
    """Shows the form of the requested runtime, by default the first."""
    kind = _kind(request.args.get("kind", next(iter(RUNTIMES))))
    suggested = RUNTIMES[kind].suggested(request.args.get("preset", ""))
    return agent_form(kind, given=values_of(kind, suggested), unfolded=suggested)


@new_agent.post("/agents/new")
@needs(Level.WRITE)
def make() -> Response:
    """Creates an agent; a generated secret is shown only this once."""
    kind = _kind(request.form.get("kind", ""))
    given = filled(*FIELDS, *LIMITS, *CHECKS)
    kept = secrets_of(kind)
    typed = kept.put_back(request.form.to_dict())
    try:
        kept.check()
        runtime = read_new(kind, typed)
        body = shaped(AgentIn, {"name": "", **given, "runtime": runtime})
        who = caller()
        saved = services().agents.create(who.tenant_id, body.spec(), actor=who.actor)
    except ReveilleError as error:
        return agent_form(kind, error.status, given=typed, errors=errors_of(kind, error))
    generated = {name: value for name, value in saved.new_secrets.items() if not runtime.get(name)}
    if generated:
        made = agent_out(saved.row).model_dump(mode="json")
        secrets = {RUNTIMES[kind].model_fields[name].title or name: value for name, value in generated.items()}
        return render("agent_created.html", 201, agent=made, secrets=secrets)
    return done(f"/agents/{saved.row.id}", f"{saved.row.name} was created. Add a trigger, or wake it now.")


def _kind(given: str) -> str:
    if given not in RUNTIMES:
        raise NotFound("There is no such runtime.")
    return given


def secrets_of(kind: str, agent: Mapping[str, Any] | None = None) -> KeptSecrets:
    """Returns the secrets of a runtime in the form of a new agent, or of `agent`."""
    names = [each.name for _, each in runtime_inputs(kind) if each.is_secret]
    return KeptSecrets(f"agent {agent['id'] if agent else 'new'} {kind}", names)


def agent_form(
    kind: str,
    status: int = 200,
    *,
    given: Mapping[str, Any],
    errors: dict[str, str] | None = None,
    agent: dict[str, Any] | None = None,
    unfolded: Collection[str] = (),
) -> Response:
    """Returns the form of a runtime, for a new agent or to change `agent`."""
    choices = _choices() | {"presets": list(RUNTIMES[kind].presets().items())}
    inputs = form_of(kind, choices, given, is_new=agent is None, unfolded=unfolded)
    secrets = secrets_of(kind, agent)
    return render(
        "new_agent.html",
        status,
        kind=kind,
        runtimes=RUNTIMES,
        presets=choices["presets"],
        preset=given.get("preset"),
        agent=agent,
        limits=LIMITS,
        given=secrets.without(given),
        kept=secrets.sealed(given),
        errors=errors or {},
        inputs=inputs,
        lacking=lacking(kind, choices),
    )


def _choices() -> dict[str, list[tuple[str, str]]]:
    """Returns the choices for a runtime's settings: the tenant's models, and the commands that the operator
    allows.
    """
    with services().db.begin() as conn:
        models = list_models(conn, caller().tenant_id, limit=MOST_MODELS)
    return {
        "models": [(str(model.id), model.name) for model in models if model.is_enabled],
        "commands": [(name, name) for name in sorted(services().settings.commands)],
    }
