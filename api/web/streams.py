"""Serves live pages without a thread each: one thread owns all their sockets and sends what was drawn once.

The server occupies a thread for each request, and a stream never ends: 32 live pages would block a web process. So
a stream's socket is taken over from the server. If it has no such socket (another server, or TLS), the stream
keeps its thread.
"""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from flask import Response
from loguru import logger

from api.live import Live
from api.server.responses import SocketTaken, take_socket
from scheduler.domain.clock import Clock
from scheduler.domain.errors import LimitReached

MAX_STREAMS = 2000
PER_VIEWER = 50
"""The live pages of one key or user, so that nobody uses up everybody's places."""
CHECK_SECONDS = 0.4
"""The interval between checks whether viewers are still signed in: others see nothing more within a second."""
LOOK_SECONDS = 0.25
"""How often sockets that were slow are tried again."""
LEAST_SECONDS = 1.0
"""The minimum time between two pictures of a view while much happens."""
IDLE_SECONDS = 10.0
"""The maximum time between pictures, so that times stay current and closed pages are noticed."""
PAUSE_SECONDS = 2.0
"""The pause after a picture that could not be drawn, as in a database outage."""
STALLED_SECONDS = 30.0
"""A client that accepts nothing for this long is disconnected."""
LIFE_SECONDS = 600.0
"""A stream then ends, and the browser reconnects."""
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",
}
HEAD = "".join(
    [
        "HTTP/1.1 200 OK\r\n",
        *(f"{name}: {value}\r\n" for name, value in HEADERS.items()),
        "Connection: close\r\n\r\n",
    ]
).encode()
RETRY = b"retry: 3000\n\n"


class HasTenant(Protocol):
    """The selection that a picture shows; hashable."""

    @property
    def tenant_id(self) -> UUID:
        """The tenant whose changes require a new picture."""
        ...


ViewT = TypeVar("ViewT", bound=HasTenant)


def event_of(text: str) -> bytes:
    """Formats `text` as a server-sent event."""
    return b"".join(b"data: " + line.encode() + b"\n" for line in text.splitlines()) + b"\n"


@dataclass(frozen=True, slots=True)
class Viewer:
    """The viewer: a key or a user, by a session."""

    id: UUID
    session: str
    """The session's token."""


class _Stream(Generic[ViewT]):
    """A browser that views a picture, and what it has not read yet."""

    def __init__(self, sock: socket.socket, view: ViewT, viewer: Viewer, now: float) -> None:
        self.sock = sock
        self.viewer = viewer
        self.view = view
        self.pending = memoryview(HEAD + RETRY)
        self.began_at = self.moved_at = now

    def offer(self, event: bytes, now: float) -> bool:
        """Sends a picture, unless the previous one is unread: only the newest counts. False: the browser is gone."""
        if not self.pending:
            self.pending = memoryview(event)
            self.moved_at = now
        return self.flush(now) and now - self.began_at < LIFE_SECONDS

    def flush(self, now: float) -> bool:
        """Sends pending data as far as the socket accepts it."""
        try:
            while self.pending:
                sent = self.sock.send(self.pending)
                self.pending, self.moved_at = self.pending[sent:], now
        except BlockingIOError:
            return now - self.moved_at < STALLED_SECONDS
        except OSError:
            return False
        return True


class Streams(Generic[ViewT]):
    """All live pages of this process. Its thread and subscription exist while there are any."""

    def __init__(
        self, live: Live, draw: Callable[[ViewT], str], signed_in: Callable[[set[str]], set[str]], clock: Clock
    ) -> None:
        """`draw` returns the picture of a view; `signed_in` those of some sessions that have not ended."""
        self._live = live
        self._draw = draw
        self._signed_in = signed_in
        self._checked_at = 0.0
        self._clock = clock
        self._lock = Lock()
        self._streams: list[_Stream[ViewT]] = []
        self._drawn_at: dict[ViewT, float] = {}
        self._thread: Thread | None = None

    def add(self, sock: socket.socket, view: ViewT, viewer: Viewer) -> None:
        """Takes over `sock`."""
        sock.setblocking(False)
        with self._lock:
            self._streams.append(_Stream(sock, view, viewer, self._clock.monotonic()))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="streams", daemon=True)
                self._thread.start()

    def check(self, viewer: Viewer) -> None:
        """Raises LimitReached when this viewer has too many live pages, or all places are taken."""
        with self._lock:
            own = sum(stream.viewer.id == viewer.id for stream in self._streams)
            if own >= PER_VIEWER or len(self._streams) >= MAX_STREAMS:
                raise LimitReached("Too many live pages. This one refreshes every few seconds instead.")

    def follow(self, view: ViewT, viewer: Viewer) -> Iterator[bytes]:
        """Yields the events of a view, for a server that keeps a thread for it."""
        yield RETRY
        drawn_at = 0.0
        with self._live.subscribe(view.tenant_id) as subscription:
            while not subscription.is_closed:
                changes = subscription.get(CHECK_SECONDS)
                if not self._signed_in({viewer.session}):
                    return
                now = self._clock.monotonic()
                if changes or now - drawn_at >= IDLE_SECONDS:
                    drawn_at = now
                    yield event_of(self._draw(view))

    def _run(self) -> None:
        with self._live.subscribe(None) as subscription:
            changed: set[UUID | None] = set()
            while self._is_wanted():
                changed |= {change.tenant_id for change in subscription.get(LOOK_SECONDS)}
                try:
                    changed = self._send(changed)
                except Exception as error:  # noqa: BLE001  # whatever it is, the other pages must go on
                    logger.warning("Live pages pause for {:g} s: {!r}", PAUSE_SECONDS, error)
                    time.sleep(PAUSE_SECONDS)

    def _is_wanted(self) -> bool:
        with self._lock:
            if self._streams:
                return True
            self._thread = None
            self._drawn_at.clear()
            return False

    def _send(self, changed: set[UUID | None]) -> set[UUID | None]:
        """Sends each view that is due; returns the tenants whose changes have to wait a moment."""
        now = self._clock.monotonic()
        if changed or now - self._checked_at >= CHECK_SECONDS:
            self._drop_signed_out(now)
        by_view: dict[ViewT, list[_Stream[ViewT]]] = defaultdict(list)
        with self._lock:
            for stream in self._streams:
                by_view[stream.view].append(stream)
        waiting: set[UUID | None] = set()
        for view, streams in by_view.items():
            age = now - self._drawn_at.setdefault(view, now)
            tenant_id = view.tenant_id
            news = tenant_id in changed or None in changed
            if age >= (LEAST_SECONDS if news else IDLE_SECONDS):
                event = event_of(self._draw(view))
                self._drawn_at[view] = now
                self._drop([stream for stream in streams if not stream.offer(event, now)])
            else:
                waiting |= {tenant_id} if news else set()
                self._drop([stream for stream in streams if not stream.flush(now)])
        return waiting

    def _drop_signed_out(self, now: float) -> None:
        """Disconnects viewers who are signed out, always before something new is shown."""
        with self._lock:
            streams = list(self._streams)
        signed_in = self._signed_in({stream.viewer.session for stream in streams})
        self._checked_at = now
        self._drop([stream for stream in streams if stream.viewer.session not in signed_in])

    def _drop(self, gone: list[_Stream[ViewT]]) -> None:
        """Closes and forgets the stream."""
        if not gone:
            return
        with self._lock:
            self._streams = [stream for stream in self._streams if stream not in gone]
        for stream in gone:
            stream.sock.close()


def hand_over(streams: Streams[ViewT], view: ViewT, viewer: Viewer, environ: dict[str, Any]) -> Response:
    """Responds with a stream of `view`, by taking over the server's socket if possible."""
    streams.check(viewer)
    taken = take_socket(environ)
    if taken is None:
        return Response(streams.follow(view, viewer), headers=HEADERS)
    streams.add(taken, view, viewer)
    return SocketTaken()
