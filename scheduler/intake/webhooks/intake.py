"""Webhook intake: turns deliveries into firings, and answers once they are durable.

Deliveries that arrive together share a commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.intake.webhooks.cache import HookMemory
from scheduler.intake.webhooks.delivery import Delivery, FilterPending, Filters, Receipt
from scheduler.intake.webhooks.recording import Outcome, record_deliveries
from scheduler.storage.engine import Database
from scheduler.storage.group_commit import GroupCommit
from scheduler.storage.secrets import SecretBox

__all__ = ["Delivery", "Intake", "Receipt"]

FILTER_TRIES = 3
"""How often a filter that changes meanwhile is run again."""


class Intake:
    """Accepts deliveries from many threads; those that wait at the same time share a transaction.

    JSON paths are not evaluated inside it, since all that share the transaction would wait: the delivery's own
    thread does that between two transactions.
    """

    def __init__(self, db: Database, box: SecretBox) -> None:
        self._db = db
        self._memory = HookMemory(box)
        self._filters = Filters()
        self._group = GroupCommit(self._record)

    def receive(self, delivery: Delivery) -> Receipt:
        """Records `delivery`; returns once it is committed.

        Raises NotFound (unknown or disabled webhook), BadSignature, LimitReached, DatabaseUnavailable.
        """
        outcome = self._group.submit(delivery)
        for _ in range(FILTER_TRIES):
            if not isinstance(outcome, FilterPending):
                break
            result = self._filters.ask(outcome, delivery)
            outcome = self._group.submit(replace(delivery, filtered=result))
        if isinstance(outcome, FilterPending):
            raise DatabaseUnavailable("The webhook is being changed; nothing was recorded, try again.")
        if isinstance(outcome, ReveilleError):
            raise outcome
        return outcome

    def _record(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        with self._db.begin() as conn:
            return record_deliveries(conn, deliveries, self._memory)
