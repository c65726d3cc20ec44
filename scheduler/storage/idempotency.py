"""Requests that name themselves by an Idempotency-Key: sent again, they are answered as before and do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from scheduler.domain.errors import InvalidField
from scheduler.storage.log_tables import IdempotencyKey

FORGET = text("""
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys WHERE created_at < clock_timestamp() - interval '7 days'
        LIMIT 100 FOR UPDATE SKIP LOCKED
    ))
""")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request by its key, which belongs to its caller and to what it is sent to."""

    tenant_id: UUID
    caller: str
    target: str
    """What it does to whom, such as `fire:ID`."""
    key: str
    content_hash: bytes


def answered_before(conn: Connection, request: KeyedRequest | None) -> dict[str, Any] | None:
    """The answer to the same request; None when it is new, and nobody else does it before this transaction ends.

    Raises InvalidField when the key came with another content.
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
            "This Idempotency-Key came before with another content, and nothing was done now; "
            "give each request a key of its own.",
            field="Idempotency-Key",
        )
    return dict(row.answer)


def keep_answer(conn: Connection, request: KeyedRequest | None, answer: Mapping[str, Any]) -> None:
    """Remember the answer, for a week at least, in the transaction that does what was asked; later to complete it."""
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
