"""Nobody waits for all of a neighbour's triggers: when more is due than a pass may take, each tenant has a share."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.clock.express import ExpressLane
from scheduler.clock.heartbeat import Heartbeat
from scheduler.clock.trigger_pass import CLAIM_SHARES as CLAIM_TRIGGERS
from scheduler.clock.trigger_pass import DUE as DUE_TRIGGERS
from scheduler.clock.trigger_pass import TriggerPass
from scheduler.clock.trigger_store import TriggerStore
from scheduler.domain.clock import SystemClock
from scheduler.domain.right_of_way import RightOfWay
from scheduler.invocations.windows import CLAIM_SHARES as CLAIM_WINDOWS
from scheduler.invocations.windows import DUE as DUE_WINDOWS
from scheduler.invocations.windows import claim_due_windows
from scheduler.storage.engine import BY_INDEX, Database
from scheduler.storage.fair_shares import FEW, divide, share_parameters
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_tenant
from tests.support.stepped_scheduler import SteppedScheduler

TRIGGERS = text("""
    INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, reason)
    SELECT gen_random_uuid(), tenant_id, id, 'due ' || n, 'interval', '{"seconds": 60}', 'UTC', 'a test'
    FROM agents, generate_series(1, :count) AS n WHERE id = :agent_id
""")
DUE = text("""
    INSERT INTO jobs (trigger_id, kind, next_run_time)
    SELECT id, 'fire', clock_timestamp() - make_interval(secs => :ago) - row_number() OVER () * interval '1 ms'
    FROM triggers WHERE agent_id = :agent_id
""")
WINDOWS = text("""
    INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, due_at, firing_count)
    SELECT gen_random_uuid(), :tenant_id, id, 'collecting', clock_timestamp(),
        clock_timestamp() - make_interval(secs => :ago), 1
    FROM agents WHERE tenant_id = :tenant_id
""")

FLOOD_OF_WINDOWS = """
    INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, due_at, firing_count)
    SELECT gen_random_uuid(), :tenant_id, gen_random_uuid(), 'collecting', clock_timestamp(),
        clock_timestamp() - interval '1 min', 1 FROM generate_series(1, 5000)
"""


def due_triggers(db: Database, tenant_id: UUID, count: int, ago: float) -> None:
    agent_id = make_agent(db, "ada", tenant_id)
    with db.begin() as conn:
        conn.execute(TRIGGERS, {"agent_id": agent_id, "count": count})
        conn.execute(DUE, {"agent_id": agent_id, "ago": ago})


def due_windows(db: Database, tenant_id: UUID, count: int, ago: float) -> None:
    for number in range(count):
        make_agent(db, f"agent {number}", tenant_id)
    with db.begin() as conn:
        conn.execute(WINDOWS, {"tenant_id": tenant_id, "ago": ago})


class Taken(RightOfWay):
    """Counts how often small work took the right of way."""

    times = 0

    def take(self, seconds: float) -> None:
        self.times += 1
        super().take(seconds)


def ready_of(db: Database, tenant_id: UUID) -> int:
    query = "SELECT count(*) AS n FROM invocations WHERE state = 'ready' AND tenant_id = :tenant_id"
    [row] = rows(db, query, tenant_id=tenant_id)
    return int(row.n)


@pytest.mark.parametrize(
    ("waiting", "limit", "expected"),
    [
        ({1: 50_000, 2: 1}, 4000, {2: 1, 1: 3999}),
        ({1: 50_000, 2: 1, 3: 50_000}, 4000, {2: 1, 1: 1999, 3: 2000}),
        ({1: 10, 2: 3, 3: 10, 4: 1}, 10, {4: 1, 2: 3, 1: 3, 3: 3}),
        ({1: 9, 2: 9, 3: 9}, 2, {1: 1, 2: 1}),
    ],
)
def test_a_tenant_that_wants_little_has_all_of_it(
    waiting: dict[int, int], limit: int, expected: dict[int, int]
) -> None:
    shares = divide({UUID(int=each): wanted for each, wanted in waiting.items()}, limit)
    assert {each.int: share for each, share in shares.items()} == expected


def test_a_lone_trigger_is_in_the_first_pass_beside_a_flood_that_was_due_before(db: Database) -> None:
    neighbour, third = make_tenant(db, "neighbour"), make_tenant(db, "third")
    due_triggers(db, DEFAULT_TENANT, 60, ago=60)
    due_triggers(db, third, 5, ago=1)
    due_triggers(db, neighbour, 1, ago=0)
    with db.begin() as conn:
        jobs = TriggerPass(conn, Heartbeat(SystemClock())).claim(20)
    tenants = [job.claim.trigger.tenant_id for job in jobs]
    assert {each: tenants.count(each) for each in tenants} == {DEFAULT_TENANT: 14, third: 5, neighbour: 1}
    slots = [job.next_run_time for job in jobs]
    assert slots == sorted(slots)
    oldest = rows(db, "SELECT next_run_time FROM jobs ORDER BY next_run_time LIMIT 14")
    assert slots[:14] == [row.next_run_time for row in oldest], "of the flood, the oldest"


def test_the_oldest_go_first_when_there_is_room_for_all_or_a_broken_row_is_looked_for(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_triggers(db, DEFAULT_TENANT, 6, ago=60)
    due_triggers(db, neighbour, 1, ago=0)
    for limit in (7, 8):
        with db.begin() as conn:
            assert len(TriggerPass(conn, Heartbeat(SystemClock())).claim(limit)) == 7
    with db.begin() as conn:
        [job] = TriggerPass(conn, Heartbeat(SystemClock())).claim(1)
        assert job.claim.trigger.tenant_id == DEFAULT_TENANT


def test_what_another_scheduler_holds_takes_no_share(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_triggers(db, DEFAULT_TENANT, 30, ago=60)
    due_triggers(db, neighbour, 2, ago=0)
    with db.begin() as one, db.begin() as other:
        first = TriggerPass(one, Heartbeat(SystemClock())).claim(10)
        second = TriggerPass(other, Heartbeat(SystemClock())).claim(10)
    assert len({job.id for job in [*first, *second]}) == len(first) + len(second) == 18


def test_the_rows_of_a_flood_are_not_read_to_find_a_neighbours(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_triggers(db, DEFAULT_TENANT, 5000, ago=60)
    due_triggers(db, neighbour, 3, ago=0)
    due_windows(db, neighbour, 3, ago=0)
    change(db, FLOOD_OF_WINDOWS, tenant_id=DEFAULT_TENANT)
    with db.begin() as conn:
        conn.execute(text("ANALYZE jobs"))
        conn.execute(text("ANALYZE invocations"))
    shares = share_parameters({neighbour: 3})
    url = db.engine.url.render_as_string(hide_password=False)
    scheduling = Database(url, pool_size=1, options=BY_INDEX)
    for statement, parameters, index in (
        (DUE_TRIGGERS, {"more_than": 0, "up_to": FEW}, "ix_jobs_tenant"),
        (CLAIM_TRIGGERS, shares, "ix_jobs_tenant"),
        (DUE_WINDOWS, {"more_than": 0, "up_to": FEW}, "ix_invocations_tenant_due"),
        (CLAIM_WINDOWS, shares, "ix_invocations_tenant_due"),
    ):
        plan = "\n".join(row[0] for row in rows(scheduling, f"EXPLAIN {statement}", **parameters))
        assert f"using {index} on" in plan, plan
    scheduling.dispose()


def test_a_lone_window_is_closed_beside_thousands(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_windows(db, DEFAULT_TENANT, 15, ago=60)
    due_windows(db, neighbour, 1, ago=0)
    with db.begin() as conn:
        claimed = claim_due_windows(conn, 4)
    [lone] = rows(db, "SELECT id FROM invocations WHERE tenant_id = :id", id=neighbour)
    assert len(claimed) == 4
    assert lone.id in {row.id for row in claimed}


def test_the_express_lane_takes_those_with_few_and_passes_leave_them_to_it(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_triggers(db, DEFAULT_TENANT, FEW + 10, ago=60)
    due_triggers(db, neighbour, 3, ago=0)
    with db.begin() as conn:
        full = TriggerPass(conn, Heartbeat(SystemClock()))
        full.leaves_few = True
        tenants = {job.claim.trigger.tenant_id for job in full.claim(FEW)}
        assert tenants == {DEFAULT_TENANT}
        ExpressLane(db, Heartbeat(SystemClock())).look()  # while the full pass has locked its rows
    assert rows(db, "SELECT tenant_id, count(*) FROM firings GROUP BY tenant_id") == [(neighbour, 3)]


def test_the_express_lane_closes_the_windows_of_those_with_few(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_windows(db, neighbour, 2, ago=0)
    change(db, "UPDATE invocations SET firing_count = 1")
    lane = ExpressLane(db, Heartbeat(SystemClock()))
    lane.look()
    lane.look()
    assert [row.state for row in rows(db, "SELECT state FROM invocations")] == ["ready"] * 2
    [job] = rows(db, "SELECT args FROM procrastinate_jobs")
    assert len(job.args["runs"]) == 2


def test_only_the_windows_of_tenants_without_a_flood_have_the_right_of_way(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Taken()
    for module in ("clock.express", "storage.ways"):
        monkeypatch.setattr(f"scheduler.{module}.WAY", way)
    neighbour = make_tenant(db, "neighbour")
    due_triggers(db, DEFAULT_TENANT, FEW + 10, ago=60)
    due_windows(db, DEFAULT_TENANT, 2, ago=0)
    change(db, "UPDATE invocations SET firing_count = 1")
    lane = ExpressLane(db, Heartbeat(SystemClock()))
    lane.look()
    assert (ready_of(db, DEFAULT_TENANT), way.times) == (3, 0)
    due_windows(db, neighbour, 1, ago=0)
    change(db, "UPDATE invocations SET firing_count = 1")
    lane.look()
    assert ready_of(db, neighbour) == 1
    assert way.times > 0


def test_a_full_pass_beside_neighbours_activates_the_express_lane_and_one_with_room_deactivates_it(
    db: Database, scheduler: SteppedScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = scheduler.express
    make_tenant(db, "neighbour")
    due_triggers(db, DEFAULT_TENANT, 4, ago=60)
    monkeypatch.setattr(TriggerStore, "max_rows", 4)
    monkeypatch.setattr(scheduler._lookup_jobstore("default"), "_limit", 4)
    scheduler.run_pass()
    assert lane.is_needed
    scheduler.run_pass()
    assert not lane.is_needed


def test_a_job_of_an_older_version_has_its_tenant(db: Database) -> None:
    neighbour = make_tenant(db, "neighbour")
    due_triggers(db, neighbour, 1, ago=0)
    assert [row.tenant_id for row in rows(db, "SELECT tenant_id FROM jobs")] == [neighbour]
