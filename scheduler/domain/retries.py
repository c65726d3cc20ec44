"""Decides when a failed attempt is retried."""

from __future__ import annotations

from datetime import timedelta

MAX_TRIES = 5
FIRST_DELAY = 5.0
GROWTH = 3
LONGEST_DELAY = 300.0
SPREAD = 0.2
"""Each delay varies by up to this share, so that jobs that failed together are not retried together."""
LONGEST_RETRY_AFTER = 3600.0
"""The longest wait in seconds that an agent's `Retry-After` can request."""
PUT_OFF_FOR = timedelta(hours=6)
"""How long after the first attempt 429 and 503 responses with Retry-After do not use up attempts."""


def retry_delay(failed_tries: int, retry_after: float | None, spread: float) -> float:
    """Returns the seconds until the next attempt, after `failed_tries` attempts (at least 1).

    `spread` is drawn from ±SPREAD. The delays are 5, 15, 45, 135 seconds and so on up to five minutes. A
    Retry-After from the agent (RFC 9110 §10.2.3) is the minimum, up to an hour.
    """
    delay: float = FIRST_DELAY * GROWTH ** (min(failed_tries, MAX_TRIES) - 1) * (1 + spread)
    return max(min(delay, LONGEST_DELAY), min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def is_last_try(counted_tries: int, since_first: timedelta, *, was_put_off: bool) -> bool:
    """Whether a failed attempt was the last one. A postponed attempt does not count at first."""
    if was_put_off and since_first < PUT_OFF_FOR:
        return False
    return counted_tries + 1 >= MAX_TRIES
