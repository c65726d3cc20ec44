"""Audits wrong keys and failed sign-ins with their address, in few events however many attempts."""

from __future__ import annotations

from threading import Lock
from uuid import UUID

from flask import current_app, request

from api.services import services
from scheduler.storage.audit import Event, record_events

EXTENSION = "reveille_refusals"
LIMITS = "reveille_sign_in_limit"
WINDOW = 60.0
"""The seconds per event of one address; the next event has the number of attempts."""
PER_WINDOW = 20
"""The most events of all addresses together in that time."""
MAX_KNOWN = 10_000


class Refusals:
    """Counts attempts by action and address, in memory, per web process."""

    def __init__(self) -> None:
        self._tries: dict[tuple[str, str], tuple[float, int]] = {}
        self._events: list[float] = []
        self._lock = Lock()

    def count(self, action: str, address: str, now: float) -> int:
        """Counts an attempt; returns how many attempts to report now, 0 for none yet."""
        with self._lock:
            since, waiting = self._tries.get((action, address), (now - WINDOW, 0))
            self._events = [moment for moment in self._events if moment > now - WINDOW]
            if now - since < WINDOW or len(self._events) >= PER_WINDOW:
                if len(self._tries) < MAX_KNOWN or (action, address) in self._tries:
                    self._tries[action, address] = (since, waiting + 1)
                return 0
            if len(self._tries) >= MAX_KNOWN:
                self._tries.clear()
            self._tries[action, address] = (now, 0)
            self._events.append(now)
            return waiting + 1


def note_refusal(action: str, *, tenant_id: UUID | None = None, name: str = "") -> None:
    """Audits a wrong key or password, unless this address had an event a moment ago."""
    refusals: Refusals = current_app.extensions[EXTENSION]
    address = request.remote_addr or ""
    attempts = refusals.count(action, address, services().clock.monotonic())
    if attempts:
        about: dict[str, object] = {"address": address, "attempts": attempts} | (
            {"name": name[:200]} if name else {}
        )
        event = Event(action, tenant_id, None, None, f"address:{address}", about)
        with services().db.begin() as conn:
            record_events(conn, [event])


def limit_wrong_keys() -> None:
    """Counts a wrong key in the API or the web; raises LimitReached for an address with too many."""
    limits = current_app.extensions[LIMITS]
    limits.note_wrong_key(request.remote_addr or "", services().clock.monotonic())
