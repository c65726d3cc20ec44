"""Notifies live watchers of changes, exactly when the change is committed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

LIVE_CHANNEL = "reveille_live"
"""The NOTIFY channel of changes. Each payload is a JSON object `{tenant, kind, id}`; each value may be null."""

MAX_TOLD = 20
"""The most changes named in one transaction. Beyond that all watchers are told to refresh, which is cheaper."""

TELL = text("SELECT pg_notify(:channel, told) FROM unnest(CAST(:payloads AS text[])) AS told")


@dataclass(frozen=True, slots=True)
class Change:
    """A change to a tenant's data. `tenant_id` None means any tenant; `id` None means several rows of that kind."""

    tenant_id: UUID | None
    kind: str
    """`firing`, `invocation`, `message`, `notification` …; ANYTHING means that everything should be refreshed."""
    id: UUID | None = None


ANYTHING = "anything"
EVERYTHING = Change(None, ANYTHING)


def tell(conn: Connection, changes: Iterable[Change]) -> None:
    """Notifies watchers of `changes` when this transaction commits, in one statement.

    PostgreSQL serializes commits that NOTIFY, so use this only in transactions that are batched or rare.
    """
    distinct = list(dict.fromkeys(changes))
    if len(distinct) > MAX_TOLD:
        distinct = list(dict.fromkeys(Change(change.tenant_id, change.kind) for change in distinct))
    if len(distinct) > MAX_TOLD:
        distinct = [EVERYTHING]
    if distinct:
        payloads = [encode(change) for change in distinct]
        conn.execute(TELL, {"channel": LIVE_CHANNEL, "payloads": payloads})


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
