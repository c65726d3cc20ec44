"""A check that breaks, or ends its connection or transaction, stops only the triggers that it breaks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Connection, text

from scheduler.firings.new_firing import MOST_BYTES, LockedTrigger, NewFiring
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.broken_kinds import (
    BREAKS,
    ERRORS,
    LOOKS,
    Checked,
    is_quarantined,
    make_both,
    names,
)
from tests.support.database import firings_by_slot, rows
from tests.support.factories import make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler


@pytest.fixture(autouse=True)
def _nothing_breaks() -> None:
    BREAKS.clear()
    LOOKS.clear()


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_a_check_that_breaks_on_one_trigger_still_checks_the_others(
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
    # What a check did before it broke is rolled back with it.
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


def test_a_check_that_ends_the_connection_again_and_again_is_taken_out(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, neighbour = make_both(db, monkeypatch, Checked)

    def breaks(conn: Connection, _: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return ()

    LOOKS.append(breaks)
    for _ in range(10):
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
