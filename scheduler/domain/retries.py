"""When a failed try is repeated."""

from __future__ import annotations

MAX_TRIES = 5
FIRST_DELAY = 5.0
GROWTH = 3
LONGEST_DELAY = 300.0
SPREAD = 0.2
"""Each delay is shortened or lengthened by up to this share, so that what failed together does not return so."""
LONGEST_RETRY_AFTER = 3600.0
"""The longest wait, in seconds, that an agent's `Retry-After` can ask for."""


def retry_delay(failed_tries: int, retry_after: float | None, spread: float) -> float:
    """Seconds until the next try, after so many failed ones (at least 1); `spread` is drawn from ±SPREAD.

    5, 15, 45, 135 seconds and so on up to five minutes. What the agent itself asked for (Retry-After,
    RFC 9110 §10.2.3) goes before that, within one second and an hour.
    """
    if retry_after is not None:
        return min(max(retry_after, 1.0), LONGEST_RETRY_AFTER)
    delay: float = FIRST_DELAY * GROWTH ** (failed_tries - 1) * (1 + spread)
    return min(delay, LONGEST_DELAY)
