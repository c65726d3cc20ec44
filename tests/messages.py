"""Messages for tests, taken in the way the API and the channels do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from scheduler.invocations.messages import NewMessage, Received, receive_message
from scheduler.storage.engine import Database
from scheduler.storage.trigger_views import TriggerView
from scheduler.storage.users import create_user
from tests.factories import DEFAULT_TENANT, make_trigger


def make_user(db: Database, name: str = "grace", tenant_id: UUID = DEFAULT_TENANT, **values: Any) -> UUID:
    """A user, its id."""
    fields: dict[str, Any] = {"display_name": "", "external_ids": {}}
    with db.begin() as conn:
        user_id: UUID = create_user(conn, tenant_id, name=name, **(fields | values)).id
    return user_id


def listen(db: Database, agent_id: UUID, config: dict[str, Any], **values: Any) -> TriggerView:
    """An on_message trigger that never cools down."""
    return make_trigger(db, agent_id, "on_message", config=config, **({"cooldown_seconds": 0.0} | values))


def note(to_agent_id: UUID | None, text: str = "hello", **values: Any) -> NewMessage:
    """A message of the default tenant's on the channel `web`."""
    fields: dict[str, Any] = {"tenant_id": DEFAULT_TENANT, "channel": "web"}
    return NewMessage(to_agent_id=to_agent_id, text=text, **(fields | values))


def write(db: Database, to_agent_id: UUID | None, text: str = "hello", **values: Any) -> Received:
    """Take a message in."""
    with db.begin() as conn:
        return receive_message(conn, note(to_agent_id, text, **values))
