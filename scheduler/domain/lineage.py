"""Limits how wakes may cause further wakes: the depth of a chain, and the rate between two agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain.errors import LimitReached
from scheduler.domain.model import MAX_DEPTH

INVOCATION_KEY = "reveille/invocation_id"
"""The metadata key of an A2A message in which our runtime names the sending run, so that limits apply there too."""
PAIR_WAKES = 3
PAIR_SPAN = timedelta(seconds=300)
"""An agent may wake another at most PAIR_WAKES times in any PAIR_SPAN."""


OWN_PACE = timedelta(seconds=60)
"""The minimum time between two wakes by triggers that the agent created itself, counted together."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """A wake's position in the chain that began with the firing `root_id`; None: it starts a chain."""

    root_id: UUID | None = None
    depth: int = 0

    def caused(self) -> Lineage:
        """Returns the lineage of anything caused during a run whose deepest firing has this one."""
        return Lineage(self.root_id, self.depth + 1)

    @property
    def is_too_deep(self) -> bool:
        """Whether the chain is too deep for another wake."""
        return self.depth > MAX_DEPTH


DEPTH, PAIR = "depth", "pair"
"""The names of the two limits on wakes between agents."""
ROOT = Lineage()
"""The lineage of what no agent caused: a person, a clock, a webhook."""


def too_deep(lineage: Lineage, names: Sequence[str]) -> LimitReached:
    """Returns the error for a wake that would be too deep; retrying does not help.

    `names`: the agents of the chain, oldest first, ending with the one that is not woken.
    """
    return LimitReached(
        f"This wake would be number {lineage.depth} in a chain of agents waking each other, which started with "
        f"firing {lineage.root_id}; {MAX_DEPTH} are allowed. {_shown(names)}"
    )


def too_often(wait: timedelta | None, names: Sequence[str]) -> LimitReached:
    """Returns the error for a wake by an agent that has woken the same agent too often.

    It may try again after `wait`; None means never. `names` as for `too_deep`.
    """
    seconds = None if wait is None else wait.total_seconds()
    later = "" if seconds is None else f"; the next is possible in {seconds:.0f} s"
    return LimitReached(
        f"One agent wakes another at most {PAIR_WAKES} times in {PAIR_SPAN.seconds} s{later}. {_shown(names)}",
        retry_after=seconds,
    )


def own_pace_note(agent: str, trigger: str, until: datetime, *, is_loop: bool) -> str:
    """Explains why a self-created trigger wakes its agent later. `is_loop`: it was created in a run."""
    loop = f" The loop: {agent} sets {trigger!r}, which wakes {agent}." if is_loop else ""
    return (
        f"Triggers that an agent made itself wake it at most once in {OWN_PACE.seconds} s, all of them together; "
        f"{trigger!r} waits until {until.isoformat(timespec='seconds')}.{loop}"
    )


def _shown(names: Sequence[str]) -> str:
    """Words the chain: a loop when an agent occurs twice."""
    return f"The {'loop' if len(set(names)) < len(names) else 'chain'}: {' → '.join(names)}."


def pair_wait(wakes: Sequence[datetime], now: datetime) -> timedelta | None:
    """Returns how long a pair must wait for its next wake;

    None if it need not. `wakes`: its last ones, oldest first.
    """
    recent = [each for each in wakes if each > now - PAIR_SPAN]
    return None if len(recent) < PAIR_WAKES else recent[-PAIR_WAKES] + PAIR_SPAN - now
