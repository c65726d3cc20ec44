"""One POST to a target, through the guarded client."""

from __future__ import annotations

from http import HTTPStatus

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError
from scheduler.net.client import GuardedClient
from scheduler.net.retry_after import is_put_off, parse_retry_after
from scheduler.notifications.targets.base import NotSent, Outgoing, Target

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 65_536
TEMPORARY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""The 4xx that say "later"."""


async def send(client: GuardedClient, clock: Clock, url: str, target: Target, note: Outgoing) -> NotSent | None:
    """Send once; None when it arrived. No error holds the URL, nor what the receiver said: both may be secret."""
    call = target.call(note, clock.now())
    try:
        answer = await client.request(
            "POST",
            url,
            headers=call.headers,
            content=call.body,
            timeout=TIMEOUT_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
            truncate=True,
            lenient=True,
        )
    except ReveilleError as error:
        return NotSent(error.message, permanent=error.permanent)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return target.refusal(answer)
    is_temporary = answer.status in TEMPORARY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    later = parse_retry_after(answer.headers.get("retry-after"), clock.now()) if is_temporary else None
    was_put_off = is_put_off(answer.status, later)
    return NotSent(f"The target answered HTTP {answer.status}.", not is_temporary, later, was_put_off)
