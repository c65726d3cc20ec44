"""Stores poll state between checks. Lock order: the job, the trigger, the poll's state; several by id."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select, text, update

from scheduler.domain.errors import NotFound
from scheduler.storage.arrays import array
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.core import Trigger
from scheduler.storage.tables.progress import PollState

# Polls in progress are skipped without locking their rows, so that the pass does not wait for a check to end.
BEGIN_LOOKS = text("""
    INSERT INTO poll_states AS s (trigger_id, checking_until)
    SELECT v.id, clock_timestamp() + CAST(:lease AS interval)
    FROM unnest(CAST(:ids AS uuid[])) AS v(id)
        LEFT JOIN poll_states held ON held.trigger_id = v.id AND held.checking_until > clock_timestamp()
    WHERE held.trigger_id IS NULL
    ORDER BY v.id
    ON CONFLICT (trigger_id) DO UPDATE SET checking_until = excluded.checking_until
    RETURNING trigger_id, poll_version
""")

READ_POLLS = text("""
    SELECT t.id, t.type, s.poll_version AS version, t.updated_at, t.config, t.secret, s.fingerprint, s.baseline, s.etag,
        s.last_modified, s.edited_at, s.failures, s.note
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS v(id, version)
        JOIN poll_states s ON s.trigger_id = v.id AND s.poll_version = v.version
        JOIN triggers t ON t.id = v.id
    WHERE t.is_enabled AND t.deleted_at IS NULL
""")

LOCK_QUIET = text("""
    SELECT 1 FROM poll_states WHERE trigger_id = ANY(CAST(:ids AS uuid[])) ORDER BY trigger_id FOR UPDATE
""")

# A trigger that may not fire keeps its baseline, as in new_firing.gate.
END_QUIET = text("""
    UPDATE poll_states s SET poll_version = s.poll_version + 1, checking_until = NULL,
        checked_at = clock_timestamp(), etag = v.etag, last_modified = v.last_modified, note = v.note,
        edited_at = v.updated_at, baseline = coalesce(v.baseline, s.baseline),
        fingerprint = coalesce(v.fingerprint, s.fingerprint), failures = 0, first_failure_at = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:updated AS timestamptz[]),
            CAST(:etags AS text[]), CAST(:modified AS text[]), CAST(:notes AS text[]),
            CAST(:baselines AS text[]), CAST(:fingerprints AS text[]))
        AS v(id, version, updated_at, etag, last_modified, note, baseline, fingerprint)
        JOIN triggers t ON t.id = v.id AND t.updated_at = v.updated_at AND t.is_enabled AND t.deleted_at IS NULL
            AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
            AND (t.max_fires IS NULL OR t.fire_count < t.max_fires)
    WHERE s.trigger_id = v.id AND s.poll_version = v.version
    RETURNING s.trigger_id
""")

LOCK_JOB = text("SELECT 1 FROM jobs WHERE trigger_id = :id AND kind = 'fire' FOR UPDATE")

MOVE_JOB = text("""
    UPDATE jobs SET next_run_time = greatest(least(next_run_time, clock_timestamp() + CAST(:sooner AS interval)),
        clock_timestamp() + CAST(:not_before AS interval))
    WHERE trigger_id = :id AND kind = 'fire' AND next_run_time IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class StoredPoll:
    """A poll as a check starts with it; `config` lacks its secrets, which are encrypted in `secret`."""

    id: UUID
    type: str
    version: int
    updated_at: datetime
    """When the trigger was last edited; an edit during the check invalidates the result."""
    config: dict[str, Any]
    secret: bytes | None
    fingerprint: str | None
    baseline: str | None
    etag: str | None
    last_modified: str | None
    edited_at: datetime | None
    """The trigger's `updated_at` when the value was read; None: by a version that read values differently."""
    failures: int
    note: str | None


@dataclass(frozen=True, slots=True)
class PollDetail:
    """A poll with the details of its checks."""

    stored: StoredPoll
    checked_at: datetime | None
    first_failure_at: datetime | None


@dataclass(frozen=True, slots=True)
class QuietEnd:
    """The end of a check with nothing to fire. `baseline` and `fingerprint` are None when they stay as they are."""

    poll: StoredPoll
    etag: str | None
    last_modified: str | None
    note: str | None = None
    baseline: str | None = None
    fingerprint: str | None = None


def begin_looks(conn: Connection, ids: Collection[UUID], lease: timedelta) -> list[tuple[UUID, int]]:
    """Marks polls as in progress for at most `lease`; returns id and version of those that were not yet.

    The caller has locked their triggers.
    """
    rows = conn.execute(BEGIN_LOOKS, {"ids": array(ids), "lease": lease})
    return [(row.trigger_id, row.poll_version) for row in rows]


def read_polls(conn: Connection, looks: Collection[tuple[UUID, int]]) -> list[StoredPoll]:
    """Returns the polls to check, by id and version; omits those that moved on or are paused or deleted."""
    values = {"ids": array(each for each, _ in looks), "versions": array(version for _, version in looks)}
    return rows_as(StoredPoll, conn.execute(READ_POLLS, values))


def end_quietly(conn: Connection, ends: Sequence[QuietEnd]) -> set[UUID]:
    """Writes the ends of checks that fire nothing; returns the polls for which that was still valid."""
    if not ends:
        return set()
    conn.execute(LOCK_QUIET, {"ids": array(end.poll.id for end in ends)})
    rows = conn.execute(
        END_QUIET,
        {
            "ids": array(end.poll.id for end in ends),
            "versions": array(end.poll.version for end in ends),
            "updated": array(end.poll.updated_at for end in ends),
            "etags": [end.etag for end in ends],
            "modified": [end.last_modified for end in ends],
            "notes": [end.note for end in ends],
            "baselines": [end.baseline for end in ends],
            "fingerprints": [end.fingerprint for end in ends],
        },
    )
    return set(rows.scalars())


def lock_job(conn: Connection, trigger_id: UUID) -> None:
    """Locks the poll's job, which comes before its trigger."""
    conn.execute(LOCK_JOB, {"id": trigger_id})


@dataclass(frozen=True, slots=True)
class LockedState:
    """The state of a poll whose trigger is locked."""

    poll_version: int
    updated_at: datetime
    failures: int
    first_failure_at: datetime | None
    note: str | None


def lock_state(conn: Connection, trigger_id: UUID) -> LockedState | None:
    """Locks the state of a poll whose trigger is locked: PollState's columns, and the trigger's `updated_at`."""
    query: Select[Any] = (
        select(*PollState.__table__.columns, Trigger.updated_at)
        .join(Trigger, Trigger.id == PollState.trigger_id)
        .where(PollState.trigger_id == trigger_id)
        .with_for_update(of=PollState)
    )
    return row_as(LockedState, conn.execute(query))


def end_look(conn: Connection, trigger_id: UUID, **values: object) -> None:
    """Ends the check of a poll whose state is locked: increments the version and sets `values`."""
    conn.execute(
        update(PollState)
        .where(PollState.trigger_id == trigger_id)
        .values(
            poll_version=PollState.poll_version + 1,
            checking_until=None,
            checked_at=func.clock_timestamp(),
            **values,
        )
    )


def move_job(
    conn: Connection, trigger_id: UUID, *, sooner: timedelta | None = None, not_before: timedelta | None = None
) -> None:
    """Checks again no later than after `sooner` and no earlier than after `not_before`. A paused job stays paused."""
    conn.execute(MOVE_JOB, {"id": trigger_id, "sooner": sooner, "not_before": not_before})


def read_poll(conn: Connection, trigger_id: UUID) -> PollDetail:
    """Returns a poll, paused or not. Raises NotFound."""
    query: Select[Any] = (
        select(Trigger.id, Trigger.type, Trigger.updated_at, Trigger.config, Trigger.secret)
        .add_columns(*(each for each in PollState.__table__.columns if each.name != "trigger_id"))
        .join(PollState, PollState.trigger_id == Trigger.id, isouter=True)
        .where(Trigger.id == trigger_id, Trigger.deleted_at.is_(None))
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no trigger {trigger_id}.")
    stored = StoredPoll(
        id=row.id,
        type=row.type,
        version=row.poll_version or 0,
        updated_at=row.updated_at,
        config=row.config,
        secret=row.secret,
        fingerprint=row.fingerprint,
        baseline=row.baseline,
        etag=row.etag,
        last_modified=row.last_modified,
        edited_at=row.edited_at,
        failures=row.failures or 0,
        note=row.note,
    )
    return PollDetail(stored, row.checked_at, row.first_failure_at)
