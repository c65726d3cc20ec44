"""Everything that the API can do is within reach of a shell: by a command, or it is said why not."""

from __future__ import annotations

from typing import Any

import pytest
from typer.main import get_command

from scheduler.cli import app
from tests.support.routes import SCOPES

COMMANDS: dict[str, str] = {
    "GET /agents": "agents list",
    "POST /agents": "agents create",
    "POST /agents/bulk": "agents create-all",
    "GET /agents/<agent_id>": "agents show",
    "PATCH /agents/<agent_id>": "agents edit",
    "DELETE /agents/<agent_id>": "agents delete",
    "POST /agents/<agent_id>/pause": "agents pause",
    "POST /agents/<agent_id>/resume": "agents resume",
    "POST /agents/<agent_id>/wake": "agents wake",
    "PUT /agents/<agent_id>/heartbeat": "agents heartbeat",
    "GET /agents/<agent_id>/focus": "agents focus",
    "POST /agents/<agent_id>/focus/<focus_ref>/resolve": "agents focus",
    "GET /agents/<agent_id>/notes": "agents notes",
    "PUT /agents/<agent_id>/notes": "agents notes",
    "GET /agents/<agent_id>/usage": "agents usage",
    "POST /agents/<agent_id>/triggers": "triggers add",
    "GET /agents/<agent_id>/triggers": "triggers list",
    "GET /triggers": "triggers list",
    "POST /triggers/bulk": "triggers add-all",
    "GET /triggers/<trigger_id>": "triggers show",
    "PATCH /triggers/<trigger_id>": "triggers edit",
    "DELETE /triggers/<trigger_id>": "triggers rm",
    "POST /triggers/<trigger_id>/pause": "triggers pause",
    "POST /triggers/<trigger_id>/resume": "triggers resume",
    "POST /triggers/<trigger_id>/fire": "triggers fire",
    "POST /triggers/<trigger_id>/rotate-token": "triggers rotate",
    "GET /triggers/<trigger_id>/preview": "triggers preview",
    "POST /triggers/preview": "triggers preview",
    "GET /trigger-types": "triggers types",
    "GET /runtimes": "agents presets",
    "GET /triggers/<trigger_id>/poll": "triggers poll",
    "POST /triggers/<trigger_id>/try": "triggers try",
    "POST /triggers/try": "triggers try",
    "GET /approvals": "approvals list",
    "POST /triggers/<trigger_id>/approve": "approvals approve",
    "POST /triggers/<trigger_id>/reject": "approvals reject",
    "GET /triggers/<trigger_id>/deliveries": "deliveries list",
    "GET /triggers/<trigger_id>/deliveries/<delivery_id>": "deliveries show",
    "POST /triggers/<trigger_id>/deliveries/replay": "deliveries replay",
    "POST /triggers/<trigger_id>/deliveries/<delivery_id>/replay": "deliveries replay",
    "GET /firings": "firings list",
    "GET /firings/<firing_id>": "firings show",
    "GET /firings/<firing_id>/payload": "firings payload",
    "GET /firings/<firing_id>/documents/<number>": "firings payload",
    "POST /firings/<firing_id>/ack": "ack",
    "GET /invocations": "invocations list",
    "GET /invocations/<invocation_id>": "invocations show",
    "POST /invocations/<invocation_id>/cancel": "invocations cancel",
    "POST /invocations/<invocation_id>/replay": "invocations replay",
    "POST /invocations/<invocation_id>/complete": "invocations complete",
    "GET /insights": "insights",
    "GET /search": "search",
    "POST /simulations": "simulate",
    "POST /definitions": "apply",
    "GET /definitions": "export",
    "GET /audit": "audit",
    "GET /alerts": "alerts list",
    "POST /alerts/mutes": "alerts mute",
    "GET /alerts/mutes": "alerts mutes",
    "DELETE /alerts/mutes/<mute_id>": "alerts unmute",
    "POST /alerts/badge": "alerts badge",
    "DELETE /alerts/badge": "alerts badge",
    "GET /pause": "paused",
    "POST /pause": "pause",
    "POST /resume": "resume",
    "POST /users": "users create",
    "GET /users": "users list",
    "GET /users/<user_id>": "users show",
    "POST /messages": "messages send",
    "GET /messages/<message_id>": "messages show",
    "GET /sessions": "sessions list",
    "GET /sessions/<session_id>/messages": "sessions show",
    "POST /channels": "channels create",
    "GET /channels": "channels list",
    "GET /channels/<channel_id>": "channels show",
    "PATCH /channels/<channel_id>": "channels edit",
    "DELETE /channels/<channel_id>": "channels delete",
    "POST /agents/<agent_id>/notification-targets": "targets add",
    "GET /agents/<agent_id>/notification-targets": "targets list",
    "GET /notification-targets/<target_id>": "targets show",
    "DELETE /notification-targets/<target_id>": "targets delete",
    "POST /notification-targets/<target_id>/test": "targets test",
    "POST /models": "models create",
    "GET /models": "models list",
    "GET /models/<model_id>": "models show",
    "PATCH /models/<model_id>": "models edit",
    "DELETE /models/<model_id>": "models delete",
    "POST /models/<model_id>/test": "models test",
    "POST /api-keys": "keys create",
    "GET /api-keys": "keys list",
    "GET /api-keys/<key_id>": "keys show",
    "DELETE /api-keys/<key_id>": "keys revoke",
    "POST /web-users": "web-password",
    "PATCH /web-users/<web_user_id>": "web-password",
    "DELETE /web-users/<web_user_id>": "web-password",
    "GET /web-users": "web-users list",
    "GET /web-users/<web_user_id>": "web-users show",
    "POST /tenants": "tenants create",
    "GET /tenants": "tenants list",
    "GET /tenants/<tenant_id>": "tenants show",
    "PATCH /tenants/<tenant_id>": "tenants edit",
    "DELETE /tenants/<tenant_id>": "tenants delete",
    "POST /tenants/<tenant_id>/pause": "tenants pause",
    "POST /tenants/<tenant_id>/resume": "tenants resume",
}
"""Route -> the command that calls it."""
NO_COMMAND: dict[str, str] = {}
"""Route -> why no person at a shell needs it."""


def commands(group: Any, above: str = "") -> set[str]:
    found: set[str] = set()
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        path = f"{above} {name}".strip()
        found |= commands(command, path) if hasattr(command, "list_commands") else {path}
    return found


def test_every_route_has_a_command_or_a_reason() -> None:
    assert COMMANDS.keys() | NO_COMMAND.keys() == SCOPES.keys()
    assert not COMMANDS.keys() & NO_COMMAND.keys()


@pytest.fixture(scope="module")
def known() -> set[str]:
    return commands(get_command(app))


def test_the_commands_of_routes_exist(known: set[str]) -> None:
    assert set(COMMANDS.values()) <= known


def test_every_command_says_what_it_does(known: set[str]) -> None:
    root = get_command(app)
    for path in known:
        command: Any = root
        for name in path.split():
            command = command.get_command(None, name)
        assert command.get_short_help_str(), path
        options = {option.name for option in command.params}
        assert "url" not in options or {"key", "tenant", "wide", "utc", "as_json"} <= options, path
