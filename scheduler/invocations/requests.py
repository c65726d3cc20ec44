"""What a claimed invocation is run with: its agent's runtime, and the request with context and firings."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Label, Row, literal_column, select, update

from scheduler.domain.context import (
    ContextFiring,
    Language,
    build_context,
    is_asked,
    new_nonce,
    reason_of,
    session_title,
)
from scheduler.domain.model import RuntimeKind, TriggerType, Trust
from scheduler.domain.run import RunAgent, RunFiring, RunRequest, RuntimeSpec, RunTrigger, Skipped
from scheduler.domain.text import storable
from scheduler.domain.thinking import Thinking
from scheduler.domain.tools import McpServer
from scheduler.domain.webhook_body import readable
from scheduler.invocations.lifecycle import Claimed
from scheduler.storage.models import usable_models
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables import Agent, Firing, Invocation

_GONE: Label[str | None] = literal_column("""
    CASE WHEN deleted_at IS NOT NULL THEN 'agent_deleted'
         WHEN expires_at <= clock_timestamp() THEN 'agent_expired' END
""").label("gone")
_CONTEXT_FIELDS = tuple(field.name for field in fields(ContextFiring))


@dataclass(frozen=True, slots=True)
class Work:
    """A run, ready to be made."""

    spec: RuntimeSpec
    request: RunRequest


def prepare(conn: Connection, claimed: Claimed, base_url: str, box: SecretBox) -> Work | Skipped:
    """Read what a claimed invocation needs; Skipped when its agent is gone.

    The context is made for the first try and kept: a repeated request differs in its attempt and token alone.
    Skipped also when it has no enabled model. Raises ConfigurationError when a secret does not open.
    """
    agent = conn.execute(select(Agent.__table__, _GONE).where(Agent.id == claimed.agent_id)).one_or_none()
    if agent is None or agent.gone:
        return Skipped(agent.gone if agent else "agent_deleted")
    firings = conn.execute(
        select(Firing.__table__).where(Firing.invocation_id == claimed.id).order_by(Firing.id)
    ).all()
    thinking = _thinking(conn, agent, firings, box) if agent.runtime_kind == RuntimeKind.LLM else None
    if isinstance(thinking, Skipped):
        return thinking
    secret = None if agent.runtime_secret is None else box.decrypt(agent.runtime_secret)
    request = RunRequest(
        invocation_id=claimed.id,
        attempt=claimed.attempt,
        complete_url=f"{base_url}/api/v1/invocations/{claimed.id}/complete",
        complete_token=claimed.complete_token,
        agent=RunAgent(id=agent.id, name=agent.name),
        context=_context(conn, claimed, agent.language, firings),
        firings=tuple(_run_firing(firing, _language(agent.language)) for firing in firings),
    )
    spec = RuntimeSpec(agent.runtime_kind, agent.runtime, secret, agent.timeout_seconds, thinking)
    return Work(spec, request)


def _thinking(
    conn: Connection, agent: Row[Any], firings: Sequence[Row[Any]], box: SecretBox
) -> Thinking | Skipped:
    named = (agent.runtime.get("model_id"), agent.runtime.get("fallback_model_id"))
    models = usable_models(conn, agent.tenant_id, [UUID(each) for each in named if each], box)
    if isinstance(models, str):
        return Skipped(models)
    trusts = frozenset(firing.trust for firing in firings)
    is_awaited = any(firing.trigger_type == TriggerType.A2A_WAIT for firing in firings)
    return Thinking(
        tenant_id=agent.tenant_id,
        models=tuple(models),
        title=session_title([firing.trigger_name for firing in firings], _language(agent.language)),
        language=agent.language,
        role=agent.role_description,
        trusts=trusts,
        is_among_agents=trusts == {Trust.AGENT} and not is_awaited,
        is_awaited=is_awaited,
        is_asked=is_asked([(firing.trust, firing.data) for firing in firings]),
        mcp_servers=tuple(_mcp_servers(agent, box)),
    )


def _mcp_servers(agent: Row[Any], box: SecretBox) -> Iterator[McpServer]:
    headers = {} if agent.mcp_secrets is None else json.loads(box.decrypt(agent.mcp_secrets))
    for server in agent.mcp_servers:
        yield McpServer(server["name"], server.get("url"), server.get("command"), headers.get(server["name"], {}))


def _language(language: str) -> Language:
    return "zh" if language == "zh" else "en"


def _context(conn: Connection, claimed: Claimed, language: str, firings: Sequence[Row[Any]]) -> str:
    kept = conn.execute(select(Invocation.context).where(Invocation.id == claimed.id)).scalar_one()
    if kept is not None:
        return str(kept)
    shown = [
        ContextFiring(
            **{name: getattr(firing, name) for name in _CONTEXT_FIELDS}
            | {"payload": readable(firing.payload, firing.data)}
        )
        for firing in firings
    ]
    context, _ = storable(build_context(shown, _language(language), new_nonce()))
    conn.execute(update(Invocation).where(Invocation.id == claimed.id).values(context=context))
    return context


def _run_firing(firing: Row[Any], language: Language) -> RunFiring:
    text, encoded = _payload(firing.payload)
    return RunFiring(
        id=firing.id,
        trigger=RunTrigger(
            id=firing.trigger_id,
            name=firing.trigger_name,
            type=firing.trigger_type,
            reason=reason_of(firing.trigger_type, firing.reason, firing.data, language),
            focus_ref=firing.focus_ref,
        ),
        fired_at=firing.fired_at,
        first_scheduled_for=firing.first_scheduled_for,
        scheduled_for=firing.scheduled_for,
        slot_count=firing.slot_count,
        content_type=firing.content_type,
        payload=text,
        payload_base64=encoded,
        data=firing.data,
    )


def _payload(payload: bytes | None) -> tuple[str | None, str | None]:
    """The payload as text, or in base64 when it is none."""
    if payload is None:
        return None, None
    try:
        return payload.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, base64.b64encode(payload).decode("ascii")
