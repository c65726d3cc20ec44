"""Records the results of checks: one firing for a check, or one for each occurrence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from scheduler.domain.model import Trust
from scheduler.firings.new_firing import LockedTrigger, NewFiring
from scheduler.firings.record import record_firings
from scheduler.intake.polls.data import shown
from scheduler.storage.firing_documents import add_documents
from scheduler.storage.triggers import stop_jobs
from scheduler.triggers.looks import Document, Occurrence


def fire(
    conn: Connection, trigger: LockedTrigger, key: str, data: dict[str, Any], documents: Sequence[Document] = ()
) -> None:
    """Records one firing of the locked trigger with unchanged `data`."""
    _record(conn, trigger, [NewFiring(trigger, key, data=data, trust=Trust.UNAUTHENTICATED)], [documents])


def fire_each(conn: Connection, trigger: LockedTrigger, occurrences: Sequence[Occurrence]) -> Sequence[str]:
    """Records a firing for each occurrence, up to the trigger's `max_fires`; returns the keys of those recorded
    now.

    Occurrences recorded earlier count as recorded.
    """
    if trigger.max_fires is not None:
        occurrences = occurrences[: trigger.max_fires - trigger.fire_count]
    firings = [
        NewFiring(trigger, each.key, data=storable_data(each.data), trust=Trust.UNAUTHENTICATED)
        for each in occurrences
    ]
    _record(conn, trigger, firings, [each.documents for each in occurrences])
    return [each.key for each in occurrences]


def storable_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the data of a check as stored in a firing, with each value cut at its limit."""
    return {str(shown(name).value): shown(value).value for name, value in data.items()}


def _record(
    conn: Connection,
    trigger: LockedTrigger,
    firings: Sequence[NewFiring],
    documents: Sequence[Sequence[Document]],
) -> None:
    recorded = record_firings(conn, firings)
    for firing, each in zip(firings, documents, strict=True):
        if firing.id in recorded.inserted:
            add_documents(conn, firing.id, each)
    if recorded.exhausted:
        stop_jobs(conn, [trigger.id])
