"""Limits wrong passwords and keys, counted in memory per web process.

Passwords are counted by name and address together, so that nobody can lock out another person. An attempt is
counted before its password is hashed and uncounted if it was right, so that concurrent attempts cannot exceed the
limit.
"""

from __future__ import annotations

from collections import Counter, deque
from threading import Lock

from scheduler.domain.errors import LimitReached

WINDOW = 60.0
"""How many seconds a failure counts."""
PER_PAIR = 10
"""The wrong passwords for a name from an address."""
WRONG_KEYS = 60
"""The wrong keys from an address. The right key is never refused, as keys cannot be guessed by trying."""
WAITING = 64
"""The passwords that may wait to be hashed: some three seconds of work."""
WAITING_FROM = 16
"""Those of one address."""
MAX_KNOWN = 10_000
BUSY_SECONDS = 3.0

Pair = tuple[str, str]


class SignInLimit:
    """Refuses further attempts after too many failures, for at most WINDOW."""

    def __init__(self) -> None:
        self._failures: dict[Pair, deque[float]] = {}
        self._waiting: Counter[str] = Counter()
        self._lock = Lock()

    def reserve(self, name: str, address: str, now: float) -> None:
        """Starts an attempt, which `settle` must end; raises LimitReached. `now` is monotonic, in seconds."""
        with self._lock:
            self._check((address, f"name:{name[:200]}"), PER_PAIR, now)
            if self._waiting.total() >= WAITING or self._waiting[address] >= WAITING_FROM:
                raise LimitReached(
                    "Too many sign-ins at once. Wait a few seconds and try again.", retry_after=BUSY_SECONDS
                )
            self._waiting[address] += 1
            self._note((address, f"name:{name[:200]}"), PER_PAIR, now)

    def settle(self, name: str, address: str, *, wrong: bool) -> None:
        """Ends the last reserved attempt; it no longer counts unless the password was `wrong`."""
        pair = (address, f"name:{name[:200]}")
        with self._lock:
            self._waiting[address] -= 1
            self._waiting += Counter()  # drops entries at zero
            failures = self._failures.get(pair)
            if not wrong and failures:
                failures.pop()
                if not failures:
                    del self._failures[pair]

    def note_wrong_key(self, address: str, now: float) -> None:
        """Counts a wrong key; raises LimitReached when there were too many."""
        with self._lock:
            self._check((address, "key"), WRONG_KEYS, now, "wrong keys")
            self._note((address, "key"), WRONG_KEYS, now)

    def _check(self, pair: Pair, most: int, now: float, what: str = "failed sign-ins") -> None:
        failures = self._failures.get(pair, deque())
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        if len(failures) >= most:
            wait = failures[0] + WINDOW - now
            raise LimitReached(f"Too many {what}. Wait a minute and try again.", retry_after=wait)

    def _note(self, pair: Pair, most: int, now: float) -> None:
        if len(self._failures) >= MAX_KNOWN:
            self._failures = {
                key: times for key, times in self._failures.items() if times and times[-1] > now - WINDOW
            }
        self._failures.setdefault(pair, deque(maxlen=most)).append(now)
