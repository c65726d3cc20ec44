"""Intake, closing, running, cancelling and replaying at once: nothing is lost, overlapping, stuck, or deadlocked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.errors import Conflict, RolledBack
from scheduler.domain.ids import new_id
from scheduler.domain.model import HeldReason
from scheduler.domain.run import Failed, HandedBack, Outcome, Replied
from scheduler.firings.new_firing import NewFiring, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.invocations.ends import finish_all
from scheduler.invocations.lifecycle import request_cancel
from scheduler.invocations.recovery import ReconcileResult, reconcile, sweep_stalled
from scheduler.invocations.replay import replay
from scheduler.invocations.run import claim_all
from scheduler.invocations.windows import release_window
from scheduler.storage.engine import Database
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import AgentWithTrigger, close_due_windows, make_agent_with_trigger

SECONDS = 6.0
DRAIN_SECONDS = 60.0
AGENTS = 8


class Storm:
    """The actions of the threads, and what they saw."""

    def __init__(self, db: Database, woken: list[AgentWithTrigger]) -> None:
        self.db = db
        self.woken = woken
        self.recorded: list[UUID] = []
        self.runs: dict[UUID, int] = {}
        self.overlaps = 0
        self.refused = 0
        self._running: set[UUID] = set()
        self._lock = Lock()

    def take_in(self, rng: random.Random) -> None:
        """Records firings for several agents in one transaction, like a scheduler's pass."""
        with self.db.begin() as conn:
            chosen = rng.sample(self.woken, rng.randint(1, 4))
            triggers = lock_triggers(conn, [each.trigger_id for each in chosen])
            firings = [
                NewFiring(each, str(new_id())) for each in triggers.values() for _ in range(rng.randint(1, 3))
            ]
            record_firings(conn, firings)
        with self._lock:
            self.recorded += [firing.id for firing in firings]

    def close(self, rng: random.Random) -> None:
        """Closes what is due."""
        with self.db.begin() as conn:
            close_due_windows(conn, rng.choice([1, 3, 100]))

    def run(self, rng: random.Random) -> None:
        """Acts as a worker: takes a job, runs it, ends it; sometimes it fails, sometimes it is handed back."""
        with self.db.begin() as conn:
            job = conn.execute(
                text("""
                    DELETE FROM procrastinate_jobs WHERE id = (
                        SELECT id FROM procrastinate_jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
                    RETURNING args
                """)
            ).scalar_one_or_none()
            if job is None:
                return
            # In one transaction with taking the job, so that no reconciler finds them without one.
            taken = claim_all(conn, [(UUID(each), attempt) for each, attempt in job["runs"]], "storm:1")
        with self._lock:
            for claimed in taken:
                self.overlaps += claimed.agent_id in self._running
                self._running.add(claimed.agent_id)
                for each in claimed.firing_ids:
                    self.runs[each] = self.runs.get(each, 0) + 1
        time.sleep(rng.uniform(0, 0.004))
        with self._lock:
            self._running.difference_update(claimed.agent_id for claimed in taken)
        ends = [(claimed.id, claimed.attempt, self.outcome(rng.random())) for claimed in taken]
        # A worker, too, writes an end again that the database rolled back to break a deadlock.
        for left in reversed(range(3)):
            try:
                with self.db.begin() as conn:
                    finish_all(conn, ends)
            except RolledBack:
                if not left:
                    raise
            else:
                break

    @staticmethod
    def outcome(chance: float) -> Outcome:
        if chance > 0.95:
            return HandedBack("worker_shutdown")
        return Failed("HTTP 500", permanent=chance < 0.03) if chance < 0.15 else Replied("done")

    def hurry(self, rng: random.Random) -> None:
        """Shortens the wait of a retry, as time would."""
        with self.db.begin() as conn:
            conn.execute(
                text("""
                    UPDATE invocations SET due_at = now() WHERE id IN (
                        SELECT id FROM invocations WHERE state = 'retrying' AND due_at > now()
                        LIMIT 3 FOR UPDATE SKIP LOCKED)
                """)
            )
        time.sleep(rng.uniform(0, 0.02))

    def meddle(self, rng: random.Random) -> None:
        """Acts as a person: pauses and resumes agents, cancels and replays invocations."""
        agent = rng.choice(self.woken).agent_id
        with self.db.begin() as conn:
            pause = rng.random() < 0.5
            conn.execute(
                text("UPDATE agents SET is_paused = :pause WHERE id = :id"), {"pause": pause, "id": agent}
            )
            if not pause:
                release_window(conn, agent, [HeldReason.PAUSED])
        with self.db.begin() as conn:
            found = conn.execute(
                text("SELECT id FROM invocations WHERE agent_id = :id ORDER BY random() LIMIT 1"), {"id": agent}
            ).scalar_one_or_none()
        try:
            if found is not None:
                with self.db.begin() as conn:
                    (replay if rng.random() < 0.7 else request_cancel)(conn, DEFAULT_TENANT, found, "storm")
        except Conflict:
            self.refused += 1
        time.sleep(rng.uniform(0, 0.02))


def until(stop: Event, step: Callable[[random.Random], None], seed: int) -> None:
    rng = random.Random(seed)
    while not stop.is_set():
        step(rng)


def drain(storm: Storm) -> None:
    """Resumes everything, and works until nothing is left to do."""
    rng = random.Random(0)
    with storm.db.begin() as conn:
        conn.execute(text("UPDATE agents SET is_paused = false"))
        for each in storm.woken:
            release_window(conn, each.agent_id, [HeldReason.PAUSED])
    left = text("SELECT count(*) FROM firings WHERE state = 'pending'")
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        with storm.db.begin() as conn:
            if conn.execute(left).scalar_one() == 0:
                return
        storm.hurry(rng)
        storm.close(rng)
        storm.run(rng)
    with storm.db.begin() as conn:
        stuck = conn.execute(text("SELECT * FROM invocations WHERE finished_at IS NULL")).all()
    raise AssertionError(f"stuck: {stuck}")


@pytest.mark.long
def test_nothing_is_lost_overlaps_gets_stuck_or_deadlocks(db: Database) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    storm = Storm(db, [make_agent_with_trigger(db, f"agent {number}", max_batch=5) for number in range(AGENTS)])
    steps = [storm.take_in] * 3 + [storm.close] * 3 + [storm.run] * 4 + [storm.hurry, storm.meddle]
    stop = Event()
    with ThreadPoolExecutor(len(steps)) as threads:
        working = [threads.submit(until, stop, step, seed + number) for number, step in enumerate(steps)]
        start = time.monotonic()
        while time.monotonic() < start + SECONDS or len(storm.recorded) <= 50:  # a slow machine takes longer
            stop.wait(0.2)
            if any(each.done() for each in working):
                break  # it failed, which is raised below
        stop.set()
        for each in working:
            each.result()  # a deadlock would raise an error here
    drain(storm)

    assert storm.overlaps == 0
    with db.begin() as conn:
        stored = set(conn.execute(text("SELECT id FROM firings")).scalars())
        carried = conn.execute(
            text("SELECT state, unnest(firing_ids) AS firing FROM invocations WHERE finished_at IS NOT NULL")
        ).all()
        wrong_counts = conn.execute(
            text("SELECT count(*) FROM invocations WHERE firing_count <> cardinality(firing_ids)")
        ).scalar_one()
        too_many = conn.execute(
            text("SELECT count(*) FROM invocations WHERE cardinality(firing_ids) > 5 AND attempt > 0")
        ).scalar_one()
        open_states = set(conn.execute(text("SELECT state FROM invocations WHERE finished_at IS NULL")).scalars())
    assert stored == set(storm.recorded)
    assert {row.firing for row in carried} == stored, "each firing rode in an invocation that has ended"
    ran = {row.firing for row in carried if row.state in ("succeeded", "dead")}
    assert ran <= set(storm.runs)
    assert (wrong_counts, too_many, open_states) == (0, 0, set())
    assert sweep_stalled(db).stalled == 0
    assert reconcile(db, newer_than=None) == ReconcileResult()
    assert len(stored) > 50  # enough of them to meet
