"""Shapes of audit.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Any, TypedDict


class AuditOut(TypedDict):
    id: str
    at: str
    actor: str
    action: str
    subject_type: str
    subject_id: str | None
    agent_id: str | None
    detail: dict[str, Any]


class AuditPage(TypedDict):
    items: list[AuditOut]
    next: str | None
