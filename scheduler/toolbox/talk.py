"""Agents among themselves: the tools that call and write to other agents of the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from scheduler.domain.tools import Tool, ToolCaller
from scheduler.invocations.messages import NewMessage, receive_message
from scheduler.invocations.wakes import Call, wake
from scheduler.storage.references import find_agent
from scheduler.toolbox.base import Arguments, Services, actor_of, make_tool, self_of

CHANNEL = "agent"
MAX_TEXT = 20_000

AgentName = Annotated[
    str, Field(min_length=1, max_length=200, description="The id or the exact name of an agent of your tenant.")
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class WakeAgent(Arguments):
    """Whom to wake, and with which words."""

    agent: AgentName
    message: Text


class SendMessage(Arguments):
    """Whom to write to."""

    to_agent: AgentName
    text: Text


def talk_tools(services: Services) -> Sequence[Tool]:
    """The tools by which one agent reaches others, within the limits on chains and pairs of agents."""
    db = services.db

    def wake_agent(caller: ToolCaller, asked: WakeAgent) -> dict[str, Any]:
        with db.begin() as conn:
            self_of(conn, caller)
            agent_id = find_agent(conn, caller.tenant_id, "agent", asked.agent)
        call = Call(caller.tenant_id, agent_id, asked.message, from_agent_id=caller.agent_id)
        return {"firing_id": str(wake(db, call, actor=actor_of(caller)).firing_id)}

    def send_message(caller: ToolCaller, asked: SendMessage) -> dict[str, Any]:
        with db.begin() as conn:
            self_of(conn, caller)
            agent_id = find_agent(conn, caller.tenant_id, "to_agent", asked.to_agent)
            message = NewMessage(caller.tenant_id, agent_id, CHANNEL, asked.text, from_agent_id=caller.agent_id)
            received = receive_message(conn, message)
        return {
            "message_id": str(received.message_id),
            "session_id": str(received.session_id),
            "firing_ids": [str(each) for each in received.firing_ids],
        }

    return (
        make_tool(
            "wake_agent",
            "Wake another agent now with a message, when something there must be done. It answers nothing by "
            "itself: to get an answer use delegate.",
            WakeAgent,
            wake_agent,
        ),
        make_tool(
            "send_message",
            "Write to another agent. It is woken only if it listens for you; else it finds the message later.",
            SendMessage,
            send_message,
        ),
    )
