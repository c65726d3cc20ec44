"""Reads figures over time: firings, wakes, failures, lateness and cost, by hour or day, agent and trigger.

A wake counts when its window closed (`ready_at`), with its outcome, tokens and cost, so that a bar of failures is
part of the bar of wakes above it. Every scan is bounded by the index of its owner and time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from scheduler.domain.periods import LENGTHS, Period
from scheduler.storage.arrays import uuid_array
from scheduler.storage.read_models.newest import triggers_of
from scheduler.storage.read_models.spans import SLACK, first_id
from scheduler.storage.rows import rows_as

TOP = 10
"""How many agents and triggers are ranked."""

# A million firings are sorted in 48 MB; with the usual 4 MB, on disk.
ROOM = text("SET LOCAL work_mem = '64MB'")

# Half steps and the last moment, so that no hour or day is left out when clocks change.
BUCKETS = text("""
    WITH last AS (SELECT CAST(:until AS timestamptz) - interval '1 microsecond' AS moment)
    SELECT DISTINCT date_trunc(:step, moment, :zone) AS start
    FROM (
        SELECT generate_series(CAST(:since AS timestamptz), moment, CAST(:length AS interval) / 2) AS moment FROM last
        UNION ALL SELECT moment FROM last
    ) moments
    ORDER BY start
""")

FIRED = """
    SELECT id, trigger_id, trigger_name, trigger_type, agent_id, invocation_id, fired_at,
        date_part('epoch', fired_at - coalesce(due_at, scheduled_for)) AS late
    FROM firings
    WHERE {owner} AND id >= :first_id AND id < :last_id AND fired_at >= :since AND fired_at < :until
"""

# A search among the starts costs a third of `date_trunc`, which asks for the zone's rules for each row.
FIRINGS = """
    SELECT width_bucket(fired_at, CAST(:starts AS timestamptz[])) AS bucket, count(*) AS firings,
        percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY late) AS late
    FROM ({fired}) f GROUP BY 1
"""

# A replay is a wake of its own; a skipped invocation woke nobody.
WOKEN = """
    SELECT i.id, i.agent_id, i.ready_at, i.state, CAST(1 AS numeric) AS share, i.tokens_in, i.tokens_out, i.cost
    FROM agents a JOIN invocations i ON i.agent_id = a.id
    WHERE a.tenant_id = :tenant_id {owner} AND i.ready_at >= :since AND i.ready_at < :until
"""

# A run's tokens and cost are divided equally among its firings.
WOKEN_BY_TRIGGER = """
    SELECT i.id, i.agent_id, i.ready_at, i.state, f.carried / CAST(greatest(i.firing_count, 1) AS numeric) AS share,
        i.tokens_in, i.tokens_out, i.cost
    FROM (SELECT invocation_id, count(*) AS carried FROM ({fired}) each_fired GROUP BY 1) f
    JOIN invocations i ON i.id = f.invocation_id AND i.ready_at IS NOT NULL
"""

SUMS = """
    count(*) FILTER (WHERE state <> 'skipped') AS wakes, count(*) FILTER (WHERE state = 'dead') AS failures,
    count(*) FILTER (WHERE state = 'skipped') AS skipped,
    round(coalesce(sum(tokens_in * share), 0))::bigint AS tokens_in,
    round(coalesce(sum(tokens_out * share), 0))::bigint AS tokens_out,
    coalesce(sum(cost * share), 0) AS cost
"""

WAKES = f"""
    SELECT width_bucket(ready_at, CAST(:starts AS timestamptz[])) AS bucket, agent_id, {SUMS}
    FROM ({{woken}}) w GROUP BY 1, 2
"""  # noqa: S608  # constants only

AGENTS = text("SELECT id, name, deleted_at IS NULL AS exists FROM agents WHERE id = ANY(CAST(:ids AS uuid[]))")

TRIGGERS = """
    SELECT f.id, latest.name, latest.type, t.id IS NOT NULL AS exists, latest.agent_id, a.name AS agent_name, f.firings
    FROM (
        SELECT trigger_id AS id, count(*) AS firings
        FROM ({fired}) f GROUP BY trigger_id ORDER BY firings DESC, trigger_id LIMIT :top
    ) f
    CROSS JOIN LATERAL (
        SELECT trigger_name AS name, trigger_type AS type, agent_id
        FROM firings WHERE trigger_id = f.id ORDER BY id DESC LIMIT 1
    ) latest
    JOIN agents a ON a.id = latest.agent_id LEFT JOIN triggers t ON t.id = f.id AND t.deleted_at IS NULL
    ORDER BY f.firings DESC, f.id
"""


@dataclass(frozen=True, slots=True)
class InsightsFilter:
    """Which figures are wanted: of a tenant, or of one of its agents or triggers."""

    tenant_id: UUID
    period: Period
    agent_id: UUID | None = None
    trigger_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums of some wakes and firings."""

    firings: int = 0
    wakes: int = 0
    failures: int = 0
    """Wakes that ended dead."""
    skipped: int = 0
    """Invocations that woke nobody because their agent or model was missing; not counted as wakes."""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal = Decimal(0)

    @property
    def tokens(self) -> int:
        """Returns input and output tokens together."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket(Figures):
    """The figures of one hour or day. Lateness is in seconds; None without firings of a schedule."""

    start: datetime
    lateness_p50: float | None = None
    lateness_p95: float | None = None
    lateness_max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWakes(Figures):
    """The sums of an agent's wakes in one hour or day."""

    bucket: int
    """The number of the hour or day, from 1."""
    agent_id: UUID


class AgentFigures(NamedTuple):
    """What an agent's wakes came to."""

    id: UUID
    name: str
    exists: bool
    wakes: int
    failures: int
    skipped: int
    tokens_in: int
    tokens_out: int
    cost: Decimal


class TriggerFigures(NamedTuple):
    """How often a trigger fired."""

    id: UUID
    name: str
    type: str
    exists: bool
    agent_id: UUID
    agent_name: str
    firings: int


@dataclass(frozen=True, slots=True)
class Insights:
    """Figures over time, oldest first, their sums, and who stands out."""

    asked: InsightsFilter
    buckets: Sequence[Bucket]
    totals: Figures
    failing_agents: Sequence[AgentFigures]
    """Those with most failures first."""
    spending_agents: Sequence[AgentFigures]
    """Those with the highest cost first, then the most tokens."""
    noisy_triggers: Sequence[TriggerFigures]
    """Those that fired most first."""


def read_insights(conn: Connection, asked: InsightsFilter) -> Insights:
    """Reads the figures."""
    statements, values = _prepared(conn, asked)
    woken = rows_as(AgentWakes, conn.execute(_text(WAKES, statements), values))
    buckets = _buckets(conn, statements, values, woken)
    agents = _agents(conn, woken)
    failing = sorted((each for each in agents if each.failures), key=lambda each: (-each.failures, each.name))
    spending = sorted(
        (each for each in agents if each.cost or each.tokens_in or each.tokens_out),
        key=lambda each: (-each.cost, -each.tokens_in - each.tokens_out, each.name),
    )
    triggers = conn.execute(_text(TRIGGERS, statements), values | {"top": TOP})
    return Insights(
        asked, buckets, sum_of(buckets), failing[:TOP], spending[:TOP], rows_as(TriggerFigures, triggers)
    )


def read_buckets(conn: Connection, asked: InsightsFilter) -> list[Bucket]:
    """Reads the figures over time alone, with empty buckets for hours or days without any."""
    statements, values = _prepared(conn, asked)
    woken = rows_as(AgentWakes, conn.execute(_text(WAKES, statements), values))
    return _buckets(conn, statements, values, woken)


def _buckets(
    conn: Connection,
    statements: Mapping[str, str],
    values: Mapping[str, Any],
    woken: Sequence[AgentWakes],
) -> list[Bucket]:
    fired = {row.bucket: row for row in conn.execute(_text(FIRINGS, statements), values)}
    wakes = _summed(woken, lambda row: row.bucket)
    return [
        _bucket(start, fired.get(number), wakes.get(number, {}))
        for number, start in enumerate(values["starts"], start=1)
    ]


def _agents(conn: Connection, woken: Sequence[AgentWakes]) -> list[AgentFigures]:
    sums = _summed(woken, lambda row: row.agent_id)
    found = conn.execute(AGENTS, {"ids": uuid_array(sums)})
    return [AgentFigures(row.id, row.name, row.exists, **sums[row.id]) for row in found]


def _summed(rows: Sequence[AgentWakes], key: Callable[[AgentWakes], Any]) -> dict[Any, dict[str, Any]]:
    """Adds up the sums of rows with the same key."""
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        sums = found.setdefault(key(row), dict.fromkeys(WAKE_SUMS, 0))
        for name in WAKE_SUMS:
            sums[name] += getattr(row, name)
    return found


def _prepared(conn: Connection, asked: InsightsFilter) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns the parts of the statements and their values."""
    values: dict[str, Any] = {
        "tenant_id": asked.tenant_id,
        "agent_id": asked.agent_id,
        "since": asked.period.since,
        "until": asked.period.until,
        "first_id": first_id(asked.period.since - SLACK),
        "last_id": first_id(asked.period.until + SLACK),
    }
    each = {"step": asked.period.step, "zone": asked.period.zone, "length": LENGTHS[asked.period.step]}
    conn.execute(ROOM)
    values["starts"] = conn.scalars(BUCKETS, values | each).all()
    triggers = triggers_of(conn, asked.agent_id, asked.trigger_id)
    owner = "tenant_id = :tenant_id"
    if asked.agent_id is not None:
        owner += " AND agent_id = :agent_id"
    if triggers is not None:
        owner += " AND trigger_id = ANY(CAST(:triggers AS uuid[]))"
        values["triggers"] = [*triggers]
    fired = FIRED.format(owner=owner)
    of_agent = "" if asked.agent_id is None else "AND a.id = :agent_id"
    woken = WOKEN.format(owner=of_agent) if asked.trigger_id is None else WOKEN_BY_TRIGGER.format(fired=fired)
    return {"fired": fired, "woken": woken}, values


def _text(statement: str, parts: Mapping[str, str]) -> TextClause:
    return text(statement.format(**parts))


def _bucket(start: datetime, fired: Any, wakes: Mapping[str, Any]) -> Bucket:
    late = (fired.late if fired else None) or (None, None, None)
    return Bucket(
        start=start,
        firings=fired.firings if fired else 0,
        lateness_p50=late[0],
        lateness_p95=late[1],
        lateness_max=late[2],
        **wakes,
    )


SUMMED = tuple(each.name for each in fields(Figures))
WAKE_SUMS = tuple(name for name in SUMMED if name != "firings")


def sum_of(buckets: Sequence[Bucket]) -> Figures:
    """Adds up buckets."""
    return Figures(**{name: sum(getattr(each, name) for each in buckets) for name in SUMMED})
