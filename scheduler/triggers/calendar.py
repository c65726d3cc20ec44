"""calendar: watches an ICS calendar; fires some minutes before each event, and optionally on changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.text import counted
from scheduler.triggers.base import CheckContext
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.looks import CheckResult, LookConfig
from scheduler.triggers.options import Option
from scheduler.triggers.poll_request import MAX_HEADER_CHARS, MAX_HEADERS
from scheduler.triggers.zones import load_zone

LEAST_MINUTES = 5
MAX_BYTES = 8 * 1024 * 1024
AHEAD = timedelta(days=1)
"""How far beyond the next refresh events are known, in case the calendar is unavailable then."""
KEPT = timedelta(days=2)
"""How long a fired event is remembered after its start."""
AGAIN_SECONDS = 300.0
MOST_CHANGES = 50


class CalendarUnreadable(ReveilleError):
    """The calendar could not be read."""

    status = 502
    problem = "calendar-unread"

    def __init__(self, message: str, retry_after: float = AGAIN_SECONDS) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CalendarConfig(LookConfig):
    """`{"url": "https://…/basic.ics", "before_minutes": 10}`."""

    kind: ClassVar = "calendar"
    label: ClassVar = "Calendar"
    summary: ClassVar = "Some minutes before each event of a calendar (ICS), or when its events change."
    for_agents: ClassVar = (
        '{"url": "https://…/basic.ics", "before_minutes"?: 10, "on_change"?: false, "refresh_min"?: 15}: '
        "before each event of a calendar starts; with on_change also when its events change"
    )
    icon: ClassVar = "M-5-5H5V5H-5ZM-3.2-1.5V3.2H3.2V-1.5Z"
    docs: ClassVar = "docs/triggers/calendar.md"
    secrets: ClassVar = ("headers",)
    can_try: ClassVar = True
    max_cursor_chars: ClassVar = 8 * 1024 * 1024
    main_fields: ClassVar = ("url", "before_minutes", "on_change", "refresh_min")
    options: ClassVar = (
        Option("--calendar", "url", "The URL of an ICS calendar.", metavar="URL"),
        Option(
            "--before", "before_minutes", "How long before.", "duration", "5m|1h", unit_seconds=60, implies=False
        ),
        Option("--on-change", "on_change", "Fire when the calendar changes, too.", "flag", implies=False),
    )
    data_headings: ClassVar = {
        "en": {"events": "Events:", "changes": "Changes of the calendar:", "calendar": "Calendar:"},
        "zh": {"events": "日程:", "changes": "日历更改:", "calendar": "日历:"},
    }

    url: str = Field(min_length=1, title="URL", description="The URL of the calendar (ICS).")
    headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=MAX_HEADERS,
        title="Headers",
        description="Sent with each request; stored encrypted.",
    )
    before_minutes: float = Field(
        default=10.0,
        ge=0,
        le=7 * 24 * 60,
        allow_inf_nan=False,
        title="Minutes before",
        description="How long before an event's start it fires; 0: at the start.",
    )
    on_change: bool = Field(
        default=False, title="Fire on changes", description="Also when events are added, changed or removed."
    )
    refresh_min: float = Field(
        default=15.0,
        ge=LEAST_MINUTES,
        le=24 * 60,
        allow_inf_nan=False,
        title="Refresh (minutes)",
        description=f"How often the calendar is requested; At least {LEAST_MINUTES}.",
    )
    timezone: str | None = Field(
        default=None,
        title="Time zone",
        description="For all-day events and times without a zone; empty: UTC.",
        json_schema_extra={"x-picker": "zone"},
    )

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                load_zone(value)
            except InvalidField as error:
                raise ValueError(error.message) from None
        return value

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for an interval below the minimum, and for a request that would be refused."""
        if self.refresh_min < context.min_poll_interval_min:
            raise InvalidField(
                f"refresh_min {self.refresh_min:g} is below this agent's minimum of "
                f"{counted(context.min_poll_interval_min, 'minute')}.",
                field="refresh_min",
            )
        if sum(len(name) + len(value) for name, value in self.headers.items()) > MAX_HEADER_CHARS:
            raise InvalidField(f"headers have more than {MAX_HEADER_CHARS} characters.", field="headers")
        context.check_request(self.url, self.headers)

    def look_with(self, cursor: Any, resources: CheckResources) -> CheckResult:
        """Fires for the events whose time has come; requests the calendar when the refresh is due."""
        now = resources.now()
        kept, note, changes = cursor, None, None
        if cursor is None or now - datetime.fromisoformat(cursor["read_at"]) >= self._refresh():
            try:
                kept, changes = self._refreshed(cursor, resources, now)
            except ReveilleError as error:
                if cursor is None or not self._due(cursor, now):
                    raise CalendarUnreadable(error.message, self._patience(cursor, now)) from None
                note = error.message
        due = self._due(kept, now)
        fired = {**kept["fired"], **{key: each["start"] for key, each in due.items()}}
        left = kept | {
            "fired": {key: at for key, at in fired.items() if datetime.fromisoformat(at) > now - KEPT},
            "ahead": {key: each for key, each in kept["ahead"].items() if key not in due},
        }
        data: dict[str, Any] = {}
        if due:
            data["events"] = sorted(due.values(), key=lambda each: each["start"])
        if changes:
            data["changes"] = changes
        if data and kept["name"]:
            data["calendar"] = kept["name"]
        return CheckResult(left, data or None, note, shown={"events": list(kept["ahead"].values())[:20]})

    def remembered(self, cursor: Any) -> Any:
        """Returns the events that it waits for."""
        return {"ahead": list(cursor["ahead"].values())[:20], "read_at": cursor["read_at"]}

    def _refresh(self) -> timedelta:
        return timedelta(minutes=self.refresh_min)

    def _before(self) -> timedelta:
        return timedelta(minutes=self.before_minutes)

    def _refreshed(
        self, cursor: Any, resources: CheckResources, now: datetime
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the refreshed cursor, and what has changed."""
        answer = resources.fetch(self.url, {"Accept": "text/calendar, */*;q=0.5", **self.headers}, MAX_BYTES)
        if not 200 <= answer.status < 300:
            more = "; redirects are not followed: give the final URL" if 300 <= answer.status < 400 else ""
            raise CalendarUnreadable(f"The server answered HTTP {answer.status}{more}.")
        told = resources.read(
            "calendar",
            answer.body,
            content_type=answer.headers.get("content-type"),
            start=now.isoformat(),
            end=(now + self._before() + self._refresh() + AHEAD).isoformat(),
            zone=self.timezone or "UTC",
            to_compare=self.on_change,
        )
        fired = {} if cursor is None else cursor["fired"]
        # A due event that has begun is no longer in the span, but nobody was woken for it yet.
        missed = {} if cursor is None else self._due(cursor, now)
        begun = {key: each for key, each in missed.items() if datetime.fromisoformat(each["start"]) < now}
        ahead = begun | {key: each for key, each in told["occurrences"].items() if key not in fired}
        left = {"read_at": now.isoformat(), "name": told["name"], "ahead": ahead, "fired": fired}
        if not self.on_change:
            return left, {}
        changes = {} if cursor is None else _changes(cursor["events"], told["events"], now)
        return left | {"events": told["events"]}, changes

    def _due(self, cursor: Mapping[str, Any], now: datetime) -> dict[str, dict[str, str]]:
        by = (now + self._before()).isoformat()
        return {key: each for key, each in cursor["ahead"].items() if each["start"] <= by}

    def _patience(self, cursor: Any, now: datetime) -> float:
        """Returns how long to wait after a failure: no longer than until the next event."""
        starts = (
            [] if cursor is None else [datetime.fromisoformat(each["start"]) for each in cursor["ahead"].values()]
        )
        waits = [(start - self._before() - now).total_seconds() for start in starts]
        return max(min([*waits, AGAIN_SECONDS]), 1.0)


def _changes(before: Mapping[str, Any], events: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Returns the events that were added, changed or removed; one that is over does not count as removed."""
    gone = [key for key in before.keys() - events.keys() if not before[key][2] or before[key][2] > now.isoformat()]
    both = events.keys() & before.keys()
    found = {
        "new": [events[key][1] for key in sorted(events.keys() - before.keys())],
        "changed": [events[key][1] for key in sorted(both) if events[key][0] != before[key][0]],
        "removed": [before[key][1] for key in sorted(gone)],
    }
    return {name: titles[:MOST_CHANGES] for name, titles in found.items() if titles}
