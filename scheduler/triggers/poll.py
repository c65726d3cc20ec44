"""poll: checks a URL every so many minutes; fires when the value at a JSON path changes or matches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from scheduler.domain.errors import InvalidField
from scheduler.domain.json_path import compile_stored
from scheduler.domain.json_values import json_equal, matches
from scheduler.domain.schedule import Schedule
from scheduler.domain.text import counted
from scheduler.triggers.base import CheckContext
from scheduler.triggers.interval import MAX_SECONDS, IntervalSchedule
from scheduler.triggers.options import Option
from scheduler.triggers.poll_reading import ReadingConfig

LEAST_MINUTES = 5
MAX_MATCH_CHARS = 10_000
UNREACHABLE = "unreachable"
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", UNREACHABLE)
"""The outcomes that `read: status` distinguishes."""


@dataclass(frozen=True, slots=True)
class SeenValue:
    """The value that a check found, which may be JSON's null, or nothing at the path, which is remembered too."""

    value: Any
    is_there: bool = True


NOTHING = SeenValue(None, is_there=False)


class PollConfig(ReadingConfig):
    """`{"url": "https://…", "json_path": "$.status", "fire_on": "match", "match_value": "done"}`.

    `url` and `headers` are also checked by `CheckContext.check_request`.
    """

    kind: ClassVar = "poll"
    label: ClassVar = "Poll"
    summary: ClassVar = "When a value in a web API or on a page changes, a feed has entries, or a site goes down."
    for_agents: ClassVar = (
        '{"url": "https://…", "json_path"?: "$.state", "fire_on"?: "change"|"match", "match_value"?: "done", '
        '"interval_min"?: 10}: when what is at an address changes, or becomes a value. "read"?: "json" | '
        '"html" (a page: "css"?: "#price" or "xpath"?; "ignore"?: [regular expressions]) | "text" ("regex"?) | '
        '"feed" (all new entries of RSS, Atom or JSON Feed; "max_entries"?: 20) | '
        '"status" (2xx becomes 5xx or unreachable; "for_looks"?: 2)'
    )
    icon: ClassVar = "M0-5.5 5.2 4.5H-5.2Z"
    docs: ClassVar = "docs/triggers/poll.md"
    secrets: ClassVar = ("headers",)
    can_try: ClassVar = True
    checked_by: ClassVar = "scheduler.intake.polls.queue:queue_due_polls"
    main_fields: ClassVar = ("url", "read", "json_path", "css", "interval_min", "fire_on", "match_value")
    options: ClassVar = (
        Option("--poll-url", "url", "The URL that is checked.", metavar="URL"),
        Option("--json-path", "json_path", "The path of the value in the response, such as $.state."),
        Option("--read", "read", "How the response is read.", metavar="json|text|html|feed|status", implies=False),
        Option("--css", "css", "With --read html: the part of the page, such as #price.", implies=False),
        Option("--regex", "regex", "With --read text: the part of the text.", implies=False),
        Option("--xpath", "xpath", "With --read html: the part of the page, as XPath.", implies=False),
        Option(
            "--every", "interval_min", "How often.", "duration", "20s|5m|2h|1d", unit_seconds=60, implies=False
        ),
    )
    data_headings: ClassVar = {
        "en": {
            "old": "Old value:",
            "new": "New value:",
            "diff": "Difference:",
            "entries": "New entries:",
            "more": "Further entries, not shown:",
            "feed": "Feed:",
        },
        "zh": {
            "old": "旧值:",
            "new": "新值:",
            "diff": "差异:",
            "entries": "新条目:",
            "more": "未显示的其余条目:",
            "feed": "订阅源:",
        },
    }

    interval_min: float = Field(
        default=LEAST_MINUTES,
        ge=LEAST_MINUTES,
        le=MAX_SECONDS / 60,
        allow_inf_nan=False,
        title="Polling interval (minutes)",
        description=f"At least {LEAST_MINUTES}.",
    )
    fire_on: Literal["change", "match"] = Field(default="change", title="Fire on")
    match_value: Any = Field(
        default=None, title="Value to match", description="With `match`: JSON, or plain text."
    )
    repeat: bool = Field(
        default=False,
        title="Repeat",
        description="With `match`: fire at every check that finds it equal, not only when it becomes equal.",
    )

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for an interval below the minimum, a request that would be refused, and
        contradictory fields.
        """
        if self.interval_min < context.min_poll_interval_min:
            raise InvalidField(
                f"interval_min {self.interval_min:g} is below this agent's minimum of "
                f"{counted(context.min_poll_interval_min, 'minute')}.",
                field="interval_min",
            )
        self.check_request(context)
        self.check_reading()
        self._check_condition()

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Returns an even grid of checks."""
        return IntervalSchedule(anchor, self.step())

    def step(self) -> timedelta:
        """Returns the time between two checks."""
        return timedelta(minutes=self.interval_min)

    def first_run(self, schedule: Schedule, now: datetime) -> datetime | None:
        """Returns `now`: changes count from now on."""
        return now

    def fingerprint(self) -> str:
        """Returns what a value depends on; when it changes, the next check is like the first."""
        parts = [self.url, self.method, self.body, self.json_path, self.fire_on, self.match_value]
        if self.read != "json":
            parts += [self.read, self.css, self.xpath, self.regex, self.ignore]
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def select(self, document: object) -> SeenValue:
        """Returns what is at the path: the value if it can select only one node, otherwise a list.

        Raises JsonPathTooCostly, after up to 1 s of processor time.
        """
        path = compile_stored(self.json_path)
        values = path.find(document)
        if not path.is_singular:
            return SeenValue(values)
        return SeenValue(values[0]) if values else NOTHING

    def selected_before(self, seen: SeenValue) -> SeenValue:
        """Returns `seen` as read by versions that returned a single-element list bare and had no empty list."""
        if compile_stored(self.json_path).is_singular or len(seen.value) > 1:
            return seen
        return SeenValue(seen.value[0]) if seen.value else NOTHING

    def fires(self, before: SeenValue | None, seen: SeenValue) -> bool:
        """Whether `seen` after `before` meets the condition; `before` None: the first check."""
        if self.fire_on == "change":
            return before is not None and not (
                before.is_there == seen.is_there and json_equal(before.value, seen.value)
            )
        return self._is_met(seen) and (self.repeat or before is None or not self._is_met(before))

    def _is_met(self, seen: SeenValue) -> bool:
        """Whether it is the expected value, or a list of only that."""
        if not seen.is_there:
            return False
        if matches(seen.value, self.match_value):
            return True
        if compile_stored(self.json_path).is_singular or not isinstance(seen.value, list):
            return False
        return len(seen.value) == 1 and matches(seen.value[0], self.match_value)

    def _check_condition(self) -> None:
        given = "match_value" in self.model_fields_set
        if self.fire_on == "match" and not given:
            raise InvalidField("fire_on match needs a match_value.", field="match_value")
        if self.fire_on == "match" and self.read == "feed":
            raise InvalidField("A feed fires on new entries; leave fire_on match out.", field="fire_on")
        if self.fire_on == "match" and self.read == "status" and self.match_value not in CLASSES:
            raise InvalidField(f"match_value of a status is one of {', '.join(CLASSES)}.", field="match_value")
        if self.fire_on == "change" and given:
            raise InvalidField(
                'match_value requires fire_on "match"; set that, or omit match_value.', field="match_value"
            )
        if self.fire_on == "change" and self.repeat:
            raise InvalidField('repeat requires fire_on "match"; a change is never repeated.', field="repeat")
        try:
            size = len(json.dumps(self.match_value, allow_nan=False))
        except (ValueError, TypeError, RecursionError):
            raise InvalidField("match_value is not JSON.", field="match_value") from None
        if size > MAX_MATCH_CHARS:
            raise InvalidField(
                f"match_value is {size} characters of JSON; {MAX_MATCH_CHARS} are allowed.", field="match_value"
            )
