"""Limits tries of wrong passwords and keys: counted in memory, by each web process for itself.

Passwords are counted by name and address together, so that nobody can lock somebody else out. A try counts before its
password is hashed, and no longer once it was right: those that are under way together cannot pass the limit.
"""

from __future__ import annotations

from collections import Counter, deque
from threading import Lock

from scheduler.domain.errors import LimitReached

WINDOW = 60.0
"""Seconds that a failure counts."""
PER_PAIR = 10
"""Wrong passwords for a name from an address."""
WRONG_KEYS = 60
"""From an address; the right key is never refused, for no number of tries finds one."""
WAITING = 64
"""Passwords that wait to be hashed: some three seconds of work."""
WAITING_FROM = 16
"""Of them from one address."""
MAX_KNOWN = 10_000
BUSY_SECONDS = 3.0

Pair = tuple[str, str]


class SignInLimit:
    """Refuses further tries after too many failures; nobody is kept out for longer than WINDOW."""

    def __init__(self) -> None:
        self._failures: dict[Pair, deque[float]] = {}
        self._waiting: Counter[str] = Counter()
        self._lock = Lock()

    def reserve(self, name: str, address: str, now: float) -> None:
        """Begin to try a password, which `settle` must end; raises LimitReached. `now` is monotonic, in seconds."""
        with self._lock:
            self._check((address, f"name:{name[:200]}"), PER_PAIR, now)
            if self._waiting.total() >= WAITING or self._waiting[address] >= WAITING_FROM:
                raise LimitReached(
                    "Too many sign-ins at once. Wait a few seconds and try again.", retry_after=BUSY_SECONDS
                )
            self._waiting[address] += 1
            self._note((address, f"name:{name[:200]}"), PER_PAIR, now)

    def settle(self, name: str, address: str, *, wrong: bool) -> None:
        """End the try that was reserved last; it counts no more unless the password was `wrong`."""
        pair = (address, f"name:{name[:200]}")
        with self._lock:
            self._waiting[address] -= 1
            self._waiting += Counter()  # drops what is zero
            failures = self._failures.get(pair)
            if not wrong and failures:
                failures.pop()
                if not failures:
                    del self._failures[pair]

    def note_wrong_key(self, address: str, now: float) -> None:
        """Count a wrong key; raises LimitReached when there were too many."""
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
