"""Shapes of api keys.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Required, TypedDict


class KeyOut(TypedDict):
    id: str
    tenant_id: str | None
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class KeyPage(TypedDict):
    items: list[KeyOut]
    next: str | None


class KeyCreated(TypedDict):
    id: str
    tenant_id: str | None
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    key: str


class KeyIn(TypedDict, total=False):
    name: Required[str]
    scopes: Required[list[str]]
    tenant_id: str | None
    expires_at: str | None
