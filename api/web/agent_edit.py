"""Changes an agent with the form that creates one, and deletes it after confirmation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import agent_out
from api.resources.base import given
from api.schemas.agents import AgentPatch, AgentPath
from api.services import services
from api.web.base import done, page_blueprint
from api.web.confirmations import ask
from api.web.forms.fields import same_lines
from api.web.forms.runtimes import errors_of, read_changes, values_of
from api.web.forms.saved import DO
from api.web.forms.validation import shaped
from api.web.new_agent import CHECKS, FIELDS, LIMITS, agent_form, secrets_of
from scheduler.domain.errors import ReveilleError
from scheduler.domain.text import counted
from scheduler.storage.read_models.overviews import summarize_agents

NULL_WHEN_EMPTY = frozenset(
    {
        "timezone",
        "max_triggers",
        "min_poll_interval_min",
        "webhook_rate_limit",
        "max_tokens_per_day",
        "max_invocations_per_hour",
        "expect_wake_within",
        "expires_at",
    }
)
TEXTS = frozenset({"name", "role_description"})
"""Fields that are sent even when empty: empty text is valid for some, and an error for a name."""

agent_edit = page_blueprint("agent_edit")


@agent_edit.get("/agents/<agent_id>/edit")
@needs(Level.WRITE)
def edit(agent_id: str) -> Response:
    """Shows the form with the agent's values."""
    agent = _agent(agent_id)
    return agent_form(agent["runtime"]["kind"], given=_shown(agent), agent=agent)


@agent_edit.post("/agents/<agent_id>/edit")
@needs(Level.WRITE)
def change(agent_id: str) -> Response:
    """Changes the agent; an empty secret keeps the old one."""
    agent = _agent(agent_id)
    kind = agent["runtime"]["kind"]
    patch = _read(agent, (*FIELDS, *LIMITS)) | {name: bool(request.form.get(name)) for name in CHECKS}
    kept = secrets_of(kind, agent)
    typed = kept.put_back(request.form.to_dict())
    try:
        kept.check()
        if request.form.get(DO) == "keep":
            return agent_form(kind, given=typed, agent=agent)
        runtime = read_changes(kind, agent["runtime"], typed)
        changes = given(shaped(AgentPatch, patch | {"runtime": runtime}))
        who = caller()
        services().agents.update(who.tenant_id, _path(agent_id).agent_id, changes, actor=who.actor)
    except ReveilleError as error:
        return agent_form(kind, error.status, given=typed, errors=errors_of(kind, error), agent=agent)
    return done(f"/agents/{agent['id']}", "Saved.")


@agent_edit.get("/agents/<agent_id>/delete")
@needs(Level.WRITE)
def ask_to_delete(agent_id: str) -> Response:
    """Asks for confirmation and says what will be deleted."""
    agent = _agent(agent_id)
    with services().db.begin() as conn:
        [standing] = summarize_agents(conn, [_path(agent_id).agent_id]).values()
    count = standing.triggers
    with_it = f"{counted(count, 'trigger')} will be deleted with it. " if count else ""
    says = (
        f"This cannot be undone. {with_it}Its keys stop working, and firings that are still waiting are skipped. "
        "What was recorded is kept."
    )
    return ask(f"Delete {agent['name']}?", "Delete", f"/agents/{agent['id']}", says)


@agent_edit.post("/agents/<agent_id>/delete")
@needs(Level.WRITE)
def delete(agent_id: str) -> Response:
    """Deletes the agent and its triggers; recorded history stays."""
    agent = _agent(agent_id)
    who = caller()
    services().agents.delete(who.tenant_id, _path(agent_id).agent_id, actor=who.actor)
    return done("/agents", f"{agent['name']} was deleted. What it recorded is kept.")


def _agent(agent_id: str) -> dict[str, Any]:
    row = services().agents.get(caller().tenant_id, _path(agent_id).agent_id)
    return agent_out(row).model_dump(mode="json")


def _path(agent_id: str) -> AgentPath:
    return shaped(AgentPath, {"agent_id": agent_id})


def _shown(agent: Mapping[str, Any]) -> dict[str, Any]:
    names = (*FIELDS, *LIMITS, *CHECKS)
    return {name: agent[name] for name in names} | values_of(agent["runtime"]["kind"], agent["runtime"])


def _read(agent: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Reads the touched fields of the form: null for an emptied limit; other empty fields stay unchanged."""
    found: dict[str, Any] = {}
    for name in names:
        if name not in request.form:
            continue
        text = same_lines(request.form[name])
        if agent[name] is not None and text == same_lines(str(agent[name])):
            continue
        value = text.strip()
        if value or name in TEXTS:
            found[name] = value
        elif name in NULL_WHEN_EMPTY:
            found[name] = None
    return found
