"""Kinds whose due slot is a look, not a firing: what a pass does for all of them that are due, set-wise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from scheduler.domain.model import TriggerType
from scheduler.firings.new_firing import NewFiring
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.intake.messages.check import check_messages
from scheduler.intake.polls.queue import queue_due_polls

Check = Callable[[Connection, Sequence[LockedTrigger]], Sequence[NewFiring]]
"""Looks for all due triggers of one kind at once, in the pass's transaction, which holds their locks.

What is to be recorded at once is returned; what takes longer is deferred on the same connection.
"""

CHECKS: dict[str, Check] = {TriggerType.ON_MESSAGE: check_messages, TriggerType.POLL: queue_due_polls}
"""One line for each kind whose config says `checks`."""


def run_checks(conn: Connection, triggers: Sequence[LockedTrigger]) -> list[NewFiring]:
    """Look for all of `triggers`, each kind by one call; returns the firings to record in this pass."""
    by_kind: dict[str, list[LockedTrigger]] = defaultdict(list)
    for trigger in triggers:
        by_kind[trigger.type].append(trigger)
    return [firing for kind, due in by_kind.items() for firing in CHECKS[kind](conn, due)]
