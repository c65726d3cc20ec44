"""The operations on channels, through which people on a chat provider reach an agent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import InvalidField, NotFound
from scheduler.domain.json_values import merge_patch
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import Event, record_events
from scheduler.storage.channels import create_channel, delete_channel, get_channel, list_channels, update_channel
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.messages import Channel


class Channels:
    """The operations on channels. Every change is one transaction and writes an audit event."""

    def __init__(
        self, db: Database, box: SecretBox, check_secrets: Callable[[str, Mapping[str, Any]], object]
    ) -> None:
        """`check_secrets` raises InvalidField when a kind of channel cannot use these secrets."""
        self._db = db
        self._box = box
        self._check_secrets = check_secrets

    def create(self, tenant_id: UUID, values: Mapping[str, Any], *, actor: str) -> Channel:
        """Creates a channel. Raises InvalidField for its secrets or agent, or Conflict for its name."""
        columns = {**values, "secrets": self._seal(values["kind"], values["secrets"])}
        with self._db.begin() as conn:
            _check_agent(conn, tenant_id, values["agent_id"])
            row = create_channel(conn, tenant_id, columns)
            _audit(conn, "created", row, actor, name=row.name, kind=row.kind)
        return row

    def list(self, tenant_id: UUID, *, limit: int, after: UUID | None = None) -> Sequence[Channel]:
        """Lists channels, newest first."""
        with self._db.begin() as conn:
            return list_channels(conn, tenant_id, limit=limit, after=after)

    def get(self, tenant_id: UUID, channel_id: UUID) -> Channel:
        """Returns one channel. Raises NotFound."""
        with self._db.begin() as conn:
            return get_channel(conn, tenant_id, channel_id)

    def update(self, tenant_id: UUID, channel_id: UUID, patch: Mapping[str, Any], *, actor: str) -> Channel:
        """Changes fields;

        `secrets` are merged and checked as at creation. Raises NotFound, InvalidField, Conflict.
        """
        values = dict(patch)
        with self._db.begin() as conn:
            row = get_channel(conn, tenant_id, channel_id, lock=True)
            if values.pop("kind", row.kind) != row.kind:
                raise InvalidField("kind cannot be changed; create a new channel instead.", field="kind")
            changed = sorted(values)
            if "agent_id" in values:
                _check_agent(conn, tenant_id, values["agent_id"])
            if "secrets" in values:
                held = json.loads(self._box.decrypt(row.secrets))
                values["secrets"] = self._seal(row.kind, merge_patch(held, values["secrets"]))
            if values:
                row = update_channel(conn, row.id, values)
                _audit(conn, "updated", row, actor, fields=changed)
        return row

    def delete(self, tenant_id: UUID, channel_id: UUID, *, actor: str) -> None:
        """Deletes a channel. Its messages stay. Raises NotFound."""
        with self._db.begin() as conn:
            row = get_channel(conn, tenant_id, channel_id, lock=True)
            delete_channel(conn, row.id)
            _audit(conn, "deleted", row, actor, name=row.name, kind=row.kind)

    def _seal(self, kind: str, secrets: Mapping[str, str | None]) -> bytes:
        """Checks the secrets and encrypts them for storage. Raises InvalidField."""
        held = {name: value for name, value in secrets.items() if value is not None}
        self._check_secrets(kind, held)
        return self._box.encrypt(json.dumps(held))


def _check_agent(conn: Connection, tenant_id: UUID, agent_id: UUID) -> None:
    """Locks the agent against deletion. Raises InvalidField when the tenant has none with this id."""
    try:
        get_agent(conn, tenant_id, agent_id, lock=True)
    except NotFound as error:
        raise InvalidField(error.message, field="agent_id") from None


def _audit(conn: Connection, verb: str, row: Channel, actor: str, **detail: object) -> None:
    record_events(conn, [Event(f"channel.{verb}", row.tenant_id, row.id, row.agent_id, actor, detail)])
