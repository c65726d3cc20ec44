"""After the whole service was down, no alert opens before it had time to catch up; a real problem still opens."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from scheduler.alerts.service import Alerts
from scheduler.alerts.watch import Watch
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage.engine import Database
from tests.support.alerts import add_target, alerts, asleep, overdue, silent, told, up_for_an_hour
from tests.support.database import change
from tests.support.factories import DEFAULT_TENANT, make_agent


def open_rules(db: Database) -> set[str]:
    found = Alerts(db).list(DEFAULT_TENANT, is_operator=True, is_open=True, limit=9)
    return {each.rule for each in found}


def pass_time(db: Database, seconds: float) -> None:
    """Lets that much time pass, in which nobody checks and no process reports."""
    change(
        db,
        "UPDATE watch SET since = since - :by, looked_at = looked_at - :by, last_pass_at = last_pass_at - :by, "
        "last_heartbeat_at = last_heartbeat_at - :by".replace(":by", "make_interval(secs => :by)"),
        by=seconds,
    )


def run_well(db: Database) -> Watch:
    """Returns the watch of a service that has been well for an hour, until now."""
    up_for_an_hour(db)
    change(db, "UPDATE watch SET last_pass_at = now(), last_heartbeat_at = now()")
    watch = Watch(db)
    watch.look()
    return watch


@pytest.mark.parametrize("down", [3, 14, 17, 29, 33, 59, 61, 7200])
def test_a_restart_of_everything_is_no_lack_of_workers(db: Database, down: float) -> None:
    run_well(db)
    pass_time(db, down)
    returned = Watch(db)
    returned.look()
    pass_time(db, 8)
    returned.look()
    assert open_rules(db) == set()
    for _ in range(2):
        pass_time(db, 15)
        returned.look()
    assert open_rules(db) == {"scheduler_stale", "worker_stale"}


def test_without_a_restart_they_are_missed_after_half_a_minute(db: Database) -> None:
    watch = run_well(db)
    for _ in range(2):
        pass_time(db, 10)
        watch.look()
    assert open_rules(db) == set()
    pass_time(db, 15)
    watch.look()
    assert open_rules(db) == {"scheduler_stale", "worker_stale"}


def test_checks_that_are_slow_still_find_it(db: Database) -> None:
    watch = run_well(db)
    for _ in range(2):
        pass_time(db, 45)
        watch.look()
    assert open_rules(db) == {"scheduler_stale", "worker_stale"}


@pytest.mark.parametrize("asleep_for", [17, 31, 45, 59, 61, 7200])
def test_a_machine_that_slept_is_no_lack_of_workers(db: Database, asleep_for: float) -> None:
    watch = run_well(db)
    overdue(db)
    for _ in range(2):
        pass_time(db, asleep_for)
        change(db, "UPDATE invocations SET due_at = now() - interval '70 seconds'")
        watch.look()  # before the worker of the same machine has reported again
        assert open_rules(db) == set()
        change(db, "UPDATE watch SET last_pass_at = now(), last_heartbeat_at = now()")
        change(db, "UPDATE invocations SET due_at = now() + interval '1 hour'")
        pass_time(db, 15)
        watch.look()
        assert open_rules(db) == set()


def test_workers_that_do_not_return_from_a_pause_are_missed(db: Database) -> None:
    watch = run_well(db)
    pass_time(db, 45)
    watch.look()
    assert open_rules(db) == set()
    pass_time(db, 15)
    watch.look()
    assert open_rules(db) == {"scheduler_stale", "worker_stale"}


def test_a_process_that_starts_beside_others_changes_nothing(db: Database) -> None:
    run_well(db)
    for _ in range(4):
        pass_time(db, 10)
        Watch(db).look()
    assert open_rules(db) == {"scheduler_stale", "worker_stale"}


def test_what_was_open_stays_open_over_a_restart(db: Database) -> None:
    add_target(db, make_agent(db, "other"))
    watch = run_well(db)
    for _ in range(3):
        pass_time(db, 15)
        watch.look()
    pass_time(db, 100)
    Watch(db).look()
    assert open_rules(db) == {"scheduler_stale", "worker_stale"}
    assert told(db) == ["opened", "opened"]


@pytest.mark.parametrize("make", [silent, asleep, overdue])
def test_what_was_due_meanwhile_has_a_minute(db: Database, make: Callable[[Database], UUID]) -> None:
    run_well(db)
    make(db)
    pass_time(db, 600)
    returned = Watch(db)
    for _ in range(4):
        returned.look()
        change(db, "UPDATE watch SET last_pass_at = now(), last_heartbeat_at = now()")
        assert open_rules(db) == set()
        pass_time(db, 11)
    for _ in range(2):
        change(db, "UPDATE watch SET last_pass_at = now(), last_heartbeat_at = now()")
        returned.look()
        pass_time(db, 15)
    change(db, "UPDATE watch SET last_pass_at = now(), last_heartbeat_at = now()")
    returned.look()
    assert len(open_rules(db)) == 1
    assert len(alerts(db)) == 1


def test_a_database_that_was_away_is_an_outage(db: Database, sqlalchemy_url: str) -> None:
    watch = run_well(db)
    nowhere = Database(sqlalchemy_url.replace("5432", "5999").replace("host=", "host=%2Fnowhere"), pool_size=1)
    watch._db, there = nowhere, watch._db
    with pytest.raises(DatabaseUnavailable):
        watch.look()
    watch._db = there
    pass_time(db, 33)
    watch.look()
    assert open_rules(db) == set()
    nowhere.dispose()
