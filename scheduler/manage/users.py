"""The operations on users, who write to agents, and their identities on channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from scheduler.storage.audit import record_event
from scheduler.storage.channels import UserRow, create_user, get_user, list_users
from scheduler.storage.engine import Database


class Users:
    """The operations on users. Every change is one transaction and writes an audit event."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(
        self, tenant_id: UUID, *, name: str, display_name: str, external_ids: Mapping[str, str], actor: str
    ) -> UserRow:
        """Creates a user. Raises Conflict if the name or a channel identity is taken."""
        with self._db.begin() as conn:
            row = create_user(conn, tenant_id, name=name, display_name=display_name, external_ids=external_ids)
            record_event(
                conn, action="user.created", tenant_id=tenant_id, subject_id=row.id, actor=actor, name=row.name
            )
        return row

    def list(self, tenant_id: UUID, *, limit: int, after: UUID | None = None) -> Sequence[UserRow]:
        """Lists users, newest first."""
        with self._db.begin() as conn:
            return list_users(conn, tenant_id, limit=limit, after=after)

    def get(self, tenant_id: UUID, user_id: UUID) -> UserRow:
        """Returns one user. Raises NotFound."""
        with self._db.begin() as conn:
            return get_user(conn, tenant_id, user_id)
