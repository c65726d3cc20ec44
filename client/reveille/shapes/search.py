"""Shapes of search.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TypedDict


class MatchOut(TypedDict):
    kind: str
    id: str
    title: str | None
    detail: str | None
    at: str | None


class SearchOut(TypedDict):
    items: list[MatchOut]
