"""A simulated day equals what the service itself does in that day, with its clock put forward by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.run import Replied
from scheduler.firings.new_firing import NewFiring, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.firings.slots import Definition
from scheduler.invocations.run import ClaimedRun
from scheduler.simulation.engine import simulate
from scheduler.simulation.shapes import AgentPlan, Limits, Plan, TriggerPlan, Usage, Wake
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import make_agent, make_trigger
from tests.support.invocations import end, start
from tests.support.stepped_scheduler import SteppedScheduler, stepped

BEGIN = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""Berlin puts its clocks back in the night that follows."""
END = BEGIN + timedelta(days=1)
RUN = timedelta(minutes=7)

CLOCK = """
    CREATE SCHEMA fake;
    CREATE TABLE fake.clock (now timestamptz NOT NULL);
    INSERT INTO fake.clock VALUES ('2026-10-24T12:00:00Z');
    CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS 'SELECT now FROM fake.clock';
"""


@pytest.fixture
def ahead(database_url: str) -> Iterator[Database]:
    """A database whose sessions read their time from a table."""
    url = database_url.replace("postgresql:", "postgresql+psycopg:", 1)
    plain = Database(url)
    for statement in CLOCK.strip().split(";\n"):
        change(plain, statement)
    plain.dispose()
    db = Database(url, options={"search_path": "fake,pg_catalog,public"})
    yield db
    db.dispose()


class Service:
    """The real scheduler and the real ends of runs, stepped from one event to the next."""

    def __init__(
        self, db: Database, scheduler: SteppedScheduler, arrivals: Sequence[tuple[datetime, UUID]]
    ) -> None:
        self._db = db
        self._scheduler = scheduler
        self._arrivals = sorted(arrivals)
        self._running: dict[UUID, datetime] = {}
        self._claimed: dict[UUID, ClaimedRun] = {}

    def live(self, until: datetime) -> None:
        """Passes the time."""
        now = BEGIN
        while now < until:
            change(self._db, "UPDATE fake.clock SET now = :now", now=now)
            self._arrive(now)
            self._end(now)
            self._scheduler.run_pass()
            for row in rows(self._db, "SELECT id FROM invocations WHERE state = 'ready'"):
                self._claimed[row.id] = start(self._db, row.id)
                self._running[row.id] = now + RUN
            now = self._next(now)

    def _arrive(self, now: datetime) -> None:
        while self._arrivals and self._arrivals[0][0] <= now:
            _, id_ = self._arrivals.pop(0)
            with self._db.begin() as conn:
                trigger = lock_triggers(conn, [id_])[id_]
                record_firings(conn, [NewFiring(trigger, f"arrival-{now.isoformat()}")])

    def _end(self, now: datetime) -> None:
        for id_ in [each for each, at in self._running.items() if at <= now]:
            del self._running[id_]
            assert end(self._db, self._claimed[id_], Replied("done"))

    def _next(self, now: datetime) -> datetime:
        """The next event: there is nothing to see in between."""
        [row] = rows(
            self._db,
            """SELECT least((SELECT min(next_run_time) FROM jobs),
                (SELECT min(due_at) FROM invocations WHERE state = 'collecting'),
                (SELECT min(held_until) FROM invocations)) AS at""",
        )
        found: list[datetime] = [
            each for each in (row.at, *self._running.values(), *(at for at, _ in self._arrivals[:1])) if each
        ]
        return max(min(found), now + timedelta(microseconds=1))


def wakes_of(db: Database) -> list[Wake]:
    """What the service did: each wake with its firings."""
    found = []
    for row in rows(
        db, "SELECT id, agent_id, ready_at FROM invocations WHERE ready_at IS NOT NULL ORDER BY ready_at"
    ):
        carried = rows(
            db, "SELECT trigger_id, fired_at FROM firings WHERE invocation_id = :id ORDER BY id", id=row.id
        )
        found.append(Wake(row.agent_id, row.ready_at, [(each.trigger_id, each.fired_at) for each in carried]))
    return found


def planned(db: Database, agents: Sequence[AgentPlan], arrivals: Sequence[tuple[datetime, UUID]]) -> Plan:
    """The plan of everything in the database."""
    with db.begin() as conn:
        ids = conn.execute(text("SELECT id FROM triggers")).scalars().all()
        locked = lock_triggers(conn, ids)
        triggers = [
            TriggerPlan(
                locked[row.id],
                Definition(row.config, row.zone, row.anchor_at, row.misfire_policy, row.grace_seconds),
                [at for at, id_ in arrivals if id_ == row.id],
                is_timed=row.type != "webhook",
            )
            for row in conn.execute(
                text("SELECT id, type, config::text, zone, anchor_at, misfire_policy, grace_seconds FROM triggers")
            )
        ]
    return Plan(BEGIN, END, agents, triggers, Limits("UTC"))


def normal(wakes: Sequence[Wake]) -> list[tuple[datetime, UUID, list[tuple[datetime, UUID]]]]:
    """Wakes in an order that does not depend on ids, which are random."""
    return sorted(
        (wake.at, wake.agent_id, sorted((at, trigger) for trigger, at in wake.firings)) for wake in wakes
    )


def test_a_simulated_day_is_the_day_that_the_service_has(ahead: Database) -> None:
    """Intervals, cron across a clock change, urgency, cooldowns, full windows, runs that overlap, and a budget."""
    ada = make_agent(ahead, "ada", timezone="Europe/Berlin", max_batch=3, dedup_delay_seconds=30.0)
    bob = make_agent(ahead, "bob", dedup_delay_seconds=300.0, max_invocations_per_hour=2)
    make_trigger(ahead, ada, config={"minutes": 40}, cooldown_seconds=0.0)
    make_trigger(ahead, ada, "cron", config={"expr": "*/20 2-3 * * *"}, cooldown_seconds=0.0)
    make_trigger(ahead, ada, "cron", config={"expr": "30 2 * * *"}, urgent=True)
    make_trigger(
        ahead, ada, "cron", config={"expr": "0 */3 * * *", "timezone": "Asia/Kolkata"}, cooldown_seconds=7200.0
    )
    make_trigger(ahead, bob, config={"minutes": 12}, max_fires=70)
    make_trigger(ahead, bob, config={"minutes": 60}, cooldown_seconds=4000.0)
    hook = make_trigger(ahead, ada, "webhook", cooldown_seconds=600.0).id
    arrivals = [(BEGIN + timedelta(hours=3, minutes=11, seconds=n * 4), hook) for n in range(9)]
    agents = [
        AgentPlan(ada, "ada", Limits("Europe/Berlin", invocations_per_hour=None), Usage(RUN)),
        AgentPlan(bob, "bob", Limits("UTC", invocations_per_hour=2), Usage(RUN)),
    ]
    outcome = simulate(planned(ahead, agents, arrivals))
    with stepped(ahead) as scheduler:
        Service(ahead, scheduler, arrivals).live(END)
    real = normal(wakes_of(ahead))
    assert len(real) > 60
    assert normal(outcome.wakes) == real
    assert {len(wake.firings) for wake in outcome.wakes} >= {1, 2, 3}
    assert outcome.agents[bob].held > 5
    counts = {row.id: row.fire_count for row in rows(ahead, "SELECT id, fire_count FROM triggers")}
    assert outcome.firings == counts
