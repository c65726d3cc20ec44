"""The kinds of trigger of this installation: ours, and those of installed packages."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas.base import Answer


class TriggerTypeOut(Answer):
    """A kind of trigger."""

    type: str = Field(description="The `type` of its triggers.")
    label: str = Field(description="Its name for people.")
    summary: str = Field(description="When it fires.")
    docs: str = Field(description="Its page: a path in the repository, or an address; empty when it has none.")
    is_offered: bool = Field(description="Whether people and agents make such triggers; else only Reveille does.")
    config_schema: dict[str, Any] = Field(description="The JSON Schema of its `config`.")


class TriggerTypesOut(Answer):
    """All kinds of trigger, those that people can create first."""

    items: list[TriggerTypeOut]
