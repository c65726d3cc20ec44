"""Each rule opens an alert, which closes when the trouble is over; people are told once, unless it is muted."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from scheduler.alerts.rules import RULES
from scheduler.alerts.service import Alerts
from scheduler.alerts.service_rules import Room
from scheduler.alerts.watch import Watch
from scheduler.domain.ids import new_id
from scheduler.domain.local_time import spell_duration
from scheduler.domain.run import Failed, Replied
from scheduler.storage.alert_tables import Alert
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger
from tests.support.invocations import Woken, audited, close, end, fire, make_woken, ready_one, start

TARGET = """
    INSERT INTO notification_targets (id, tenant_id, agent_id, name, kind, host, secrets)
    VALUES (gen_random_uuid(), :tenant, :agent, 'ops', 'webhook', 'example.org', ''::bytea)
"""

TOLD = """
    SELECT x.event FROM notification_deliveries d JOIN alert_notices x ON x.id = d.notification_id ORDER BY x.id
"""


def alerts(db: Database, *, is_open: bool | None = True) -> list[Alert]:
    """The tenant's alerts after a look, while a scheduler runs."""
    change(db, "DELETE FROM scheduler_processes")
    change(db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'here')")
    change(db, "UPDATE watch SET since = now(), last_heartbeat_at = now()")
    Watch(db).look()
    found = Alerts(db).list(DEFAULT_TENANT, is_operator=False, is_open=is_open, limit=100)
    return [*found]


def told(db: Database) -> list[str]:
    """What the targets were told, oldest first."""
    return [row.event for row in rows(db, TOLD)]


def add_target(db: Database, agent_id: UUID) -> None:
    change(db, TARGET, tenant=DEFAULT_TENANT, agent=agent_id)


def silent(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "webhook", expect_within=3600.0)
    change(db, "UPDATE triggers SET expected_since = now() - interval '2 hours 5 minutes'")
    return trigger.id


def failing(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "poll", config={"url": "https://example.org", "json_path": "$"})
    change(db, "INSERT INTO poll_states (trigger_id, failures, note) VALUES (:id, 4, 'HTTP 503')", id=trigger.id)
    return trigger.id


def quarantined(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "webhook")
    change(db, "UPDATE triggers SET is_enabled = false, paused_note = 'quarantined: ValueError: bad'")
    return trigger.id


def unsigned(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "webhook")
    for _ in range(3):
        change(
            db,
            "INSERT INTO webhook_deliveries (id, tenant_id, trigger_id, verdict, size) VALUES "
            "(CAST(:delivery AS uuid), :tenant, :trigger, 'bad_signature', 1)",
            delivery=str(new_id()),
            tenant=DEFAULT_TENANT,
            trigger=trigger.id,
        )
    return trigger.id


def asleep(db: Database) -> UUID:
    agent = make_agent(db, expect_wake_within=60.0)
    change(db, "UPDATE agents SET expected_since = now() - interval '3 minutes'")
    return agent


def dead(db: Database, name: str = "ada") -> UUID:
    woken = make_woken(db, name)
    fire(db, woken)
    assert end(db, start(db, close(db).ready[0]), Failed("It is broken.", permanent=True))
    return woken.agent_id


def overdue(db: Database) -> UUID:
    woken = make_woken(db)
    fire(db, woken)
    change(db, "UPDATE invocations SET due_at = now() - interval '2 minutes'")
    return woken.agent_id


def spent(db: Database) -> UUID:
    woken = make_woken(db)
    change(db, "UPDATE agents SET max_tokens_per_day = 1000")
    change(
        db,
        "INSERT INTO agent_usage (agent_id, tenant_id, day, tokens_in) "
        "SELECT id, tenant_id, (now() AT TIME ZONE 'UTC')::date, 1000 FROM agents",
    )
    fire(db, woken)
    change(db, "UPDATE invocations SET due_at = NULL, held_reason = 'budget'")
    return woken.agent_id


def drifted(db: Database) -> UUID:
    trigger = make_trigger(db, make_agent(db), "interval", config={"seconds": 3600})
    change(db, "DELETE FROM jobs")
    return trigger.id


TROUBLE: dict[str, tuple[Callable[[Database], UUID], str, str]] = {
    "trigger_silent": (
        silent,
        "It has not fired for 2 h 5 min; expected within 1 h.",
        "UPDATE triggers SET last_fired_at = now()",
    ),
    "check_fails": (failing, "Its check failed 4 times in a row. HTTP 503", "UPDATE poll_states SET failures = 0"),
    "trigger_quarantined": (
        quarantined,
        "It was stopped because it could not be run: ValueError: bad",
        "UPDATE triggers SET is_enabled = true",
    ),
    "signatures_fail": (
        unsigned,
        "All 3 deliveries since T UTC had a wrong signature.",
        "UPDATE webhook_deliveries SET verdict = 'accepted'",
    ),
    "agent_asleep": (
        asleep,
        "It has not been woken for 3 min; expected within 1 min.",
        "UPDATE agents SET expected_since = now()",
    ),
    "invocations_failed": (
        dead,
        "1 invocation failed for good in a day and was not replayed. The last: It is broken.",
        "UPDATE invocations SET replayed_into = id",
    ),
    "window_overdue": (
        overdue,
        "What fired should have left 2 min ago and still waits.",
        "UPDATE invocations SET due_at = now()",
    ),
    "budget_spent": (
        spent,
        "Its tokens per day are spent: 1,000 of 1,000, until T UTC. 1 firing waits.",
        "UPDATE agents SET max_tokens_per_day = 1001",
    ),
    "schedule_drift": (
        drifted,
        "It disagrees with its scheduled job: trigger without its job.",
        "UPDATE triggers SET is_enabled = false",
    ),
}


@pytest.mark.parametrize("rule", TROUBLE)
def test_trouble_opens_an_alert_that_closes_by_itself(db: Database, rule: str) -> None:
    make, reason, mend = TROUBLE[rule]
    assert alerts(db) == []
    subject = make(db)
    [alert] = alerts(db)
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "T", alert.reason)
    assert (alert.rule, alert.subject_id, shown) == (rule, subject, reason)
    assert alert.advice
    [again] = alerts(db)
    assert (again.id, again.looks, again.opened_at) == (alert.id, 2, alert.opened_at)
    change(db, mend)
    assert alerts(db) == []
    [closed] = alerts(db, is_open=None)
    assert closed.closed_at is not None
    assert audited(db, alert.id) == ["alert.opened", "alert.closed"]


def test_targets_are_told_at_the_opening_and_at_the_closing(db: Database) -> None:
    subject = silent(db)
    [agent] = rows(db, "SELECT agent_id FROM triggers WHERE id = :id", id=subject)
    add_target(db, agent.agent_id)
    for _ in range(3):
        alerts(db)
    assert told(db) == ["opened"]
    change(db, "UPDATE triggers SET last_fired_at = now()")
    alerts(db)
    assert told(db) == ["opened", "closed"]


def test_an_agent_without_a_target_tells_those_of_its_tenant(db: Database) -> None:
    add_target(db, make_agent(db, "other"))
    dead(db)
    alerts(db)
    assert told(db) == ["opened"]


def test_reminders_are_sent_if_asked_for(db: Database) -> None:
    add_target(db, asleep(db))
    change(db, "UPDATE tenants SET alert_remind_minutes = 30")
    alerts(db)
    change(db, "UPDATE alerts SET told_at = now() - interval '31 minutes'")
    alerts(db)
    alerts(db)
    assert told(db) == ["opened", "open"]


def be_quiet(db: Database) -> None:
    """Makes these the quiet hours."""
    [now] = rows(db, "SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24') AS hour")
    hour = int(now.hour)
    quiet = f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"
    change(db, "UPDATE tenants SET alert_quiet_hours = :quiet", quiet=quiet)


def test_quiet_hours_put_the_news_off(db: Database) -> None:
    add_target(db, asleep(db))
    be_quiet(db)
    assert len(alerts(db)) == 1
    assert told(db) == []
    change(db, "UPDATE tenants SET alert_quiet_hours = NULL")
    alerts(db)
    assert told(db) == ["opened"]


def test_quiet_hours_put_off_that_it_is_over(db: Database) -> None:
    agent = asleep(db)
    add_target(db, agent)
    alerts(db)
    be_quiet(db)
    change(db, "UPDATE agents SET expected_since = now()")
    assert alerts(db) == []
    assert told(db) == ["opened"]
    change(db, "UPDATE tenants SET alert_quiet_hours = NULL")
    alerts(db)
    alerts(db)
    assert told(db) == ["opened", "closed"]


def test_that_muted_trouble_is_over_is_told_to_nobody(db: Database) -> None:
    agent = asleep(db)
    add_target(db, agent)
    alerts(db)
    mute = Alerts(db).mute(DEFAULT_TENANT, rule=None, subject_id=agent, until=None, note=None, actor="op")
    change(db, "UPDATE agents SET expected_since = now()")
    alerts(db)
    Alerts(db).unmute(DEFAULT_TENANT, mute.id, actor="op")
    alerts(db)
    assert told(db) == ["opened"]


def test_the_services_alerts_can_be_muted_and_repeated(db: Database) -> None:
    add_target(db, make_agent(db))
    change(
        db, "UPDATE watch SET looked_at = now(), since = now() - interval '1 minute', last_heartbeat_at = now()"
    )
    Watch(db).look()
    change(db, "UPDATE tenants SET alert_remind_minutes = 30")
    change(db, "UPDATE alerts SET told_at = now() - interval '31 minutes'")
    Watch(db).look()
    assert told(db) == ["opened", "open"]
    Alerts(db).mute(DEFAULT_TENANT, rule="scheduler_stale", subject_id=None, until=None, note=None, actor="op")
    change(db, "UPDATE alerts SET told_at = now() - interval '31 minutes'")
    Watch(db).look()
    assert told(db) == ["opened", "open"]


@pytest.mark.parametrize("what", ["rule", "subject", "both"])
def test_nobody_is_told_of_what_is_muted(db: Database, what: str) -> None:
    agent = dead(db)
    add_target(db, agent)
    wanted: dict[str, Any] = {
        "rule": None if what == "subject" else "invocations_failed",
        "subject_id": None if what == "rule" else agent,
    }
    service = Alerts(db)
    mute = service.mute(DEFAULT_TENANT, **wanted, until=None, note=None, actor="op")
    assert len(alerts(db)) == 1
    assert told(db) == []
    service.unmute(DEFAULT_TENANT, mute.id, actor="op")
    alerts(db)
    assert told(db) == ["opened"]


def test_a_success_is_expected(db: Database) -> None:
    woken = make_woken(db)
    change(
        db,
        "UPDATE triggers SET expect_within = 60, expect = 'success', expected_since = now() - interval '1 hour', "
        "last_fired_at = now()",
    )
    change(db, "UPDATE agents SET expected_since = now() - interval '1 hour'")
    [alert] = alerts(db)
    assert alert.reason.startswith("It has not succeeded for 1 h")
    run_success(db, woken)
    assert alerts(db) == []


def run_success(db: Database, woken: Woken) -> None:
    assert end(db, start(db, ready_one(db, woken)), Replied("done"))


def test_what_is_paused_is_not_expected(db: Database) -> None:
    silent(db)
    change(db, "UPDATE triggers SET is_enabled = false, paused_note = 'paused'")
    assert alerts(db) == []


def test_a_rule_that_fails_leaves_the_others_and_its_alerts(db: Database) -> None:
    asleep(db)
    [before] = alerts(db)

    def broken(conn: Any) -> Any:
        conn.exec_driver_sql("SELECT * FROM nowhere")

    rules = [replace(each, find=broken) if each.name == "agent_asleep" else each for each in RULES]
    subject = dead(db, "bob")
    Watch(db, rules).look()
    found = Alerts(db).list(DEFAULT_TENANT, is_operator=False, is_open=True, limit=9)
    assert [(each.id == before.id, each.subject_id == subject) for each in found] == [(False, True), (True, False)]


def test_the_service_is_an_operators(db: Database) -> None:
    Watch(db).look()
    assert of_service(db) == {}
    change(db, "UPDATE watch SET since = now() - interval '31 s', last_heartbeat_at = now() - interval '45 s'")
    Watch(db).look()
    assert of_service(db) == {
        "scheduler_stale": "No scheduler runs.",
        "worker_stale": "No worker that wakes agents has reported for 45 s.",
    }
    change(db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'here')")
    change(db, "INSERT INTO procrastinate_workers DEFAULT VALUES")
    Watch(db).look()
    assert of_service(db) == {}


def of_service(db: Database) -> dict[str, str]:
    found = Alerts(db).list(DEFAULT_TENANT, is_operator=True, is_open=True, limit=9)
    assert all(each.tenant_id is None for each in found)
    return {each.rule: each.reason for each in found}


def test_a_scheduler_that_signed_off_is_missed_after_half_a_minute(db: Database) -> None:
    change(db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'here')")
    alerts(db)
    change(db, "DELETE FROM scheduler_processes")
    Watch(db).look()
    assert of_service(db) == {}
    change(db, "UPDATE watch SET last_pass_at = now() - interval '40 s', since = now() - interval '1 hour'")
    Watch(db).look()
    assert of_service(db) == {"scheduler_stale": "No scheduler has looked for due triggers for 40 s."}


def test_nobody_is_late_where_nobody_looked(db: Database) -> None:
    change(
        db,
        "UPDATE watch SET last_pass_at = now() - interval '1 h', since = now() - interval '2 h', "
        "looked_at = now() - interval '1 h'",
    )
    Watch(db).look()
    assert of_service(db) == {}


def test_a_full_disk_is_told_before_it_is_full(db: Database, tmp_path: Path) -> None:
    def reasons(room: Room) -> list[str]:
        with db.begin() as conn:
            return [each.note for each in room.find(conn)]

    assert reasons(Room(tmp_path / "nowhere")) == []
    assert reasons(Room(limit=10**13)) == []
    [note] = reasons(Room(limit=1_000_000))
    assert re.fullmatch(r"The database has [\d.]+ MB of the 1 MB that it may have\.", note)


def test_of_many_who_look_one_does(db: Database) -> None:
    asleep(db)
    watches = [Watch(db, every=60.0) for _ in range(5)]
    with ThreadPoolExecutor(5) as threads:
        for _ in range(2):
            assert [*threads.map(Watch.look, watches)] == [None] * 5
    [alert] = Alerts(db).list(DEFAULT_TENANT, is_operator=False, is_open=True, limit=9)
    assert alert.looks == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (7200, "2 h")]
)
def test_a_duration_is_spelt_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert spell_duration(seconds) == text
