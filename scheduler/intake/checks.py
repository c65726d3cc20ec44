"""Runs the checks of kinds whose due slot checks for something to fire, set-wise for all due triggers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pkgutil import resolve_name
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import Connection, Transaction

from scheduler.domain.errors import stops_process
from scheduler.firings.new_firing import LockedTrigger, NewFiring, check_size
from scheduler.storage.faults import blames_rows
from scheduler.triggers.registry import kind_of

Check = Callable[[Connection, Sequence[LockedTrigger]], Sequence[NewFiring]]
"""A function that checks all due triggers of one kind at once, in the pass's transaction, which has locked them.

It returns what to record at once and defers slower work on the same connection. A kind names its check
(`TriggerConfig.checked_by`); it is imported when first needed, since it may be in a higher layer than the kinds.
"""


class Checked(NamedTuple):
    """The result of the checks in a pass."""

    firings: list[NewFiring]
    """To be recorded in this pass."""
    failed: dict[UUID, BaseException]
    """Triggers whose check raises even alone; they are quarantined."""


def run_checks(conn: Connection, triggers: Sequence[LockedTrigger]) -> Checked:
    """Checks all `triggers`, each kind in one call; a broken kind or trigger does not affect others.

    Raises errors that are not caused by them, such as a lost connection.
    """
    by_kind: dict[str, list[LockedTrigger]] = defaultdict(list)
    for trigger in triggers:
        by_kind[trigger.type].append(trigger)
    checked = Checked([], {})
    for kind, due in by_kind.items():
        _look(conn, kind, due, checked)
    return checked


def _look(conn: Connection, kind: str, due: Sequence[LockedTrigger], checked: Checked) -> None:
    """Checks the due triggers of a kind; finds failing ones by bisection."""
    try:
        check = _check_of(kind)
    except BaseException as error:  # its module may raise anything
        if stops_process(error):
            raise
        checked.failed.update(dict.fromkeys([trigger.id for trigger in due], error))
        return
    transaction = conn.get_transaction()
    try:
        with conn.begin_nested():
            found = list(check(conn, due))
            for firing in found:
                check_size(firing)
    except BaseException as error:
        if stops_process(error):
            raise
        _must_go_on(conn, transaction, kind)
        if not (isinstance(error, MemoryError) or blames_rows(error, own_statements=False)):
            raise
        if len(due) == 1:
            checked.failed[due[0].id] = error
            return
        half = len(due) // 2
        _look(conn, kind, due[:half], checked)
        _look(conn, kind, due[half:], checked)
        return
    _must_go_on(conn, transaction, kind)
    checked.firings.extend(found)


def _must_go_on(conn: Connection, transaction: Transaction | None, kind: str) -> None:
    """Raises when a check has ended the pass's transaction, since the writes and locks of the pass are then lost."""
    if conn.get_transaction() is not transaction or transaction is None or not transaction.is_active:
        raise RuntimeError(f"The check of the kind {kind} has ended the transaction of the pass.")


@cache
def _check_of(kind_name: str) -> Check:
    """Returns the check of a kind. Raises LookupError for a kind without one, and any exception of its import."""
    named = kind_of(kind_name).checked_by
    if named is None:
        raise LookupError(f"Triggers of kind {kind_name} are not checked: the kind names no check.")
    return cast("Check", resolve_name(named))
