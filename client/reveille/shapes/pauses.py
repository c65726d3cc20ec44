"""Shapes of pauses.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.tenants import PauseOut


class PausesOut(TypedDict):
    tenant: PauseOut
    service: PauseOut


class PauseIn(TypedDict, total=False):
    note: str | None
    everything: bool


class ResumeIn(TypedDict, total=False):
    everything: bool
