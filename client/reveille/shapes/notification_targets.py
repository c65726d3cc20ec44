"""Shapes of notification targets.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Required, TypedDict


class TargetOut(TypedDict):
    id: str
    tenant_id: str
    agent_id: str
    name: str
    kind: str
    host: str
    delivered_at: str | None
    note: str | None
    noted_at: str | None
    created_at: str
    secret: str | None


class TargetPage(TypedDict):
    items: list[TargetOut]
    next: str | None


class TargetIn(TypedDict, total=False):
    name: Required[str]
    kind: Required[str]
    url: Required[str]
    secret: str | None


class TestedOut(TypedDict):
    delivered: bool
    error: str | None
