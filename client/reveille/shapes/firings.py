"""Shapes of firings.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Any, Literal, Required, TypedDict


class FiringOut(TypedDict):
    id: str
    agent_id: str
    trigger_id: str
    trigger_name: str
    trigger_type: str
    reason: str
    focus_ref: str | None
    state: str
    fired_at: str
    first_scheduled_for: str | None
    scheduled_for: str | None
    slot_count: int
    slots_exact: bool
    content_type: str | None
    payload_size: int | None
    trust: str
    invocation_id: str
    root_id: str
    depth: int
    ack: str | None
    acked_at: str | None
    deferred_until: str | None


class FiringPage(TypedDict):
    items: list[FiringOut]
    next: str | None


FiringState = Literal["pending", "delivered", "dead", "skipped", "cancelled"]


class DocumentOut(TypedDict):
    number: int
    name: str
    content_type: str
    size: int


class FiringWhole(TypedDict):
    id: str
    agent_id: str
    trigger_id: str
    trigger_name: str
    trigger_type: str
    reason: str
    focus_ref: str | None
    state: str
    fired_at: str
    first_scheduled_for: str | None
    scheduled_for: str | None
    slot_count: int
    slots_exact: bool
    content_type: str | None
    payload_size: int | None
    trust: str
    invocation_id: str
    root_id: str
    depth: int
    ack: str | None
    acked_at: str | None
    deferred_until: str | None
    payload: str | None
    payload_base64: str | None
    data: dict[str, Any] | None
    documents: list[DocumentOut]


class AckIn(TypedDict, total=False):
    status: Required[Literal["handled", "deferred", "ignored"]]
    until: str | None
