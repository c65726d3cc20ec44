"""Kinds and states shared by several packages."""

from __future__ import annotations

from enum import StrEnum


class TriggerKind(StrEnum):
    """The trigger kinds that carry somebody's words and whose reason depends on the author.

    All kinds are listed in scheduler/triggers/registry.py.
    """

    ON_MESSAGE = "on_message"
    WAKE = "wake"
    """A call of the agent itself; the system creates one such trigger for each agent that is called."""
    A2A_WAIT = "a2a_wait"
    """An answer from another agent; created by the tool `delegate`."""


class MisfirePolicy(StrEnum):
    """How missed slots are handled."""

    LATEST = "latest"
    ALL = "all"
    SKIP = "skip"


class JobKind(StrEnum):
    """What a native job does when due: fire (or check) its trigger, or expire it."""

    FIRE = "fire"
    EXPIRY = "expiry"


class FiringState(StrEnum):
    """The state of a firing on its way to the agent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class InvocationState(StrEnum):
    """The state of an invocation; docs/state-machine.md shows the transitions."""

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
    """Why a window that is due is not closed."""

    BUSY = "busy"
    PAUSED = "paused"
    BUDGET = "budget"
    QUARANTINED = "quarantined"
    """Closing it failed and needs a person's attention."""


class Trust(StrEnum):
    """How far the content of a firing can be trusted."""

    VERIFIED = "verified"
    UNAUTHENTICATED = "unauthenticated"
    AGENT = "agent"
    SYSTEM = "system"


MAX_DEPTH = 5
"""The maximum depth of a wake; deeper ones are refused."""
