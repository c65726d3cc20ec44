"""The tool with which an agent acknowledges the firings it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from scheduler.domain.acks import Ack, AckStatus, read_until
from scheduler.domain.local_time import in_zone
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.invocations.acks import acknowledge_one
from scheduler.storage.agents import zone_of_agent
from scheduler.toolbox.base import CHANGES, Arguments, Services, actor_of, make_tool, shown_time


class AckFiring(Arguments):
    """The firing and its outcome."""

    firing_id: UUID = Field(description="From your context.")
    status: AckStatus = Field(
        description="handled: it is done. ignored: it is not relevant. deferred: wake me with it again at until."
    )
    until: str | None = Field(
        None,
        description="With deferred only: RFC 3339, such as 2030-01-31T09:00:00Z, a minute to a year from now.",
    )


def ack_tools(services: Services) -> Sequence[Tool]:
    """Returns the tool that acknowledges the calling agent's own firings."""

    def ack_firing(caller: ToolCaller, asked: AckFiring) -> dict[str, Any]:
        with services.db.begin() as conn:
            until = None if asked.until is None else in_zone(asked.until, zone_of_agent(conn, caller.agent_id))
            ack = Ack(asked.firing_id, asked.status, None if until is None else read_until(until))
            acked = acknowledge_one(conn, caller.agent_id, ack, actor=actor_of(caller))
        return {"firing_id": acked.firing_id, "status": acked.status, "until": shown_time(acked.until)}

    return (
        make_tool(
            "ack_firing",
            "Acknowledge a firing that woke you: handled, ignored, or deferred, which brings it back to you "
            "at a time of your choice. The last acknowledgement of a firing counts.",
            AckFiring,
            ack_firing,
            hints=CHANGES,
        ),
    )
