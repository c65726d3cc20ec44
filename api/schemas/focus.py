"""Focuses: the subjects that an agent's triggers belong to."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from api.schemas.base import Answer, Listed, id_of
from scheduler.domain.shapes import Shape


class FocusOut(Answer):
    """What triggers belong to: how many there are, and how many of them are enabled."""

    focus_ref: str
    triggers: int
    enabled: int


class FocusPage(Listed[FocusOut]):
    """What an agent's triggers belong to, up to 1,000, in alphabetical order."""


class FocusPath(Shape):
    """Names what an agent's triggers belong to."""

    agent_id: Annotated[UUID, id_of("agent")]
    focus_ref: str
