"""Agents know their local time, and a time without an offset means local time."""

from __future__ import annotations

from datetime import UTC, datetime

from scheduler.domain.local_time import in_zone, now_line, shown_locally
from scheduler.domain.run import Replied
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import DEFAULT_TENANT, make_agent
from tests.support.invocations import fire, make_agent_with_trigger, run_once
from tests.support.tools import Toolbox


def test_a_local_time_is_the_agents(db: Database) -> None:
    tools = Toolbox(db, make_agent(db, timezone="Asia/Shanghai"))
    made = tools("set_trigger", name="x", type="once", config={"at": "2030-01-31T09:00:00"}, reason="x")
    assert (made["next_fire_at"], made["timezone"]) == ("2030-01-31T01:00:00Z", "Asia/Shanghai")
    assert made["next_fire_at_local"] == "Thursday 2030-01-31T09:00:00+08:00"
    assert "+08:00" in made["now"]
    changed = tools("update_trigger", trigger="x", config={"at": "2030-02-01"}, expires_at="2030-02-02T00:00:00")
    assert changed["next_fire_at"] == "2030-01-31T16:00:00Z"
    assert changed["expires_at"] == "2030-02-01T16:00:00Z"
    given = tools("update_trigger", trigger="x", config={"at": "2030-02-01T09:00:00z"})
    assert given["next_fire_at"] == "2030-02-01T09:00:00Z"
    seen = tools("preview_trigger", type="once", config={"at": "2030-02-01T09:00:00"})
    assert seen["fire_times"] == ["2030-02-01T09:00:00+08:00"]
    assert "not a time" in tools.refused(
        "set_trigger", name="y", type="once", config={}, reason="x", expires_at="soon"
    )


def test_a_tenants_zone_holds_where_the_agent_has_none(db: Database) -> None:
    with db.begin() as conn:
        conn.exec_driver_sql("UPDATE tenants SET timezone = 'Europe/Berlin'")
    tools = Toolbox(db, make_agent(db))
    made = tools("set_trigger", name="x", type="once", config={"at": "2030-07-01T09:00:00"}, reason="x")
    assert made["next_fire_at"] == "2030-07-01T07:00:00Z"
    assert rows(db, "SELECT 1 FROM tenants WHERE id = :id", id=DEFAULT_TENANT)


def test_a_deferral_without_an_offset_is_local(db: Database) -> None:
    woken = make_agent_with_trigger(db, timezone="Asia/Shanghai")
    (firing_id,) = fire(db, woken)
    run_once(db, Replied("later"))
    tools = Toolbox(db, woken.agent_id)
    acked = tools("ack_firing", firing_id=str(firing_id), status="deferred", until="2026-12-24T09:00:00")
    assert acked["until"] == "2026-12-24T01:00:00Z"


def test_times_are_shown_in_the_agents_zone_and_language() -> None:
    now = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)
    assert now_line(now, "Asia/Shanghai", "en") == "Now: Monday, 2026-11-30 07:30 (Asia/Shanghai, UTC+08:00)"
    assert now_line(now, "Asia/Shanghai", "zh").startswith("现在:星期一,2026-11-30 07:30")
    assert now_line(now, "No/Where", "en").startswith("Now: Sunday, 2026-11-29 23:30")
    assert in_zone("nonsense", "UTC") == "nonsense"
    assert shown_locally(None, "UTC") is None
