"""Shapes of invocations.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.firings import FiringOut


class InvocationOut(TypedDict):
    id: str
    agent_id: str
    state: str
    reason: str | None
    firing_count: int
    opened_at: str
    due_at: str | None
    held_reason: str | None
    held_until: str | None
    held_note: str | None
    ready_at: str | None
    started_at: str | None
    finished_at: str | None
    deadline_at: str | None
    attempt: int
    cancel_requested: bool
    replayed_into: str | None
    tokens_in: int
    tokens_out: int
    cost: float


class InvocationPage(TypedDict):
    items: list[InvocationOut]
    next: str | None


InvocationState = Literal[
    "collecting", "ready", "running", "awaiting", "retrying", "succeeded", "dead", "skipped", "cancelled"
]


class InvocationWhole(TypedDict):
    id: str
    agent_id: str
    state: str
    reason: str | None
    firing_count: int
    opened_at: str
    due_at: str | None
    held_reason: str | None
    held_until: str | None
    held_note: str | None
    ready_at: str | None
    started_at: str | None
    finished_at: str | None
    deadline_at: str | None
    attempt: int
    cancel_requested: bool
    replayed_into: str | None
    tokens_in: int
    tokens_out: int
    cost: float
    firings: list[FiringOut]
    tries: list[TryOut]
    context: str | None
    reply: str | None
    reply_truncated: bool
    session_id: str | None
    transcript: list[MessageOut]


class MessageOut(TypedDict):
    id: str
    session_id: str
    role: str
    from_type: str
    from_id: str
    to_agent_id: str | None
    channel: str
    text: str
    length: int
    root_id: str | None
    depth: int
    tool_name: str | None
    tool_arguments: str | None
    tool_state: str | None
    ended_at: str | None
    created_at: str


class TryOut(TypedDict):
    attempt: int
    started_at: str
    ended_at: str
    outcome: str
    error: str | None
    note: str | None


class ReplayedOut(TypedDict):
    invocation_id: str


class AckedOut(TypedDict):
    firing_id: str
    status: str | None
    until: str | None
    error: str | None


class CompleteIn(TypedDict, total=False):
    attempt: Required[int]
    reply: str | None
    error: str | None
    acks: list[Any] | None
    usage: Any


class CompletedOut(TypedDict):
    id: str
    agent_id: str
    state: str
    reason: str | None
    firing_count: int
    opened_at: str
    due_at: str | None
    held_reason: str | None
    held_until: str | None
    held_note: str | None
    ready_at: str | None
    started_at: str | None
    finished_at: str | None
    deadline_at: str | None
    attempt: int
    cancel_requested: bool
    replayed_into: str | None
    tokens_in: int
    tokens_out: int
    cost: float
    acks: list[AckedOut]
