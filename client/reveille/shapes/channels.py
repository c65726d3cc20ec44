"""Shapes of channels.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Required, TypedDict


class ChannelOut(TypedDict):
    id: str
    tenant_id: str
    agent_id: str
    kind: str
    name: str
    bot_user_id: str | None
    is_enabled: bool
    events_url: str
    note: str | None
    noted_at: str | None
    created_at: str
    updated_at: str


class ChannelPage(TypedDict):
    items: list[ChannelOut]
    next: str | None


class ChannelIn(TypedDict, total=False):
    bot_user_id: str | None
    is_enabled: bool
    name: Required[str]
    kind: Required[str]
    agent_id: Required[str]
    secrets: Required[dict[str, str | None]]


class ChannelPatch(TypedDict, total=False):
    bot_user_id: str | None
    is_enabled: bool
    name: str
    kind: str
    agent_id: str
    secrets: dict[str, str | None]
