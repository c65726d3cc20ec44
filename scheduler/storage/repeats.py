"""Repeats work that the database rolled back, as it does with one of two transactions that wait for each other."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TypeVar

from loguru import logger

from scheduler.domain.errors import DatabaseUnavailable, RolledBack

T = TypeVar("T")

TRIES = 4
"""How often work is tried. Those that it met have then gone on, so a second time is usually enough."""
_READS = re.compile(r"\s*SELECT\b", re.IGNORECASE)


class _Thread(threading.local):
    commits = 0


_thread = _Thread()


def note_commit() -> None:
    """Notes that something which this thread wrote, or had written, was committed: its work is not repeated."""
    _thread.commits += 1


def may_write(statement: str) -> bool:
    """Whether a statement may leave anything behind. Jobs are queued beside other statements that do."""
    return _READS.match(statement) is None


def repeat(work: Callable[[], T]) -> T:
    """Returns what `work` returns, and calls it again if the database rolled it back before it committed anything.

    Raises DatabaseUnavailable when that does not help, which no caller repeats again.
    """
    before = _thread.commits
    for _ in range(TRIES - 1):
        try:
            return work()
        except RolledBack as error:
            if _thread.commits != before:
                raise _partly(error) from error
            logger.info("what the database rolled back is repeated: {}", error.reason)
    try:
        return work()
    except RolledBack as error:
        raise (_partly(error) if _thread.commits != before else DatabaseUnavailable(error.message)) from error


def _partly(error: RolledBack) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"The database rolled the last part of this back ({error.reason}); see what was recorded and try again."
    )
