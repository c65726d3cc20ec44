"""The home page: health, recent wakes, upcoming fires. Live, with one picture shared by all viewers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import cast
from uuid import UUID

from flask import Flask, Response, current_app, request

from api.addresses import base_url
from api.auth import Level, caller, needs
from api.services import Services
from api.web.base import page_blueprint, render
from api.web.session import session_token
from api.web.streams import Streams, Viewer, hand_over
from api.web.swimlane import NOW_AT, Scale, causes, lanes_of, page_of, percentile
from api.web.zones import shown_zone
from scheduler.storage.read_models.timeline import Timeline, read_timeline
from scheduler.storage.web_sessions import live_sessions

SPANS = {
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
}
DEFAULT_SPAN = "15m"
FRESH_SECONDS = 1.0
"""How long a picture is reused, however many look and however much happens."""
PAGE_DIGITS = 4
SHOWN_WAKES = 12
SHOWN_UPCOMING = 12
PICTURES = "reveille_pictures"
STREAMS = "reveille_streams"

now = page_blueprint("now")


@dataclass(frozen=True, slots=True)
class View:
    """The selection that a picture shows; all who look at the same share it."""

    tenant_id: UUID
    span: str
    zone: str
    page: int = 1
    """Of the lanes."""


class Pictures:
    """The picture of each view as HTML, redrawn when it is older than FRESH_SECONDS."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app = app
        self._services = services
        self._lock = Lock()
        self._kept: dict[View, tuple[float, str]] = {}

    def get(self, view: View) -> str:
        """Returns the picture, at most FRESH_SECONDS old. Raises DatabaseUnavailable."""
        with self._lock:
            at = self._services.clock.monotonic()
            kept = self._kept.get(view)
            if kept is not None and at - kept[0] < FRESH_SECONDS:
                return kept[1]
            self._kept = {each: was for each, was in self._kept.items() if at - was[0] < 60}
            with self._services.db.begin() as conn:
                timeline = read_timeline(conn, view.tenant_id, SPANS[view.span])
            picture = self._draw(timeline, view)
            self._kept[view] = (at, picture)
            return picture

    def _draw(self, timeline: Timeline, view: View) -> str:
        scale = Scale(timeline.now, SPANS[view.span], view.zone)
        woken_by = causes(timeline.firings)
        names = {agent.id: agent.name for agent in timeline.agents}
        started = [(row.started_at, row.id, row) for row in timeline.invocations if row.started_at is not None]
        wakes = [row for _, _, row in sorted(started, reverse=True)[:SHOWN_WAKES]]
        return self._app.jinja_env.get_template("now_live.html").render(
            scale=scale,
            zone=view.zone,
            now_at=NOW_AT,
            shown=page_of(lanes_of(timeline, scale), view.page),
            span=view.span,
            ticks=scale.ticks(),
            health=health_of(timeline),
            wakes=[(row, names.get(row.agent_id, "?"), woken_by.get(row.id, "")) for row in wakes],
            upcoming=[(row, names.get(row.agent_id, "?")) for row in timeline.upcoming[:SHOWN_UPCOMING]],
            now=timeline.now,
            has_agents=bool(timeline.agents),
            has_firings=bool(timeline.firings or timeline.upcoming),
        )


@dataclass(frozen=True, slots=True)
class Vital:
    """One figure of the health strip."""

    name: str
    seconds: float | None = None
    count: int | None = None
    tone: str = "good"
    hint: str = ""


def health_of(timeline: Timeline) -> list[Vital]:
    """Returns the health strip, in which problems stand out by tone and words."""
    pass_age, worker_age = timeline.signs.last_pass_age, timeline.signs.worker_heartbeat_age
    late = [
        (row.fired_at - slot).total_seconds()
        for row in timeline.firings
        if row.scheduled_for is not None and (slot := row.due_at or row.scheduled_for)
    ]
    lateness = percentile(late, 0.99)
    waiting = [row.due_at or row.ready_at for row in timeline.invocations if _waits(row, timeline)]
    queue = max(((timeline.now - since).total_seconds() for since in waiting if since), default=0.0)
    dead = sum(row.state == "dead" for row in timeline.invocations)
    return [
        Vital(
            "Last pass",
            pass_age,
            tone=_tone(pass_age, 10, 30),
            hint="since a scheduler's last check",
        ),
        Vital("Worker", worker_age, tone=_tone(worker_age, 30, 60), hint="since a worker's last heartbeat"),
        Vital(
            "Lateness p99", lateness, tone=_tone(lateness or 0, 1, 10), hint="between scheduled time and firing"
        ),
        Vital("Queue age", queue, tone=_tone(queue, 5, 60), hint="how long the oldest due wake has been waiting"),
        Vital(
            "Failures",
            count=dead,
            tone="bad" if dead else "good",
            hint="failed invocations in this time range",
        ),
        Vital(
            "Drift",
            count=timeline.repaired,
            tone="warn" if timeline.repaired else "good",
            hint="triggers whose job was repaired in the last day",
        ),
    ]


def install(app: Flask, services: Services) -> None:
    """Installs the pictures and the streams of the page in `app`."""
    pictures = Pictures(app, services)
    app.extensions[PICTURES] = pictures

    def signed_in(sessions: set[str]) -> set[str]:
        with services.db.begin() as conn:
            return live_sessions(conn, sessions)

    app.extensions[STREAMS] = Streams(services.live, pictures.get, signed_in, services.clock)


@now.get("/")
@needs(Level.READ)
def show_now() -> Response:
    """Shows the page. Without JavaScript it is a snapshot."""
    view = _view()
    return render(
        "now.html",
        picture=_pictures().get(view),
        span=view.span,
        page=view.page,
        spans=list(SPANS),
        first_steps=first_steps(),
    )


@now.get("/now/picture")
@needs(Level.READ)
def show_picture() -> Response:
    """Returns the picture alone, for pages that cannot use a stream."""
    return Response(_pictures().get(_view()), content_type="text/html; charset=utf-8")


@now.get("/now/stream")
@needs(Level.READ)
def stream() -> Response:
    """Sends server-sent events (WHATWG HTML section 9.2): a new picture when something changed, and every few
    seconds.
    """
    streams = cast("Streams[View]", current_app.extensions[STREAMS])
    return hand_over(streams, _view(), Viewer(caller().key_id, session_token()), request.environ)


def first_steps() -> dict[str, str]:
    """Returns what the three steps to the first wake need: the address of this service."""
    return {"url": base_url()}


def _view() -> View:
    span = request.args.get("span", DEFAULT_SPAN)
    page = request.args.get("page", "")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < PAGE_DIGITS else 1
    return View(caller().tenant_id, span if span in SPANS else DEFAULT_SPAN, shown_zone(), max(number, 1))


def _pictures() -> Pictures:
    return cast("Pictures", current_app.extensions[PICTURES])


def _waits(row: object, timeline: Timeline) -> bool:
    state, due_at = getattr(row, "state", ""), getattr(row, "due_at", None)
    return state == "ready" or (
        state in ("collecting", "retrying") and due_at is not None and due_at < timeline.now
    )


def _tone(value: float | None, warn: float, bad: float) -> str:
    if value is None or value >= bad:
        return "bad"
    return "warn" if value >= warn else "good"
