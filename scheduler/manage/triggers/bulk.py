"""Sorts the triggers of a bulk change into those it changes and those that need confirmation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.storage.read_models.trigger_lists import ListedTrigger

FINISHED = frozenset({"max_fires", "expired", "finished", "resolved"})
"""Notes of triggers that ended by themselves."""
NO_REASON = frozenset({None, "", "paused", "paused in the scheduler"})
"""Notes of triggers that were paused without a reason."""


class BulkAction(StrEnum):
    """The bulk operations on triggers."""

    PAUSE = "pause"
    RESUME = "resume"
    DELETE = "delete"


@dataclass(slots=True)
class BulkPlan:
    """Triggers grouped by how the change affects them."""

    plain: list[ListedTrigger] = field(default_factory=list)
    """Changed without confirmation."""
    noted: list[ListedTrigger] = field(default_factory=list)
    """Paused with a note."""
    finished: list[ListedTrigger] = field(default_factory=list)
    """Ended by themselves: by their number of runs, their date, or their focus."""
    unfit: list[ListedTrigger] = field(default_factory=list)
    """Cannot be changed: system triggers or unapproved ones."""
    idle: list[ListedTrigger] = field(default_factory=list)
    """Already in the requested state."""

    def chosen(self, *, noted: bool, finished: bool) -> list[ListedTrigger]:
        """Returns the triggers to change, newest first."""
        rows = [*self.plain, *(self.noted if noted else ()), *(self.finished if finished else ())]
        return sorted(rows, key=lambda row: row.id, reverse=True)


def plan_bulk(verb: BulkAction, rows: Iterable[ListedTrigger]) -> BulkPlan:
    """Groups rows of `find_triggers` by how `verb` affects them."""
    found = BulkPlan()
    for row in rows:
        _place(found, verb, row).append(row)
    return found


def _place(found: BulkPlan, verb: BulkAction, row: ListedTrigger) -> list[ListedTrigger]:
    if verb is BulkAction.DELETE:
        return found.unfit if row.is_system else found.plain
    if row.is_enabled is (verb is BulkAction.RESUME):
        return found.idle
    if verb is BulkAction.PAUSE or (row.paused_note in NO_REASON and row.approval not in ("awaiting", "rejected")):
        return found.plain
    if row.approval in ("awaiting", "rejected"):
        return found.unfit
    return found.finished if _has_finished(row.paused_note or "") else found.noted


def _has_finished(note: str) -> bool:
    return note in FINISHED or note.startswith("finished:")
