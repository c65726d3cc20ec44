"""History is removed after its retention time, by kind and tenant; what is still active stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.retention import DEFAULT_DAYS, History
from scheduler.domain.run import Replied
from scheduler.manage.retention import Pruner
from scheduler.storage.engine import Database
from scheduler.storage.retention import BATCH, remove_old
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.invocations import run_once

TABLES = {
    History.FIRINGS: ("firings", "fired_at"),
    History.INVOCATIONS: ("invocations", "finished_at"),
    History.DELIVERIES: ("webhook_deliveries", "received_at"),
    History.MESSAGES: ("messages", "created_at"),
    History.NOTIFICATIONS: ("notifications", "created_at"),
    History.AUDIT: ("audit_events", "at"),
}


def age(db: Database, days: float, *kinds: History) -> None:
    """Makes existing rows older."""
    for kind in kinds or tuple(History):
        table, column = TABLES[kind]
        change(
            db,
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s)",  # noqa: S608
            s=days * 86_400,
        )


def left(db: Database, kind: History, where: str = "true") -> int:
    return int(rows(db, f"SELECT count(*) FROM {TABLES[kind][0]} WHERE {where}")[0][0])  # noqa: S608


def prune(db: Database, **days: int) -> dict[History, int]:
    """Returns what was removed, over all tenants."""
    removed = Pruner(db, dict(DEFAULT_DAYS) | {History(kind): number for kind, number in days.items()}).remove()
    total: dict[History, int] = {}
    for counts in removed.values():
        for kind, number in counts.items():
            total[kind] = total.get(kind, 0) + number
    return total


def test_each_kind_goes_after_its_days_and_zero_is_for_ever(api: Api, db: Database) -> None:
    agent = api.agent("ada", dedup_delay_seconds=0)["id"]
    api.post("/users", {"name": "bo"})
    hook = api.trigger(agent, "hook", type="webhook", config={})["hook_url"].partition("/hooks/")[2]
    assert api.call("POST", f"//hooks/{hook}", {"n": 1}).status_code == 202
    api.post("/messages", message(agent))
    invocation = run_once(db, Replied("done"))
    assert api.call("POST", f"//hooks/{hook}", {"n": 2}).status_code == 202
    assert prune(db) == {}
    age(db, 31)
    assert prune(db, audit=0) == {History.DELIVERIES: 2}
    age(db, 60)
    assert prune(db, audit=0, invocations=0) == {History.FIRINGS: 1, History.NOTIFICATIONS: 1}
    assert left(db, History.FIRINGS, "state = 'pending'") == 1, "what has yet to be delivered is kept"
    age(db, 4000)
    assert prune(db, audit=0, messages=0, invocations=0) == {}
    shown = api.get(f"/invocations/{invocation}")
    assert shown["firings"] == []
    api.refused(409, "POST", f"/invocations/{invocation}/replay")
    removed = prune(db, audit=0)
    assert removed == {History.INVOCATIONS: 1, History.MESSAGES: 2}
    api.refused(404, "GET", f"/invocations/{invocation}")
    assert rows(db, "SELECT id FROM sessions WHERE is_reflection") == []
    assert (
        rows(db, "SELECT m.id FROM messages m LEFT JOIN sessions s ON s.id = m.session_id WHERE s.id IS NULL")
        == []
    )
    assert prune(db).keys() == {History.AUDIT}
    metrics = api.call("GET", "//metrics").text
    assert 'reveille_pruned_rows_total{kind="firings"} 1.0' in metrics
    events = api.get("/audit", action="history.pruned")["items"]
    assert events[0]["detail"].keys() == {"audit"}
    trigger = api.get("/triggers")["items"][0]
    assert trigger["fire_count"] == 2


def message(agent: Any, **more: object) -> dict[str, object]:
    return {"from": {"type": "user", "name": "bo"}, "to_agent_id": agent, "channel": "web", "text": "hi"} | more


def test_a_tenants_own_days_hold_for_it_alone(api: Api, db: Database) -> None:
    tenants = {None: api.tenant("usual"), 5: api.tenant("short", keep_audit_days=5)}
    tenants[0] = api.tenant("long", keep_audit_days=0)
    for tenant in tenants.values():
        change(
            db,
            "INSERT INTO audit_events (id, tenant_id, actor, action, subject_type, at) VALUES (gen_random_uuid(), "
            "CAST(:t AS uuid), 'x', 'old.event', 'old', now() - interval '100 days')",
            t=tenant,
        )

    def kept() -> set[str]:
        return {str(row[0]) for row in rows(db, "SELECT tenant_id FROM audit_events WHERE action = 'old.event'")}

    pruner = Pruner(db, dict(DEFAULT_DAYS) | {History.AUDIT: 50})
    assert pruner.count() == {UUID(tenants[None]): {"audit": 1}, UUID(tenants[5]): {"audit": 1}}
    assert len(kept()) == 3
    assert prune(db) == {History.AUDIT: 1}
    assert kept() == {tenants[None], tenants[0]}
    assert prune(db, audit=50) == {History.AUDIT: 1}
    assert kept() == {tenants[0]}


def test_ids_outlive_their_rows(api: Api, db: Database) -> None:
    agent = api.agent("ada")["id"]
    api.post("/users", {"name": "bo"})
    made = api.trigger(agent, "hook", type="webhook", config={})
    hook = f"//hooks/{made['hook_url'].partition('/hooks/')[2]}"

    def deliver(body: object, id_: str = "42") -> Any:
        return api.call("POST", hook, body, headers={"X-GitHub-Delivery": id_}).json

    first = deliver({"n": 1})
    told = api.post("/messages", message(agent, event_id="e1"))
    change(db, "UPDATE firings SET state = 'delivered'")
    age(db, 20, History.FIRINGS, History.MESSAGES)
    assert prune(db, firings=1, messages=1) == {History.FIRINGS: 1, History.MESSAGES: 1}
    assert deliver({"n": 1}) == {**first, "duplicate": True}
    assert deliver({"n": 2})["duplicate"] is False, "another body under an id that anybody may write"
    again = api.post("/messages", message(agent, event_id="e1"), status=200)
    assert (again["id"], again["duplicate"]) == (told["id"], True)
    api.refused(409, "POST", "/messages", message(agent, event_id="e1", text="another"))
    change(db, "UPDATE spent_ids SET seen_at = seen_at - interval '11 days'")
    prune(db)
    assert deliver({"n": 1})["duplicate"] is False, "after 30 days it is forgotten"


def test_a_deferred_firing_that_has_yet_to_come_back_is_kept(api: Api, db: Database) -> None:
    """As after its return time passed while nothing ran, or while all was paused."""
    agent = api.agent("ada", dedup_delay_seconds=0)["id"]
    trigger = api.trigger(agent, "later", type="once", config={"at": "2099-01-01T00:00:00Z"})["id"]
    firing = api.post(f"/triggers/{trigger}/fire", status=202)["firing_id"]
    run_once(db, Replied("done"))
    api.post(f"/firings/{firing}/ack", {"status": "deferred", "until": "2099-01-01T00:00:00Z"}, status=200)
    change(db, "UPDATE firings SET deferred_until = clock_timestamp() - interval '1 minute'")
    age(db, 100, History.FIRINGS)
    assert prune(db) == {}
    run_once(db, Replied("done again"))
    assert prune(db) == {History.FIRINGS: 1}


def test_what_has_yet_to_be_sent_to_a_target_is_kept(api: Api, db: Database) -> None:
    agent = api.agent("ada", dedup_delay_seconds=0)["id"]
    target = {"name": "ops", "kind": "webhook", "url": "https://ops.example/hook"}
    api.post(f"/agents/{agent}/notification-targets", target)
    trigger = api.trigger(agent, "later", type="once", config={"at": "2099-01-01T00:00:00Z"})["id"]
    api.post(f"/triggers/{trigger}/fire", status=202)
    run_once(db, Replied("It rains."))
    age(db, 100, History.NOTIFICATIONS, History.INVOCATIONS)
    assert prune(db) == {}
    change(db, "UPDATE notification_deliveries SET state = 'delivered'")
    assert prune(db, invocations=0) == {History.NOTIFICATIONS: 1}
    assert prune(db) == {History.INVOCATIONS: 1}
    assert rows(db, "SELECT id FROM notification_deliveries") == []


def test_many_rows_go_in_batches_and_a_look_rests_after_it_found_nothing(api: Api, db: Database) -> None:
    del api
    change(
        db,
        "INSERT INTO audit_events (id, actor, action, subject_type, at) SELECT gen_random_uuid(), 'x', 'old.event', "
        "'old', now() - interval '400 days' FROM generate_series(1, 1203)",
    )
    pruner = Pruner(db, DEFAULT_DAYS)
    assert pruner.look() == 1203
    assert pruner.look() == 0
    assert rows(db, "SELECT tenant_id, detail FROM audit_events WHERE action = 'history.pruned'") == [
        (None, {"audit": 1203})
    ]


@pytest.mark.parametrize("days", [-1, 36_501, 1.5, "30"])
def test_invalid_retention_days_are_refused(shared: Api, days: object) -> None:
    tenant = shared.get("/tenants")["items"][0]["id"]
    for kind in History:
        assert shared.refused(422, "PATCH", f"/tenants/{tenant}", {kind.column: days})["field"] == kind.column


def test_a_batch_reads_only_rows_that_it_removes(api: Api, db: Database) -> None:
    """Old rows lie among newer ones, as after the space of removed rows was used again."""
    tenants = api.tenant("usual"), api.tenant("long", keep_audit_days=0)
    change(
        db,
        """
        INSERT INTO audit_events (id, tenant_id, actor, action, subject_type, at)
        SELECT gen_random_uuid(), CAST(o.tenant AS uuid), 'x', 'old.event', 'old', now() - o.days * interval '1 day'
        FROM (VALUES (:usual, 1, 20000), (:usual, 100, 600), (:long, 100, 5000)) o (tenant, days, rows),
            generate_series(1, o.rows) ORDER BY random()
        """,
        usual=tenants[0],
        long=tenants[1],
    )
    change(db, "ANALYZE audit_events")
    with db.begin() as conn:
        assert remove_old(conn, History.AUDIT, 50) == {UUID(tenants[0]): BATCH}
        read = text(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'audit_events'"
        )
        assert conn.scalar(read) < 5 * BATCH
