"""Lists all tools."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.domain.clock import Clock
from scheduler.domain.tools import Tool
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from scheduler.toolbox.acks import ack_tools
from scheduler.toolbox.base import Services
from scheduler.toolbox.history import history_tools
from scheduler.toolbox.messaging import messaging_tools
from scheduler.toolbox.notes import note_tools
from scheduler.toolbox.triggers import trigger_tools

GROUPS = (trigger_tools, history_tools, ack_tools, messaging_tools, note_tools)


def make_tools(db: Database, triggers: Triggers, clock: Clock, base_url: str) -> Sequence[Tool]:
    """Returns the tools of every agent; the ToolCaller says who calls. `base_url`: the API's own address."""
    services = Services(db, triggers, clock, base_url)
    return tuple(tool for group in GROUPS for tool in group(services))
