"""Fair shares of a claim: when more is due than one pass may take, each tenant has a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from scheduler.storage.arrays import array, uuid_array


def due_of_tenants(table: str, column: str, where: str) -> TextClause:
    """A query for `read_shares`: what is due in `table` by its `column`, of the rows `where`; an index leads by tenant.

    It reads no tenant unless there is more than `limit` in all: most passes pay for one look at an index.
    """
    due = f"{where} AND {column} <= (SELECT clock_timestamp())"
    return text(f"""
        SELECT t.id, theirs.due
        FROM (SELECT count(*) AS n FROM (SELECT FROM {table} WHERE {due} LIMIT :limit) AS few) AS all_due
        JOIN tenants t ON all_due.n >= :limit
        CROSS JOIN LATERAL (
            SELECT count(*) AS due, min({column}) AS first_at FROM (
                SELECT {column} FROM {table} WHERE {due} AND tenant_id = t.id ORDER BY {column} LIMIT :limit
            ) AS few
        ) AS theirs
        WHERE theirs.due > 0 ORDER BY theirs.first_at, t.id
    """)  # noqa: S608  # names of ours


def read_shares(conn: Connection, due: TextClause, limit: int) -> dict[UUID, int]:
    """How many rows each tenant may have of a claim of `limit`; none when there is enough for all, or one tenant."""
    if limit == 1:
        return {}  # a row that cannot be handled is being looked for: the oldest comes first
    waiting = {row.id: row.due for row in conn.execute(due, {"limit": limit})}
    return divide(waiting, limit) if len(waiting) > 1 else {}


def divide(waiting: Mapping[UUID, int], limit: int) -> dict[UUID, int]:
    """Divide `limit` so that who wants less than an equal share has all of it, and the others as much as each other."""
    shares: dict[UUID, int] = {}
    left = limit
    for place, (tenant_id, wanted) in enumerate(sorted(waiting.items(), key=lambda each: each[1])):
        if left == 0:
            break
        shares[tenant_id] = min(wanted, max(left // (len(waiting) - place), 1))
        left -= shares[tenant_id]
    return shares


def share_parameters(shares: Mapping[UUID, int]) -> dict[str, object]:
    """`:tenant_ids` and `:shares` of a claim."""
    return {"tenant_ids": uuid_array(shares), "shares": array(shares.values())}
