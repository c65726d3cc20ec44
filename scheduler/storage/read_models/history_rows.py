"""Row types of the history for lists and pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FiringRow:
    """A firing without its payload."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    reason: str
    focus_ref: str | None
    occurrence_key: str
    fired_at: datetime
    first_scheduled_for: datetime | None
    scheduled_for: datetime | None
    due_at: datetime | None
    slot_count: int
    slots_exact: bool
    content_type: str | None
    trust: str
    state: str
    invocation_id: UUID
    root_id: UUID
    depth: int
    ack: str | None
    acked_at: datetime | None
    deferrals: int
    deferred_until: datetime | None
    payload_size: int | None


@dataclass(frozen=True, slots=True)
class WholeFiring(FiringRow):
    """A firing with its payload and data."""

    payload: bytes | None
    data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class FiringContent:
    """The content of a firing: its data, and the beginning of its payload."""

    id: UUID
    data: dict[str, Any] | None
    head: bytes | None


@dataclass(frozen=True, slots=True)
class InvocationRow:
    """An invocation without its transcript."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    state: str
    opened_at: datetime
    due_at: datetime | None
    held_reason: str | None
    held_until: datetime | None
    held_note: str | None
    firing_count: int
    ready_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    attempt: int
    reason: str | None
    cancel_requested: bool
    worker: str | None
    complete_token_hash: bytes | None
    replayed_into: UUID | None
    tokens_in: int
    tokens_out: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class DeadInvocation(InvocationRow):
    """An invocation that ended dead or skipped, with the error of its last attempt."""

    error: str | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """An event of the audit trail or of a trigger's history."""

    id: UUID
    at: datetime
    actor: str
    action: str
    subject_type: str
    subject_id: UUID | None
    agent_id: UUID | None
    detail: dict[str, Any]


class GivenFiring(NamedTuple):
    """A firing as delivered to its agent."""

    id: UUID
    invocation_id: UUID
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    reason: str
    focus_ref: str | None
    fired_at: datetime
    first_scheduled_for: datetime | None
    scheduled_for: datetime | None
    slot_count: int
    slots_exact: bool
    payload: bytes | None
    content_type: str | None
    data: dict[str, Any] | None
    trust: str
    deferred_until: datetime | None
    root_id: UUID
    traceparent: str | None = None
    """The sender's trace context, if it is asked for."""
