"""A look that leaves nothing behind: for whoever writes a poll and wants to see what it would see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from scheduler.domain.clock import Clock
from scheduler.intake.polls.data import shown
from scheduler.intake.polls.look import Found, Looker, LookFailed
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.triggers.poll import PollConfig, Seen


@dataclass(frozen=True, slots=True)
class Trial:
    """What a look would come to. `value` is cut as in a firing, and then `value_cut`."""

    status: Literal["found", "nothing_there", "failed"]
    value: Any = None
    value_cut: bool = False
    would_fire: bool = False
    error: str | None = None
    """Why it failed, that nothing is at the path, or what else there is to say."""
    seen: Seen | None = None
    """What was seen, whole; None when the look failed."""


async def try_poll(
    config: PollConfig, before: Seen | None = None, *, allow_private: AllowedPrivate, clock: Clock
) -> Trial:
    """Look once, unconditionally; `before` is what was seen last, None as for a new poll. Takes up to 11 s."""
    with ThreadPoolExecutor(1) as threads:
        async with GuardedClient(allow_private=allow_private) as client:
            look = await Looker(client, clock, threads).look(config)
    match look:
        case Found(seen, note=note):
            told = shown(seen.value)
            status: Literal["found", "nothing_there"] = "found" if seen.is_there else "nothing_there"
            return Trial(status, told.value, told.is_cut, config.fires(before, seen), note, seen)
        case LookFailed(note):
            return Trial("failed", error=note)
    raise AssertionError("a look without validators found nothing unchanged")
