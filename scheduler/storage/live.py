"""Telling whoever watches that something changed: what was committed is told at its commit, what was not, never."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

LIVE_CHANNEL = "reveille_live"
"""The NOTIFY channel of changes; each payload is a JSON object `{tenant, kind, id}`, of which each may be null."""

MAX_TOLD = 20
"""Changes named in one transaction. Beyond it everyone is told to look again, which costs less than the names."""

TELL = text("SELECT pg_notify(:channel, told) FROM unnest(CAST(:payloads AS text[])) AS told")


@dataclass(frozen=True, slots=True)
class Change:
    """Something of a tenant's that changed. `tenant_id` None: of any tenant; `id` None: several of that kind."""

    tenant_id: UUID | None
    kind: str
    """`firing`, `invocation`, `message`, `notification` …; ANYTHING: look at everything again."""
    id: UUID | None = None


ANYTHING = "anything"
EVERYTHING = Change(None, ANYTHING)


def tell(conn: Connection, changes: Iterable[Change]) -> None:
    """Tell the watchers of `changes` once this transaction commits: one statement, however many there are.

    A commit that tells waits for every other one that does, so this belongs to transactions that do a batch of
    work, or that are rare.
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
    """`change` as the payload of a NOTIFY."""
    tenant, id_ = change.tenant_id, change.id
    return json.dumps({"tenant": tenant and str(tenant), "kind": change.kind, "id": id_ and str(id_)})


def decode(payload: str) -> Change:
    """The change in a payload; EVERYTHING for one that is not ours, since anyone with the database may NOTIFY."""
    try:
        value = json.loads(payload)
        tenant, id_ = value["tenant"], value["id"]
        return Change(tenant and UUID(tenant), str(value["kind"]), id_ and UUID(id_))
    except (ValueError, KeyError, TypeError, AttributeError):
        return EVERYTHING
