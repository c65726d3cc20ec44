"""Reads the wakes that led to an invocation and those that followed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.arrays import array
from scheduler.storage.read_models.history_rows import FiringRow
from scheduler.storage.rows import rows_as

MOST_RELATIVES = 100
"""The most relatives read for each chain of wakes."""

RELATIVES = text(f"""
    SELECT f.id AS firing_id, f.root_id, f.depth, f.agent_id, a.name AS agent_name, f.trigger_id,
        f.trigger_name, f.trigger_type, f.fired_at, f.invocation_id, i.state
    FROM unnest(CAST(:roots AS uuid[])) AS root(id)
    CROSS JOIN LATERAL (
        (SELECT * FROM firings WHERE id = root.id)
        UNION ALL
        (SELECT * FROM firings WHERE root_id = root.id AND depth > 0 ORDER BY id LIMIT {MOST_RELATIVES})
    ) f
    LEFT JOIN agents a ON a.id = f.agent_id
    LEFT JOIN invocations i ON i.id = f.invocation_id
    WHERE f.tenant_id = :tenant_id
    ORDER BY f.depth, f.id
""")  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class RelatedFiring:
    """A firing in the same chain of wakes, the agent it woke, and the invocation."""

    firing_id: UUID
    root_id: UUID
    depth: int
    agent_id: UUID
    agent_name: str | None
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    fired_at: datetime
    invocation_id: UUID
    state: str | None


@dataclass(frozen=True, slots=True)
class WakeTree:
    """The chain above an invocation and the wakes below it, both ordered from the root down."""

    above: list[RelatedFiring]
    below: list[RelatedFiring]


def read_family(conn: Connection, tenant_id: UUID, firings: Sequence[FiringRow]) -> WakeTree:
    """Reads the relatives of an invocation that carries `firings` (rows with `id`, `root_id` and `depth`).

    A wake inherits the root of the deepest firing that caused it, so a chain is followed by its root. Two wakes of
    one chain at the same depth are siblings and appear in neither list.
    """
    own = {row.id for row in firings}
    lowest: dict[UUID, int] = {}
    for row in firings:
        lowest[row.root_id] = max(row.depth, lowest.get(row.root_id, 0))
    relatives = rows_as(RelatedFiring, conn.execute(RELATIVES, {"roots": array(lowest), "tenant_id": tenant_id}))
    others = [each for each in relatives if each.firing_id not in own]
    return WakeTree(
        [each for each in others if each.depth < lowest[each.root_id]],
        [each for each in others if each.depth > lowest[each.root_id]],
    )
