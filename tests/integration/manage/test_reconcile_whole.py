"""The first reconcile pass is complete, however often it has to be repeated; and a deadline is not a repair."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.bootstrap import Reconciliation
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.domain.run import Accepted
from scheduler.invocations.recovery import ReconcileResult, reconcile
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.invocations import fire, make_agent_with_trigger, run_once

RECONCILE_LOCK = 7_383_003


def strand_of_old(db: Database) -> UUID:
    """Creates an old firing that is pending in an invocation that no longer exists."""
    fire(db, make_agent_with_trigger(db))
    long_ago = UUID(int=1 << 96)
    change(db, "UPDATE firings SET id = :id", id=long_ago)
    change(db, "DELETE FROM invocations")
    return long_ago


def is_rescued(db: Database, firing_id: UUID) -> bool:
    found = rows(
        db,
        "SELECT 1 FROM firings f JOIN invocations i ON i.id = f.invocation_id WHERE f.id = :id",
        id=firing_id,
    )
    return len(found) == 1


def test_a_whole_pass_that_another_process_kept_from_it_is_made_again(db: Database) -> None:
    firing_id = strand_of_old(db)
    reconciliation = Reconciliation(db)
    with db.begin() as elsewhere:
        elsewhere.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": RECONCILE_LOCK})
        assert not reconciliation.look().is_whole
    assert not is_rescued(db, firing_id)
    assert reconciliation.look() == ReconcileResult(rescued=1)
    assert is_rescued(db, firing_id)


def test_a_whole_pass_that_failed_is_made_again(db: Database) -> None:
    firing_id = strand_of_old(db)
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_size=1)
    reconciliation = Reconciliation(away)
    with pytest.raises(DatabaseUnavailable):
        reconciliation.look()
    away.dispose()
    reconciliation._db = db
    reconciliation.look()
    assert is_rescued(db, firing_id)


def test_after_a_whole_pass_only_what_is_recent_is_read(db: Database) -> None:
    reconciliation = Reconciliation(db)
    assert reconciliation.look().is_whole
    firing_id = strand_of_old(db)
    reconciliation.look()
    assert not is_rescued(db, firing_id)


def test_a_deadline_that_passed_is_no_repair(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    run_once(db, Accepted())
    change(db, "UPDATE invocations SET deadline_at = now() - interval '1 second'")
    assert reconcile(db, newer_than=timedelta(hours=1)) == ReconcileResult(overdue=1)
    found = rows(db, "SELECT 1 FROM audit_events WHERE action = 'invocation.repaired'")
    assert found == []
