"""A second implementation of the rules for triggers, which predicts a trigger's state; and time control for one
trigger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

FAR = "2999-01-01T00:00:00Z"

CONFIGS: dict[str, list[dict[str, Any]]] = {
    "cron": [
        {"expr": "0 0 1 1 *"},
        {"expr": "30 2 1 1 *", "timezone": "Asia/Tokyo", "jitter_seconds": 600},
        {"expr": "0 12 1 1 *", "only_between": "09:00-18:00", "exclude": ["2030-01-01"], "until": "2999-12-31"},
    ],
    "interval": [{"seconds": 3600}, {"minutes": 240}, {"seconds": 86_400, "until": FAR}],
    "once": [{"at": FAR}, {"at": "2998-12-31"}, {"at": "2001-01-01", "allow_past": True}],
    "webhook": [{}, {"filter": {"json_path": "$.a"}}],
    "poll": [
        {"url": "https://example.org/a", "json_path": "$.a"},
        {"url": "https://example.org/b", "json_path": "$.a", "interval_min": 60},
    ],
}
"""Configs of each kind. Only one has a slot during a test, unless the test creates one."""


MAKE_DUE = """
    WITH moved AS (
        UPDATE jobs SET next_run_time = clock_timestamp() - make_interval(secs => :ago)
        WHERE trigger_id = :id AND kind = 'fire' RETURNING next_run_time
    )
    UPDATE triggers SET anchor_at = moved.next_run_time - make_interval(secs => :step),
        config = CASE WHEN :field = '' THEN config
            ELSE config || jsonb_build_object(:field, to_char(CASE :field WHEN 'at' THEN moved.next_run_time
                ELSE clock_timestamp() END AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END
    FROM moved WHERE id = :id
"""

EXPIRE = """
    WITH expired AS (
        UPDATE triggers SET expires_at = clock_timestamp() - interval '1 second'
        WHERE id = :id RETURNING id, expires_at
    )
    INSERT INTO jobs (trigger_id, kind, next_run_time) SELECT id, 'expiry', expires_at FROM expired
    ON CONFLICT (trigger_id, kind) DO UPDATE SET next_run_time = excluded.next_run_time
"""

WINDOWS = """
    SELECT i.id, i.state, i.firing_count, i.firing_ids, array_remove(array_agg(f.id), NULL) AS firings
    FROM invocations i LEFT JOIN firings f ON f.invocation_id = i.id AND f.agent_id = i.agent_id
    WHERE i.agent_id = ANY(:agents) GROUP BY i.id
"""

COUNTED = """
    SELECT trigger_id, count(*) AS firings,
        coalesce(sum(slot_count) FILTER (WHERE scheduled_for IS NOT NULL), 0) AS slots
    FROM firings WHERE trigger_id = ANY(:ids) GROUP BY 1
"""

ENDS = """
    SELECT subject_id, substr(action, 9) AS verb, count(*) AS n FROM audit_events
    WHERE subject_id = ANY(:ids) AND action IN ('trigger.expired', 'trigger.finished', 'trigger.quarantined')
    GROUP BY 1, 2
"""


def step_of(config: dict[str, Any]) -> float:
    """Returns the seconds from one slot of an interval to the next."""
    return float(config.get("seconds") or config.get("minutes", 0) * 60)


@dataclass
class Expected:
    """The predicted state of a trigger."""

    id: UUID
    kind: str
    policy: str
    max_fires: int | None
    is_enabled: bool = True
    note: str | None = None
    fire_count: int = 0
    firings: int = 0
    """All firings; `fire_count` restarts when the trigger is resumed."""
    slots: int = 0
    """All slots in the ranges of the firings."""
    passed: int = 0
    """Slots that no pass has seen yet."""
    is_late: bool = False
    """Whether the newest of these is beyond the grace period of policy `skip`."""
    is_last: bool = False
    """Whether no slot follows these."""
    has_expired: bool = False
    fired_since_at: bool = False
    """A once trigger that has fired since its moment."""
    is_deleted: bool = False
    events: Counter[str] = field(default_factory=Counter)

    @property
    def has_job(self) -> bool:
        """Whether the kind owns a native job."""
        return self.kind != "webhook"

    @property
    def has_slots(self) -> bool:
        """Whether a slot makes a firing; a poll only checks."""
        return self.kind in {"cron", "interval", "once"}

    def refusal(self) -> str | None:
        """Returns why the trigger does not fire when a person asks."""
        if not self.is_enabled:
            return self.note
        return "expired" if self.has_expired else None

    def fire(self) -> None:
        """A person fires it."""
        self._record(1, 0)
        self._end_at_limit()

    def see_pass(self) -> None:
        """A scheduler makes a pass."""
        if not self.is_enabled:
            return
        if self.has_expired:
            self.end("expired", "expired")
        elif self.passed:
            self._meet_policy()

    def settle(self) -> None:
        """Settles the due slots before a change; the change itself decides whether the trigger ends."""
        if self.is_enabled and self.passed and self.has_slots:
            if self.has_expired:
                self.passed = 0
            else:
                self._fire_by_policy()

    def change(self) -> None:
        """Applies a change that does not affect when it fires."""
        if self.has_slots:
            self.settle()
        self.end_if_done()

    def move(self) -> None:
        """Moves it to another zone. An expired trigger is left to its expiry, unless its last slot was due."""
        if not self.has_expired:
            self.change()
        elif self.is_enabled and self.has_slots and self.is_last and self.passed:
            self.end("expired", "expired")
        else:
            self.settle()

    def end_if_done(self) -> None:
        """Ends it after a change if it has no slot left or is at its limit. What has expired is not finished."""
        if self.is_enabled and self.has_slots and self.is_last and not self.passed:
            why = "expired" if self.has_expired else "finished"
            self.end(why, why)
        else:
            self._end_at_limit()

    def limit(self, max_fires: int | None) -> None:
        """Changes its `max_fires`."""
        self.settle()
        self.max_fires = max_fires
        self.end_if_done()

    def resume_refusal(self) -> bool:
        """Whether it has nothing left to fire."""
        nothing_left = self.is_last and (self.kind != "once" or self.fired_since_at)
        return self.has_expired or self.max_fires == 0 or nothing_left

    def resume(self) -> None:
        """Resumes it without the slots that passed meanwhile, except that of a once trigger."""
        if not self.is_enabled:
            self.is_enabled, self.note, self.fire_count = True, None, 0
            self.passed = int(self.kind == "once" and self.is_last)
            self.is_late = self.is_late and self.kind == "once"

    def begin_anew(self) -> None:
        """Applies another config: all its slots are in the future."""
        self.passed, self.is_late, self.is_last, self.fired_since_at = 0, False, False, False

    def end(self, note: str, event: str | None = None) -> None:
        """Disables it; with `event`, by itself."""
        self.is_enabled, self.note, self.passed = False, note, 0
        if event is not None:
            self.events[event] += 1

    def _meet_policy(self) -> None:
        self._fire_by_policy()
        if self.is_last:
            self.end("finished", "finished")
        else:
            self._end_at_limit()

    def _fire_by_policy(self) -> None:
        fires = {"latest": 1, "all": self.passed, "skip": 0 if self.is_late else 1}[self.policy]
        if self.max_fires is not None:
            fires = min(fires, self.max_fires - self.fire_count)
        self._record(fires, self.passed if self.policy == "latest" else fires)
        self.passed = 0

    def _record(self, fires: int, slots: int) -> None:
        self.fire_count += fires
        self.firings += fires
        self.slots += slots
        self.fired_since_at = self.fired_since_at or (bool(fires) and self.is_last)

    def _end_at_limit(self) -> None:
        if self.is_enabled and self.max_fires is not None and self.fire_count >= self.max_fires:
            self.end("max_fires", "finished")
