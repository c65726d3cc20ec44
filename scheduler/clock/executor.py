"""The executor of the ledger stores: to run a job is to record it, and its store does so at the pass's end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from apscheduler.executors.base import BaseExecutor

from scheduler.clock.jobs import LedgerJob
from scheduler.clock.ledger_store import LedgerStore


class LedgerExecutor(BaseExecutor):
    """Hands a due job back to its store. Nothing runs here, so no instances are counted and nothing can fail."""

    def __init__(self, store: LedgerStore) -> None:
        super().__init__()
        self._store = store

    def submit_job(self, job: LedgerJob, run_times: Sequence[datetime]) -> None:
        """Note `job` for the end of the pass."""
        self._store.submit(job)

    def _do_submit_job(self, job: LedgerJob, run_times: Sequence[datetime]) -> None:
        self.submit_job(job, run_times)
