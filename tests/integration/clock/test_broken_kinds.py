"""A kind that breaks stops only itself: whatever it raises, wherever, its neighbours fire in the same pass."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from scheduler.clock.trigger_pass import TriggerPass
from scheduler.domain.errors import InvalidField
from scheduler.domain.misfire import Schedule
from scheduler.firings.new_firing import MOST_BYTES, NewFiring
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.manage.reconcile import reconcile_jobs
from scheduler.manage.triggers import Triggers
from scheduler.storage.engine import Database
from scheduler.triggers.interval import IntervalConfig
from scheduler.triggers.registry import KINDS
from tests.support.clockwork import SteppedScheduler
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.invocations import audited


class OddError(Exception):
    """An error that cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("not printable")


ERRORS = [
    KeyError("odd"),
    RecursionError("too deep"),
    TypeError("no such thing"),
    ValueError("a NUL \x00 and a lone surrogate \ud800"),
    OddError(),
    SystemExit(3),
    CancelledError(),
    MemoryError("full"),
]
names = [type(each).__name__ for each in ERRORS]


class Odd(IntervalConfig):
    """A kind of another package."""

    kind: ClassVar = "odd"

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Breaks once it is told to."""
        if BREAKS:
            raise BREAKS[0]
        return super().schedule(zone, anchor, seed)


class Unchecked(IntervalConfig):
    """A kind whose check does not exist."""

    kind: ClassVar = "odd"
    checked_by: ClassVar = "tests.integration.clock.no_such_module:check"


class Checked(IntervalConfig):
    """A kind with a check."""

    kind: ClassVar = "odd"
    checked_by: ClassVar = "tests.integration.clock.test_broken_kinds:look"


BREAKS: list[BaseException] = []
LOOKS: list[Callable[[Connection, Sequence[LockedTrigger]], Sequence[NewFiring]]] = []


def look(conn: Connection, due: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
    """The check of the kind `odd`."""
    return LOOKS[0](conn, due)


@pytest.fixture(autouse=True)
def _nothing_breaks() -> None:
    BREAKS.clear()
    LOOKS.clear()


def make_both(db: Database, monkeypatch: pytest.MonkeyPatch, kind: type[IntervalConfig]) -> tuple[UUID, UUID]:
    """A due trigger of the odd kind and a due neighbour, which is the later of the two."""
    monkeypatch.setitem(KINDS, "odd", kind)
    agent = make_agent(db)
    odd = make_trigger(db, agent, "odd", config={"seconds": 60}).id
    neighbour = make_trigger(db, agent).id
    make_due(db, odd, 20)
    make_due(db, neighbour, 10)
    return odd, neighbour


def is_quarantined(db: Database, triggers: Triggers, trigger_id: UUID) -> bool:
    """Whether it is out of the schedule, and that is told once."""
    stopped = triggers.get(DEFAULT_TENANT, trigger_id)
    assert audited(db, trigger_id) == ["trigger.created", "trigger.quarantined"]
    assert (stopped.is_enabled, stopped.next_fire_at) == (False, None)
    return (stopped.paused_note or "").startswith("quarantined: ")


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


def test_a_kind_that_is_gone_is_quarantined_and_its_neighbour_fires(
    db: Database, scheduler: SteppedScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Odd)
    monkeypatch.delitem(KINDS, "odd")
    scheduler.run_pass()
    (stopped,) = rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=odd)
    assert not stopped.is_enabled
    assert "'odd' is not known" in stopped.paused_note
    assert len(firings_by_slot(db, neighbour)) == 1


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_of_a_check_that_breaks_over_one_trigger_the_others_are_looked_at(
    db: Database,
    scheduler: SteppedScheduler,
    triggers: Triggers,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)
    bob = make_agent(db, "bob")
    fine = [make_trigger(db, bob, "odd", config={"seconds": 60}).id for _ in range(3)]
    for each in fine:
        make_due(db, each)

    def breaks(conn: Connection, due: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
        for trigger in due:
            conn.execute(text("UPDATE triggers SET reason = reason || '+' WHERE id = :id"), {"id": trigger.id})
            if trigger.id == odd:
                raise error
        return [NewFiring(trigger, "seen") for trigger in due]

    LOOKS.append(breaks)
    scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    for each in [neighbour, *fine]:
        assert len(firings_by_slot(db, each)) == 1
    # What a look did before it broke is undone with it.
    assert {row.reason for row in rows(db, "SELECT reason FROM triggers WHERE type = 'odd'")} == {"", "+"}


def test_a_check_whose_statement_is_refused_breaks_alone(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)

    def breaks(conn: Connection, _: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
        conn.execute(text("SELECT * FROM a_table_that_is_not_there"))
        return ()

    LOOKS.append(breaks)
    scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


@pytest.mark.parametrize("data", [{"what": object()}, {"text": "a NUL \x00"}, {"text": "\ud800"}], ids="abc")
def test_what_a_check_found_and_nobody_can_write_is_found_by_halving(
    db: Database,
    scheduler: SteppedScheduler,
    triggers: Triggers,
    monkeypatch: pytest.MonkeyPatch,
    data: dict[str, object],
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)
    LOOKS.append(lambda _, due: [NewFiring(trigger, "seen", data=data) for trigger in due])
    for _ in range(4):
        scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
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


def test_a_database_that_is_away_takes_no_trigger_out(
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


def test_a_check_that_ends_the_connection_again_and_again_is_taken_out(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)

    def breaks(conn: Connection, _: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return ()

    LOOKS.append(breaks)
    for _ in range(7):
        scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


@pytest.mark.parametrize("end", [Connection.commit, Connection.rollback, Connection.close], ids="crx")
def test_a_check_that_ends_the_transaction_of_the_pass_is_taken_out(
    db: Database,
    scheduler: SteppedScheduler,
    triggers: Triggers,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Connection], None],
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)

    def breaks(conn: Connection, _: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
        end(conn)
        return ()

    LOOKS.append(breaks)
    for _ in range(4):
        scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1, "recorded once, though its pass was undone"


def test_a_firing_that_is_too_long_is_not_written(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)
    payload = b"x" * (MOST_BYTES + 1)
    LOOKS.append(lambda _, due: [NewFiring(trigger, "seen", payload=payload) for trigger in due])
    scheduler.run_pass()
    assert is_quarantined(db, triggers, odd)
    assert len(firings_by_slot(db, neighbour)) == 1


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
    assert [drift.trigger_id for drift in reconcile_jobs(db)] == [odd]  # stopped, it still takes its zone
    assert reconcile_jobs(db) == []
