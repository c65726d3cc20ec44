"""The two-part answer of an agent that waited for another agent: one part for its user, one that stays internal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_ai.tools import ToolDefinition
from pydantic_core import from_json

from scheduler.domain.run import Replied
from scheduler.runtimes.llm.prompts import Translation

ANSWER = "final_answer"


class Answer(BaseModel):
    """The arguments that the model fills in."""

    model_config = ConfigDict(extra="ignore")

    user_message: str
    internal_notes: str = Field("")


def answer_tool(words: Translation) -> ToolDefinition:
    """Returns the tool with which the model answers; calling it ends the run."""
    texts = {"user_message": words.user_message, "internal_notes": words.internal_notes}
    properties = {name: {"type": "string", "description": text} for name, text in texts.items()}
    schema = {"type": "object", "properties": properties, "required": [*texts], "additionalProperties": False}
    return ToolDefinition(name=ANSWER, parameters_json_schema=schema, description=words.answer_tool, kind="output")


def parse_answer(arguments: str | Mapping[str, Any] | None, *, is_cut: bool = False) -> Replied | None:
    """Returns the reply for the user from a call of the tool;

    None when unreadable. From a truncated call, its beginning.
    """
    adapter = TypeAdapter(Answer)
    try:
        if isinstance(arguments, str) and is_cut:
            came = from_json(arguments, allow_partial="trailing-strings")
            reply = Replied(adapter.validate_python(came).user_message, truncated="internal_notes" not in came)
            return reply if reply.text.strip() else None
        if isinstance(arguments, str):
            return Replied(adapter.validate_json(arguments).user_message)
        return Replied(adapter.validate_python(arguments or {}).user_message)
    except (ValidationError, ValueError):
        return None
