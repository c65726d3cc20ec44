"""The runtimes there are: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.model import RuntimeKind
from scheduler.domain.run import Runtime, RuntimeSpec
from scheduler.runtimes.a2a import A2aRuntime
from scheduler.runtimes.base import Factory, RuntimeParts
from scheduler.runtimes.command import CommandRuntime
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.llm import LlmRuntime

RUNTIMES: Mapping[str, Factory] = {
    RuntimeKind.HTTP: HttpRuntime,
    RuntimeKind.LLM: LlmRuntime,
    RuntimeKind.COMMAND: CommandRuntime,
    RuntimeKind.A2A: A2aRuntime,
}


def make_runtime(spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
    """The runtime of an agent. Raises ConfigurationError for an unknown kind or settings that cannot be run."""
    factory = RUNTIMES.get(spec.kind)
    if factory is None:
        raise ConfigurationError(f"There is no runtime {spec.kind!r}; there are {', '.join(RUNTIMES)}.")
    return factory(spec, parts)
