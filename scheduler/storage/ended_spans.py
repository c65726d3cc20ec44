"""Reads ended wakes from the history as spans, for their export."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from scheduler.domain.traces import Span, SpanRef, Step, firing_ref, read_traceparent, span_id
from scheduler.storage.rows import rows_as
from scheduler.storage.tenants import CANARY_TENANT
from scheduler.triggers.registry import ADDRESSED

MOST_AT_ONCE = 500
"""The wakes that are read at once."""
MOST_FIRINGS = 128
"""The most firings of a wake whose spans and links are exported."""
MOST_CALLS = 128
"""The most tool calls of a wake that are exported."""

START_EXPORT = text("""
    INSERT INTO trace_exports (id, until) VALUES (1, clock_timestamp() - interval '1 minute') ON CONFLICT DO NOTHING
""")
LOCK_EXPORT = text("SELECT until FROM trace_exports WHERE id = 1 FOR UPDATE SKIP LOCKED")
MOVE_EXPORT = text("UPDATE trace_exports SET until = :until WHERE id = 1")

# Whatever is committed later has ended later than this. It is read before the ends are: what is committed in between is
# then seen. The lag is for a transaction that has read its clock and has no number yet, and for those of other roles.
HORIZON = text("""
    SELECT least(clock_timestamp() - CAST(:lag AS interval), min(xact_start)) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
""")

# All of one moment at once, as the next look begins after it. Ids are read as texts, since they become texts again.
ENDED = text(f"""
    SELECT CAST(i.id AS text) AS id, CAST(i.tenant_id AS text) AS tenant_id, CAST(i.agent_id AS text) AS agent_id,
        a.name AS agent_name, a.runtime_kind, i.state, i.reason, i.opened_at, i.ready_at, i.finished_at, i.tries,
        CAST(i.firing_ids[1 : {MOST_FIRINGS}] AS text[]) AS firing_ids, i.firing_count, i.tokens_in, i.tokens_out
    FROM invocations i JOIN agents a ON a.id = i.agent_id
    WHERE i.tenant_id <> :canary AND i.finished_at > :since AND i.finished_at < :horizon
    ORDER BY i.finished_at FETCH FIRST :most ROWS WITH TIES
""")  # noqa: S608  # a number of ours

# Each lookup is LATERAL … LIMIT 1, so that a plan made while a table was small cannot become a scan of it.
FIRINGS = text("""
    SELECT CAST(f.id AS text) AS id, CAST(f.root_id AS text) AS root_id, CAST(f.trigger_id AS text) AS trigger_id,
        f.trigger_name, f.trigger_type, f.fired_at, f.due_at, f.scheduled_for, t.traceparent, d.asked_at,
        d.received_at
    FROM unnest(CAST(:ids AS uuid[])) AS v(id)
    CROSS JOIN LATERAL (SELECT * FROM firings WHERE id = v.id LIMIT 1) f
    LEFT JOIN LATERAL (SELECT traceparent FROM firing_traces WHERE firing_id = v.id LIMIT 1) t ON true
    LEFT JOIN LATERAL (
        SELECT received_at - coalesce(waited, '0') AS asked_at, received_at FROM webhook_deliveries
        WHERE f.trigger_type = ANY(:addressed) AND trigger_id = f.trigger_id AND firing_id = f.id
            AND received_at BETWEEN f.fired_at - interval '1 minute' AND f.fired_at + interval '1 minute'
            AND verdict = 'accepted' LIMIT 1
    ) d ON true
""")

CALLS = text("""
    SELECT CAST(m.id AS text) AS id, CAST(s.invocation_id AS text) AS invocation_id, m.tool_name, m.tool_state,
        m.created_at, m.ended_at
    FROM sessions s CROSS JOIN LATERAL (
        SELECT * FROM messages WHERE session_id = s.id AND tool_key IS NOT NULL ORDER BY id LIMIT :most
    ) m WHERE s.invocation_id = ANY(CAST(:ids AS uuid[])) ORDER BY m.id
""")


class EndedWakes(NamedTuple):
    """Wakes that ended, as spans."""

    spans: Iterator[Span]
    is_last: bool
    """Whether no others have ended so far."""


class _WakeRow(NamedTuple):
    id: str
    tenant_id: str
    agent_id: str
    agent_name: str
    runtime_kind: str
    state: str
    reason: str | None
    opened_at: datetime
    ready_at: datetime | None
    finished_at: datetime
    tries: list[dict[str, Any]]
    firing_ids: list[str] | None
    firing_count: int
    tokens_in: int
    tokens_out: int


class _FiringRow(NamedTuple):
    id: str
    root_id: str
    trigger_id: str
    trigger_name: str
    trigger_type: str
    fired_at: datetime
    due_at: datetime | None
    scheduled_for: datetime | None
    traceparent: str | None
    asked_at: datetime | None
    received_at: datetime | None


class _CallRow(NamedTuple):
    id: str
    invocation_id: str
    tool_name: str
    tool_state: str | None
    created_at: datetime
    ended_at: datetime | None


def next_ended(conn: Connection, lag: timedelta) -> EndedWakes | None:
    """Returns the spans of wakes that ended since the last call, oldest first; None while another process reads
    them, or if there are none. Committing marks them as exported.
    """
    conn.execute(START_EXPORT)
    since = conn.scalar(LOCK_EXPORT)
    if since is None:
        return None
    horizon = conn.scalar(HORIZON, {"lag": lag})
    given = {"since": since, "horizon": horizon, "most": MOST_AT_ONCE, "canary": CANARY_TENANT}
    wakes = rows_as(_WakeRow, conn.execute(ENDED, given))
    if not wakes:
        return None
    conn.execute(MOVE_EXPORT, {"until": wakes[-1].finished_at})
    firing_ids = {id_ for wake in wakes for id_ in wake.firing_ids or ()}
    of_firings = {"ids": _array(firing_ids), "addressed": list(ADDRESSED)}
    fired = {each.id: each for each in rows_as(_FiringRow, conn.execute(FIRINGS, of_firings))}
    calls: dict[str, list[_CallRow]] = defaultdict(list)
    of_wakes = {"ids": _array(wake.id for wake in wakes), "most": MOST_CALLS}
    for call in rows_as(_CallRow, conn.execute(CALLS, of_wakes)):
        calls[call.invocation_id].append(call)
    spans = (
        span
        for wake in wakes
        for span in _spans(
            wake, [fired[id_] for id_ in wake.firing_ids or () if id_ in fired], calls.get(wake.id, ())
        )
    )
    return EndedWakes(spans, is_last=len(wakes) < MOST_AT_ONCE)


def _array(ids: Iterable[str]) -> str:
    return "{" + ",".join(ids) + "}"


def _spans(wake: _WakeRow, firings: Sequence[_FiringRow], calls: Sequence[_CallRow]) -> Iterator[Span]:
    """Returns the spans of one wake: its firings, its window, its attempts with their tool calls, and the whole."""
    refs = [firing_ref(each.id, each.root_id, each.traceparent) for each in firings]
    for firing, ref in zip(firings, refs, strict=True):
        yield from _firing_spans(firing, ref, wake)
    first = refs[0] if refs else None
    trace_id = first.trace_id if first else int(wake.id.replace("-", ""), 16)
    whole = SpanRef(trace_id, span_id(Step.INVOCATION, wake.id))
    about = {"reveille.invocation.id": wake.id, "reveille.agent.id": wake.agent_id}
    yield Span(
        f"wake {wake.agent_name}",
        whole,
        first,
        wake.opened_at,
        wake.finished_at,
        {
            **about,
            "reveille.tenant.id": wake.tenant_id,
            "reveille.agent.name": wake.agent_name,
            "reveille.invocation.state": wake.state,
            "reveille.invocation.reason": wake.reason or "",
            "reveille.firings": wake.firing_count,
            "gen_ai.usage.input_tokens": wake.tokens_in,
            "gen_ai.usage.output_tokens": wake.tokens_out,
        },
        refs[1:],
        (wake.reason or "failed") if wake.state == "dead" else None,
    )
    window = SpanRef(trace_id, span_id(Step.WINDOW, wake.id))
    yield Span("window", window, whole, wake.opened_at, wake.ready_at or wake.finished_at, about)
    for attempt in wake.tries:
        yield from _run_spans(wake, whole, attempt, calls, about)


def _firing_spans(firing: _FiringRow, ref: SpanRef, wake: _WakeRow) -> Iterator[Span]:
    about = {
        "reveille.firing.id": firing.id,
        "reveille.trigger.id": firing.trigger_id,
        "reveille.trigger.name": firing.trigger_name,
        "reveille.trigger.type": firing.trigger_type,
        "reveille.agent.id": wake.agent_id,
    }
    parent = read_traceparent(firing.traceparent)
    if firing.asked_at is not None and firing.received_at is not None:
        intake = SpanRef(ref.trace_id, span_id(Step.INTAKE, firing.id))
        end = max(firing.fired_at, firing.received_at)
        yield Span(f"intake {firing.trigger_type}", intake, parent, firing.asked_at, end, about, is_entry=True)
        parent = intake
    due = min(firing.due_at or firing.scheduled_for or firing.fired_at, firing.fired_at)
    yield Span(f"fire {firing.trigger_name}", ref, parent, due, firing.fired_at, about)


def _run_spans(
    wake: _WakeRow,
    whole: SpanRef,
    attempt: Mapping[str, Any],
    calls: Sequence[_CallRow],
    about: Mapping[str, str | int],
) -> Iterator[Span]:
    start, end = (datetime.fromisoformat(attempt[name]) for name in ("started_at", "ended_at"))
    number = attempt["attempt"]
    run = SpanRef(whole.trace_id, span_id(Step.RUN, wake.id, number))
    outcome = str(attempt["outcome"])
    failed = None if outcome in ("succeeded", "handed_back") else str(attempt.get("error") or outcome)
    yield Span(
        f"run {wake.runtime_kind}",
        run,
        whole,
        start,
        end,
        {**about, "reveille.attempt": number, "reveille.outcome": outcome, "reveille.runtime": wake.runtime_kind},
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
