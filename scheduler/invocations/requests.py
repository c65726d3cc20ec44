"""Builds the input of a claimed invocation: its agent's runtime, and the request with context and firings."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Label, any_, bindparam, literal_column, select, text
from sqlalchemy.exc import SQLAlchemyError

from scheduler.domain.context import (
    ContextFiring,
    Language,
    build_context,
    is_asked,
    is_delegated,
    new_nonce,
    reason_of,
    session_title,
)
from scheduler.domain.llm import LlmRunSpec
from scheduler.domain.local_time import now_line
from scheduler.domain.model import TriggerKind, Trust
from scheduler.domain.run import RunAgent, RunFiring, RunRequest, RuntimeSpec, RunTrigger, Skipped
from scheduler.domain.text import storable, text_or_base64
from scheduler.domain.tools import McpServer
from scheduler.domain.traces import SpanRef, Step, firing_ref, span_id, write_traceparent
from scheduler.domain.webhook_body import readable
from scheduler.invocations.chat_memory import chat_memory
from scheduler.invocations.run import ClaimedRun
from scheduler.runtimes.registry import fields_of
from scheduler.storage.agents import zone_of_agent
from scheduler.storage.arrays import Uuids
from scheduler.storage.models import usable_models
from scheduler.storage.pipelines import send_along
from scheduler.storage.read_models.history_rows import GivenFiring
from scheduler.storage.rows import as_json, rows_as
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.core import Agent, Firing
from scheduler.storage.traces import FiringTrace
from scheduler.triggers.registry import headings_of

_GONE: Label[str | None] = literal_column("""
    CASE WHEN deleted_at IS NOT NULL THEN 'agent_deleted'
         WHEN expires_at <= clock_timestamp() THEN 'agent_expired' END
""").label("gone")
KEEP_CONTEXTS = text("""
    UPDATE invocations i SET context = v.context
    FROM json_to_recordset(CAST(:rows AS json)) AS v(id uuid, context text) WHERE i.id = v.id
""")
CLOCK = text("SELECT clock_timestamp()")
_CONTEXT_FIELDS = tuple(field.name for field in fields(ContextFiring) if field.name != "data_headings")


class _RunAgent(NamedTuple):
    """An agent with what its run needs; `gone`: why it can no longer run."""

    id: UUID
    tenant_id: UUID
    name: str
    language: str
    role_description: str
    runtime_kind: str
    runtime: dict[str, Any]
    runtime_secret: bytes | None
    timeout_seconds: int
    mcp_servers: list[dict[str, Any]]
    mcp_secrets: bytes | None
    gone: str | None


_AGENT = [*(Agent.__table__.c[name] for name in _RunAgent._fields if name != "gone"), _GONE]
AGENTS_OF_RUNS = select(*_AGENT).where(Agent.id == any_(bindparam("ids", type_=Uuids())))
_FIRING = [Firing.__table__.c[name] for name in GivenFiring._fields if name != "traceparent"]
_CARRIED = Firing.invocation_id == any_(bindparam("ids", type_=Uuids()))
FIRINGS = select(*_FIRING, literal_column("NULL").label("traceparent")).where(_CARRIED).order_by(Firing.id)
TRACED_FIRINGS = (
    select(*_FIRING, FiringTrace.traceparent)
    .outerjoin(FiringTrace, FiringTrace.firing_id == Firing.id)
    .where(_CARRIED)
    .order_by(Firing.id)
)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is ready to start."""

    spec: RuntimeSpec
    request: RunRequest
    waited: timedelta | None = None
    """How long the invocation was ready before it was claimed."""


def prepare_all(
    conn: Connection, claimed: Sequence[ClaimedRun], base_url: str, box: SecretBox, *, traced: bool = False
) -> dict[UUID, PreparedRun | Skipped | Exception]:
    """Reads what claimed invocations need, in a few statements for all of them.

    An invocation whose agent is gone or has no enabled model is Skipped; one that cannot be made, for instance
    because a secret cannot be decrypted, gets an exception. The context is built for the first attempt and kept: a
    repeated request differs only in its attempt and token.
    """
    carried = send_along(conn, TRACED_FIRINGS if traced else FIRINGS, ids=[each.id for each in claimed])
    theirs = send_along(conn, AGENTS_OF_RUNS, ids={each.agent_id for each in claimed})
    agents = {agent.id: agent for agent in rows_as(_RunAgent, theirs)}
    firings: dict[UUID, list[GivenFiring]] = defaultdict(list)
    for firing in rows_as(GivenFiring, carried):
        firings[firing.invocation_id].append(firing)
    made = {
        each.id: _make(conn, each, agents.get(each.agent_id), firings[each.id], base_url, box, traced=traced)
        for each in claimed
    }
    _keep_contexts(conn, claimed, made)
    return made


def _traceparent(claimed: ClaimedRun, firings: Sequence[GivenFiring]) -> str | None:
    """Returns the trace context that the agent is given in this attempt: below it hangs what it traces itself."""
    if not firings:
        return None
    first = firings[0]
    trace_id = firing_ref(first.id, first.root_id, first.traceparent).trace_id
    return write_traceparent(SpanRef(trace_id, span_id(Step.RUN, claimed.id, claimed.attempt)))


def _make(
    conn: Connection,
    claimed: ClaimedRun,
    agent: _RunAgent | None,
    firings: Sequence[GivenFiring],
    base_url: str,
    box: SecretBox,
    *,
    traced: bool,
) -> PreparedRun | Skipped | Exception:
    if agent is None or agent.gone:
        return Skipped((agent and agent.gone) or "agent_deleted")
    try:
        models = fields_of(agent.runtime_kind, "models")
        thinking = _thinking(conn, agent, firings, box, models) if models else None
        if isinstance(thinking, Skipped):
            return thinking
        secret = None if agent.runtime_secret is None else box.decrypt(agent.runtime_secret)
        request = RunRequest(
            invocation_id=claimed.id,
            attempt=claimed.attempt,
            complete_url=f"{base_url}/api/v1/invocations/{claimed.id}/complete",
            complete_token=claimed.complete_token,
            agent=RunAgent(id=agent.id, name=agent.name),
            context=claimed.context if claimed.context is not None else _context(agent.language, firings),
            firings=tuple(_run_firing(firing, _language(agent.language)) for firing in firings),
            traceparent=_traceparent(claimed, firings) if traced else None,
        )
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001  # it is this invocation's alone
        return error
    spec = RuntimeSpec(agent.runtime_kind, agent.runtime, secret, agent.timeout_seconds, thinking)
    return PreparedRun(spec, request, claimed.waited)


def _keep_contexts(
    conn: Connection, claimed: Sequence[ClaimedRun], made: Mapping[UUID, PreparedRun | Skipped | Exception]
) -> None:
    new = [
        {"id": each.id, "context": work.request.context}
        for each in claimed
        if each.context is None and isinstance(work := made[each.id], PreparedRun)
    ]
    if new:
        send_along(conn, KEEP_CONTEXTS, rows=as_json(new))


def _thinking(
    conn: Connection,
    agent: _RunAgent,
    firings: Sequence[GivenFiring],
    box: SecretBox,
    fields_of_models: Sequence[str],
) -> LlmRunSpec | Skipped:
    named = [agent.runtime.get(name) for name in fields_of_models]
    models = usable_models(conn, agent.tenant_id, [UUID(each) for each in named if each], box)
    if isinstance(models, str):
        return Skipped(models)
    trusts = frozenset(firing.trust for firing in firings)
    is_awaited = any(firing.trigger_type == TriggerKind.A2A_WAIT for firing in firings)
    return LlmRunSpec(
        tenant_id=agent.tenant_id,
        models=tuple(models),
        title=session_title([firing.trigger_name for firing in firings], _language(agent.language)),
        language=agent.language,
        role=agent.role_description,
        trusts=trusts,
        is_among_agents=trusts == {Trust.AGENT} and not is_awaited,
        is_awaited=is_awaited,
        is_asked=is_asked([(firing.trust, firing.data) for firing in firings]),
        is_delegated=is_delegated([(firing.trust, firing.data) for firing in firings]),
        mcp_servers=tuple(_mcp_servers(agent, box)),
        now=now_line(conn.execute(CLOCK).scalar_one(), zone_of_agent(conn, agent.id), agent.language),
        memory=chat_memory(conn, agent.id, firings, agent.language, new_nonce()),
    )


def _mcp_servers(agent: _RunAgent, box: SecretBox) -> Iterator[McpServer]:
    headers = {} if agent.mcp_secrets is None else json.loads(box.decrypt(agent.mcp_secrets))
    for server in agent.mcp_servers:
        yield McpServer(server["name"], server.get("url"), server.get("command"), headers.get(server["name"], {}))


def _language(language: str) -> Language:
    return "zh" if language == "zh" else "en"


def _context(language: str, firings: Sequence[GivenFiring]) -> str:
    shown = [
        ContextFiring(
            **{name: getattr(firing, name) for name in _CONTEXT_FIELDS}
            | {
                "payload": readable(firing.payload, firing.data),
                "data_headings": headings_of(firing.trigger_type, _language(language)),
            }
        )
        for firing in firings
    ]
    return storable(build_context(shown, _language(language), new_nonce()))[0]


def _run_firing(firing: GivenFiring, language: Language) -> RunFiring:
    words, encoded = text_or_base64(firing.payload)
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
        payload=words,
        payload_base64=encoded,
        data=firing.data,
    )
