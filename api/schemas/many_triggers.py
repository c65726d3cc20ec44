"""Many triggers in one request."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import Answer
from api.schemas.triggers import TriggerIn, TriggerOut
from scheduler.domain.shapes import Shape
from scheduler.manage.row_errors import MOST_ROWS


class TriggerRow(TriggerIn):
    """A new trigger with its agent."""

    agent_id: Annotated[UUID, Field(strict=False)]


class TriggersIn(Shape):
    """New triggers, created all or none."""

    items: list[TriggerRow] = Field(min_length=1, max_length=MOST_ROWS)


class TriggersMade(Answer):
    """The created triggers, in the order of the request."""

    items: list[TriggerOut]
