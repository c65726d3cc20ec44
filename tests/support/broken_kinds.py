"""A kind of trigger that breaks on demand, and a neighbour that must still fire."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Connection

from scheduler.domain.schedule import Schedule
from scheduler.firings import slots
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from scheduler.triggers.interval import IntervalConfig
from scheduler.triggers.registry import KINDS
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
        """Raises once it is told to."""
        if BREAKS:
            raise BREAKS[0]
        return super().schedule(zone, anchor, seed)


class Unchecked(IntervalConfig):
    """A kind without a check."""

    kind: ClassVar = "odd"
    checked_by: ClassVar = "tests.integration.clock.no_such_module:check"


class Checked(IntervalConfig):
    """A kind with a check."""

    kind: ClassVar = "odd"
    checked_by: ClassVar = "tests.support.broken_kinds:look"


BREAKS: list[BaseException] = []
LOOKS: list[Callable[[Connection, Sequence[LockedTrigger]], Sequence[NewFiring]]] = []


def look(conn: Connection, due: Sequence[LockedTrigger]) -> Sequence[NewFiring]:
    """The check of the kind `odd`."""
    return LOOKS[0](conn, due)


def make_both(db: Database, monkeypatch: pytest.MonkeyPatch, kind: type[IntervalConfig]) -> tuple[UUID, UUID]:
    """Creates a due trigger of the odd kind and a due neighbour, which is the later of the two."""
    monkeypatch.setitem(KINDS, "odd", kind)
    slots._config.cache_clear()  # otherwise it would have the class that had this name before
    agent = make_agent(db)
    odd = make_trigger(db, agent, "odd", config={"seconds": 60}).id
    neighbour = make_trigger(db, agent).id
    make_due(db, odd, 20)
    make_due(db, neighbour, 10)
    return odd, neighbour


def is_quarantined(db: Database, triggers: Triggers, trigger_id: UUID) -> bool:
    """Whether the trigger is quarantined, with exactly one audit event."""
    stopped = triggers.get(DEFAULT_TENANT, trigger_id)
    assert audited(db, trigger_id) == ["trigger.created", "trigger.quarantined"]
    assert (stopped.is_enabled, stopped.next_fire_at) == (False, None)
    return (stopped.paused_note or "").startswith("quarantined: ")
