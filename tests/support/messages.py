"""Messages for tests, taken in by the code that the API and the channels use."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, event

from scheduler.intake.messages.intake import NewMessage, ReceivedMessage, fire_matching, receive_message
from scheduler.storage.channels import create_user
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView
from tests.support.database import change
from tests.support.factories import DEFAULT_TENANT, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler


def make_user(db: Database, name: str = "grace", tenant_id: UUID = DEFAULT_TENANT, **values: Any) -> UUID:
    """Creates a user and returns its id."""
    fields: dict[str, Any] = {"display_name": "", "external_ids": {}}
    with db.begin() as conn:
        user_id: UUID = create_user(conn, tenant_id, name=name, **(fields | values)).id
    return user_id


def listen(db: Database, agent_id: UUID, config: dict[str, Any], **values: Any) -> TriggerView:
    """Creates an on_message trigger without a cooldown."""
    return make_trigger(db, agent_id, "on_message", config=config, **({"cooldown_seconds": 0.0} | values))


def note(to_agent_id: UUID | None, text: str = "hello", **values: Any) -> NewMessage:
    """Builds a message of the default tenant on the channel `web`."""
    fields: dict[str, Any] = {"tenant_id": DEFAULT_TENANT, "channel": "web"}
    return NewMessage(to_agent_id=to_agent_id, text=text, **(fields | values))


def write(db: Database, to_agent_id: UUID | None, text: str = "hello", **values: Any) -> ReceivedMessage:
    """Takes in a message."""
    with db.begin() as conn:
        received = receive_message(conn, note(to_agent_id, text, **values))
    return fire_matching(db, received)


def hide_from_intake(db: Database, trigger_id: UUID) -> None:
    """Pretends that the trigger was created a minute ago, but was not committed when intake ran."""
    change(db, "UPDATE triggers SET is_enabled = false WHERE id = :id", id=trigger_id)


def uncover(db: Database, trigger_id: UUID) -> None:
    """Commits it."""
    change(
        db,
        "UPDATE triggers SET is_enabled = true, anchor_at = clock_timestamp() - interval '1 minute' WHERE id = :id",
        id=trigger_id,
    )


def all_due(db: Database) -> None:
    """Makes every check due now."""
    change(db, "UPDATE jobs SET next_run_time = clock_timestamp() WHERE next_run_time IS NOT NULL")


def look(db: Database, scheduler: SteppedScheduler) -> None:
    """Runs every trigger's check once."""
    all_due(db)
    scheduler.run_pass()


class counted:  # noqa: N801  # reads as a verb in `with counted(db)`
    """Counts the statements that are sent to a database inside the block."""

    def __init__(self, db: Database) -> None:
        self._engine = db.engine
        self._statements: list[str] = []

    def __enter__(self) -> list[str]:
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self._statements

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _conn: Connection, _cursor: object, statement: str, *_: object) -> None:
        self._statements.append(statement)
