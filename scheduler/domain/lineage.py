"""Limits how far one wake may lead to the next: the depth of a chain, and the rate between two agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain.errors import LimitReached
from scheduler.domain.model import MAX_DEPTH

INVOCATION_KEY = "reveille/invocation_id"
"""Of an A2A message's metadata, where our runtime says in which run it was sent: so the limits on agents hold there."""
PAIR_WAKES = 3
PAIR_SPAN = timedelta(seconds=300)
"""One agent wakes another at most PAIR_WAKES times in any PAIR_SPAN."""


OWN_PACE = timedelta(seconds=60)
"""Triggers that an agent made itself wake it at most once in so long, all of them together."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a wake stands in the chain that began with the firing `root_id`; None: it begins one itself."""

    root_id: UUID | None = None
    depth: int = 0

    def caused(self) -> Lineage:
        """The lineage of what is caused during a run whose deepest firing has this one."""
        return Lineage(self.root_id, self.depth + 1)

    @property
    def is_too_deep(self) -> bool:
        """Whether no wake may stand here."""
        return self.depth > MAX_DEPTH


ROOT = Lineage()
"""Of what no agent caused: a person, a clock, a webhook."""


def too_deep(lineage: Lineage, names: Sequence[str]) -> LimitReached:
    """The refusal of a wake that would stand too deep; trying again does not help.

    `names`: the agents of the chain, oldest first, the one that is not woken last.
    """
    return LimitReached(
        f"This wake would be number {lineage.depth} in a chain of agents waking each other, which began with firing "
        f"{lineage.root_id}; {MAX_DEPTH} are allowed. {_shown(names)}"
    )


def too_often(wait: timedelta | None, names: Sequence[str]) -> LimitReached:
    """The refusal of a wake by an agent that woke the same one often enough.

    It may again after `wait`; None: this one is refused for good. `names` as for `too_deep`.
    """
    seconds = None if wait is None else wait.total_seconds()
    later = "" if seconds is None else f"; the next is possible in {seconds:.0f} s"
    return LimitReached(
        f"One agent wakes another at most {PAIR_WAKES} times in {PAIR_SPAN.seconds} s{later}. {_shown(names)}",
        retry_after=seconds,
    )


def own_pace_note(agent: str, trigger: str, until: datetime, *, is_loop: bool) -> str:
    """Why a trigger that an agent made itself wakes it later. `is_loop`: it made it in a run."""
    loop = f" The loop: {agent} sets {trigger!r}, which wakes {agent}." if is_loop else ""
    return (
        f"Triggers that an agent made itself wake it at most once in {OWN_PACE.seconds} s, all of them together; "
        f"{trigger!r} waits until {until.isoformat(timespec='seconds')}.{loop}"
    )


def _shown(names: Sequence[str]) -> str:
    """The chain in words: a loop when an agent is in it twice."""
    return f"The {'loop' if len(set(names)) < len(names) else 'chain'}: {' → '.join(names)}."


def pair_wait(wakes: Sequence[datetime], now: datetime) -> timedelta | None:
    """How long a pair must wait for its next wake; None when it may now. `wakes`: its last ones, oldest first."""
    recent = [each for each in wakes if each > now - PAIR_SPAN]
    return None if len(recent) < PAIR_WAKES else recent[-PAIR_WAKES] + PAIR_SPAN - now
