"""The tools of agents, called as a runtime calls them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import ReveilleError
from scheduler.domain.tools import ToolCaller
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from scheduler.toolbox.registry import make_tools
from tests.support.factories import BOX, DEFAULT_TENANT


class Toolbox:
    """An agent with its tools."""

    def __init__(self, db: Database, agent_id: UUID) -> None:
        tools = make_tools(db, Triggers(db, BOX), SystemClock(), "http://reveille.example")
        self._tools = {tool.name: tool for tool in tools}
        self._caller = ToolCaller(DEFAULT_TENANT, agent_id)

    def __call__(self, name: str, /, **arguments: Any) -> Any:
        """Returns the result of a tool."""
        return self._tools[name].call(self._caller, arguments)

    def refused(self, name: str, /, **arguments: Any) -> str:
        """Returns a tool's error for a call that it refuses."""
        with pytest.raises(ReveilleError) as refusal:
            self(name, **arguments)
        return refusal.value.message
