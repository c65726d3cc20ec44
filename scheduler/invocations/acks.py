"""Applies acknowledgements one by one, so that an invalid one does not affect the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select, text

from scheduler.domain.acks import LATEST, MAX_DEFERRALS, SOONEST, Ack, AckResult, AckStatus, read_acks
from scheduler.domain.errors import Conflict, NotFound, ReveilleError
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import notify
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import Invocation

SHOWN_REFUSALS = 20
"""How many acknowledgements of one reply are audited in full; the others are counted."""

# A firing counts as given to its agent while its invocation runs and when it has succeeded.
LOCK_FIRINGS = text("""
    SELECT f.id, f.tenant_id, f.state, f.ack, f.deferrals, clock_timestamp() AS now,
        f.state = 'delivered' OR (f.state = 'pending' AND EXISTS (
            SELECT FROM invocations i WHERE i.id = f.invocation_id AND i.state IN ('running', 'awaiting'))) AS is_given
    FROM firings f WHERE f.id = ANY(CAST(:ids AS uuid[])) AND f.agent_id = :agent_id
    ORDER BY f.id FOR UPDATE OF f
""")

ACKNOWLEDGE = text("""
    UPDATE firings f SET ack = v.ack, acked_at = clock_timestamp(), deferred_until = v.until,
        deferrals = f.deferrals + CAST(v.ack = 'deferred' AND f.ack IS DISTINCT FROM 'deferred' AS int)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:untils AS timestamptz[])) AS v(id, ack, until)
    WHERE f.id = v.id
""")


class _AckedFiring(NamedTuple):
    """A locked firing that is being acknowledged."""

    id: UUID
    tenant_id: UUID
    state: str
    ack: str | None
    deferrals: int
    now: datetime
    is_given: bool


def acknowledge(conn: Connection, agent_id: UUID, acks: Sequence[Ack], *, actor: str) -> list[AckResult]:
    """Applies an agent's acknowledgements of its own firings, the last one for each; returns each result, in
    order.

    A firing of another agent, or one that was not given yet, is refused in its `error`. A return time that has
    passed or is very near becomes a minute from now, one that is very far a year from now.
    """
    last = {ack.firing_id: ack for ack in acks}
    rows = _lock(conn, agent_id, last)
    taken: dict[UUID, datetime | None] = {}
    refused: dict[UUID, ReveilleError] = {}
    for firing_id, ack in last.items():
        try:
            taken[firing_id] = _until(ack, _given(rows.get(firing_id), firing_id))
        except ReveilleError as error:
            refused[firing_id] = error
    _write(conn, agent_id, [(last[each], rows[each], until) for each, until in taken.items()], actor)
    return [
        AckResult(
            str(ack.firing_id),
            ack.status,
            taken.get(ack.firing_id),
            refused[ack.firing_id].message if ack.firing_id in refused else None,
        )
        for ack in acks
    ]


def acknowledge_one(conn: Connection, agent_id: UUID, ack: Ack, *, actor: str) -> AckResult:
    """Applies one. Raises NotFound for a firing of another agent, Conflict for one that was not given yet."""
    row = _given(_lock(conn, agent_id, [ack.firing_id]).get(ack.firing_id), ack.firing_id)
    until = _until(ack, row)
    _write(conn, agent_id, [(ack, row, until)], actor)
    return AckResult(str(ack.firing_id), ack.status, until)


def acknowledge_reply(conn: Connection, invocation_id: UUID, value: object) -> list[AckResult]:
    """Applies the `acks` of an agent's reply, whatever they contain; invalid ones are audited and have no effect."""
    owner = conn.execute(
        select(Invocation.tenant_id, Invocation.agent_id).where(Invocation.id == invocation_id)
    ).one()
    actor = f"agent:{owner.agent_id}"
    acks, wrong = read_acks(value)
    results = [*acknowledge(conn, owner.agent_id, acks, actor=actor), *wrong]
    refused = [{"firing_id": each.firing_id, "error": each.error} for each in results if each.error]
    if refused:
        detail = {"refused": refused[:SHOWN_REFUSALS], "count": len(refused)}
        event = Event("invocation.acks_refused", owner.tenant_id, invocation_id, owner.agent_id, actor, detail)
        record_events(conn, [event])
    return results


def _lock(conn: Connection, agent_id: UUID, firing_ids: Collection[UUID]) -> dict[UUID, _AckedFiring]:
    if not firing_ids:
        return {}
    values = {"ids": uuid_array(firing_ids), "agent_id": agent_id}
    return {row.id: row for row in rows_as(_AckedFiring, conn.execute(LOCK_FIRINGS, values))}


def _given(row: _AckedFiring | None, firing_id: UUID) -> _AckedFiring:
    if row is None:
        raise NotFound(f"There is no firing '{firing_id}'.")
    if not row.is_given:
        raise Conflict(
            f"The firing is {row.state}: only a firing that was given to its agent can be acknowledged."
        )
    return row


def _until(ack: Ack, firing: _AckedFiring) -> datetime | None:
    """Returns when the firing comes back. Raises Conflict when it was deferred too often."""
    if ack.until is None:
        return None
    if firing.deferrals >= MAX_DEFERRALS and firing.ack != AckStatus.DEFERRED:
        raise Conflict(
            f"The firing was deferred {firing.deferrals} times, which is the limit: acknowledge it as handled "
            "or ignored, or set a trigger for what is left to do."
        )
    now: datetime = firing.now
    return min(max(ack.until, now + SOONEST), now + LATEST)


def _write(
    conn: Connection, agent_id: UUID, taken: Sequence[tuple[Ack, _AckedFiring, datetime | None]], actor: str
) -> None:
    if not taken:
        return
    conn.execute(
        ACKNOWLEDGE,
        {
            "ids": uuid_array(ack.firing_id for ack, _, _ in taken),
            "statuses": [ack.status for ack, _, _ in taken],
            "untils": array(until for _, _, until in taken),
        },
    )
    record_events(
        conn,
        [
            Event(f"firing.{ack.status}", row.tenant_id, row.id, agent_id, actor, _detail(until))
            for ack, row, until in taken
        ],
    )
    if any(ack.status is AckStatus.DEFERRED for ack, _, _ in taken):
        notify(conn)


def _detail(until: datetime | None) -> dict[str, Any]:
    return {} if until is None else {"until": until.isoformat()}
