"""The tools with which an agent calls and writes to other agents of the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from scheduler.domain.tools import Tool, ToolCaller
from scheduler.intake.messages.intake import NewMessage, ReceivedMessage, fire_matching, receive_message
from scheduler.intake.wakes.intake import Call, wake
from scheduler.manage.delegation import CHANNEL, answer, delegate
from scheduler.storage.agents import find_agents
from scheduler.storage.references import find_agent
from scheduler.toolbox.base import ADDS, Arguments, Services, actor_of, make_tool, own_agent, shown_time

MAX_TEXT = 20_000
MOST_ROLE = 1_000
"""The characters of a role that are shown."""

AgentName = Annotated[
    str, Field(min_length=1, max_length=200, description="The id or the exact name of an agent of your tenant.")
]
Text = Annotated[
    str,
    Field(
        min_length=1, max_length=MAX_TEXT, description="Your message; the other agent knows nothing else about it."
    ),
]


class WakeAgent(Arguments):
    """The agent to wake, and the message."""

    agent: AgentName
    message: Text


class ListAgents(Arguments):
    """Which agents."""

    name_contains: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Only those with this text in their name or role, case-insensitive.",
    )
    limit: int = Field(50, ge=1, le=100, description="The maximum number of results.")


class Delegate(Arguments):
    """The agent and its task."""

    agent: AgentName
    task: Text


class Reply(Arguments):
    """An answer to an agent that waits for yours."""

    text: Text
    delegation_id: UUID | None = Field(None, description="From your context; required when several wait.")


class SendMessage(Arguments):
    """The receiver and the message."""

    to_agent: AgentName
    text: Text


def messaging_tools(services: Services) -> Sequence[Tool]:
    """Returns the tools by which one agent reaches others, within the limits on chains and pairs of agents."""
    db = services.db

    def wake_agent(caller: ToolCaller, asked: WakeAgent) -> dict[str, Any]:
        with db.begin() as conn:
            own_agent(conn, caller)
            agent_id = find_agent(conn, caller.tenant_id, "agent", asked.agent)
        call = Call(caller.tenant_id, agent_id, asked.message, from_agent_id=caller.agent_id)
        return {"firing_id": str(wake(db, call, actor=actor_of(caller)).firing_id)}

    def send_message(caller: ToolCaller, asked: SendMessage) -> dict[str, Any]:
        with db.begin() as conn:
            own_agent(conn, caller)
            agent_id = find_agent(conn, caller.tenant_id, "to_agent", asked.to_agent)
            message = NewMessage(caller.tenant_id, agent_id, CHANNEL, asked.text, from_agent_id=caller.agent_id)
            received = receive_message(conn, message)
        return _sent(fire_matching(db, received))

    def give(caller: ToolCaller, asked: Delegate) -> dict[str, Any]:
        with db.begin() as conn:
            own_agent(conn, caller)
            agent_id = find_agent(conn, caller.tenant_id, "agent", asked.agent)
        made = delegate(db, caller.tenant_id, caller.agent_id, agent_id, asked.task, actor=actor_of(caller))
        return {
            "delegation_id": str(made.delegation_id),
            "firing_id": str(made.firing_id),
            "expires_at": shown_time(made.expires_at),
            "note": "You are woken with the answer, or when it expires without one: do not wait for it now.",
        }

    def reply(caller: ToolCaller, asked: Reply) -> dict[str, Any]:
        with db.begin() as conn:
            own_agent(conn, caller)
            wait, received = answer(conn, caller.tenant_id, caller.agent_id, asked.text, asked.delegation_id)
        received = fire_matching(db, received)
        sent = {"delegation_id": str(wait.id), "to_agent": wait.agent_name, **_sent(received)}
        if sent["woke"] or received.refused:
            return sent
        return sent | {"note": "It was just answered or has expired: your text is stored as a message."}

    def list_agents(caller: ToolCaller, asked: ListAgents) -> dict[str, Any]:
        with db.begin() as conn:
            own_agent(conn, caller)
            found = find_agents(conn, caller.tenant_id, asked.name_contains, limit=asked.limit + 1)
        return {
            "agents": [
                {
                    "id": str(each.id),
                    "name": each.name,
                    "role": each.role_description[:MOST_ROLE],
                    "is_you": each.id == caller.agent_id,
                    "is_paused": each.is_paused,
                    "kind": each.runtime_kind,
                }
                for each in found[: asked.limit]
            ],
            "more": len(found) > asked.limit,
        }

    return (
        make_tool(
            "list_agents",
            "List the agents that you can reach with wake_agent, send_message and delegate, and their roles.",
            ListAgents,
            list_agents,
        ),
        make_tool(
            "wake_agent",
            "Wake another agent now with a message, when something there must be done. It does not "
            "answer: to get an answer use delegate.",
            WakeAgent,
            wake_agent,
            hints=ADDS,
        ),
        make_tool(
            "send_message",
            "Write to another agent. It is woken only if it listens for you; else it finds the message later.",
            SendMessage,
            send_message,
            hints=ADDS,
        ),
        make_tool(
            "delegate",
            "Give a task to another agent and be woken with its answer, or after 24 hours without one.",
            Delegate,
            give,
            hints=ADDS,
        ),
        make_tool(
            "reply",
            "Answer an agent that gave you a task and waits: it is woken with your text.",
            Reply,
            reply,
            hints=ADDS,
        ),
    )


def _sent(received: ReceivedMessage) -> dict[str, Any]:
    """Describes the result of a message, including why it woke nobody although somebody listens."""
    shown = {
        "message_id": str(received.message_id),
        "session_id": str(received.session_id),
        "woke": bool(received.firing_ids),
    }
    return shown | ({"refused": received.refused} if received.refused else {})
