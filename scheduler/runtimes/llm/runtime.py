"""One run of an `llm` agent: keeps to its timeout and converts every end to an Outcome."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from scheduler.domain.errors import ConfigurationError, DatabaseUnavailable, ReveilleError
from scheduler.domain.llm import AGENTS_TOOL_ROUNDS, DEFAULT_TOOL_ROUNDS, allowed_tools
from scheduler.domain.run import Failed, HandedBack, Outcome, RunRequest, RuntimeSpec
from scheduler.domain.tools import Tool
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.mcp_tools import open_tools
from scheduler.storage.transcripts import Superseded

STALL_SECONDS = 120.0
"""How long a model may be silent, before its first event or between two, before another one is asked."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run."""

    tool_rounds: int
    stall_seconds: float


class LlmRun:
    """Lets the model respond and call tools until it has replied."""

    def __init__(self, spec: RuntimeSpec, parts: RuntimeParts, *, stall_seconds: float = STALL_SECONDS) -> None:
        if spec.thinking is None or parts.transcripts is None:
            raise ConfigurationError("This process cannot run llm agents: it has no models or no transcripts.")
        self._spec = spec
        self._thinking = spec.thinking
        self._parts = parts
        self._transcript = parts.transcripts
        rounds = int(spec.config.get("tool_rounds", DEFAULT_TOOL_ROUNDS))
        if spec.thinking.is_among_agents:
            rounds = min(rounds, AGENTS_TOOL_ROUNDS)
        self._limits = Limits(rounds, stall_seconds)

    async def run(self, request: RunRequest) -> Outcome:
        """Runs until the reply is complete, at most the agent's timeout.

        The transcript has everything that was done.
        """
        transcript = self._transcript.of(request.invocation_id, request.attempt)
        try:
            library = await _load()
            async with asyncio.timeout(self._spec.timeout_seconds):
                past = await transcript.open(self._thinking.title, request.context)
                conversation = library.Conversation(self._spec, self._parts, transcript, past, request)
                taken = {library.ANSWER, *(tool.name for tool in self._parts.tools)}
                notes: list[str] = []
                asked = open_tools(self._thinking.mcp_servers, self._parts, taken=taken, tell=notes.append)
                async with asked as theirs:
                    for note in notes:
                        await transcript.add_note(past.session_id, note)
                    tools = self._allowed([*self._parts.tools, *theirs])
                    outcome: Outcome = await conversation.hold(tools, self._limits)
                return outcome
        except TimeoutError:
            seconds = self._spec.timeout_seconds
            return Failed(f"The agent was not done within {seconds:g} s and was stopped.", reason="timeout")
        except DatabaseUnavailable:
            return HandedBack("database_away")
        except Superseded:
            return HandedBack("taken")
        except ReveilleError as error:
            return Failed(error.message, permanent=error.permanent)

    def _allowed(self, tools: Sequence[Tool]) -> list[Tool]:
        allowed = allowed_tools(self._thinking.trusts, self._spec.config.get("tools_by_trust") or {})
        return [tool for tool in tools if allowed is None or tool.name in allowed]


async def _load() -> ModuleType:
    """Imports the part that needs pydantic-ai.

    The first import takes a second or two, during which other runs continue.
    """
    return await asyncio.to_thread(importlib.import_module, "scheduler.runtimes.llm.conversation")
