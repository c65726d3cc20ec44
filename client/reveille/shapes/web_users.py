"""Shapes of web users.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class WebUserOut(TypedDict):
    id: str
    tenant_id: str | None
    name: str
    scope: str
    created_at: str


class WebUserPage(TypedDict):
    items: list[WebUserOut]
    next: str | None


class WebUserIn(TypedDict, total=False):
    name: Required[str]
    password: Required[str]
    scope: Literal["admin", "write", "read"]
    tenant_id: str | None


class WebUserPatch(TypedDict, total=False):
    password: str
    scope: Literal["admin", "write", "read"]
