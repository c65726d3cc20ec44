"""How a tool is made: a shape for its arguments, and what it does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, Row

from scheduler.clock.sync import Triggers
from scheduler.domain.clock import Clock
from scheduler.domain.errors import InvalidField
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.storage.agents import get_agent
from scheduler.storage.engine import Database

SHOWN_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Services:
    """What the tools work with. `base_url` is the API's, for the address of a webhook."""

    db: Database
    triggers: Triggers
    clock: Clock
    base_url: str


class Arguments(BaseModel):
    """A tool's arguments. Models write `"5"` for 5, so types are coerced; what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Arguments):
    """A tool without arguments."""


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


def make_tool(
    name: str, description: str, shape: type[ArgumentsT], work: Callable[[ToolCaller, ArgumentsT], Any]
) -> Tool:
    """A tool whose arguments have the shape `shape`. Its errors name each wrong argument."""

    def call(caller: ToolCaller, arguments: Mapping[str, Any]) -> Any:
        try:
            parsed = shape.model_validate(dict(arguments))
        except ValidationError as error:
            raise _refusal(name, shape, error) from None
        return work(caller, parsed)

    return Tool(name, description, shape.model_json_schema(), call)


def actor_of(caller: ToolCaller) -> str:
    """How the audit trail names an agent that acts by itself."""
    return f"agent:{caller.agent_id}"


def self_of(conn: Connection, caller: ToolCaller) -> Row[Any]:
    """The agent that calls; raises NotFound when it was deleted meanwhile."""
    return get_agent(conn, caller.tenant_id, caller.agent_id)


def shown_time(moment: datetime | None) -> str | None:
    """RFC 3339, UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _refusal(name: str, shape: type[Arguments], error: ValidationError) -> InvalidField:
    wrong = error.errors(include_url=False, include_input=False)
    texts = [
        f"{'.'.join(str(part) for part in each['loc']) or 'arguments'}: {each['msg'].removeprefix('Value error, ')}"
        for each in wrong[:SHOWN_ERRORS]
    ]
    known = ", ".join(shape.model_fields) or "none"
    field = ".".join(str(part) for part in wrong[0]["loc"]) or None
    return InvalidField(f"{name} was not called: {'; '.join(texts)}. Its arguments are: {known}.", field=field)
