"""Shapes of pauses.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TypedDict


class PauseOut(TypedDict):
    is_paused: bool
    paused_note: str | None
    paused_by: str | None
    paused_at: str | None


class PausesOut(TypedDict):
    tenant: PauseOut
    service: PauseOut


class PauseIn(TypedDict, total=False):
    note: str | None
    everything: bool


class ResumeIn(TypedDict, total=False):
    everything: bool
