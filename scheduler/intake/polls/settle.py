"""Settles the result of a check in one transaction: firing and baseline change together or not at all.

A result is only accepted at the version the check started with, and if nobody edited the trigger since.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, update

from scheduler.domain.retries import SPREAD
from scheduler.domain.text import storable
from scheduler.firings.new_firing import LockedTrigger, gate, lock_triggers
from scheduler.intake.polls.custom_checks import CustomCheck
from scheduler.intake.polls.data import firing_data
from scheduler.intake.polls.fire import fire, fire_each, storable_data
from scheduler.intake.polls.readers import READERS
from scheduler.intake.polls.results import CheckDecision, FoundValue, Look, LookFailed, Unchanged, Validators
from scheduler.intake.polls.statements import (
    LockedState,
    QuietEnd,
    StoredPoll,
    end_look,
    lock_job,
    lock_state,
    move_job,
)
from scheduler.storage.audit import record_event
from scheduler.storage.engine import notify
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.core import Trigger
from scheduler.storage.triggers import stop_jobs
from scheduler.triggers.base import join_secrets
from scheduler.triggers.poll import PollConfig, SeenValue

MAX_FAILURES = 50
"""The consecutive failures after which the poll is paused."""
PUT_OFF_FOR = timedelta(hours=24)
"""How long after the first failure 429 and 503 with Retry-After do not pause it."""
FIRST_DELAY = 60.0
LONGEST_DELAY = timedelta(minutes=5)
"""For a trigger that checks more often than that."""
LONGEST_RETRY_AFTER = 24 * 3600.0
NOTE_BYTES = 500
MOST_TOGETHER = 64 * 1024
"""The longest baseline, in characters, that is written together with those of other polls."""


@dataclass(frozen=True, slots=True)
class Poll:
    """A stored poll with its whole config, including secrets."""

    stored: StoredPoll
    config: PollConfig

    @property
    def is_begun(self) -> bool:
        """Whether the stored state belongs to this config, not to one before an edit."""
        return self.stored.fingerprint == self.config.fingerprint()

    def before(self) -> SeenValue | None:
        """The last value; None when this check is the first."""
        kept = self.baseline()
        return None if kept is None else READERS[self.config.read].remembered(kept)

    def baseline(self) -> str | None:
        """The stored state of the last check; None when this check is the first."""
        return self.stored.baseline if self.is_begun else None

    def validators(self) -> Validators:
        """The validators of the last response, unless the trigger was edited since: other headers may change the
        response.
        """
        if self.stored.baseline is None or not self.is_begun or self.stored.edited_at != self.stored.updated_at:
            return Validators()
        return Validators(self.stored.etag, self.stored.last_modified)

    def fires(self, seen: SeenValue) -> bool:
        """Whether the new value fires."""
        before = self.before()
        if before is None or self.stored.edited_at is not None:
            return self.config.fires(before, seen)
        # Stored by a version that read values differently: that alone does not fire.
        then = self.config.selected_before(seen)
        return then.is_there and self.config.fires(before, then)


CheckedTrigger = Poll | CustomCheck
Result = Look


def open_poll(stored: StoredPoll, box: SecretBox) -> Poll:
    """Decrypts a poll's secrets. Raises ConfigurationError when they were encrypted with another key."""
    secrets = {} if stored.secret is None else json.loads(box.decrypt(stored.secret))
    return Poll(stored, PollConfig.model_construct(**join_secrets(stored.config, secrets)))


def quiet_end(poll: CheckedTrigger, look: Result) -> QuietEnd | None:
    """Returns what to write when the check fires and records nothing, to be written in bulk; None when it must be
    settled.
    """
    stored = poll.stored
    repeats = isinstance(poll, Poll) and poll.config.repeat
    if repeats or (stored.failures and poll.is_begun):  # a recovery is recorded
        return None
    match look:
        case Unchanged() if poll.is_begun:
            return QuietEnd(stored, stored.etag, stored.last_modified, stored.note)
        case FoundValue(seen, text, etag, last_modified, note):
            is_quiet = _is_kept(poll, text) or (
                isinstance(poll, Poll) and poll.baseline() is None and not poll.fires(seen)
            )
        case CheckDecision(text, None, note, etag, last_modified, occurrences=(), settled=None, more=False):
            is_quiet = True
        case _:
            return None
    if not is_quiet or len(text) > MOST_TOGETHER:
        return None
    baseline = None if _is_kept(poll, text) else text
    fingerprint = None if poll.is_begun else poll.config.fingerprint()
    return QuietEnd(stored, etag, last_modified, _noted(note), baseline, fingerprint)


def _is_kept(poll: CheckedTrigger, text: str) -> bool:
    return poll.is_begun and text == poll.stored.baseline


def settle(conn: Connection, poll: CheckedTrigger, look: Result) -> Sequence[str] | None:
    """Applies the result of a check: fires if the condition is met, moves the baseline, counts failures.

    Returns the keys of the recorded occurrences; None when the check had no effect. A poll edited meanwhile is
    checked again at once; one that was paused, expired or exhausted keeps its baseline. Locks the job, the
    trigger, the state.
    """
    stored = poll.stored
    lock_job(conn, stored.id)
    trigger = lock_triggers(conn, [stored.id]).get(stored.id)
    state = lock_state(conn, stored.id)
    if trigger is None or state is None or state.poll_version != stored.version:
        return None
    if state.updated_at != stored.updated_at:
        end_look(conn, stored.id)
        move_job(conn, stored.id, sooner=timedelta(0))
        notify(conn)
    elif gate(trigger, trigger.read_at) is not None:
        end_look(conn, stored.id)
    elif isinstance(look, LookFailed):
        _fail(conn, trigger, poll, state, look)
    else:
        return _succeed(conn, trigger, poll, state, look)
    return None


def _succeed(
    conn: Connection,
    trigger: LockedTrigger,
    poll: CheckedTrigger,
    state: LockedState,
    look: FoundValue | Unchanged | CheckDecision,
) -> Sequence[str]:
    values = _begun(poll) | {"failures": 0, "first_failure_at": None}
    if state.failures and poll.is_begun:
        since = state.first_failure_at and state.first_failure_at.isoformat()
        _audit(conn, trigger, _verb(poll, "recovered"), failures=state.failures, since=since)
    key, taken = f"{poll.stored.type}:{poll.stored.version}", list[str]()
    if isinstance(look, CheckDecision):
        values |= {"baseline": look.text, "note": _noted(look.note), "edited_at": poll.stored.updated_at}
        values |= {"etag": look.etag, "last_modified": look.last_modified}
        if look.data is not None:
            fire(conn, trigger, key, storable_data(look.data), look.documents)
        taken += fire_each(conn, trigger, look.occurrences)
        if look.more:
            move_job(conn, trigger.id, sooner=timedelta(0))
            notify(conn)
    else:
        assert isinstance(poll, Poll)  # noqa: S101  # only a poll's looks come to these
        data = _seen(poll, state, look, values)
        if data is not None:
            fire(conn, trigger, key, data)
    end_look(conn, trigger.id, **values)
    return taken


def _seen(
    poll: Poll, state: LockedState, look: FoundValue | Unchanged, values: dict[str, Any]
) -> dict[str, Any] | None:
    """Returns the firing's data, if any; adds the new value to `values`."""
    before = seen = poll.before()
    if isinstance(look, FoundValue):
        seen = look.seen
        values |= {"baseline": look.text, "etag": look.etag, "last_modified": look.last_modified}
        values |= {"note": _noted(look.note), "edited_at": poll.stored.updated_at}
    elif state.failures:
        values["note"] = None
    if READERS[poll.config.read].keeps_cursor:  # unchanged: nothing to compare
        return None
    return firing_data(poll.config, before, seen) if seen is not None and poll.fires(seen) else None


def backoff(failures: int, interval: timedelta, spread: float) -> timedelta:
    """Returns the wait after so many consecutive failures (at least 1); `spread` is drawn from ±SPREAD.

    It starts at FIRST_DELAY, or `interval` if that is shorter, and grows to LONGEST_DELAY, or `interval` if that
    is longer.
    """
    first = min(timedelta(seconds=FIRST_DELAY), interval)
    grown = first * float(2 ** min(failures - 1, 30)) * (1 + spread)
    return min(grown, max(interval, LONGEST_DELAY))


def _fail(
    conn: Connection, trigger: LockedTrigger, poll: CheckedTrigger, state: LockedState, look: LookFailed
) -> None:
    note = _note(look.note)
    before = state.failures if poll.is_begun else 0
    # A postponed check only counts as a failure, for a time, when it is the first one.
    is_put_off = look.was_put_off and (
        before == 0 or trigger.read_at - (state.first_failure_at or trigger.read_at) < PUT_OFF_FOR
    )
    failures = max(before, 1) if is_put_off else before + 1
    values = _begun(poll) | {"failures": failures, "note": note}
    if before == 0:
        values["first_failure_at"] = trigger.read_at
        _audit(conn, trigger, _verb(poll, "failed"), why=note)
    if failures >= MAX_FAILURES:
        _pause(conn, trigger, f"{failures} consecutive checks failed; the last one: {note}")
        values |= {"failures": 0, "first_failure_at": None}  # when resumed, it can fail as often again
    else:
        interval = poll.config.step()
        delay = interval if is_put_off else backoff(failures, interval, random.uniform(-SPREAD, SPREAD))  # noqa: S311
        asked = _not_before(look.retry_after)
        not_before = max(asked or delay, delay) if delay > interval else asked  # the next slot may come sooner
        move_job(conn, trigger.id, sooner=delay, not_before=not_before)
    end_look(conn, trigger.id, **values)


def _pause(conn: Connection, trigger: LockedTrigger, note: str) -> None:
    conn.execute(update(Trigger).where(Trigger.id == trigger.id).values(is_enabled=False, paused_note=note))
    stop_jobs(conn, [trigger.id])
    _audit(conn, trigger, "paused", note=note)


def _begun(poll: CheckedTrigger) -> dict[str, Any]:
    """Returns the state columns reset for this config, when the stored ones belong to another."""
    if poll.is_begun:
        return {}
    fresh = dict.fromkeys(("baseline", "etag", "last_modified", "edited_at", "first_failure_at"))
    return fresh | {"fingerprint": poll.config.fingerprint(), "failures": 0}


def _verb(poll: CheckedTrigger, end: str) -> str:
    return f"{'poll' if isinstance(poll, Poll) else 'look'}_{end}"


def _not_before(retry_after: float | None) -> timedelta | None:
    if retry_after is None:
        return None
    return timedelta(seconds=min(max(retry_after, 0.0), LONGEST_RETRY_AFTER))


def _audit(conn: Connection, trigger: LockedTrigger, verb: str, **detail: Any) -> None:
    record_event(
        conn,
        action=f"trigger.{verb}",
        tenant_id=trigger.tenant_id,
        subject_id=trigger.id,
        agent_id=trigger.agent_id,
        **detail,
    )


def _noted(text: str | None) -> str | None:
    return None if text is None else _note(text)


def _note(text: str) -> str:
    return storable(text, NOTE_BYTES)[0]
