"""The rules about the service itself, for operators: schedulers, workers, and room for the database."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from config.settings import Settings
from scheduler.alerts.findings import Finding, Rule, by_query
from scheduler.domain.ids import NIL
from scheduler.domain.local_time import spell_duration
from scheduler.postgres.embedded import EmbeddedPostgres

PATIENCE_SECONDS = 30
LEAST_FREE = 2**30
LEAST_SHARE = 0.1
"""The free space that is too little: less than a GiB, or on a small disk less than a tenth of it."""
NEARLY_FULL = 0.9

# The watch remembers the last heartbeat, because a process that signs off deletes its row.
_STALE = """
    SELECT CAST(NULL AS uuid) AS tenant_id, CAST(NULL AS uuid) AS agent_id, CAST('{nil}' AS uuid) AS subject_id,
        '{name}' AS subject_name, ({column} IS NOT NULL)::int AS count,
        extract(epoch FROM clock_timestamp() - coalesce({column}, since))::float8 AS seconds
    FROM watch WHERE {column} IS NULL OR {column} < clock_timestamp() - interval '{patience} seconds'
"""
SCHEDULERS = _STALE.format(nil=NIL, name="the schedulers", column="last_pass_at", patience=PATIENCE_SECONDS)
WORKERS = _STALE.format(nil=NIL, name="the workers", column="last_heartbeat_at", patience=PATIENCE_SECONDS)
SIZE = text("SELECT pg_database_size(current_database())")


@dataclass(frozen=True, slots=True)
class DatabaseSpace:
    """The space that the database has, as far as known."""

    directory: Path | None = None
    """Where its files are, if they are on this machine's disk."""
    limit: int | None = None
    """The size that the operator allows in bytes, if configured."""

    def find(self, conn: Connection) -> Sequence[Finding]:
        """Finds whether the disk, or the allowed size, is nearly used up."""
        notes = [note for note in (self._disk(), self._size(conn)) if note is not None]
        return [Finding(None, None, NIL, "the database's disk", note=" ".join(notes))] if notes else []

    def free(self) -> int | None:
        """Returns the free bytes of its disk; None when they cannot be known."""
        found = self._space()
        return None if found is None else found[0]

    def _space(self) -> tuple[int, int] | None:
        if self.directory is None:
            return None
        try:
            disk = os.statvfs(self.directory)
        except OSError:
            return None
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def _disk(self) -> str | None:
        found = self._space()
        if found is None or found[0] >= min(LEAST_FREE, LEAST_SHARE * found[1]):
            return None
        return f"Only {_bytes(found[0])} of {_bytes(found[1])} are free on the disk of the data directory."

    def _size(self, conn: Connection) -> str | None:
        if self.limit is None:
            return None
        size = int(conn.execute(SIZE).scalar_one())
        if size < NEARLY_FULL * self.limit:
            return None
        return f"The database has reached {_bytes(size)} of its limit of {_bytes(self.limit)}."


NOTHING_KNOWN = DatabaseSpace()


def database_space_of(settings: Settings) -> DatabaseSpace:
    """Returns what is known about the database's space: whether it is embedded, on this disk, and its limit."""
    embedded = EmbeddedPostgres(settings.data_dir)
    is_ours = settings.database_url == embedded.url
    return DatabaseSpace(embedded.data_dir if is_ours else None, settings.database_limit)


def _bytes(size: int) -> str:
    amount, units = float(size), iter(("bytes", "kB", "MB", "GB"))
    for unit in units:
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def _silence(what: str, never: str) -> Callable[[Finding], str]:
    return lambda each: f"{what} for {spell_duration(each.seconds)}." if each.count else never


def service_rules(room: DatabaseSpace) -> tuple[Rule, ...]:
    """Returns the rules about the service, whose database has `room`."""
    return (
        Rule(
            "scheduler_stale",
            "service",
            by_query(SCHEDULERS),
            _silence("No scheduler has looked for due triggers", "No scheduler runs."),
            "Start a worker, or check its log: `reveille worker`.",
            patience=PATIENCE_SECONDS,
        ),
        Rule(
            "worker_stale",
            "service",
            by_query(WORKERS),
            _silence("No worker that wakes agents has reported", "No worker that wakes agents is running."),
            "Start a worker, or check its log: `reveille worker`.",
            patience=PATIENCE_SECONDS,
        ),
        Rule(
            "disk_low",
            "service",
            room.find,
            lambda each: each.note,
            "Free some disk space, or keep less history: REVEILLE_RETENTION, then `reveille prune`.",
        ),
    )
