"""Builds tools from a model of the arguments and a function that does the work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection

from scheduler.domain.clock import Clock
from scheduler.domain.errors import InvalidField
from scheduler.domain.field_errors import message_of
from scheduler.domain.json_values import deeper_than
from scheduler.domain.text import storable
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.agents import get_agent
from scheduler.storage.engine import Database
from scheduler.storage.repeats import repeat
from scheduler.storage.tables.core import Agent
from scheduler.toolbox.results import RESULTS

SHOWN_ERRORS = 5
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Services:
    """What the tools use. `base_url` is the API's, for the address of a webhook."""

    db: Database
    triggers: Triggers
    clock: Clock
    base_url: str


class Arguments(BaseModel):
    """A tool's arguments. Models write `"5"` for 5, so types are coerced; unknown arguments are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Arguments):
    """A tool without arguments."""


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


READS = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
ADDS = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False}
CHANGES = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": False}


def make_tool(
    name: str,
    description: str,
    shape: type[ArgumentsT],
    work: Callable[[ToolCaller, ArgumentsT], Any],
    *,
    hints: Mapping[str, bool] = READS,
) -> Tool:
    """Builds a tool whose arguments have the shape `shape`. Its errors name each wrong argument."""

    def call(caller: ToolCaller, arguments: Mapping[str, Any]) -> Any:
        try:
            parsed = shape.model_validate(_fit(name, arguments))
        except ValidationError as error:
            raise _refusal(name, shape, error) from None
        return repeat(lambda: work(caller, parsed))

    return Tool(name, description, _schema(shape), call, RESULTS.get(name), hints)


def actor_of(caller: ToolCaller) -> str:
    """Returns the audit trail's name of an agent that acts by itself."""
    return f"agent:{caller.agent_id}"


def own_agent(conn: Connection, caller: ToolCaller) -> Agent:
    """Returns the calling agent; raises NotFound when it was deleted meanwhile."""
    return get_agent(conn, caller.tenant_id, caller.agent_id)


def shown_time(moment: datetime | None) -> str | None:
    """Formats a time as RFC 3339, UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def object_of(value: Any) -> Any:
    """Returns an object argument; some models pass the object's JSON as text."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if deeper_than(MAX_DEPTH, parsed) else _storable(parsed)


@cache
def _schema(shape: type[Arguments]) -> Mapping[str, Any]:
    return shape.model_json_schema()


def _fit(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the arguments storable in the database."""
    if deeper_than(MAX_DEPTH, dict(arguments)):
        raise InvalidField(f"{name} was not called: its arguments are nested more than {MAX_DEPTH} deep.")
    return {key: _storable(value) for key, value in arguments.items()}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)[0]
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {storable(str(key))[0]: _storable(each) for key, each in value.items()}
    return value


def _refusal(name: str, shape: type[Arguments], error: ValidationError) -> InvalidField:
    wrong = error.errors(include_url=False, include_input=False)
    texts = [
        f"{'.'.join(str(part) for part in each['loc']) or 'arguments'}: {message_of(each)}"
        for each in wrong[:SHOWN_ERRORS]
    ]
    known = ", ".join(shape.model_fields) or "none"
    field = ".".join(str(part) for part in wrong[0]["loc"]) or None
    return InvalidField(f"{name} was not called: {'; '.join(texts)}. Its arguments are: {known}.", field=field)
