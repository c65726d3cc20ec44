"""Kinds whose due slot is a look, not a firing: what a pass does for all of them that are due, set-wise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pkgutil import resolve_name
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection

from scheduler.firings.new_firing import NewFiring
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.storage.faults import blames_rows
from scheduler.triggers.registry import kind_of

Check = Callable[[Connection, Sequence[LockedTrigger]], Sequence[NewFiring]]
"""Looks for all due triggers of one kind at once, in the pass's transaction, which holds their locks.

What is to be recorded at once is returned; what takes longer is deferred on the same connection. A kind names its
check (`TriggerConfig.checked_by`); it is imported when it is first due, since it may lie above the kinds.
"""


class Checked(NamedTuple):
    """What the looks of a pass came to."""

    firings: list[NewFiring]
    """To be recorded in this pass."""
    failed: dict[UUID, BaseException]
    """Triggers whose look raises, also alone: these are to be taken out of the schedule."""


def run_checks(conn: Connection, triggers: Sequence[LockedTrigger]) -> Checked:
    """Look for all of `triggers`, each kind by one call; a kind or a trigger that breaks stops nobody else.

    Raises what is no fault of theirs, such as a lost connection.
    """
    by_kind: dict[str, list[LockedTrigger]] = defaultdict(list)
    for trigger in triggers:
        by_kind[trigger.type].append(trigger)
    checked = Checked([], {})
    for kind, due in by_kind.items():
        _look(conn, kind, due, checked)
    return checked


def _look(conn: Connection, kind: str, due: Sequence[LockedTrigger], checked: Checked) -> None:
    """Look for the due triggers of a kind; those whose look raises are found by halving."""
    try:
        check = _check_of(kind)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # its module may raise anything
        checked.failed.update(dict.fromkeys([trigger.id for trigger in due], error))
        return
    try:
        with conn.begin_nested():
            found = list(check(conn, due))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not blames_rows(error, own_statements=False):
            raise
        if len(due) == 1:
            checked.failed[due[0].id] = error
            return
        half = len(due) // 2
        _look(conn, kind, due[:half], checked)
        _look(conn, kind, due[half:], checked)
        return
    checked.firings.extend(found)


@cache
def _check_of(kind_name: str) -> Check:
    """The check of a kind. Raises LookupError for a kind without one, and what its import raises."""
    named = kind_of(kind_name).checked_by
    if named is None:
        raise LookupError(f"Triggers of kind {kind_name} are not checked: the kind names no check.")
    return cast("Check", resolve_name(named))
