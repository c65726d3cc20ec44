"""A new agent: a form for each runtime."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import agent_out
from api.schemas.agents import AgentIn
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.shapes import filled, shaped, wrong_fields
from scheduler.domain.errors import NotFound, ReveilleError
from scheduler.storage.models import list_models

KINDS = {
    "http": "your own server, called with a signed POST",
    "llm": "a language model that runs here, with tools",
    "a2a": "a remote agent that speaks A2A",
    "command": "a program that the operator has allowed",
}
RUNTIME_FIELDS = {
    "http": ("url", "secret"),
    "llm": ("model_id", "fallback_model_id", "instructions"),
    "a2a": ("url", "secret"),
    "command": ("command",),
}
FIELDS = ("name", "role_description", "language", "timezone", "dedup_delay_seconds")
LIMITS = {
    "max_batch": "Maximum firings per wake",
    "timeout_seconds": "Timeout (seconds)",
    "max_triggers": "Maximum triggers",
    "min_poll_interval_min": "Minimum polling interval (minutes)",
    "webhook_rate_limit": "Maximum deliveries per minute and webhook",
    "max_tokens_per_day": "Maximum tokens per day",
    "max_invocations_per_hour": "Maximum invocations per hour",
    "expires_at": "Expires at",
}
"""Folded in the form; what is left empty has its default."""
CHECKS = ("approve_triggers",)
SECRETS = frozenset({"secret"})
MOST_MODELS = 200

new_agent = page_blueprint("new_agent")


@new_agent.get("/agents/new")
@needs(Level.WRITE)
def show_form() -> Response:
    """The form of the runtime that the address asks for, http at first."""
    return agent_form(_kind(request.args.get("kind", "http")))


@new_agent.post("/agents/new")
@needs(Level.WRITE)
def make() -> Response:
    """Make an agent; an http agent's secret is shown this once."""
    kind = _kind(request.form.get("kind", ""))
    given = filled(*FIELDS, *LIMITS, *CHECKS, *RUNTIME_FIELDS[kind])
    runtime = {"kind": kind, **{name: given[name] for name in RUNTIME_FIELDS[kind] if name in given}}
    if "command" in runtime:
        runtime["name"] = runtime.pop("command")
    values = {name: given[name] for name in (*FIELDS, *LIMITS, *CHECKS) if name in given}
    try:
        body = shaped(AgentIn, {"name": "", **values, "runtime": runtime})
        who = caller()
        saved = services().agents.create(who.tenant_id, body.spec(), actor=who.actor)
    except ReveilleError as error:
        return agent_form(kind, error.status, given=given, errors=errors_of_agent(error))
    if kind == "http":
        made = agent_out(saved.row, saved.new_secrets).model_dump(mode="json")
        return render("made_agent.html", 201, agent=made)
    return done(f"/agents/{saved.row.id}", f"{saved.row.name} was created. Add a trigger, or wake it now.")


def errors_of_agent(error: ReveilleError) -> dict[str, str]:
    """An agent and a command both have a name, of which only the latter is the runtime's."""
    wrong = wrong_fields(error)
    if error.field == "runtime.name":
        wrong["command"] = wrong.pop("name")
    return wrong


def _kind(given: str) -> str:
    if given not in KINDS:
        raise NotFound("There is no such runtime.")
    return given


def agent_form(
    kind: str,
    status: int = 200,
    *,
    given: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    agent: dict[str, Any] | None = None,
) -> Response:
    """The form of a runtime, for a new agent or to change `agent`."""
    shown: dict[str, Any] = {name: value for name, value in (given or {}).items() if name not in SECRETS}
    with services().db.begin() as conn:
        models = list_models(conn, caller().tenant_id, limit=MOST_MODELS) if kind == "llm" else []
    return render(
        "new_agent.html",
        status,
        kind=kind,
        runtimes=KINDS,
        agent=agent,
        limits=LIMITS,
        given=shown,
        errors=errors or {},
        models=[(str(model.id), model.name) for model in models if model.is_enabled],
        commands=sorted(services().settings.commands),
    )
