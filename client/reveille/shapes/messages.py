"""Shapes of messages.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Required, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.invocations import MessageOut


MessageIn = TypedDict(
    "MessageIn",
    {
        "from": "SenderIn | None",
        "to_agent_id": Required["str"],
        "text": Required["str"],
        "channel": "str | None",
        "session_id": "str | None",
        "event_id": "str | None",
    },
    total=False,
)


class ReceivedOut(TypedDict):
    id: str
    session_id: str
    duplicate: bool
    firing_ids: list[str]


class SenderIn(TypedDict, total=False):
    type: Required[Literal["user", "agent"]]
    id: str | None
    name: str | None


class MessageWhole(TypedDict):
    id: str
    session_id: str
    role: str
    from_type: str
    from_id: str
    to_agent_id: str | None
    channel: str
    text: str
    length: int
    root_id: str | None
    depth: int
    tool_name: str | None
    tool_arguments: str | None
    tool_state: str | None
    ended_at: str | None
    created_at: str


class SessionOut(TypedDict):
    id: str
    agent_id: str
    user_id: str | None
    peer_agent_id: str | None
    channel: str
    thread: str
    title: str
    is_reflection: bool
    invocation_id: str | None
    created_at: str


class SessionPage(TypedDict):
    items: list[SessionOut]
    next: str | None


CallState = Literal["running", "done", "failed", "interrupted"]


class MessagePage(TypedDict):
    items: list[MessageOut]
    next: str | None
