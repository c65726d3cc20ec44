"""Each rule opens an alert, which closes when the problem is over."""

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
from scheduler.alerts.service_rules import DatabaseSpace
from scheduler.alerts.watch import Watch
from scheduler.domain.local_time import spell_duration
from scheduler.domain.run import Replied
from scheduler.storage.engine import Database
from tests.support.alerts import (
    alerts,
    asleep,
    dead,
    drifted,
    failing,
    overdue,
    quarantined,
    silent,
    spent,
    unsigned,
)
from tests.support.database import change
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import AgentWithTrigger, audited, end, make_agent_with_trigger, ready_one, start

TROUBLE: dict[str, tuple[Callable[[Database], UUID], str, str]] = {
    "trigger_silent": (
        silent,
        "It has not fired in the last 2 h 5 min; expected within 1 h.",
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
        "It has not been woken in the last 3 min; expected within 1 min.",
        "UPDATE agents SET expected_since = now()",
    ),
    "invocations_failed": (
        dead,
        "1 invocation failed permanently within a day and was not replayed. The last: It is broken.",
        "UPDATE invocations SET replayed_into = id",
    ),
    "window_overdue": (
        overdue,
        "Its firings should have been delivered 2 min ago and are still waiting.",
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
    shown = re.sub(r"(\d (?:h|min)) \d+ s", r"\1", shown)  # the seconds that a slow machine took
    assert (alert.rule, alert.subject_id, shown) == (rule, subject, reason)
    assert alert.advice
    [again] = alerts(db)
    assert (again.id, again.looks, again.opened_at) == (alert.id, 2, alert.opened_at)
    change(db, mend)
    assert alerts(db) == []
    [closed] = alerts(db, is_open=None)
    assert closed.closed_at is not None
    assert audited(db, alert.id) == ["alert.opened", "alert.closed"]


def test_a_success_is_expected(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    change(
        db,
        "UPDATE triggers SET expect_within = 60, expect = 'success', expected_since = now() - interval '1 hour', "
        "last_fired_at = now()",
    )
    change(db, "UPDATE agents SET expected_since = now() - interval '1 hour'")
    [alert] = alerts(db)
    assert alert.reason.startswith("It has not succeeded in the last 1 h")
    run_success(db, woken)
    assert alerts(db) == []


def run_success(db: Database, woken: AgentWithTrigger) -> None:
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


def test_alerts_of_the_service_are_for_operators(db: Database) -> None:
    Watch(db).look()
    assert of_service(db) == {}
    change(
        db, "UPDATE watch SET since = now() - interval '1 hour', last_heartbeat_at = now() - interval '3 hours'"
    )
    Watch(db).look()
    assert of_service(db) == {
        "scheduler_stale": "No scheduler runs.",
        "worker_stale": "No worker that wakes agents has reported for 3 h.",
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
    change(db, "UPDATE watch SET last_pass_at = now() - interval '3 hours', since = now() - interval '4 hours'")
    Watch(db).look()
    assert of_service(db) == {"scheduler_stale": "No scheduler has looked for due triggers for 3 h."}


def test_a_full_disk_is_told_before_it_is_full(db: Database, tmp_path: Path) -> None:
    def reasons(room: DatabaseSpace) -> list[str]:
        with db.begin() as conn:
            return [each.note for each in room.find(conn)]

    assert reasons(DatabaseSpace(tmp_path / "nowhere")) == []
    assert reasons(DatabaseSpace(limit=10**13)) == []
    [note] = reasons(DatabaseSpace(limit=1_000_000))
    assert re.fullmatch(r"The database has reached [\d.]+ MB of its limit of 1 MB\.", note)


def test_of_several_processes_one_checks_at_a_time(db: Database) -> None:
    dead(db)
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
