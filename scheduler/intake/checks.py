"""Kinds whose due slot is a look, not a firing: what a pass does for all of them that are due, set-wise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pkgutil import resolve_name
from typing import cast

from sqlalchemy import Connection

from scheduler.firings.new_firing import NewFiring
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.triggers.registry import kind_of

Check = Callable[[Connection, Sequence[LockedTrigger]], Sequence[NewFiring]]
"""Looks for all due triggers of one kind at once, in the pass's transaction, which holds their locks.

What is to be recorded at once is returned; what takes longer is deferred on the same connection. A kind names its
check (`TriggerConfig.checked_by`); it is imported when it is first due, since it may lie above the kinds.
"""


def run_checks(conn: Connection, triggers: Sequence[LockedTrigger]) -> list[NewFiring]:
    """Look for all of `triggers`, each kind by one call; returns the firings to record in this pass."""
    by_kind: dict[str, list[LockedTrigger]] = defaultdict(list)
    for trigger in triggers:
        by_kind[trigger.type].append(trigger)
    return [firing for kind, due in by_kind.items() for firing in _check_of(kind)(conn, due)]


@cache
def _check_of(type_name: str) -> Check:
    """The check of a kind. Raises LookupError for a kind without one, and what its import raises."""
    named = kind_of(type_name).checked_by
    if named is None:
        raise LookupError(f"Triggers of type {type_name} are not checked: the kind names no check.")
    return cast("Check", resolve_name(named))
