"""Shapes of deliveries.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Required, TypedDict


class DeliveryOut(TypedDict):
    id: str
    trigger_id: str
    received_at: str
    verdict: str
    reason: str | None
    delivery_key: str | None
    content_type: str | None
    size: int
    firing_id: str | None


class DeliveryPage(TypedDict):
    items: list[DeliveryOut]
    next: str | None


class DeliveryWhole(TypedDict):
    id: str
    trigger_id: str
    received_at: str
    verdict: str
    reason: str | None
    delivery_key: str | None
    content_type: str | None
    size: int
    firing_id: str | None
    body: str | None
    body_base64: str | None


class DeliveryRange(TypedDict, total=False):
    since: Required[str]
    until: Required[str]


class RedeliveredListOut(TypedDict):
    items: list[RedeliveredOut]


class RedeliveredOut(TypedDict):
    delivery_id: str
    firing_id: str
    invocation_id: str
