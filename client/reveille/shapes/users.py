"""Shapes of users.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Any, Required, TypedDict


class UserOut(TypedDict):
    id: str
    tenant_id: str
    name: str
    display_name: str
    external_ids: dict[str, str]
    created_at: str


class UserPage(TypedDict):
    items: list[UserOut]
    next: str | None


class UserIn(TypedDict, total=False):
    name: Required[str]
    display_name: str | None
    external_ids: dict[str, Any]
