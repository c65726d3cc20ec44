"""Stores the trace context of firings, and reads ended wakes as spans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.traces import Span, SpanRef, Step, read_traceparent, span_id, write_traceparent
from scheduler.storage.arrays import uuid_array
from scheduler.storage.rows import rows_as
from scheduler.storage.tenants import CANARY_TENANT

MOST_AT_ONCE = 200
"""The invocations whose spans are read at once."""
MOST_FIRINGS = 128
"""The most firings of an invocation whose spans and links are exported."""
MOST_CALLS = 500

KEEP = text("""
    INSERT INTO firing_traces (firing_id, traceparent)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:texts AS text[])) ON CONFLICT DO NOTHING
""")

ORIGINS = text("""
    SELECT i.id, f.id AS firing_id, f.root_id, t.traceparent
    FROM unnest(CAST(:ids AS uuid[])) AS i(id)
    CROSS JOIN LATERAL (
        SELECT id, root_id FROM firings WHERE invocation_id = i.id ORDER BY id LIMIT 1
    ) f LEFT JOIN firing_traces t ON t.firing_id = f.id
""")

START_EXPORT = text("""
    INSERT INTO trace_exports (id, until) VALUES (1, clock_timestamp() - interval '1 minute') ON CONFLICT DO NOTHING
""")
LOCK_EXPORT = text("SELECT until FROM trace_exports WHERE id = 1 FOR UPDATE SKIP LOCKED")
MOVE_EXPORT = text("UPDATE trace_exports SET until = :until WHERE id = 1")

# All of one moment at once, as the next look begins after it.
ENDED = text("""
    SELECT i.id, i.tenant_id, i.agent_id, a.name AS agent_name, a.runtime_kind, i.state, i.reason, i.opened_at,
        i.ready_at, i.finished_at, i.tries, i.firing_ids, i.firing_count, i.tokens_in, i.tokens_out
    FROM invocations i JOIN agents a ON a.id = i.agent_id
    WHERE i.tenant_id <> :canary AND i.finished_at > :since
        AND i.finished_at <= clock_timestamp() - CAST(:lag AS interval)
    ORDER BY i.finished_at FETCH FIRST :most ROWS WITH TIES
""")

FIRINGS = text("""
    SELECT f.id, f.root_id, f.trigger_id, f.trigger_name, f.trigger_type, f.fired_at, f.due_at, f.scheduled_for,
        t.traceparent, d.received_at
    FROM firings f LEFT JOIN firing_traces t ON t.firing_id = f.id
    LEFT JOIN webhook_deliveries d ON f.trigger_type = 'webhook' AND d.firing_id = f.id
        AND d.trigger_id = f.trigger_id AND d.verdict = 'accepted'
        AND d.received_at BETWEEN f.fired_at - interval '1 minute' AND f.fired_at + interval '1 minute'
    WHERE f.id = ANY(CAST(:ids AS uuid[]))
""")

CALLS = text("""
    SELECT m.id, s.invocation_id, m.tool_name, m.tool_state, m.created_at, m.ended_at
    FROM sessions s JOIN messages m ON m.session_id = s.id
    WHERE s.invocation_id = ANY(CAST(:ids AS uuid[])) AND m.tool_key IS NOT NULL ORDER BY m.id LIMIT :most
""")


class _Ended(NamedTuple):
    id: UUID
    tenant_id: UUID
    agent_id: UUID
    agent_name: str
    runtime_kind: str
    state: str
    reason: str | None
    opened_at: datetime
    ready_at: datetime | None
    finished_at: datetime
    tries: list[dict[str, Any]]
    firing_ids: list[UUID] | None
    firing_count: int
    tokens_in: int
    tokens_out: int


class _Fired(NamedTuple):
    id: UUID
    root_id: UUID
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    fired_at: datetime
    due_at: datetime | None
    scheduled_for: datetime | None
    traceparent: str | None
    received_at: datetime | None

    @property
    def source(self) -> SpanRef | None:
        """The sender's span."""
        return read_traceparent(self.traceparent)

    @property
    def ref(self) -> SpanRef:
        """The firing's own span."""
        return firing_ref(self.id, self.root_id, self.traceparent)


class _Called(NamedTuple):
    id: UUID
    invocation_id: UUID
    tool_name: str
    tool_state: str | None
    created_at: datetime
    ended_at: datetime | None


def keep_traceparents(conn: Connection, found: Mapping[UUID, str]) -> None:
    """Stores the trace context of firings."""
    if found:
        conn.execute(KEEP, {"ids": uuid_array(found), "texts": [*found.values()]})


def firing_ref(firing_id: UUID, root_id: UUID, traceparent: str | None) -> SpanRef:
    """Returns a firing's span."""
    source = read_traceparent(traceparent)
    return SpanRef(source.trace_id if source else root_id.int, span_id(Step.FIRING, firing_id))


def run_contexts(conn: Connection, attempts: Collection[tuple[UUID, int]]) -> dict[UUID, str]:
    """Returns, by invocation, the `traceparent` that the agent is given in its attempt."""
    rows = conn.execute(ORIGINS, {"ids": uuid_array([each for each, _ in attempts])})
    traces = {row.id: firing_ref(row.firing_id, row.root_id, row.traceparent).trace_id for row in rows}
    return {
        each: write_traceparent(SpanRef(traces[each], span_id(Step.RUN, each, attempt)))
        for each, attempt in attempts
        if each in traces
    }


def next_ended(conn: Connection, lag: timedelta) -> list[Span] | None:
    """Returns the spans of invocations that ended since the last call, oldest first; None while another process
    reads them. Committing marks them as exported.
    """
    conn.execute(START_EXPORT)
    since = conn.scalar(LOCK_EXPORT)
    if since is None:
        return None
    ended = rows_as(
        _Ended, conn.execute(ENDED, {"since": since, "lag": lag, "most": MOST_AT_ONCE, "canary": CANARY_TENANT})
    )
    if not ended:
        return []
    conn.execute(MOVE_EXPORT, {"until": ended[-1].finished_at})
    wanted = {each.id: (each.firing_ids or [])[:MOST_FIRINGS] for each in ended}
    ids = uuid_array({firing for each in wanted.values() for firing in each})
    fired = {each.id: each for each in rows_as(_Fired, conn.execute(FIRINGS, {"ids": ids}))}
    calls: dict[UUID, list[_Called]] = defaultdict(list)
    for call in rows_as(_Called, conn.execute(CALLS, {"ids": uuid_array(wanted), "most": MOST_CALLS})):
        calls[call.invocation_id].append(call)
    return [
        span
        for each in ended
        for span in _spans(each, [fired[id_] for id_ in wanted[each.id] if id_ in fired], calls[each.id])
    ]


def _spans(ended: _Ended, firings: Sequence[_Fired], calls: Sequence[_Called]) -> Iterator[Span]:
    """Returns the spans of one wake: its firings, its window, its attempts with their tool calls, and the whole."""
    for firing in firings:
        yield from _firing_spans(firing, ended)
    first = firings[0].ref if firings else None
    trace = first.trace_id if first else ended.id.int
    whole = SpanRef(trace, span_id(Step.INVOCATION, ended.id))
    about = {"reveille.invocation.id": str(ended.id), "reveille.agent.id": str(ended.agent_id)}
    yield Span(
        f"wake {ended.agent_name}",
        whole,
        first,
        ended.opened_at,
        ended.finished_at,
        about
        | {
            "reveille.tenant.id": str(ended.tenant_id),
            "reveille.agent.name": ended.agent_name,
            "reveille.invocation.state": ended.state,
            "reveille.invocation.reason": ended.reason or "",
            "reveille.firings": ended.firing_count,
            "gen_ai.usage.input_tokens": ended.tokens_in,
            "gen_ai.usage.output_tokens": ended.tokens_out,
        },
        [each.ref for each in firings[1:]],
        (ended.reason or "failed") if ended.state == "dead" else None,
    )
    window = SpanRef(trace, span_id(Step.WINDOW, ended.id))
    yield Span("window", window, whole, ended.opened_at, ended.ready_at or ended.finished_at, about)
    for attempt in ended.tries:
        yield from _run_spans(ended, whole, attempt, calls, about)


def _firing_spans(firing: _Fired, ended: _Ended) -> Iterator[Span]:
    about = {
        "reveille.firing.id": str(firing.id),
        "reveille.trigger.id": str(firing.trigger_id),
        "reveille.trigger.name": firing.trigger_name,
        "reveille.trigger.type": firing.trigger_type,
        "reveille.agent.id": str(ended.agent_id),
    }
    parent = firing.source
    if firing.received_at is not None:
        ref = SpanRef(firing.ref.trace_id, span_id(Step.INTAKE, firing.id))
        end = max(firing.fired_at, firing.received_at)
        yield Span(f"intake {firing.trigger_type}", ref, parent, firing.received_at, end, about, is_entry=True)
        parent = ref
    due = min(firing.due_at or firing.scheduled_for or firing.fired_at, firing.fired_at)
    yield Span(f"fire {firing.trigger_name}", firing.ref, parent, due, firing.fired_at, about)


def _run_spans(
    ended: _Ended, whole: SpanRef, attempt: Mapping[str, Any], calls: Sequence[_Called], about: Mapping[str, Any]
) -> Iterator[Span]:
    start, end = (datetime.fromisoformat(attempt[name]) for name in ("started_at", "ended_at"))
    number = attempt["attempt"]
    run = SpanRef(whole.trace_id, span_id(Step.RUN, ended.id, number))
    outcome = str(attempt["outcome"])
    failed = None if outcome in ("succeeded", "handed_back") else str(attempt.get("error") or outcome)
    yield Span(
        f"run {ended.runtime_kind}",
        run,
        whole,
        start,
        end,
        {**about, "reveille.attempt": number, "reveille.outcome": outcome, "reveille.runtime": ended.runtime_kind},
        error=failed,
        is_call=True,
    )
    for call in calls:
        if start <= call.created_at <= end:
            yield Span(
                f"execute_tool {call.tool_name}",
                SpanRef(whole.trace_id, span_id(Step.TOOL, call.id)),
                run,
                call.created_at,
                call.ended_at or end,
                {**about, "gen_ai.tool.name": call.tool_name},
                error=None if call.tool_state == "done" else call.tool_state,
            )
