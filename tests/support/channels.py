"""Channels under test: created through the API, called as their providers would."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from werkzeug.test import TestResponse

from scheduler.storage.tables.messages import Message
from tests.support.api import Api
from tests.support.chat_events import (
    DISCORD_PUBLIC_KEY,
    LARK_KEY,
    LARK_TOKEN,
    SLACK_SECRET,
    discord_command,
    discord_headers,
    dump,
    encrypted,
    feishu_event,
    feishu_headers,
    option,
    slack_event,
    slack_headers,
)

SECRETS: dict[str, dict[str, str]] = {
    "slack": {"signing_secret": SLACK_SECRET},
    "discord": {"public_key": DISCORD_PUBLIC_KEY},
    "feishu": {"verification_token": LARK_TOKEN, "encrypt_key": LARK_KEY},
}
SIGNED: dict[str, Callable[[bytes, float], dict[str, str]]] = {
    "slack": slack_headers,
    "discord": discord_headers,
    "feishu": feishu_headers,
}
EVENTS: dict[str, Callable[[str], Any]] = {
    "slack": slack_event,
    "discord": lambda text: discord_command(option(text)),
    "feishu": feishu_event,
}


@dataclass(frozen=True)
class Line:
    """A channel and how its provider calls it."""

    api: Api
    shown: Any

    @property
    def kind(self) -> str:
        return str(self.shown["kind"])

    @property
    def path(self) -> str:
        return f"/channels/{self.shown['id']}/events"

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> TestResponse:
        """Makes one call, signed now unless it has its own headers."""
        given = SIGNED[self.kind](body, time.time()) if headers is None else headers
        return self.api.app.test_client().post(self.path, data=body, headers=given)

    def send(self, event: Any) -> Any:
        """Sends one event and returns the JSON of the response, which must be 200."""
        response = self.post(encrypted(event) if self.kind == "feishu" else dump(event))
        assert response.status_code == 200, response.text
        return response.json

    def messages(self) -> list[Row[Any]]:
        """Returns the stored messages, oldest first."""
        query = select(*Message.__table__.c).where(Message.to_agent_id == UUID(self.shown["agent_id"]))
        with self.api.db.begin() as conn:
            return list(conn.execute(query.order_by(Message.id)))

    def note(self) -> str | None:
        """Returns why the last rejected event made no message."""
        note: str | None = self.api.get(f"/channels/{self.shown['id']}")["note"]
        return note


def open_line(api: Api, kind: str = "slack", name: str | None = None, **fields: Any) -> Line:
    """Creates a channel to a new agent, or to `agent_id`."""
    agent_id = fields.pop("agent_id", None) or api.agent(f"agent of {name or kind}")["id"]
    body = {"name": name or kind, "kind": kind, "agent_id": agent_id, "secrets": SECRETS[kind], **fields}
    return Line(api, api.post("/channels", body))


def listen(line: Line, from_user: str, **config: Any) -> Any:
    """Creates a trigger of the channel's agent that listens to a user."""
    return line.api.trigger(
        line.shown["agent_id"], "listen", type="on_message", config={"from_user": from_user, **config}
    )


def firings(line: Line) -> list[Any]:
    """Returns the firings of the channel's agent."""
    return list(line.api.get("/firings", agent_id=line.shown["agent_id"])["items"])
