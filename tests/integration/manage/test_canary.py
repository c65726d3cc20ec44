"""The canary goes the whole way, is timed, and is nobody's."""

from __future__ import annotations

import asyncio
from typing import Any

from scheduler.alerts.watch import Watch
from scheduler.domain.run import RuntimeSpec
from scheduler.manage.canary import Canary
from scheduler.manage.triggers.service import Triggers
from scheduler.runtimes.canary import CanaryRuntime
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.engine import Database
from scheduler.storage.fair_shares import has_neighbours
from scheduler.storage.read_models.status import read_canary
from scheduler.storage.tenants import CANARY_TENANT
from tests.support.alerts import up_for_an_hour
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.dispatching import make_dispatcher
from tests.support.factories import BOX
from tests.support.stepped_scheduler import stepped


def canary(db: Database, *, is_wanted: bool = True) -> Canary:
    return Canary(db, Triggers(db, BOX), is_wanted=is_wanted)


def seconds(db: Database) -> float | None:
    with db.begin() as conn:
        return read_canary(conn)


def beat(db: Database) -> None:
    """Lets a scheduler and a worker report."""
    change(db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'x')")
    change(db, "INSERT INTO procrastinate_workers DEFAULT VALUES")


def make_late(db: Database, by: int) -> None:
    change(db, "UPDATE jobs SET next_run_time = clock_timestamp() - make_interval(secs => :by)", by=by)


def readyz(api: Api) -> Any:
    return api.ok(api.as_(None).call("GET", "//readyz"), 200)


async def go_the_whole_way(db: Database) -> None:
    """A pass records the slot, the next one closes the window, and a worker runs what is ready."""
    with stepped(db) as scheduler:
        scheduler.run_pass()
        scheduler.run_pass()
    [ready] = rows(db, "SELECT id, tenant_id FROM invocations WHERE state = 'ready'")
    assert ready.tenant_id == CANARY_TENANT
    dispatcher = make_dispatcher(db, lambda spec: make_runtime(spec, None))  # type: ignore[arg-type]
    await dispatcher.run([(ready.id, 1)])
    dispatcher.close()


def test_the_way_from_a_slot_to_an_end_is_timed(api: Api) -> None:
    db = api.db
    canary(db).look()
    canary(db).look()
    beat(db)
    up_for_an_hour(db)
    assert len(rows(db, "SELECT FROM agents")) == len(rows(db, "SELECT FROM jobs")) == 1
    assert readyz(api)["status"] == "ready"
    make_late(db, 12)
    assert (readyz(api)["status"], readyz(api)["checks"]["canary"]["ok"]) == ("degraded", False)
    make_late(db, 3)
    asyncio.run(go_the_whole_way(db))
    found = seconds(db)
    assert found is not None
    assert 3 <= found < 60
    assert "reveille_canary_duration_seconds" in api.call("GET", "//metrics").text
    change(db, "UPDATE firings SET scheduled_for = scheduled_for - interval '15 s'")
    assert readyz(api)["status"] == "degraded"
    api.post("/pause", {"everything": True}, 200)
    assert (seconds(db), readyz(api)["status"]) == (None, "ready")
    api.post("/resume", {"everything": True}, 200)
    assert readyz(api)["status"] == "ready"


def test_the_time_that_the_service_was_down_is_not_the_canarys(api: Api) -> None:
    db = api.db
    canary(db).look()
    beat(db)
    make_late(db, 45)
    change(db, "UPDATE watch SET since = now() - interval '1 hour', looked_at = now() - interval '45 s'")
    assert readyz(api)["status"] == "degraded"
    Watch(db).look()
    assert readyz(api)["status"] == "ready"
    asyncio.run(go_the_whole_way(db))
    assert (seconds(db) or 45) < 45
    change(db, "UPDATE watch SET since = now() - interval '11 s'")
    make_late(db, 60)
    assert readyz(api)["status"] == "degraded"


def test_the_canary_belongs_to_no_tenant(api: Api) -> None:
    canary(api.db).look()
    assert [each["name"] for each in api.get("/tenants")["items"]] == ["default"]
    assert api.get("/agents")["items"] == api.get("/triggers")["items"] == []
    with api.db.begin() as conn:
        assert not has_neighbours(conn)
    api.refused(422, "POST", "/agents", {"name": "mine", "runtime": {"kind": "canary"}})
    assert isinstance(make_runtime(RuntimeSpec("canary", {}, None, 60), None), CanaryRuntime)  # type: ignore[arg-type]


def test_what_it_left_is_removed_and_it_can_be_ended(db: Database) -> None:
    canary(db, is_wanted=False).look()
    assert rows(db, "SELECT FROM agents") == []
    canary(db).look()
    change(
        db,
        "INSERT INTO invocations (id, tenant_id, agent_id, state, finished_at) "
        "SELECT gen_random_uuid(), tenant_id, id, 'succeeded', now() - v.age FROM agents, "
        "(VALUES (interval '2 hours'), (interval '1 minute')) AS v(age)",
    )
    change(db, "UPDATE audit_events SET at = now() - interval '2 hours'")
    canary(db).look()
    assert len(rows(db, "SELECT FROM invocations")) == 1
    assert rows(db, "SELECT FROM audit_events") == []
    canary(db, is_wanted=False).look()
    assert seconds(db) is None
    assert rows(db, "SELECT FROM jobs WHERE next_run_time IS NOT NULL") == []
    canary(db).look()
    assert len(rows(db, "SELECT FROM jobs WHERE next_run_time IS NOT NULL")) == 1
