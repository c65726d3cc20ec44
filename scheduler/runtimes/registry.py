"""All runtimes: ours, and those of installed packages. A new one is one file and one line here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field, TypeAdapter

from config.plugins import check_descriptor, with_plugins
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Runtime, RuntimeSpec
from scheduler.runtimes.a2a import A2aRuntime
from scheduler.runtimes.base import RuntimeConfig, RuntimeParts
from scheduler.runtimes.canary import CANARY_KIND, CanaryRuntime
from scheduler.runtimes.command import CommandRuntime
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.llm import LlmRuntime

OURS: tuple[type[RuntimeConfig], ...] = (
    HttpRuntime,
    LlmRuntime,
    CommandRuntime,
    A2aRuntime,
)


def _named(plugin: object) -> tuple[str, type[RuntimeConfig]]:
    if not (isinstance(plugin, type) and issubclass(plugin, RuntimeConfig)):
        raise TypeError("it is not a subclass of scheduler.runtimes.base.RuntimeConfig")
    check_descriptor(plugin, RuntimeConfig)
    json.dumps(plugin.model_json_schema())  # what the API's description shows
    return plugin.kind_name(), plugin


RUNTIMES: dict[str, type[RuntimeConfig]] = with_plugins(
    "reveille.runtimes", {each.kind_name(): each for each in OURS}, _named
)

if TYPE_CHECKING:
    AnyRuntime = RuntimeConfig
else:
    AnyRuntime = Annotated[Union[tuple(RUNTIMES.values())], Field(discriminator="kind")]  # noqa: UP007
"""The settings of any runtime, distinguished by their `kind`."""

RUNTIME: TypeAdapter[RuntimeConfig] = TypeAdapter(AnyRuntime)


def runtime_of(kind: str) -> type[RuntimeConfig]:
    """Returns the runtime named `kind`; one that is no longer installed has no settings."""
    return RUNTIMES.get(kind, RuntimeConfig)


def fields_of(kind: str, choice: str) -> tuple[str, ...]:
    """Returns the fields of a runtime that refer to one of these, such as "models"."""
    return tuple(name for name, each in runtime_of(kind).choices.items() if each == choice)


def make_runtime(spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
    """Returns the runtime of an agent.

    Raises ConfigurationError for an unknown kind or settings that cannot be run.
    """
    if spec.kind == CANARY_KIND:
        return CanaryRuntime()
    runtime = RUNTIMES.get(spec.kind)
    if runtime is None:
        raise ConfigurationError(f"There is no runtime {spec.kind!r}; the runtimes are {', '.join(RUNTIMES)}.")
    return runtime.open(spec, parts)
