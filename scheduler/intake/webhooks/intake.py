"""Webhook intake: deliveries become firings, and are answered once they are durable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.intake.webhooks.cache import HookMemory
from scheduler.intake.webhooks.checks import Filters
from scheduler.intake.webhooks.delivery import Delivery, FilterFirst, Receipt
from scheduler.intake.webhooks.group_commit import GroupCommit
from scheduler.intake.webhooks.recording import Outcome, record_deliveries
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

__all__ = ["Delivery", "Intake", "Receipt"]

FILTER_TRIES = 3
"""How often a filter that is changed meanwhile is asked anew."""


class Intake:
    """Takes deliveries from many threads at once; those that wait at the same time share a transaction.

    Only a JSON path is not looked at in there, since all that share the transaction would wait for it: the thread
    of its delivery does so between two transactions.
    """

    def __init__(self, db: Database, box: SecretBox) -> None:
        self._db = db
        self._memory = HookMemory(box)
        self._filters = Filters()
        self._group = GroupCommit(self._record)

    def receive(self, delivery: Delivery) -> Receipt:
        """Record `delivery`; returns once it is committed.

        Raises NotFound (no such webhook, or it is disabled), BadSignature, LimitReached,
        DatabaseUnavailable.
        """
        outcome = self._group.submit(delivery)
        for _ in range(FILTER_TRIES):
            if not isinstance(outcome, FilterFirst):
                break
            result = self._filters.ask(outcome, delivery)
            outcome = self._group.submit(replace(delivery, filtered=result))
        if isinstance(outcome, FilterFirst):
            raise DatabaseUnavailable("The webhook is being changed; nothing was recorded, try again.")
        if isinstance(outcome, ReveilleError):
            raise outcome
        return outcome

    def _record(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        with self._db.begin() as conn:
            return record_deliveries(conn, deliveries, self._memory)
