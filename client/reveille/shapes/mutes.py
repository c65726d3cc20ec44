"""Shapes of mutes.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TypedDict


class MuteOut(TypedDict):
    id: str
    rule: str | None
    subject_kind: str | None
    subject_id: str | None
    subject_name: str | None
    until: str | None
    note: str | None
    created_by: str
    created_at: str


class MutePage(TypedDict):
    items: list[MuteOut]
    next: str | None


class MuteIn(TypedDict, total=False):
    rule: str | None
    subject_id: str | None
    until: str | None
    note: str | None
