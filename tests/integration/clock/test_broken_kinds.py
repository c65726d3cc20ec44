"""A kind that breaks stops only itself: whatever it raises, its neighbours fire in the same pass."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, text

from scheduler.clock.trigger_pass import TriggerPass
from scheduler.domain.errors import InvalidField
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.manage.triggers.reconcile import reconcile_jobs
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from scheduler.triggers.registry import KINDS
from tests.support.broken_kinds import (
    BREAKS,
    ERRORS,
    LOOKS,
    Checked,
    Odd,
    Unchecked,
    is_quarantined,
    make_both,
    names,
)
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler


@pytest.fixture(autouse=True)
def _nothing_breaks() -> None:
    BREAKS.clear()
    LOOKS.clear()


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_a_kind_whose_schedule_breaks_is_quarantined_and_its_neighbour_fires(
    db: Database,
    scheduler: SteppedScheduler,
    triggers: Triggers,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Odd)
    BREAKS.append(error)
    scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


def test_a_kind_without_its_check_is_quarantined_and_its_neighbour_fires(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Unchecked)
    scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


def test_a_kind_that_no_longer_exists_is_quarantined_and_its_neighbour_fires(
    db: Database, scheduler: SteppedScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Odd)
    monkeypatch.delitem(KINDS, "odd")
    scheduler.run_pass()
    (stopped,) = rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=odd)
    assert not stopped.is_enabled
    assert "'odd' is not known" in stopped.paused_note
    assert len(firings_by_slot(db, neighbour)) == 1


@pytest.mark.parametrize(
    ("error", "step"), [(ERRORS[0], "prepare"), (ERRORS[3], "write"), (ERRORS[4], "write"), (ERRORS[5], "prepare")]
)
def test_an_error_at_the_end_of_a_pass_takes_out_the_one_row_that_it_comes_with(
    db: Database,
    scheduler: SteppedScheduler,
    triggers: Triggers,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    step: str,
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Odd)
    whole = getattr(TriggerPass, step)

    def breaks(self: TriggerPass) -> None:
        if any(claim.trigger.id == odd for claim in self.submitted):
            raise error
        whole(self)

    monkeypatch.setattr(TriggerPass, step, breaks)
    for _ in range(4):
        scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


def test_a_row_that_the_database_refuses_by_a_rule_of_its_own_is_taken_out(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    agent = make_agent(db)
    odd, neighbour = (make_trigger(db, agent).id for _ in range(2))
    for each in (odd, neighbour):
        make_due(db, each)
    change(
        db,
        f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.trigger_id = '{odd}' THEN RAISE EXCEPTION 'not this one'; END IF;
            RETURN NEW;
        END $$
        """,
    )
    change(db, "CREATE TRIGGER refuse BEFORE INSERT ON firings FOR EACH ROW EXECUTE FUNCTION refuse()")
    for _ in range(4):
        scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


def test_a_row_that_the_driver_cannot_load_is_taken_out(db: Database, scheduler: SteppedScheduler) -> None:
    agent = make_agent(db)
    all_ids = [make_trigger(db, agent).id for _ in range(5)]
    for each in all_ids:
        make_due(db, each)
    odd = all_ids[2]
    change(db, "UPDATE triggers SET last_wake_at = 'infinity' WHERE id = :id", id=odd)
    for _ in range(30):
        scheduler.run_pass()
    (stopped,) = rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=odd)
    assert not stopped.is_enabled
    assert stopped.paused_note.startswith("quarantined: ")
    fired = rows(db, "SELECT trigger_id, count(*) AS n FROM firings GROUP BY 1")
    assert {row.trigger_id: row.n for row in fired} == dict.fromkeys(set(all_ids) - {odd}, 1)


def test_a_database_that_is_unavailable_takes_no_trigger_out(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, _ = make_both(db, monkeypatch, Checked)

    def breaks(conn: Connection, _: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return ()

    LOOKS.append(breaks)
    for _ in range(3):
        scheduler.run_pass()
    assert triggers.get(DEFAULT_TENANT, odd).is_enabled
    LOOKS[:] = [lambda _, due: [NewFiring(trigger, "seen") for trigger in due]]
    scheduler.run_pass()
    assert len(firings_by_slot(db, odd)) == 1


def test_the_repair_of_jobs_leaves_out_a_trigger_that_breaks(
    db: Database, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Odd)
    change(db, "UPDATE triggers SET zone = 'Asia/Tokyo'")
    change(db, "UPDATE jobs SET next_run_time = clock_timestamp() + interval '1 hour'")
    BREAKS.append(KeyError("odd"))
    assert {drift.trigger_id for drift in reconcile_jobs(db)} == {odd, neighbour}
    assert is_quarantined(db, triggers, odd)
    assert triggers.get(DEFAULT_TENANT, neighbour).is_enabled
    assert [drift.trigger_id for drift in reconcile_jobs(db)] == [odd]  # stopped, it still changes its zone
    assert reconcile_jobs(db) == []


def test_a_trigger_whose_kind_breaks_can_be_shown_and_stopped_but_not_changed(
    db: Database, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, _ = make_both(db, monkeypatch, Odd)
    BREAKS.append(SystemExit(3))
    for refused in (
        lambda: triggers.preview(DEFAULT_TENANT, odd, 3),
        lambda: triggers.update(DEFAULT_TENANT, odd, {"config": {"seconds": 90}}, actor="test"),
        lambda: make_trigger(db, triggers.get(DEFAULT_TENANT, odd).agent_id, "odd", config={"seconds": 60}),
    ):
        with pytest.raises(InvalidField, match="its code raised SystemExit"):
            refused()
    triggers.pause(DEFAULT_TENANT, odd, actor="test")
    with pytest.raises(InvalidField):
        triggers.resume(DEFAULT_TENANT, odd, actor="test")
    triggers.delete(DEFAULT_TENANT, odd, actor="test")
