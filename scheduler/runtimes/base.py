"""The base class of runtimes: their settings model, everything else that Reveille needs to know, and how they run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import ValidationError

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError, ReveilleError
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.domain.shapes import Shape
from scheduler.domain.text import MAX_REPLY_BYTES
from scheduler.domain.tools import Tool
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.transcripts import TranscriptWriter
from scheduler.storage.remote_tasks import RemoteTasks
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.options import Option

__all__ = [
    "MAX_REPLY_BYTES",
    "Accepted",
    "Failed",
    "Operator",
    "Option",
    "Outcome",
    "Replied",
    "RunRequest",
    "Runtime",
    "RuntimeConfig",
    "RuntimeParts",
    "RuntimeSpec",
]


@dataclass(frozen=True, slots=True)
class Operator:
    """What the operator allows agents to run and to reach, and the encryption of their secrets."""

    box: SecretBox
    allow_private: AllowedPrivate
    commands: Collection[str]
    mcp_commands: Collection[str]


@dataclass(frozen=True, slots=True)
class RuntimeParts:
    """What a worker's runtimes share. `commands` is the operator's allow-list: name to program and arguments."""

    client: GuardedClient
    clock: Clock
    commands: Mapping[str, Sequence[str]]
    tools: Sequence[Tool] = ()
    """The tools that an agent may call while it runs."""
    remote_tasks: RemoteTasks | None = None
    """Where the `a2a` runtime stores its tasks; without it a retry sends again."""
    transcripts: TranscriptWriter | None = None
    """Where the `llm` runtime writes its transcript; it cannot run without."""
    read_variable: Callable[[str], str | None] = lambda _: None
    """Reads an environment variable that holds a model's key."""
    mcp_commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The operator's allow-list of local MCP servers: name to program and arguments."""


class RuntimeConfig(Shape):
    """A way to run agents: everything that Reveille needs to know about it, and the model of its settings.

    A subclass is listed in the registry, or found by the entry-point group `reveille.runtimes`. The API, the web
    forms, the command line and the worker read it. Its name in the API is the only value of its field `kind:
    Literal["…"]`. The fields' titles, descriptions and examples become the JSON Schema and the web form. A
    subclass implements `run`; one that has to prepare a run, or to follow it beyond its timeout, implements `open`
    instead.
    """

    label: ClassVar[str]
    """Its display name, such as "Web server"."""
    summary: ClassVar[str]
    """What such an agent is, in a few words that follow its name."""
    icon: ClassVar[str] = "M-5 0 0-5 5 0 0 5Z"
    """The path of its icon: SVG path data within -6..6 on both axes."""
    docs: ClassVar[str] = ""
    """Its documentation: a path in this repository, or a URL."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Fields that are stored encrypted and never shown again."""
    shown_once: ClassVar[tuple[str, ...]] = ()
    """The secrets that are shown in the response of the call that generated or set them."""
    sent_along: ClassVar[tuple[str, ...]] = ()
    """The secrets that are sent to `url` as they are, and which therefore do not move to another host."""
    whole: ClassVar[tuple[str, ...]] = ()
    """Fields whose value a patch replaces as a whole, although it may be an object."""
    choices: ClassVar[Mapping[str, Literal["models", "commands", "presets"]]] = MappingProxyType({})
    """Fields whose value is the id of a model of the tenant, the name of a command that the operator allows, or of a
    preset."""
    main_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that a form shows at once; the others are collapsed. Empty: all. The first is shown with the agent."""
    options: ClassVar[tuple[Option, ...]] = ()
    """The command-line options for the fields."""
    card_tags: ClassVar[tuple[str, ...]] = ()
    """Additional tags of the skill on its agents' A2A cards."""

    @classmethod
    def kind_name(cls) -> str:
        """Returns its `kind` in the API. Raises TypeError when the class does not define it."""
        found = cls.model_fields.get("kind")
        values = get_args(found.annotation) if found is not None else ()
        if len(values) != 1 or not isinstance(values[0], str):
            raise TypeError('it has no field `kind: Literal["…"]`')
        return values[0]

    @classmethod
    def presets(cls) -> Mapping[str, str]:
        """Returns the names of its presets with labels."""
        return {}

    @classmethod
    def described_presets(cls) -> list[Any]:
        """Describes its presets: dictionaries with name, label, summary, docs, url, needs_token and parameters."""
        return []

    @classmethod
    def suggested(cls, preset: str) -> dict[str, Any]:  # noqa: ARG003
        """Returns the initial values of a form for this preset; empty for an unknown preset."""
        return {}

    def check(self, operator: Operator) -> None:
        """Raises InvalidField on `runtime.FIELD` for what the operator does not allow although the shape does."""

    def completed(self) -> Self:
        """Returns the settings with generated values in place of missing ones."""
        return self

    @classmethod
    def pack(cls, secrets: Mapping[str, Any]) -> str:
        """Packs the secrets into one text for encryption."""
        return json.dumps(dict(secrets))

    @classmethod
    def unpack(cls, text: str) -> dict[str, Any]:
        """Returns the secrets from a text made by `pack`."""
        return dict(json.loads(text))

    async def run(self, request: RunRequest, parts: RuntimeParts) -> Outcome:
        """Wakes the agent and waits for it. It is cancelled at the agent's timeout.

        A ReveilleError that it raises is a failure with that text; any other exception is retried.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
        """Returns the runtime for one agent. Raises ConfigurationError when its settings cannot be run."""
        secrets = {} if spec.secret is None else cls.unpack(spec.secret)
        try:
            config = cls.model_validate({"kind": cls.kind_name(), **spec.config, **secrets}, strict=False)
        except ValidationError as error:
            wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]}))
            raise ConfigurationError(
                f"The agent's {cls.kind_name()} runtime cannot be run as it is stored ({wrong}); set it again."
            ) from None
        return _Opened(config, parts, spec.timeout_seconds)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A runtime that uses its config's `run`."""

    config: RuntimeConfig
    parts: RuntimeParts
    timeout_seconds: float

    async def run(self, request: RunRequest) -> Outcome:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self.config.run(request, self.parts)
        except TimeoutError:
            text = f"The agent was not done within {self.timeout_seconds:g} s and was stopped."
            return Failed(text, reason="timeout")
        except ReveilleError as error:
            return Failed(error.message, permanent=error.permanent)
