"""Stores wakes caused by agents and limits them: the lineage of a running agent, wakes of pairs, wake triggers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.ids import new_id
from scheduler.domain.lineage import PAIR_SPAN, ROOT, Lineage, pair_wait
from scheduler.domain.model import TriggerKind
from scheduler.storage.agents import AGENT_ZONE
from scheduler.storage.arrays import array
from scheduler.storage.triggers import insert_trigger

WAKE = TriggerKind.WAKE.value
WAKE_NAME = "wake"
WAKE_REASON = "Somebody calls this agent. What it is told depends on who does."

DEEPEST = text("""
    SELECT f.root_id, f.depth FROM invocations i JOIN firings f ON f.invocation_id = i.id
    WHERE i.agent_id = :agent_id AND i.state IN ('running', 'awaiting', 'retrying')
    ORDER BY f.depth DESC, f.id LIMIT 1
""")

# Ordered, so that two transactions do not deadlock.
LOCK_PAIRS = text("""
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT hashtextextended(v.from_agent_id || '>' || v.agent_id, 0) AS key
        FROM unnest(CAST(:froms AS uuid[]), CAST(:agents AS uuid[])) AS v(from_agent_id, agent_id) ORDER BY key
    ) AS keys
""")

HOLD_WINDOW = text("""
    SELECT 1 FROM invocations WHERE agent_id = :agent_id AND state = 'collecting' FOR NO KEY UPDATE
""")

READ_PAIRS = text("""
    SELECT v.from_agent_id, v.agent_id,
        EXISTS (SELECT FROM invocations i WHERE i.agent_id = v.agent_id AND i.state = 'collecting'),
        ARRAY(
            SELECT woken_at FROM pair_wakes w WHERE w.from_agent_id = v.from_agent_id AND w.agent_id = v.agent_id
                AND w.woken_at > (SELECT clock_timestamp()) - CAST(:span AS interval)
            ORDER BY woken_at
        )
    FROM unnest(CAST(:froms AS uuid[]), CAST(:agents AS uuid[])) AS v(from_agent_id, agent_id)
""")

FORGET_PAIRS = text("""
    DELETE FROM pair_wakes w
    USING unnest(CAST(:froms AS uuid[]), CAST(:agents AS uuid[])) AS v(from_agent_id, agent_id)
    WHERE w.from_agent_id = v.from_agent_id AND w.agent_id = v.agent_id
        AND w.woken_at <= clock_timestamp() - CAST(:span AS interval)
""")

COUNT_WAKES = text("""
    INSERT INTO pair_wakes (firing_id, from_agent_id, agent_id)
    SELECT * FROM unnest(CAST(:firings AS uuid[]), CAST(:froms AS uuid[]), CAST(:agents AS uuid[]))
""")

FIND_WAKE_TRIGGER = text(f"""
    SELECT id FROM triggers
    WHERE agent_id = :agent_id AND name = '{WAKE_NAME}' AND is_system AND deleted_at IS NULL
""")  # noqa: S608  # our own constant

HOLD_AGENT = text(f"""
    SELECT a.tenant_id, {AGENT_ZONE} AS zone FROM agents a JOIN tenants n ON n.id = a.tenant_id
    WHERE a.id = :agent_id AND a.deleted_at IS NULL FOR KEY SHARE OF a
""")  # noqa: S608  # our own constant
# From the running agent back to the one that woke it, and so on to the root. Each lookup uses an index. Only an
# agent's newest invocations are searched, as a chain takes minutes.
CHAIN = text("""
    WITH RECURSIVE chain AS (
        SELECT CAST(:agent_id AS uuid) AS agent_id, clock_timestamp() AS at, 0 AS step
        UNION ALL
        SELECT earlier.agent_id, earlier.at, chain.step + 1
        FROM chain CROSS JOIN LATERAL (
            SELECT CAST(f.data #>> '{messages,0,from,id}' AS uuid) AS agent_id, f.fired_at AS at
            FROM (
                SELECT * FROM invocations WHERE agent_id = chain.agent_id ORDER BY id DESC LIMIT 50
            ) i JOIN firings f ON f.invocation_id = i.id
            WHERE i.started_at <= chain.at AND (i.finished_at IS NULL OR i.finished_at >= chain.at)
                AND f.root_id = :root_id
                AND f.data #>> '{messages,0,from,type}' = 'agent'
            ORDER BY i.id DESC, f.depth DESC, f.id LIMIT 1
        ) earlier
        WHERE chain.step < :longest
    )
    SELECT a.name FROM chain JOIN agents a ON a.id = chain.agent_id ORDER BY chain.step DESC
""")


@dataclass(frozen=True, slots=True)
class Pair:
    """An agent and another that it wakes."""

    from_agent_id: UUID
    agent_id: UUID


@dataclass(frozen=True, slots=True)
class PairState:
    """Whether the woken agent has a window to join, and the pair's recent wakes, oldest first."""

    has_window: bool
    wakes: list[datetime]


def lineage_of_running(conn: Connection, agent_id: UUID) -> Lineage:
    """Returns the lineage of what an agent causes now: one deeper than the deepest firing of its running
    invocation.
    """
    run = lineage_of_run(conn, agent_id)
    return run if run is ROOT else run.caused()


def lineage_of_run(conn: Connection, agent_id: UUID) -> Lineage:
    """Returns the lineage of the agent's running invocation: its deepest firing's. ROOT when none runs."""
    row = conn.execute(DEEPEST, {"agent_id": agent_id}).one_or_none()
    return ROOT if row is None else Lineage(row.root_id, row.depth)


def lock_pairs(conn: Connection, pairs: Collection[Pair]) -> None:
    """Locks these pairs until commit, so that nobody else counts their wakes. Must precede any trigger's lock."""
    conn.execute(LOCK_PAIRS, _columns(pairs))


def hold_window(conn: Connection, agent_id: UUID) -> None:
    """Locks the agent's open window until commit, so that it is not closed before the caller joins it.

    Must follow the locks of the agent's triggers, as in recording.
    """
    conn.execute(HOLD_WINDOW, {"agent_id": agent_id})


def read_pairs(conn: Connection, pairs: Collection[Pair]) -> dict[Pair, PairState]:
    """Reads the state of each pair."""
    rows = conn.execute(READ_PAIRS, _columns(pairs) | {"span": PAIR_SPAN})
    return {Pair(row[0], row[1]): PairState(row[2], row[3]) for row in rows}


def count_wakes(conn: Connection, wakes: Sequence[tuple[UUID, Pair]]) -> None:
    """Counts the wakes in these `(firing id, pair)`; deletes expired ones."""
    columns = _columns([pair for _, pair in wakes])
    conn.execute(FORGET_PAIRS, columns | {"span": PAIR_SPAN})
    conn.execute(COUNT_WAKES, columns | {"firings": array(firing_id for firing_id, _ in wakes)})


def wake_trigger_of(conn: Connection, agent_id: UUID) -> UUID | None:
    """Returns the agent's wake trigger, created on first use; None for a deleted agent."""
    found: UUID | None = conn.scalar(FIND_WAKE_TRIGGER, {"agent_id": agent_id})
    if found is not None:
        return found
    agent = conn.execute(HOLD_AGENT, {"agent_id": agent_id}).one_or_none()
    if agent is None:
        return None
    trigger = {
        "id": new_id(),
        "tenant_id": agent.tenant_id,
        "agent_id": agent_id,
        "name": WAKE_NAME,
        "type": WAKE,
        "config": {},
        "reason": WAKE_REASON,
        "zone": agent.zone,
        "cooldown_seconds": 0.0,
        "is_system": True,
        "created_by": "system",
    }
    insert_trigger(conn, trigger, unless_named=True)
    made: UUID | None = conn.scalar(FIND_WAKE_TRIGGER, {"agent_id": agent_id})
    return made


def _columns(pairs: Collection[Pair]) -> dict[str, object]:
    return {
        "froms": array(pair.from_agent_id for pair in pairs),
        "agents": array(pair.agent_id for pair in pairs),
    }


def chain_of(conn: Connection, agent_id: UUID, root_id: UUID | None, longest: int) -> list[str]:
    """Returns the names of up to `longest` agents that led to what `agent_id` does now, oldest first, and its own."""
    return list(
        conn.scalars(CHAIN, {"agent_id": agent_id, "root_id": root_id, "longest": longest}),
    )


def name_of(conn: Connection, agent_id: UUID) -> str:
    """Returns an agent's name."""
    return str(conn.scalar(text("SELECT name FROM agents WHERE id = :id"), {"id": agent_id}))


class PairLimit:
    """The pairs of agents in one transaction. Joining an open window does not wake again, so it is not counted.

    Exact when the pairs are locked (`lock_pairs`); otherwise two concurrent wakes may both be the last allowed
    one.
    """

    def __init__(self, conn: Connection, pairs: Collection[Pair], now: datetime) -> None:
        self._conn = conn
        self._now = now
        self._states = read_pairs(conn, pairs) if pairs else {}
        self._with_window = {pair.agent_id for pair, state in self._states.items() if state.has_window}
        self._made: list[tuple[UUID, Pair]] = []

    def admit(self, pair: Pair, firing_id: UUID) -> timedelta | None:
        """Counts the firing as a wake of the pair; if it may not wake yet, returns how long the pair must wait."""
        if pair.agent_id in self._with_window:
            return None
        wait = pair_wait(self._states[pair].wakes, self._now)
        if wait is None:
            self._made.append((firing_id, pair))
            self._with_window.add(pair.agent_id)
        return wait

    def write(self) -> None:
        """Stores what was counted."""
        if self._made:
            count_wakes(self._conn, self._made)
