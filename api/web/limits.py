"""How often the wrong password may be tried: counted in memory, by each web process for itself."""

from __future__ import annotations

from collections import deque
from threading import Lock

from scheduler.domain.errors import LimitReached

WINDOW = 60.0
"""Seconds that a failure counts."""
PER_NAME = 10
PER_ADDRESS = 60
"""Many people may share an address: an office, or the router in front of us."""
MAX_KNOWN = 10_000


class SignInLimit:
    """Refuses further tries after too many failures; nobody is locked out for longer than WINDOW."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[float]] = {}
        self._lock = Lock()

    def check(self, name: str, address: str, now: float) -> None:
        """Raise LimitReached when `name` or `address` failed too often lately. `now` is monotonic, in seconds."""
        with self._lock:
            for key, most in _keys(name, address):
                failures = self._recent(key, now)
                if len(failures) >= most:
                    wait = failures[0] + WINDOW - now
                    raise LimitReached("Too many failed sign-ins. Wait a minute and try again.", retry_after=wait)

    def note_failure(self, name: str, address: str, now: float) -> None:
        """Count a failure."""
        with self._lock:
            if len(self._failures) >= MAX_KNOWN:
                self._failures = {key: times for key, times in self._failures.items() if times[-1] > now - WINDOW}
            for key, _ in _keys(name, address):
                self._failures.setdefault(key, deque(maxlen=PER_ADDRESS)).append(now)

    def _recent(self, key: str, now: float) -> deque[float]:
        failures = self._failures.get(key, deque())
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        if not failures:
            self._failures.pop(key, None)
        return failures


def _keys(name: str, address: str) -> list[tuple[str, int]]:
    by_address = (f"address:{address}", PER_ADDRESS)
    return [(f"name:{name[:200]}", PER_NAME), by_address] if name else [by_address]
