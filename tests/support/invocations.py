"""Firings and invocations for tests, created and moved through the product's own code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, Skipped
from scheduler.firings.new_firing import NewFiring, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.invocations.ends import finish_all
from scheduler.invocations.lifecycle import request_cancel
from scheduler.invocations.run import ClaimedRun, claim_all
from scheduler.invocations.windows import CloseResult, claim_due_windows, close_windows
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger

WORKER = "test:1"


@dataclass(frozen=True)
class AgentWithTrigger:
    """An agent and one of its triggers."""

    agent_id: UUID
    trigger_id: UUID


def make_agent_with_trigger(db: Database, name: str = "ada", **agent: Any) -> AgentWithTrigger:
    """Creates an agent without a window delay unless told otherwise, with a webhook trigger without a cooldown."""
    agent_id = make_agent(db, name, **({"dedup_delay_seconds": 0.0} | agent))
    return AgentWithTrigger(agent_id, make_trigger(db, agent_id, "webhook", cooldown_seconds=0.0).id)


def close_due_windows(conn: Connection, limit: int) -> CloseResult:
    """Closes due windows as a pass does, in the caller's transaction."""
    return close_windows(conn, claim_due_windows(conn, limit))


def fire(db: Database, woken: AgentWithTrigger, count: int = 1, **values: Any) -> list[UUID]:
    """Records so many firings in one transaction and returns their ids, oldest first."""
    with db.begin() as conn:
        trigger = lock_triggers(conn, [woken.trigger_id])[woken.trigger_id]
        firings = [NewFiring(trigger, f"test-{new_id()}", **values) for _ in range(count)]
        record_firings(conn, firings)
        return [firing.id for firing in firings]


def close(db: Database, limit: int = 1000) -> CloseResult:
    """Makes one pass over the due windows."""
    with db.begin() as conn:
        return close_due_windows(conn, limit)


def ready_one(db: Database, woken: AgentWithTrigger | None = None, **values: Any) -> UUID:
    """Returns a ready invocation with one firing, of a new agent unless told otherwise."""
    fire(db, woken or make_agent_with_trigger(db), **values)
    [invocation_id] = close(db).ready
    return invocation_id


def claim(conn: Connection, invocation_id: UUID, worker: str, attempt: int | None = None) -> ClaimedRun | None:
    """Claims an invocation, for its next attempt unless told otherwise."""
    if attempt is None:
        query = text("SELECT attempt + 1 FROM invocations WHERE id = :id")
        attempt = conn.execute(query, {"id": invocation_id}).scalar_one()
    claimed = claim_all(conn, [(invocation_id, attempt)], worker)
    return claimed[0] if claimed else None


def finish(conn: Connection, invocation_id: UUID, attempt: int, outcome: Outcome) -> bool:
    """Ends an attempt and returns whether it was running."""
    return finish_all(conn, [(invocation_id, attempt, outcome)])[0]


def start(db: Database, invocation_id: UUID) -> ClaimedRun:
    """Claims a ready invocation."""
    with db.begin() as conn:
        claimed = claim(conn, invocation_id, WORKER)
    assert claimed is not None
    return claimed


def end(db: Database, claimed: ClaimedRun, outcome: Any) -> bool:
    """Ends an attempt."""
    with db.begin() as conn:
        return finish(conn, claimed.id, claimed.attempt, outcome)


def run_once(db: Database, outcome: Any) -> UUID:
    """Closes the only due window, runs it, and ends it."""
    [invocation_id] = close(db).ready
    end(db, start(db, invocation_id), outcome)
    return invocation_id


def bring_to(db: Database, woken: AgentWithTrigger, state: InvocationState) -> UUID:
    """Creates an invocation of the agent with one firing, and brings it to `state` as the product would."""
    fire(db, woken)
    invocation_id: UUID = window_of(db, woken).id
    if state is InvocationState.COLLECTING:
        return invocation_id
    assert invocation_id in close(db).ready
    outcomes = {
        InvocationState.AWAITING: Accepted(),
        InvocationState.RETRYING: Failed("not now"),
        InvocationState.SUCCEEDED: Replied("done"),
        InvocationState.DEAD: Failed("never", permanent=True),
        InvocationState.SKIPPED: Skipped("agent_deleted"),
    }
    if state is InvocationState.CANCELLED:
        with db.begin() as conn:
            request_cancel(conn, DEFAULT_TENANT, invocation_id, "test")
    elif state is not InvocationState.READY:
        claimed = start(db, invocation_id)
        if state in outcomes:
            end(db, claimed, outcomes[state])
    assert row_of(db, invocation_id).state == state
    return invocation_id


def row_of(db: Database, invocation_id: UUID) -> Row[Any]:
    """Returns an invocation with all columns, and the database's time as `now`."""
    [row] = rows(db, "SELECT *, clock_timestamp() AS now FROM invocations WHERE id = :id", id=invocation_id)
    return row


def window_of(db: Database, woken: AgentWithTrigger) -> Row[Any]:
    """Returns the agent's collecting window."""
    query = "SELECT * FROM invocations WHERE agent_id = :id AND state = 'collecting'"
    [row] = rows(db, query, id=woken.agent_id)
    return row


def firing_states(db: Database, firing_ids: list[UUID]) -> set[str]:
    """Returns the states of these firings."""
    return {row.state for row in rows(db, "SELECT state FROM firings WHERE id = ANY(:ids)", ids=firing_ids)}


def audited(db: Database, subject_id: UUID) -> list[str]:
    """Returns the audited actions on a subject, oldest first."""
    query = "SELECT action FROM audit_events WHERE subject_id = :id ORDER BY id"
    return [row.action for row in rows(db, query, id=subject_id)]


def queued_jobs(db: Database) -> list[tuple[str, dict[str, Any]]]:
    """Returns Procrastinate's jobs: (status, arguments)."""
    return [(row.status, row.args) for row in rows(db, "SELECT status, args FROM procrastinate_jobs ORDER BY id")]
