"""Fair shares of a claim: when more is due than one pass may take, each tenant has a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from scheduler.storage.arrays import array, uuid_array

FEW = 100
"""Due rows of a tenant that the express lane takes, so that they do not wait for a full pass."""
ALL_FEW = 400
"""Rows that it takes at a time, so that none of them waits long."""

NEIGHBOURS = text("SELECT count(*) > 1 FROM (SELECT FROM tenants LIMIT 2) AS first_two")


def due_of_tenants(table: str, column: str, where: str) -> TextClause:
    """A query for `read_waiting`: what is due in `table` by its `column`, of rows `where`, by an index of tenants."""
    due = f"{where} AND {column} <= (SELECT clock_timestamp())"
    return text(f"""
        SELECT t.id, theirs.due
        FROM (SELECT count(*) AS n FROM (SELECT FROM {table} WHERE {due} LIMIT :more_than) AS few) AS all_due
        JOIN tenants t ON all_due.n >= :more_than
        CROSS JOIN LATERAL (
            SELECT count(*) AS due, min({column}) AS first_at FROM (
                SELECT {column} FROM {table} WHERE {due} AND tenant_id = t.id ORDER BY {column} LIMIT :up_to
            ) AS few
        ) AS theirs
        WHERE theirs.due > 0 ORDER BY theirs.first_at, t.id
    """)  # noqa: S608  # names of ours


def read_waiting(conn: Connection, due: TextClause, *, more_than: int, up_to: int = FEW + 1) -> dict[UUID, int]:
    """How many rows each tenant has due, counted `up_to`, who waits longest first; none unless all have `more_than`.

    Most passes so pay for one look at an index.
    """
    return {row.id: row.due for row in conn.execute(due, {"more_than": more_than, "up_to": up_to})}


def read_shares(conn: Connection, due: TextClause, limit: int, *, leaves_few: bool) -> dict[UUID, int] | None:
    """How many rows each tenant may have of a claim of `limit`; None when there is enough for all, or one tenant.

    With `leaves_few`, what the express lane takes is left to it.
    """
    if limit == 1:
        return None  # a row that cannot be handled is being looked for: the oldest comes first
    waiting = read_waiting(conn, due, more_than=limit, up_to=max(limit, FEW + 1))
    if len(waiting) <= 1:
        return None
    few = few_of(waiting) if leaves_few else {}
    return divide({each: wanted for each, wanted in waiting.items() if each not in few}, limit)


def few_of(waiting: Mapping[UUID, int]) -> dict[UUID, int]:
    """The tenants that have few due, with all that they have: as many tenants as have few together."""
    taken: dict[UUID, int] = {}
    left = ALL_FEW
    for tenant_id, wanted in waiting.items():
        if wanted <= min(FEW, left):
            taken[tenant_id] = wanted
            left -= wanted
    return taken


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


def has_neighbours(conn: Connection) -> bool:
    """Whether there is more than one tenant."""
    return bool(conn.execute(NEIGHBOURS).scalar_one())
