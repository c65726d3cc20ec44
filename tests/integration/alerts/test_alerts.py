"""Each rule opens an alert, which closes when the trouble is over; people are told once, unless it is muted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from scheduler.alerts.rules import RULES
from scheduler.alerts.service import Alerts
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
    change(db, "UPDATE triggers SET updated_at = now() - interval '2 hours 5 minutes'")
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
    change(db, "UPDATE agents SET updated_at = now() - interval '3 minutes'")
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
    fire(db, woken)
    change(db, "UPDATE invocations SET due_at = NULL, held_reason = 'budget', held_note = 'Until tomorrow.'")
    return woken.agent_id


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
        "All 3 deliveries of the last hour had a wrong signature.",
        "UPDATE webhook_deliveries SET verdict = 'accepted'",
    ),
    "agent_asleep": (
        asleep,
        "It has not been woken for 3 min; expected within 1 min.",
        "UPDATE agents SET updated_at = now()",
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
        "Its budget is spent, and 1 firing waits. Until tomorrow.",
        "UPDATE invocations SET held_reason = NULL, due_at = now()",
    ),
}


@pytest.mark.parametrize("rule", TROUBLE)
def test_trouble_opens_an_alert_that_closes_by_itself(db: Database, rule: str) -> None:
    make, reason, mend = TROUBLE[rule]
    assert alerts(db) == []
    subject = make(db)
    [alert] = alerts(db)
    assert (alert.rule, alert.subject_id, alert.reason.partition(" s;")[0]) == (rule, subject, reason)
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


def test_quiet_hours_put_the_news_off(db: Database) -> None:
    add_target(db, asleep(db))
    [now] = rows(db, "SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24') AS hour")
    hour = int(now.hour)
    quiet = f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"
    change(db, "UPDATE tenants SET alert_quiet_hours = :quiet", quiet=quiet)
    assert len(alerts(db)) == 1
    assert told(db) == []
    change(db, "UPDATE tenants SET alert_quiet_hours = NULL")
    alerts(db)
    assert told(db) == ["opened"]


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
        "UPDATE triggers SET expect_within = 60, expect = 'success', updated_at = now() - interval '1 hour', "
        "last_fired_at = now()",
    )
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
    [alert] = Alerts(db).list(DEFAULT_TENANT, is_operator=True, is_open=True, limit=9)
    assert (alert.rule, alert.reason, alert.tenant_id) == ("scheduler_stale", "No scheduler runs.", None)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (7200, "2 h")]
)
def test_a_duration_is_spelt_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert spell_duration(seconds) == text
