"""The conversation with a model: the context, its responses and tool results, until its final reply.

Nothing that earlier attempts of the run have received or done is requested or done again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.llm import CallState, EarlierAttempts, FinishedCall, LlmRunSpec, ResponseUsage
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest, RuntimeSpec
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.llm.answer import ANSWER, answer_tool, parse_answer
from scheduler.runtimes.llm.calls import Calls
from scheduler.runtimes.llm.fallback import ModelAnswer, Models
from scheduler.runtimes.llm.prompts import WORDS, instructions
from scheduler.runtimes.llm.runtime import Limits
from scheduler.runtimes.llm.truncation import (
    MAX_CONTINUATIONS,
    empty_reply_outcome,
    is_cut,
    no_answer_outcome,
    tokens_of,
    visible_text,
    with_note,
)
from scheduler.runtimes.transcripts import RunTranscript

OUTCOMES: dict[CallState, Literal["success", "interrupted"]] = {
    CallState.DONE: "success",
    CallState.INTERRUPTED: "interrupted",
}
MAX_RESULT_CHARS = 50_000
"""The most characters of a tool's result for the model; the transcript has it whole."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows from a response: the end of the run, or the next message for the model."""

    end: Outcome | None = None
    told: ModelRequest | None = None
    notes: tuple[str, ...] = ()


class Conversation:
    """The conversation of one attempt."""

    def __init__(
        self,
        spec: RuntimeSpec,
        parts: RuntimeParts,
        transcript: RunTranscript,
        past: EarlierAttempts,
        request: RunRequest,
    ) -> None:
        if spec.thinking is None:
            raise ConfigurationError("An llm agent needs a model.")
        self._thinking: LlmRunSpec = spec.thinking
        self._transcript = transcript
        self._past = past
        self._request = request
        self._words = WORDS.get(self._thinking.language, WORDS["en"])
        self._begun: list[str] = []
        """The parts of the reply so far, where a limit of tokens cut it."""
        self._tokens = 0
        self._is_reminded = False
        self._models = Models(self._thinking.models, parts.client, parts.read_variable)
        own = str(spec.config.get("instructions") or "")
        self._instructions = instructions(
            self._thinking.language,
            request.agent.name,
            self._thinking.role,
            own,
            is_asked=self._thinking.is_asked,
            is_delegated=self._thinking.is_delegated,
        )

    async def hold(self, tools: Sequence[Tool], limits: Limits) -> Outcome:
        """Converses until the reply is complete. Raises Superseded, DatabaseUnavailable and TimeoutError."""
        caller = ToolCaller(self._thinking.tenant_id, self._request.agent.id, self._request.invocation_id)
        calls = Calls(tools, caller, self._transcript, self._past)
        messages: list[ModelMessage] = [self._tell(self._opening())]
        for position in itertools.count():
            is_last = position >= limits.tool_rounds or bool(self._begun)
            if is_last and not self._begun:
                messages = self._with_last_word(messages)
                if position and position >= len(self._past.responses):
                    await self._note(f"Its {position} tool rounds are used up: it is asked for its reply.")
            response = await self._response(position, messages, tools, limits, is_last=is_last)
            if isinstance(response, Failed):
                return response
            turn = await self._turn(position, response, calls, is_last=is_last)
            if turn.end is not None:
                return turn.end
            if position >= len(self._past.responses):
                for note in turn.notes:
                    await self._note(note)
            messages += [response, turn.told] if turn.told else [response]
        raise AssertionError  # the loop above only ends by returning

    async def _response(
        self,
        position: int,
        messages: list[ModelMessage],
        tools: Sequence[Tool],
        limits: Limits,
        *,
        is_last: bool,
    ) -> ModelResponse | Failed:
        """Returns response number `position`: the stored one of an earlier attempt, or a new one, which is stored."""
        if position < len(self._past.responses):
            (heard,) = ModelMessagesTypeAdapter.validate_python([json.loads(self._past.responses[position])])
            assert isinstance(heard, ModelResponse)  # noqa: S101  # as it was written
            return heard
        answered = await self._models.ask(
            messages,
            self._parameters(tools, is_last=is_last),
            self._settings(is_last=is_last),
            limits.stall_seconds,
        )
        if isinstance(answered, Failed):
            return answered
        for error in answered.failed:
            await self._note(f"{error.rstrip('.')}. The fallback {answered.spec.name} is asked instead.")
        await self._write(position, answered)
        return answered.response

    async def _turn(self, position: int, response: ModelResponse, calls: Calls, *, is_last: bool) -> Turn:
        cut = is_cut(response)
        if not visible_text(response).strip() and not response.tool_calls and not self._begun:
            if cut:
                return Turn(empty_reply_outcome(response))
            if self._thinking.is_asked and not self._thinking.is_awaited:
                return self._silent(response, is_first=position == 0)
        if self._thinking.is_awaited:
            turn = self._answered(response, cut=cut, is_last=is_last)
            if turn is not None:
                return turn
        if not response.tool_calls or is_last:
            return self._replied(response, cut=cut)
        results = [
            _returned(call, await self._call(calls, f"{position}.{number}", call))
            for number, call in enumerate(response.tool_calls)
        ]
        return Turn(told=ModelRequest(parts=results, instructions=self._instructions))

    def _silent(self, response: ModelResponse, *, is_first: bool) -> Turn:
        """Returns what follows when a person waits and nothing was said: after tool calls, one reminder."""
        if is_first or self._is_reminded:
            return Turn(no_answer_outcome(response))
        self._is_reminded = True
        return Turn(
            told=self._tell(self._words.answer_now), notes=("The model said nothing; it is asked for its answer.",)
        )

    def _answered(self, response: ModelResponse, *, cut: bool, is_last: bool) -> Turn | None:
        """Returns what follows from a two-part answer; None when other calls must be made first."""
        answer = next((call for call in response.tool_calls if call.tool_name == ANSWER), None)
        reply = parse_answer(answer.args, is_cut=cut) if answer else None
        if reply is not None and reply.truncated:
            return Turn(replace(reply, text=with_note(reply.text, tokens_of(response), self._words)))
        if reply is not None:
            return Turn(reply)
        if cut and answer is not None:
            return Turn(empty_reply_outcome(response))
        if is_last:
            return Turn(Failed("The model did not give its answer as it was asked to.", permanent=True))
        return None if response.tool_calls else Turn(told=self._tell(self._words.use_answer_tool))

    def _replied(self, response: ModelResponse, *, cut: bool) -> Turn:
        """Returns the reply, joined with its earlier parts; a truncated one is continued unless its owner set the
        limit.
        """
        self._begun.append(visible_text(response))
        self._tokens += tokens_of(response)
        text = "".join(self._begun)
        if not cut:
            return Turn(Replied(text))
        may_go_on = self._models.is_unlimited and visible_text(response) and len(self._begun) <= MAX_CONTINUATIONS
        if may_go_on:
            note = (
                f"The reply was cut at the model's limit of {tokens_of(response)} tokens: it is asked to continue."
            )
            return Turn(told=self._tell(self._words.go_on), notes=(note,))
        return Turn(Replied(with_note(text, self._tokens, self._words), truncated=True))

    async def _call(self, calls: Calls, key: str, call: ToolCallPart) -> FinishedCall:
        if self._thinking.is_awaited and call.tool_name == ANSWER:
            return FinishedCall(CallState.FAILED, self._words.use_answer_tool)
        return await calls.make(key, call.tool_name, call.args)

    async def _note(self, note: str) -> None:
        await self._transcript.add_note(self._past.session_id, note)

    async def _write(self, position: int, answered: ModelAnswer) -> None:
        response = answered.response
        (plain,) = ModelMessagesTypeAdapter.dump_python([response], mode="json")
        usage = response.usage
        cost = answered.spec.cost(usage.input_tokens, usage.output_tokens)
        spent = ResponseUsage(usage.input_tokens, usage.output_tokens, cost)
        await self._transcript.add_response(position, json.dumps(plain), self._said(response), spent)

    def _said(self, response: ModelResponse) -> str:
        """Returns the part of a response that people see in the transcript."""
        if self._thinking.is_awaited:
            answers = [call.args for call in response.tool_calls if call.tool_name == ANSWER]
            reply = parse_answer(answers[0], is_cut=is_cut(response)) if answers else None
            return reply.text if reply else ""
        return visible_text(response)

    def _parameters(self, tools: Sequence[Tool], *, is_last: bool) -> ModelRequestParameters:
        functions = [
            ToolDefinition(name=tool.name, parameters_json_schema=dict(tool.schema), description=tool.description)
            for tool in tools
        ]
        if not self._thinking.is_awaited:
            return ModelRequestParameters(function_tools=functions)
        return ModelRequestParameters(
            function_tools=[] if is_last else functions,
            output_mode="tool",
            output_tools=[answer_tool(self._words)],
            allow_text_output=False,
        )

    def _settings(self, *, is_last: bool) -> ModelSettings:
        return {"tool_choice": "none"} if is_last and not self._thinking.is_awaited else {}

    def _with_last_word(self, messages: list[ModelMessage]) -> list[ModelMessage]:
        *before, told = messages
        parts = [*told.parts, UserPromptPart(self._words.last_round)]
        return [*before, ModelRequest(parts=parts, instructions=self._instructions)]

    def _opening(self) -> str:
        """Returns the first message for the model: the time, the chat history, and what woke the agent."""
        parts = (self._thinking.now, self._thinking.memory, self._request.context)
        return "\n\n".join(filter(None, parts))

    def _tell(self, text: str) -> ModelRequest:
        return ModelRequest(parts=[UserPromptPart(text)], instructions=self._instructions)


def _returned(call: ToolCallPart, ended: FinishedCall) -> ToolReturnPart:
    left_out = len(ended.result) - MAX_RESULT_CHARS
    shown = ended.result[:MAX_RESULT_CHARS] + (f"\n… ({left_out} characters left out)" if left_out > 0 else "")
    return ToolReturnPart(
        call.tool_name, shown, tool_call_id=call.tool_call_id, outcome=OUTCOMES.get(ended.state, "failed")
    )
