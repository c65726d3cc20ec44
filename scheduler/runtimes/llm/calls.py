"""Makes the tool calls of a run: each is recorded before and after it is made, and none is made twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from typing import Any

from loguru import logger

from scheduler.domain.errors import ReveilleError
from scheduler.domain.llm import CallState, EarlierAttempts, FinishedCall
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.runtimes.transcripts import RunTranscript

LAST_SECONDS = 2.0
"""How long a call may continue when its run is stopped, so that its result is not lost."""

# Tools block. These are neither the loop's threads nor those that write ends, as a tool may hang.
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="tool")


class Calls:
    """The tool calls of one run.

    A call is identified by its position: the response that requested it, and its number there.
    """

    def __init__(
        self, tools: Sequence[Tool], caller: ToolCaller, transcript: RunTranscript, past: EarlierAttempts
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._caller = caller
        self._transcript = transcript
        self._past = past

    async def make(self, key: str, name: str, arguments: str | Mapping[str, Any] | None) -> FinishedCall:
        """Makes a call, or returns its result if an earlier attempt made it. An error is a result, too."""
        ended = self._past.calls.get(key)
        if ended is not None:
            return ended
        call = asyncio.ensure_future(self._make(key, name, arguments))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait({call}, timeout=LAST_SECONDS)
            call.cancel()
            raise

    async def _make(self, key: str, name: str, arguments: str | Mapping[str, Any] | None) -> FinishedCall:
        written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        session_id = self._past.session_id
        await self._transcript.start_call(session_id, key, name, written)
        ended = await self._outcome(name, written)
        await self._transcript.end_call(session_id, key, ended)
        return ended

    async def _outcome(self, name: str, written: str) -> FinishedCall:
        tool = self._tools.get(name)
        if tool is None:
            names = ", ".join(sorted(self._tools)) or "none"
            return FinishedCall(CallState.FAILED, f"There is no tool {name!r}; available: {names}.")
        arguments = _parsed(written)
        if arguments is None:
            return FinishedCall(
                CallState.FAILED, "The arguments are not a JSON object. Call again with valid JSON."
            )
        try:
            result = await asyncio.get_running_loop().run_in_executor(_THREADS, tool.call, self._caller, arguments)
            return FinishedCall(CallState.DONE, _text(await result if isawaitable(result) else result))
        except ReveilleError as error:
            return FinishedCall(CallState.FAILED, error.message)
        except Exception as error:  # noqa: BLE001  # a tool that breaks must not end the run
            logger.opt(exception=error).error("The tool {} failed unexpectedly", name)
            return FinishedCall(
                CallState.FAILED, f"The tool failed ({type(error).__name__}). Continue without it."
            )


def _parsed(written: str) -> dict[str, Any] | None:
    try:
        arguments = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
