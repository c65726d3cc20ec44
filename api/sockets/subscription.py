"""Decides what a socket may see, and applies its filter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection, func, select

from api.auth import caller_of
from api.body import unique_members
from api.schemas.base import Query
from scheduler.domain.errors import NotFound, Unauthorized
from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.ids import new_id
from scheduler.storage.agents import get_agent
from scheduler.storage.channels import get_user
from scheduler.storage.live import OpenSocket, show_sockets
from scheduler.storage.notifications import PushedNotification
from scheduler.storage.sessions import get_session


class Filter(Query):
    """The filter in the query of the address."""

    agent_id: UUID | None = None
    user_id: UUID | None = None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """An admitted socket. `since`: when, by the database's clock."""

    id: UUID
    key_id: UUID
    tenant_id: UUID
    agent_id: UUID | None
    user_id: UUID | None
    session_id: UUID | None
    since: datetime

    @property
    def shown(self) -> OpenSocket | None:
        """Whether it marks a session as open: it names one, or a user."""
        if self.user_id is None and self.session_id is None:
            return None
        return OpenSocket(self.id, self.tenant_id, self.agent_id, self.user_id, self.session_id)

    def sees(self, told: PushedNotification) -> bool:
        """Whether a notification is for this socket."""
        return (
            told.tenant_id == self.tenant_id
            and self.agent_id in (None, told.agent_id)
            and (self.session_id is None or self.session_id in told.session_ids)
            and (self.user_id is None or self.user_id in told.user_ids)
        )


def read_filter(query: Mapping[str, str]) -> Filter:
    """Reads the filter in an address's query; raises InvalidRequest."""
    try:
        return Filter.model_validate(dict(query))
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None


def admit(conn: Connection, key: str, asked_tenant: str | None, wanted: Filter) -> Watch:
    """Admits a socket and marks its session as open.

    Raises Unauthorized, and NotFound for anything that the key cannot access: another tenant's, and for an
    `agent:ID` key also another agent's.
    """
    who = caller_of(conn, key, asked_tenant)
    if who is None:
        raise Unauthorized("The API key is wrong or was revoked.")
    agent_id = who.narrow(wanted.agent_id)
    if agent_id is not None:
        get_agent(conn, who.tenant_id, agent_id)
    if wanted.user_id is not None:
        get_user(conn, who.tenant_id, wanted.user_id)
    if wanted.session_id is not None:
        _check_session(conn, who.tenant_id, wanted.session_id, agent_id)
    now = conn.execute(select(func.clock_timestamp())).scalar_one()
    watch = Watch(new_id(), who.key_id, who.tenant_id, agent_id, wanted.user_id, wanted.session_id, now)
    if watch.shown is not None:
        show_sockets(conn, [watch.shown])
    return watch


def _check_session(conn: Connection, tenant_id: UUID, session_id: UUID, agent_id: UUID | None) -> None:
    session = get_session(conn, tenant_id, session_id)
    if agent_id not in (None, session.agent_id):
        raise NotFound(f"There is no session '{session_id}'.")


def parsed(message: str) -> Any:
    """Parses the JSON of a message; raises ValueError for invalid JSON or a duplicate member."""
    return json.loads(message, object_pairs_hook=unique_members)
