"""Notifies live watchers of changes, exactly when the change is committed, and stores which sockets are open."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from scheduler.storage.pipelines import send_along
from scheduler.storage.tables.notifications import LiveSocket
from scheduler.storage.tables.tenants import ApiKey

LIVE_CHANNEL = "reveille_live"
"""The NOTIFY channel of changes. Each payload is a JSON object `{tenant, kind, id}`; each value may be null."""

MAX_TOLD = 20
"""The most changes named in one transaction. Beyond that all watchers are told to refresh, which is cheaper."""

TELL = text("SELECT pg_notify(:channel, told) FROM unnest(CAST(:payloads AS text[])) AS told")
KEPT_FOR = timedelta(minutes=5)
"""When other processes remove the rows of a killed process. They stop counting long before."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change to a tenant's data. `tenant_id` None means any tenant; `id` None means several rows of that kind."""

    tenant_id: UUID | None
    kind: str
    """`firing`, `invocation`, `message`, `notification` …; ANYTHING means that everything should be refreshed."""
    id: UUID | None = None


ANYTHING = "anything"
EVERYTHING = Change(None, ANYTHING)


def notify_watchers(conn: Connection, changes: Iterable[Change]) -> None:
    """Notifies watchers of `changes` when this transaction commits.

    PostgreSQL serializes commits that NOTIFY, so use this only in transactions that are batched or rare.
    """
    given = list(changes)
    if len(given) > MAX_TOLD:
        given = [Change(*each) for each in dict.fromkeys((change.tenant_id, change.kind) for change in given)]
    distinct = [EVERYTHING] if len(given) > MAX_TOLD else list(dict.fromkeys(given))
    if distinct:
        payloads = [encode(change) for change in distinct]
        send_along(conn, TELL, channel=LIVE_CHANNEL, payloads=payloads)


def encode(change: Change) -> str:
    """Encodes `change` as a NOTIFY payload."""
    tenant, id_ = change.tenant_id, change.id
    return json.dumps({"tenant": tenant and str(tenant), "kind": change.kind, "id": id_ and str(id_)})


def decode(payload: str) -> Change:
    """Decodes a payload; returns EVERYTHING for an unknown one, since anyone with database access may NOTIFY."""
    try:
        value = json.loads(payload)
        tenant, id_ = value["tenant"], value["id"]
        return Change(tenant and UUID(tenant), str(value["kind"]), id_ and UUID(id_))
    except (ValueError, KeyError, TypeError, AttributeError):
        return EVERYTHING


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """An open socket that watches one session or one user."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID | None
    user_id: UUID | None
    session_id: UUID | None


def show_sockets(conn: Connection, sockets: Sequence[OpenSocket]) -> None:
    """Marks these sockets as open now."""
    if sockets:
        shown = insert(LiveSocket).values([asdict(each) for each in sockets])
        conn.execute(shown.on_conflict_do_update(index_elements=["id"], set_={"seen_at": func.clock_timestamp()}))
    conn.execute(delete(LiveSocket).where(LiveSocket.seen_at < func.clock_timestamp() - KEPT_FOR))


def hide_sockets(conn: Connection, ids: Collection[UUID]) -> None:
    """Removes these sockets."""
    conn.execute(delete(LiveSocket).where(LiveSocket.id.in_(ids)))


def live_keys(conn: Connection, key_ids: Collection[UUID]) -> set[UUID]:
    """Returns those of `key_ids` that are not revoked."""
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.clock_timestamp())
    return set(
        conn.scalars(select(ApiKey.id).where(ApiKey.id.in_(key_ids), ApiKey.revoked_at.is_(None), unexpired))
    )
