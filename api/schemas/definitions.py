"""Definitions: models, agents, triggers, targets and channels as written in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from api.schemas.agents import AgentSettings
from api.schemas.base import Answer, Name, Time
from api.schemas.channels import ChannelSettings, Kind, Secrets
from api.schemas.models import ModelIn
from api.schemas.notification_targets import TargetIn
from api.schemas.triggers import HeartbeatIn, TriggerIn
from scheduler.definitions.references import KEPT
from scheduler.domain.shapes import Shape
from scheduler.manage.definitions.service import DEFAULT_SET
from scheduler.manage.definitions.shapes import AGENT, CHANNEL, MODEL, TARGET, TRIGGER, WantedDefinition

MOST = 5000
RENAMED = Field(None, description="Its previous name: it is renamed instead of recreated.")
PARTS = frozenset({"name", "agent", "renamed_from", "kept"})


class Defined(Shape):
    """A definition. Secrets may be omitted: the stored ones are kept."""

    kept: SkipJsonSchema[dict[str, str]] = Field(default_factory=dict)
    """The paths of secrets without a value, and why; set here."""

    @model_validator(mode="before")
    @classmethod
    def _take_kept(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {**_without_kept(value), "kept": dict(_kept(value, ""))}


class ModelDefinition(Defined, ModelIn):
    """A model."""

    renamed_from: Name | None = RENAMED


class HeartbeatDefinition(HeartbeatIn):
    """An agent's heartbeat."""

    enabled: bool | None = Field(None, description="If omitted, it stays unchanged; a new one is on.")  # type: ignore[assignment]


class AgentDefinition(Defined, AgentSettings):
    """An agent."""

    name: Name
    renamed_from: Name | None = RENAMED
    runtime: dict[str, Any] = Field(
        description="How it is woken: kind, and the settings of that kind. A model is given by its name, as model."
    )
    is_paused: bool | None = Field(None, description="If omitted, it stays unchanged.")
    heartbeat: HeartbeatDefinition | None = Field(
        None, description="If omitted, it stays unchanged; `enabled: false` turns it off."
    )


class TriggerDefinition(Defined, TriggerIn):
    """A trigger of an agent."""

    agent: Name
    renamed_from: Name | None = RENAMED
    is_enabled: bool | None = Field(None, description="If omitted, it stays unchanged.")


class TargetDefinition(Defined, TargetIn):
    """A notification target of an agent."""

    agent: Name
    renamed_from: Name | None = RENAMED
    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(  # type: ignore[assignment]
        None, description="If omitted or without a value, the stored one is kept.", repr=False
    )


class ChannelDefinition(Defined, ChannelSettings):
    """A channel of an agent."""

    agent: Name
    name: Name
    renamed_from: Name | None = RENAMED
    kind: Kind
    is_enabled: bool | None = Field(None, description="If omitted, it stays unchanged.")  # type: ignore[assignment]
    secrets: Secrets = Field(
        default_factory=dict, description="Those omitted or without a value are kept as stored.", repr=False
    )


class DefinitionList(Shape):
    """Definitions of each kind."""

    models: list[ModelDefinition] = Field(default_factory=list, max_length=MOST)
    agents: list[AgentDefinition] = Field(default_factory=list, max_length=MOST)
    triggers: list[TriggerDefinition] = Field(default_factory=list, max_length=MOST)
    targets: list[TargetDefinition] = Field(default_factory=list, max_length=MOST)
    channels: list[ChannelDefinition] = Field(default_factory=list, max_length=MOST)

    def wanted(self) -> list[WantedDefinition]:
        """Returns the service's input."""
        sections = (
            (MODEL, self.models),
            (AGENT, self.agents),
            (TRIGGER, self.triggers),
            (TARGET, self.targets),
            (CHANNEL, self.channels),
        )
        return [
            _wanted(kind, f"{kind}s.{index}", item) for kind, items in sections for index, item in enumerate(items)
        ]


class DefinitionsIn(DefinitionList):
    """Definitions to apply, all or none."""

    set: Name = Field(DEFAULT_SET, description="Files applied together; pruning affects only its own set.")
    dry_run: bool = Field(False, description="Only report what would change.")
    prune: bool = Field(False, description="Remove what an earlier apply of this set created and is not listed.")


class FieldChangeOut(Answer):
    """A field before and after; for a secret, neither value."""

    path: str
    before: Any
    after: Any
    is_secret: bool
    edited_by: str | None = Field(description="Who edited it by hand since the last apply; this is undone.")
    edited_at: Time | None


class ChangeOut(Answer):
    """What happens to one object."""

    action: Literal["create", "update", "delete"]
    kind: str
    agent: str | None
    name: str
    fields: list[FieldChangeOut]
    note: str | None
    secret: str | None = Field(None, description="A generated secret: only in this response.")
    hook_url: str | None = Field(None, description="A new webhook's address: only in this response.")


class AppliedOut(Answer):
    """What was changed, or, in a dry run, what would be."""

    changes: list[ChangeOut]
    unchanged: int
    notes: list[str]
    dry_run: bool


class DefinitionsOut(Answer):
    """Everything that can be defined, without defaults. A secret is given as `{env: NAME}`."""

    models: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    left_out: list[str] = Field(description="What is not included, and why.")


def _wanted(kind: str, place: str, item: Any) -> WantedDefinition:
    fields = {name: getattr(item, name) for name in type(item).model_fields if name not in PARTS}
    agent = getattr(item, "agent", None)
    return WantedDefinition(kind, place, item.name, agent, item.renamed_from, fields, item.kept)


def _kept(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yields the paths of secrets without a value."""
    if isinstance(value, Mapping) and value.keys() == {KEPT}:
        yield path, str(value[KEPT])[:500]
    elif isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, each in pairs:
            yield from _kept(each, f"{path}.{name}" if path else str(name))


def _without_kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_kept(each) for name, each in value.items() if not _is_kept(each)}
    return [_without_kept(each) for each in value] if isinstance(value, list) else value


def _is_kept(value: object) -> bool:
    return isinstance(value, Mapping) and value.keys() == {KEPT}
