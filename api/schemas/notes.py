"""Notes of agents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.base import Answer, Time
from scheduler.domain.shapes import Shape
from scheduler.storage.notes import MOST_CHARACTERS


class NotesIn(Shape):
    """The new notes."""

    text: Annotated[str, StringConstraints(max_length=MOST_CHARACTERS)]


class NotesOut(Answer):
    """An agent's notes; empty and without an author until something is written."""

    text: str
    updated_at: Time | None
    updated_by: str | None = Field(description="`agent:ID` for the agent itself, `key:NAME`, `user:NAME`.")
    most: int = Field(description="The maximum number of characters.")
