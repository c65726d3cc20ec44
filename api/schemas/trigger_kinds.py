"""The kinds of trigger of this installation: ours, and those of installed packages."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas.base import Answer


class TriggerTypeOut(Answer):
    """A kind of trigger."""

    type: str = Field(description="The `type` of its triggers.")
    label: str = Field(description="Its display name.")
    summary: str = Field(description="When it fires.")
    docs: str = Field(description="Its documentation: a path in the repository, or a URL; empty if there is none.")
    is_offered: bool = Field(
        description="Whether people and agents can create such triggers; otherwise only Reveille does."
    )
    config_schema: dict[str, Any] = Field(description="The JSON Schema of its `config`.")


class TriggerTypesOut(Answer):
    """All kinds of trigger, those that people can create first."""

    items: list[TriggerTypeOut]
