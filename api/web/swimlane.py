"""The geometry of the home page's picture: a lane for each agent on one time axis, positions in per cent.

Pure: converts the rows of a Timeline to what the template draws. The past takes three quarters, the future the
rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from api.web.filters import clock, span
from scheduler.domain.model import HeldReason
from scheduler.domain.text import counted
from scheduler.storage.read_models.timeline import (
    Timeline,
    TimelineAgent,
    TimelineFiring,
    TimelineInvocation,
    UpcomingFire,
)
from scheduler.triggers.registry import CLOCKED

NOW_AT = 75.0
"""The position of the current time, in per cent of the width."""
MERGE = 1.0
"""Marks of one kind closer than this, in per cent, are merged into one with a count."""
MAX_LANES = 24
TICKS = 8
NICE_STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
"""The possible seconds between the ticks of the time axis."""
LEAST_WIDTH = 0.35
"""In per cent, so that an invocation of a few milliseconds is visible and clickable."""


@dataclass(slots=True)
class Mark:
    """One or several firings of one kind: past ones link to their invocation, upcoming ones to their trigger."""

    x: float
    kind: str
    label: str
    href: str
    count: int = 1
    is_ahead: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A window or an invocation, from `x` over `width`."""

    x: float
    width: float
    css: str
    label: str
    href: str


@dataclass(slots=True)
class Lane:
    """The activity of one agent."""

    agent: TimelineAgent
    marks: list[Mark] = field(default_factory=list)
    windows: list[Bar] = field(default_factory=list)
    runs: list[Bar] = field(default_factory=list)
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across all lanes with its time of day."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Converts times to per cent: `span` before `now` is 0, `now` is NOW_AT."""

    now: datetime
    span: timedelta
    zone: str

    @property
    def until(self) -> datetime:
        """The time at the right edge."""
        return self.now + self.span * ((100 - NOW_AT) / NOW_AT)

    def at(self, moment: datetime) -> float:
        """Returns the position of `moment`, within 0 to 100."""
        share = (moment - self.now) / self.span
        return round(min(max(NOW_AT * (1 + share), 0.0), 100.0), 2)

    def width(self, start: datetime, end: datetime) -> float:
        """Returns the width from `start` to `end`."""
        return max(round(self.at(end) - self.at(start), 2), LEAST_WIDTH)

    def ticks(self) -> list[Tick]:
        """Returns about TICKS round times."""
        total = (self.until - self.now + self.span).total_seconds()
        step = next((step for step in NICE_STEPS if total / step <= TICKS), NICE_STEPS[-1])
        first = (self.now - self.span).timestamp() // step * step + step
        count = int((self.until.timestamp() - first) // step) + 1
        moments = [datetime.fromtimestamp(first + step * index, self.now.tzinfo) for index in range(count)]
        return [Tick(self.at(moment), clock(moment, self.zone)[: 5 if step >= 60 else 8]) for moment in moments]


def lanes_of(timeline: Timeline, scale: Scale) -> list[Lane]:
    """Returns all lanes by the names of their agents, so that the order is stable."""
    lanes = {agent.id: Lane(agent) for agent in timeline.agents}
    woken_by = causes(timeline.firings)
    for run in timeline.invocations:
        if run.agent_id in lanes:
            _draw_invocation(lanes[run.agent_id], run, scale, woken_by.get(run.id, ""))
    for firing in reversed(timeline.firings):
        if firing.agent_id in lanes:
            _draw_firing(lanes[firing.agent_id], firing, scale)
    for fire in timeline.upcoming:
        if fire.agent_id in lanes and fire.next_run_time <= scale.until:
            _draw_upcoming(lanes[fire.agent_id], fire, scale)
    return sorted(lanes.values(), key=lambda lane: (lane.agent.name.casefold(), lane.agent.id))


@dataclass(frozen=True, slots=True)
class LanePage:
    """A page of lanes; `page` counts from 1."""

    lanes: list[Lane]
    page: int
    pages: int
    first: int
    total: int
    busy_elsewhere: int
    """The lanes of other pages with activity."""


def page_of(lanes: list[Lane], page: int) -> LanePage:
    """Returns the lanes of a page, or of the last one when there are fewer."""
    pages = max(ceil(len(lanes) / MAX_LANES), 1)
    page = min(max(page, 1), pages)
    start = (page - 1) * MAX_LANES
    shown = lanes[start : start + MAX_LANES]
    others = [*lanes[:start], *lanes[start + MAX_LANES :]]
    return LanePage(shown, page, pages, start + 1, len(lanes), sum(lane.last is not None for lane in others))


def causes(firings: Iterable[TimelineFiring]) -> dict[UUID, str]:
    """Describes what woke each invocation, as `doorbell (webhook) ×3, tick (interval)`."""
    counts: dict[UUID, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in firings:
        counts[row.invocation_id][row.trigger_name, row.trigger_type] += 1
    return {id_: ", ".join(_named(*each) for each in counter.most_common(6)) for id_, counter in counts.items()}


def percentile(values: Sequence[float], share: float) -> float | None:
    """Returns the nearest-rank percentile; None without values."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else None


def _named(trigger: tuple[str, str], count: int) -> str:
    name, kind = trigger
    return f"{name} ({kind})" + (f" ×{count}" if count > 1 else "")


def _draw_firing(lane: Lane, row: TimelineFiring, scale: Scale) -> None:
    lane.last = max(lane.last or row.fired_at, row.fired_at)
    x = scale.at(row.fired_at)
    before = lane.marks[-1] if lane.marks else None
    if before is not None and before.kind == row.trigger_type and x - before.x < MERGE:
        before.count += 1
        before.label = f"{before.count} firings ({row.trigger_type}) until {clock(row.fired_at, scale.zone)}"
        return
    missed = f", for {row.slot_count} slots" if row.slot_count > 1 else ""
    label = (
        f"{row.trigger_name} ({row.trigger_type}) fired at {clock(row.fired_at, scale.zone)}{missed}: {row.state}"
    )
    lane.marks.append(Mark(x, row.trigger_type, label, f"/invocations/{row.invocation_id}"))


def _draw_upcoming(lane: Lane, row: UpcomingFire, scale: Scale) -> None:
    at = clock(row.next_run_time, scale.zone)
    word = "fires" if row.type in CLOCKED else "looks"
    label = f"{row.name} ({row.type}) {word} next at {at}"
    lane.marks.append(Mark(scale.at(row.next_run_time), row.type, label, f"/triggers/{row.id}", is_ahead=True))


def _draw_invocation(lane: Lane, row: TimelineInvocation, scale: Scale, cause: str) -> None:
    href = f"/invocations/{row.id}"
    woken = f"woken by {cause}" if cause else f"with {counted(row.firing_count, 'firing')}"
    ready = row.ready_at or (row.finished_at if row.started_at is None else None)
    closes = ready or row.due_at or scale.until
    if closes > scale.now - scale.span:
        state = _window_state(row, scale) if row.ready_at is None else "closed"
        label = f"Window from {clock(row.opened_at, scale.zone)}, {woken}: {state}"
        css = " ".join(["window", *_held(row)])
        lane.windows.append(Bar(scale.at(row.opened_at), scale.width(row.opened_at, closes), css, label, href))
    if row.started_at is None or (row.finished_at or scale.now) < scale.now - scale.span:
        return
    end = row.finished_at or scale.now
    took = span((end - row.started_at).total_seconds())
    label = f"Invocation of {clock(row.started_at, scale.zone)}, {woken}: {row.state}, {took}"
    lane.runs.append(
        Bar(scale.at(row.started_at), scale.width(row.started_at, end), f"run {row.state}", label, href)
    )
    lane.last = max(lane.last or end, end)


def _held(row: TimelineInvocation) -> list[str]:
    """Returns how a held window's bar looks; one that only waits for the previous run is not a problem."""
    if row.held_reason in (None, HeldReason.BUSY):
        return []
    return ["paused" if row.held_reason == HeldReason.PAUSED else "held"]


def _window_state(row: TimelineInvocation, scale: Scale) -> str:
    if row.held_reason:
        return f"held, {row.held_reason}"
    if row.state != "collecting":
        return str(row.state)
    return f"closes at {clock(row.due_at, scale.zone)}" if row.due_at else "open"
