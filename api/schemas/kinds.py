"""The kinds of trigger and the runtimes of this installation: ours, and those of installed packages."""

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


class PresetParameterOut(Answer):
    """A value that a preset needs."""

    name: str
    description: str
    default: str | None = Field(description="Its value if it is left out; null: it is required.")


class PresetOut(Answer):
    """Settings of a runtime for a popular product."""

    name: str = Field(description="The `preset` of its agents.")
    label: str = Field(description="The product's name.")
    summary: str = Field(description="What such an agent is.")
    docs: str = Field(description="Its documentation: a path in the repository, or a URL.")
    url: str = Field(description="The usual address of its server.")
    needs_token: bool
    parameters: list[PresetParameterOut]


class RuntimeTypeOut(Answer):
    """A way to run agents."""

    kind: str = Field(description="The `kind` of its agents' runtimes.")
    label: str = Field(description="Its display name.")
    summary: str = Field(description="What such an agent is.")
    docs: str = Field(description="Its documentation: a path in the repository, or a URL; empty if there is none.")
    presets: list[PresetOut]
    config_schema: dict[str, Any] = Field(description="The JSON Schema of `runtime`.")


class RuntimeTypesOut(Answer):
    """All runtimes."""

    items: list[RuntimeTypeOut]
