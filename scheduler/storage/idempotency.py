"""Stores answers to requests with an Idempotency-Key, so that a repeated request gets the same answer and does
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from scheduler.domain.errors import InvalidField
from scheduler.storage.tables.log import IdempotencyKey

FORGET = text("""
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys WHERE created_at < clock_timestamp() - interval '7 days'
        LIMIT 100 FOR UPDATE SKIP LOCKED
    ))
""")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A keyed request. The key is scoped to the caller and the path."""

    tenant_id: UUID
    caller: str
    target: str
    """What the request does and to what, such as `fire:ID`."""
    key: str
    content_hash: bytes


def answered_before(conn: Connection, request: KeyedRequest | None) -> dict[str, Any] | None:
    """Returns the earlier answer to the same request; for a new one returns None and locks the key until commit.

    Raises InvalidField when the key was used with different content.
    """
    if request is None:
        return None
    name = "\n".join((str(request.tenant_id), request.caller, request.target, request.key))
    conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    row = conn.execute(
        select(IdempotencyKey.content_hash, IdempotencyKey.answer).where(
            IdempotencyKey.tenant_id == request.tenant_id,
            IdempotencyKey.caller == request.caller,
            IdempotencyKey.target == request.target,
            IdempotencyKey.key == request.key,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.content_hash != request.content_hash:
        raise InvalidField(
            "This Idempotency-Key was already used for a different request, so nothing "
            "was done; use a new key for each request.",
            field="Idempotency-Key",
        )
    return dict(row.answer)


def keep_answer(conn: Connection, request: KeyedRequest | None, answer: Mapping[str, Any]) -> None:
    """Stores the answer for at least a week, in the transaction that does the work; call again to complete it."""
    if request is None:
        return
    new = insert(IdempotencyKey).values(
        tenant_id=request.tenant_id,
        caller=request.caller,
        target=request.target,
        key=request.key,
        content_hash=request.content_hash,
        answer=dict(answer),
    )
    same = [IdempotencyKey.tenant_id, IdempotencyKey.caller, IdempotencyKey.target, IdempotencyKey.key]
    conn.execute(new.on_conflict_do_update(index_elements=same, set_={"answer": new.excluded.answer}))
    conn.execute(FORGET)
