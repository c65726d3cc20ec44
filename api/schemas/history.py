"""Recorded history: firings, invocations, audit events."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas.base import Answer, Listed, Moment, Searched, SpanPage, Time, id_of
from api.schemas.messages import MessageOut
from scheduler.domain.model import FiringState, InvocationState
from scheduler.domain.shapes import Shape


class AckIn(Shape):
    """The outcome of a firing. `until` is given only with `deferred`."""

    status: Literal["handled", "deferred", "ignored"]
    until: Moment | None = Field(None, description="When it comes back: from one minute to a year from now.")


class AckedOut(Answer):
    """The result of one acknowledgement; `error` says why it had no effect."""

    firing_id: str
    status: str | None
    until: Time | None
    error: str | None


class AckCounts(Answer):
    """Firings by acknowledgement; a deferred firing that has come back is not counted."""

    handled: int = 0
    deferred: int = 0
    ignored: int = 0


class FiringOut(Answer):
    """A firing without its payload. `slots_exact: false` means "`slot_count` or more"."""

    id: UUID
    agent_id: UUID
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    reason: str
    focus_ref: str | None
    state: str
    fired_at: Time
    first_scheduled_for: Time | None
    scheduled_for: Time | None
    slot_count: int
    slots_exact: bool
    content_type: str | None
    payload_size: int | None
    trust: str
    invocation_id: UUID
    root_id: UUID
    depth: int
    ack: str | None = Field(description="Its agent's acknowledgement: `handled`, `deferred` or `ignored`.")
    acked_at: Time | None
    deferred_until: Time | None = Field(description="When a deferred firing comes back, or came back.")


class DocumentOut(Answer):
    """A document that a firing carries besides its data, which refers to it by its number; its bytes can be
    downloaded.
    """

    number: int
    name: str
    content_type: str
    size: int


class FiringWhole(FiringOut):
    """A firing with its payload as text, or as base64 when it is not UTF-8."""

    payload: str | None
    payload_base64: str | None
    data: dict[str, Any] | None
    documents: list[DocumentOut]


class FiringPage(Listed[FiringOut]):
    """A page of firings."""


class FiringQuery(SpanPage):
    """Filters firings; `from` and `to` are when they fired."""

    agent_id: UUID | None = None
    trigger_id: UUID | None = None
    state: FiringState | None = None


class FiringPath(Shape):
    """Identifies a firing."""

    firing_id: Annotated[UUID, id_of("firing")]


class DocumentPath(FiringPath):
    """Identifies a document of a firing."""

    number: int = Field(ge=1, le=1_000, strict=False)


class InvocationOut(Answer):
    """One wake of one agent. While `collecting` it is the open window: `due_at` null = held, `held_reason` why.

    A window held for a budget is reconsidered at `held_until`; `held_note` names the budget.
    """

    id: UUID
    agent_id: UUID
    state: str
    reason: str | None
    firing_count: int
    opened_at: Time
    due_at: Time | None
    held_reason: str | None
    held_until: Time | None
    held_note: str | None
    ready_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    deadline_at: Time | None
    attempt: int
    cancel_requested: bool
    replayed_into: UUID | None
    tokens_in: int
    tokens_out: int
    cost: float


class TryOut(Answer):
    """An ended attempt of an invocation."""

    attempt: int
    started_at: Time
    ended_at: Time
    outcome: str
    error: str | None
    note: str | None = Field(None, description="Further information, such as usage that was not counted.")


class InvocationWhole(InvocationOut):
    """An invocation with its firings (the oldest 1,000), ended attempts, context and reply.

    For an `llm` agent also its transcript: the oldest 200 messages of the session `session_id`, long ones cut.
    """

    firings: list[FiringOut]
    tries: list[TryOut]
    context: str | None
    reply: str | None
    reply_truncated: bool
    session_id: UUID | None
    transcript: list[MessageOut]


class InvocationPage(Listed[InvocationOut]):
    """A page of invocations."""


class InvocationQuery(SpanPage):
    """Filters invocations; `from` and `to` are when their windows opened."""

    agent_id: UUID | None = None
    trigger_id: UUID | None = None
    state: InvocationState | None = None
    error: Searched | None = Field(
        None, description="Part of the last attempt's error or the reason, case-insensitive."
    )


class InvocationPath(Shape):
    """Identifies an invocation."""

    invocation_id: Annotated[UUID, id_of("invocation")]


class CompleteIn(Shape):
    """How an agent that answered 202 ends its invocation: `reply` on success, `error` on failure."""

    attempt: int = Field(ge=1, le=1_000_000)
    reply: str | None = None
    error: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] | None = None
    acks: list[Any] | None = Field(
        None,
        description="`[{firing_id, status, until?}]`: the outcome of each. An invalid one is reported and "
        "does not affect the others.",
        examples=[[{"firing_id": "01900000-0000-7000-8000-000000000000", "status": "handled"}]],
    )
    usage: Any = Field(
        None,
        description="What the run used: `{input_tokens, output_tokens, cost}`. An invalid one is reported in the "
        "attempt's note and not counted.",
        examples=[{"input_tokens": 1200, "output_tokens": 80, "cost": 0.012}],
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> CompleteIn:
        if self.reply is not None and self.error is not None:
            raise ValueError("give either reply or error")
        return self


class CompletedOut(InvocationOut):
    """The ended invocation, and the result of each acknowledgement."""

    acks: list[AckedOut]


class ReplayedOut(Answer):
    """The invocation that will carry the firings."""

    invocation_id: UUID


class AuditOut(Answer):
    """Who did what, and when. `actor` is `key:NAME`, `system` or `agent:ID`."""

    id: UUID
    at: Time
    actor: str
    action: str
    subject_type: str
    subject_id: UUID | None
    agent_id: UUID | None
    detail: dict[str, Any]


class AuditPage(Listed[AuditOut]):
    """A page of the audit trail."""


class AuditQuery(SpanPage):
    """Filters events; `action` is one such as `trigger.paused`, or a subject such as `trigger`."""

    agent_id: UUID | None = None
    trigger_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = Field(None, pattern=r"^[a-z_]{1,50}(\.[a-z_]{1,50})?$")
