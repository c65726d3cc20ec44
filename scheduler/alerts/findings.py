"""The types of rules and of their findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.read_models.spans import first_id_sql
from scheduler.storage.rows import rows_as

CATCH_UP_SECONDS = 60.0
"""How long the service has after an outage to fire and deliver what was due meanwhile."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: the subject, and the figures of the reason."""

    tenant_id: UUID | None
    agent_id: UUID | None
    subject_id: UUID
    subject_name: str
    count: int = 0
    seconds: float = 0.0
    """How long it has lasted."""
    limit: float = 0.0
    """The seconds that were allowed."""
    since: datetime | None = None
    note: str = ""
    subject_kind: str | None = None
    """None: the rule's own."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `find` returns the subjects that are in trouble now."""

    name: str
    subject_kind: str
    find: Callable[[Connection], Sequence[Finding]]
    reason: Callable[[Finding], str]
    advice: str
    is_seldom: bool = False
    """Whether it reads so much that it is only checked occasionally."""
    patience: float = 0.0
    """For how many seconds after an outage of the whole service it opens no alert: what it finds may be the outage."""


def by_query(query: str) -> Callable[[Connection], Sequence[Finding]]:
    """Returns a `find` that reads Finding by `query`, whose columns are named as its fields."""
    statement = text(query)
    return lambda conn: rows_as(Finding, conn.execute(statement))


def seconds_ago(seconds: str) -> str:
    """Returns SQL for the time that many seconds ago, given as SQL."""
    return f"clock_timestamp() - make_interval(secs => {seconds})"


def id_ago(seconds: str) -> str:
    """Returns SQL for the smallest id that could have been created that many seconds ago."""
    return first_id_sql(seconds_ago(seconds))


def many(count: int, noun: str) -> str:
    """Formats a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
