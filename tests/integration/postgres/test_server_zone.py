"""A server whose own time zone is not UTC changes nothing: sessions use UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.database import change, firings_by_slot
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import stepped


def test_an_interval_keeps_its_grid_and_a_slot_its_key(db: Database, sqlalchemy_url: str) -> None:
    name = sqlalchemy_url.rpartition("/")[2].partition("?")[0]
    change(db, f"ALTER DATABASE {name} SET timezone TO 'Europe/Berlin'")
    db.dispose()
    trigger = make_trigger(db, make_agent(db), config={"seconds": 86_400})
    make_due(db, trigger.id)
    with stepped(db) as scheduler:
        scheduler.run_pass()
    (firing,) = firings_by_slot(db, trigger.id)
    assert firing.occurrence_key == f"slot:{firing.scheduled_for.astimezone(UTC).isoformat()}"

    # The next forward change in Berlin is within a year: that local day has 23 hours.
    times = [
        datetime.fromisoformat(each)
        for each in Triggers(db, BOX).preview(DEFAULT_TENANT, trigger.id, 366).fire_times
    ]
    assert {late - early for early, late in pairwise(times)} == {timedelta(days=1)}
