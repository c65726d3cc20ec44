"""The kinds and states that several parts share."""

from __future__ import annotations

from enum import StrEnum


class TriggerKind(StrEnum):
    """The kinds of trigger that carry what somebody wrote, and are worded by who it was.

    All kinds are listed in scheduler/triggers/registry.py.
    """

    ON_MESSAGE = "on_message"
    WAKE = "wake"
    """A call for the agent itself; the system makes one trigger of this type for each agent that is called."""
    A2A_WAIT = "a2a_wait"
    """The answer of another agent that this one gave work to; the tool `delegate` makes one."""


class MisfirePolicy(StrEnum):
    """What happens to slots that passed while nobody could fire them."""

    LATEST = "latest"
    ALL = "all"
    SKIP = "skip"


class JobKind(StrEnum):
    """What a native job does when it is due: fire (or check) its trigger, or expire it."""

    FIRE = "fire"
    EXPIRY = "expiry"


class FiringState(StrEnum):
    """Where a firing is on its way to the agent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class InvocationState(StrEnum):
    """Where an invocation is; docs/state-machine.md draws the moves."""

    COLLECTING = "collecting"
    READY = "ready"
    RUNNING = "running"
    AWAITING = "awaiting"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


ACTIVE_STATES = frozenset(
    {InvocationState.READY, InvocationState.RUNNING, InvocationState.AWAITING, InvocationState.RETRYING}
)
FINAL_STATES = frozenset(
    {InvocationState.SUCCEEDED, InvocationState.DEAD, InvocationState.SKIPPED, InvocationState.CANCELLED}
)

MOVES: dict[InvocationState, frozenset[InvocationState]] = {
    InvocationState.COLLECTING: frozenset(
        {InvocationState.READY, InvocationState.SKIPPED, InvocationState.CANCELLED}
    ),
    InvocationState.READY: frozenset(
        {
            InvocationState.RUNNING,
            InvocationState.RETRYING,
            InvocationState.DEAD,
            InvocationState.SKIPPED,
            InvocationState.CANCELLED,
        }
    ),
    InvocationState.RUNNING: frozenset(
        {
            InvocationState.AWAITING,
            InvocationState.RETRYING,
            InvocationState.SUCCEEDED,
            InvocationState.DEAD,
            InvocationState.SKIPPED,
            InvocationState.CANCELLED,
        }
    ),
    InvocationState.AWAITING: frozenset(
        {
            InvocationState.RETRYING,
            InvocationState.SUCCEEDED,
            InvocationState.DEAD,
            InvocationState.CANCELLED,
        }
    ),
    InvocationState.RETRYING: frozenset(
        {InvocationState.READY, InvocationState.DEAD, InvocationState.SKIPPED, InvocationState.CANCELLED}
    ),
    **{state: frozenset() for state in FINAL_STATES},
}


class HeldReason(StrEnum):
    """Why a window that could close does not."""

    BUSY = "busy"
    PAUSED = "paused"
    BUDGET = "budget"
    QUARANTINED = "quarantined"
    """Closing it failed; a person has to look."""


class Trust(StrEnum):
    """How far the content of a firing can be trusted."""

    VERIFIED = "verified"
    UNAUTHENTICATED = "unauthenticated"
    AGENT = "agent"
    SYSTEM = "system"


MAX_DEPTH = 5
"""The deepest wake that a wake may cause; one deeper is refused."""
