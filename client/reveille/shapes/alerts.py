"""Shapes of alerts.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TypedDict


class AlertOut(TypedDict):
    id: str
    rule: str
    subject_kind: str
    subject_id: str
    subject_name: str
    agent_id: str | None
    reason: str
    advice: str
    looks: int
    opened_at: str
    seen_at: str
    told_at: str | None
    closed_at: str | None


class AlertPage(TypedDict):
    items: list[AlertOut]
    next: str | None


class BadgeOut(TypedDict):
    url: str
