"""Data types of one run of an agent: its input and its possible outcomes. Every runtime uses these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from scheduler.domain.llm import LlmRunSpec, ResponseUsage


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunTrigger(_Shape):
    """A firing's trigger as it was when it fired."""

    id: UUID
    name: str
    type: str
    reason: str
    focus_ref: str | None


class RunFiring(_Shape):
    """One firing. `payload` is text; bytes that are not UTF-8 are sent as `payload_base64` instead."""

    id: UUID
    trigger: RunTrigger
    fired_at: datetime
    first_scheduled_for: datetime | None
    scheduled_for: datetime | None
    slot_count: int
    content_type: str | None
    payload: str | None
    payload_base64: str | None
    data: dict[str, Any] | None


class RunAgent(_Shape):
    """The agent that is woken."""

    id: UUID
    name: str


class RunRequest(_Shape):
    """What an agent receives. `invocation_id` is its idempotency key; `attempt` counts from 1."""

    invocation_id: UUID
    attempt: int
    complete_url: str
    complete_token: str
    agent: RunAgent
    context: str
    firings: tuple[RunFiring, ...]
    traceparent: str | None = Field(None, exclude=True)
    """The trace context of the run; None when traces are not exported."""

    def to_json(self) -> bytes:
        """Encodes the request as UTF-8 JSON; times are RFC 3339, UTC."""
        return self.model_dump_json().encode()


@dataclass(frozen=True, slots=True)
class RuntimeSpec:
    """How to run one agent: its runtime's kind and settings, its secret in the clear, and the timeout in seconds."""

    kind: str
    config: dict[str, Any]
    secret: str | None
    timeout_seconds: float
    thinking: LlmRunSpec | None = None
    """For the runtime `llm`."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The agent is done. `truncated`: its reply was too long and was cut."""

    text: str
    truncated: bool = False
    acks: object = None
    """The agent's acknowledgements as received: `[{firing_id, status, until?}]` if valid."""
    reason: str | None = None
    """One word for the invocation's `reason` when the success is partial."""
    spent: ResponseUsage | None = None
    """The usage that the agent reported."""
    note: str | None = None
    """A note for people about the attempt."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The agent accepted the work and will report later."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. `permanent`: retrying cannot help. `retry_after`: seconds the agent asked us to wait."""

    error: str
    permanent: bool = False
    retry_after: float | None = None
    reason: str = "failed"
    """One word for the invocation's `reason`; `error` is the text for people."""
    was_put_off: bool = False
    """Whether the agent, or its model, said when to come back (429 or 503 with Retry-After)."""
    spent: ResponseUsage | None = None
    """The usage that the agent reported despite the failure."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """There is nothing to run: `agent_deleted`, `agent_expired`, …"""

    reason: str


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The worker had to stop before the agent was done. Another worker runs it at once; no attempt is used up."""

    reason: str


Outcome = Replied | Accepted | Failed | Skipped | HandedBack


class Runtime(Protocol):
    """Runs one agent. An instance is created for each run from the agent's settings."""

    async def run(self, request: RunRequest) -> Outcome:
        """Wakes the agent and waits for it, at most its timeout. Failures are returned, not raised.

        Cancelling the task stops the agent's work as far as possible and leaves nothing behind.
        """
        ...


@runtime_checkable
class CancelsRuns(Protocol):
    """A runtime whose runs go on elsewhere, where they are cancelled after the invocation has ended."""

    async def cancel(self, request: RunRequest, address: str) -> None:
        """Cancels the run at `address`; one that is over or gone counts. Raises ReveilleError."""
        ...
