"""Previews when a trigger would fire, in local time, with the effects of clock changes. Stores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import UUID

from scheduler.domain.clock import Clock
from scheduler.domain.errors import InvalidField
from scheduler.domain.local_time import read_iso
from scheduler.domain.schedule import Note, Schedule, notes_of
from scheduler.triggers.base import CheckContext, TriggerConfig, faults_of, parse_config
from scheduler.triggers.registry import kind_of
from scheduler.triggers.zones import load_zone

DEFAULT_COUNT = 5
MAX_COUNT = 1000

_ANY_TIME = CheckContext(now=datetime.min.replace(tzinfo=UTC))
"""A preview is about the future, so a past time is not refused."""

_UNKNOWN_JITTER = "Each is delayed by less than {:g} s; the exact delay is known when the trigger is created."


@dataclass(frozen=True)
class Preview:
    """`fire_times`: ISO 8601, local, with offset. `notes`: `{at, kind, text}` each, with the kinds of NoteKind."""

    fire_times: list[str] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)


def preview(
    kind_name: str,
    config: Mapping[str, Any],
    *,
    zone: str | None,
    after: datetime,
    count: int,
    naive_ok: bool,
    anchor: datetime | None = None,
    seed: UUID | None = None,
) -> Preview:
    """Returns the next `count` (1 to MAX_COUNT) slots after `after` of a trigger of this kind and config.

    The config's own `timezone` overrides `zone`; without either it is UTC, and with `naive_ok` a naive `after`
    then gives naive times. Otherwise a naive `after` is local time. An interval is counted from `anchor`, else
    from `after`. Jitter is shown if `seed`, the trigger's id, is given. A kind without a schedule has no fire
    times. Raises InvalidField.
    """
    if not 1 <= count <= MAX_COUNT:
        raise InvalidField(f"count must be from 1 to {MAX_COUNT}.", field="count")
    parsed = parse_config(kind_of(kind_name), config, _ANY_TIME)
    with faults_of(parsed.kind):
        return _preview(parsed, zone, after, count, anchor, seed, naive_ok=naive_ok)


def _preview(
    parsed: TriggerConfig,
    zone: str | None,
    after: datetime,
    count: int,
    anchor: datetime | None,
    seed: UUID | None,
    *,
    naive_ok: bool,
) -> Preview:
    name = parsed.own_zone or zone
    local = UTC if name is None else load_zone(name)
    naive = naive_ok and name is None and after.tzinfo is None
    start = _instant(after, local)
    schedule = parsed.schedule(name or "UTC", anchor or start, seed)
    if schedule is None:
        return Preview()

    def show(moment: datetime) -> str:
        return (moment.replace(tzinfo=None) if naive else moment.astimezone(local)).isoformat()

    slots = _slots(schedule, start, count)
    notes = notes_of(schedule, start, count)
    jitter = getattr(parsed, "jitter_seconds", None)
    if jitter and seed is None and slots:
        notes.insert(0, Note(slots[0], "jittered", _UNKNOWN_JITTER.format(jitter)))
    return Preview(
        [show(slot) for slot in slots],
        [{"at": show(note.at), "kind": note.kind, "text": note.text} for note in notes],
    )


def preview_line(line: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Implements `reveille preview`: `{type, config, timezone?, after?, count?}` → `{fire_times, notes}`.

    `after` is ISO 8601, default now. Other fields are ignored. Raises InvalidField.
    """
    config = line.get("config")
    if not isinstance(config, Mapping):
        raise InvalidField("config must be an object.", field="config")
    count = line.get("count", DEFAULT_COUNT)
    if isinstance(count, bool) or not isinstance(count, int):
        raise InvalidField("count must be an integer.", field="count")
    found = preview(
        _text(line, "type") or "",
        config,
        zone=_text(line, "timezone"),
        after=_after(line, clock),
        count=count,
        naive_ok=True,
    )
    return {"fire_times": found.fire_times, "notes": found.notes}


def _slots(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
    slots: list[datetime] = []
    moment: datetime | None = start
    while moment is not None and len(slots) < count:
        try:
            moment = schedule.next_after(moment)
        except OverflowError:  # datetime ends with the year 9999
            moment = None
        if moment is not None:
            slots.append(moment)
    return slots


def _instant(after: datetime, local: tzinfo) -> datetime:
    try:
        return (after if after.tzinfo else after.replace(tzinfo=local)).astimezone(UTC)
    except OverflowError:
        raise InvalidField(
            f"after {after.isoformat()} is outside the supported calendar.", field="after"
        ) from None


def _after(line: Mapping[str, Any], clock: Clock) -> datetime:
    text = _text(line, "after")
    if text is None:
        return clock.now()
    try:
        return read_iso(text)
    except ValueError:
        example = "2030-01-31T09:00:00+01:00"
        raise InvalidField(
            f"after {text[:80]!r} is not an ISO 8601 date or time, such as {example}.", field="after"
        ) from None


def _text(line: Mapping[str, Any], name: str) -> str | None:
    value = line.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidField(f"{name} must be a string.", field=name)
    return value
