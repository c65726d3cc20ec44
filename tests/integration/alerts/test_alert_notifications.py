"""Each alert is notified once, unless it is muted or within quiet hours."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.alerts.service import Alerts
from scheduler.alerts.watch import Watch
from scheduler.storage.engine import Database
from tests.support.alerts import (
    add_target,
    alerts,
    asleep,
    dead,
    silent,
    told,
)
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_tenant


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


def test_the_first_target_is_told_of_open_alerts(db: Database) -> None:
    agent = asleep(db)
    alerts(db)
    assert told(db) == []
    add_target(db, agent)
    for _ in range(2):
        alerts(db)
    assert told(db) == ["opened"]
    change(db, "UPDATE agents SET expected_since = now()")
    alerts(db)
    assert told(db) == ["opened", "closed"]


def test_an_alert_that_ended_before_there_was_a_target_is_not_sent(db: Database) -> None:
    agent = asleep(db)
    alerts(db)
    change(db, "UPDATE agents SET expected_since = now()")
    alerts(db)
    add_target(db, agent)
    alerts(db)
    assert told(db) == []


def test_the_end_is_told_to_those_who_were_told_of_the_opening(db: Database) -> None:
    agent, other = asleep(db), make_agent(db, "other")
    add_target(db, other)
    alerts(db)
    add_target(db, agent)
    alerts(db)
    change(db, "UPDATE agents SET expected_since = now()")
    alerts(db)
    [had] = rows(db, "SELECT id FROM notification_targets WHERE agent_id = :id", id=other)
    sent = rows(db, "SELECT target_id FROM notification_deliveries")
    assert told(db) == ["opened", "closed"]
    assert {each.target_id for each in sent} == {had.id}


def test_a_reminder_reaches_a_new_target_too(db: Database) -> None:
    agent = asleep(db)
    add_target(db, make_agent(db, "other"))
    change(db, "UPDATE tenants SET alert_remind_minutes = 30")
    alerts(db)
    add_target(db, agent)
    change(db, "UPDATE alerts SET told_at = now() - interval '31 minutes'")
    alerts(db)
    change(db, "UPDATE agents SET expected_since = now()")
    alerts(db)
    assert told(db) == ["opened", "open", "closed", "closed"]


def test_many_alerts_of_a_quiet_tenant_delay_nobody(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.alerts.notices.TOLD_AT_ONCE", 1)
    add_target(db, asleep(db))
    be_quiet(db)
    alerts(db)
    loud = make_tenant(db, "loud")
    bob = make_agent(db, "bob", loud, expect_wake_within=60.0)
    change(db, "UPDATE agents SET expected_since = now() - interval '3 minutes'")
    add_target(db, bob, loud)
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
    """Sets these quiet hours."""
    [now] = rows(db, "SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24') AS hour")
    hour = int(now.hour)
    quiet = f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"
    change(db, "UPDATE tenants SET alert_quiet_hours = :quiet", quiet=quiet)


def test_quiet_hours_delay_the_opening(db: Database) -> None:
    add_target(db, asleep(db))
    be_quiet(db)
    assert len(alerts(db)) == 1
    assert told(db) == []
    change(db, "UPDATE tenants SET alert_quiet_hours = NULL")
    alerts(db)
    assert told(db) == ["opened"]


def test_quiet_hours_delay_the_closing(db: Database) -> None:
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


def test_the_end_of_a_muted_problem_is_not_notified(db: Database) -> None:
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
def test_nobody_is_notified_of_what_is_muted(db: Database, what: str) -> None:
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
