"""Focuses: the subjects that an agent's triggers belong to."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from api.schemas.base import Answer, Listed, id_of
from scheduler.domain.shapes import Shape


class FocusOut(Answer):
    """A focus: how many triggers belong to it, and how many of them are enabled."""

    focus_ref: str
    triggers: int
    enabled: int


class FocusPage(Listed[FocusOut]):
    """The focuses of an agent's triggers, up to 1,000, alphabetically."""


class FocusPath(Shape):
    """Identifies a focus."""

    agent_id: Annotated[UUID, id_of("agent")]
    focus_ref: str
