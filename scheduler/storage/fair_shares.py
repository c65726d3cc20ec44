"""Divides a claim fairly: when more rows are due than one pass may take, each tenant gets a share."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.pipelines import Answer, send_along

FEW = 100
"""A tenant with at most this many due rows is served by the express pass instead of waiting for a full one."""
ALL_FEW = 400
"""The most rows that an express pass takes, so that it stays short."""

NEIGHBOURS = text("SELECT count(*) > 1 FROM (SELECT FROM tenants WHERE NOT is_system LIMIT 2) AS first_two")


def due_of_tenants(table: str, column: str, where: str) -> TextClause:
    """Builds the query for `read_waiting`: rows `where` due in `table` by `column`, counted per tenant."""
    due = f"{where} AND {column} <= (SELECT clock_timestamp())"
    theirs = f"{where} AND {due_of(column, 't.id')}"
    return text(f"""
        SELECT t.id, theirs.due
        FROM (SELECT count(*) AS n FROM (SELECT FROM {table} WHERE {due} LIMIT :more_than) AS few) AS all_due
        JOIN tenants t ON all_due.n >= :more_than
        CROSS JOIN LATERAL (
            SELECT count(*) AS due, min({column}) AS first_at FROM (
                SELECT {column} FROM {table} WHERE {theirs} ORDER BY tenant_id, {column} LIMIT :up_to
            ) AS few
        ) AS theirs
        WHERE theirs.due > 0 ORDER BY theirs.first_at, t.id
    """)  # noqa: S608  # names of ours


def due_of(column: str, tenant_id: str) -> str:
    """Returns the SQL condition for a tenant's due rows, to be read `ORDER BY tenant_id, column`.

    It compares pairs, so that only an index on both columns serves it: with `tenant_id = …` the planner took the one
    on the time, and read all rows of a flood to find a neighbour's.
    """
    pair = f"(tenant_id, {column})"
    return f"{pair} >= ({tenant_id}, '-infinity') AND {pair} <= ({tenant_id}, (SELECT clock_timestamp()))"


def read_waiting(conn: Connection, due: TextClause, *, more_than: int, up_to: int = FEW + 1) -> dict[UUID, int]:
    """Counts each tenant's due rows up to `up_to`, longest waiting first; empty unless `more_than` rows are due in
    all.

    Most passes therefore cost a single index lookup.
    """
    return dict(send_along(conn, due, more_than=more_than, up_to=up_to).all())


def ask_waiting(conn: Connection, due: TextClause, limit: int) -> Answer:
    """Asks how many rows are due of each tenant, longest waiting first; no rows when a claim of `limit` has room for
    all.
    """
    return send_along(conn, due, more_than=limit, up_to=max(limit, FEW + 1))


def shares_of(waiting: Mapping[UUID, int], limit: int, *, leaves_few: bool) -> dict[UUID, int] | None:
    """Returns how many rows of a claim of `limit` each tenant may have, by how many rows of it wait;

    None when there is room for all or only one tenant. With `leaves_few`, rows that the express pass takes are
    left to it.
    """
    if limit == 1 or len(waiting) <= 1:
        return None  # with one, bisecting for a row that fails: take the oldest first
    few = tenants_with_few(waiting) if leaves_few else {}
    return divide({each: wanted for each, wanted in waiting.items() if each not in few}, limit)


def tenants_with_few(waiting: Mapping[UUID, int]) -> dict[UUID, int]:
    """Returns the tenants that have few due rows, with their counts, up to ALL_FEW rows in total."""
    taken: dict[UUID, int] = {}
    left = ALL_FEW
    for tenant_id, wanted in waiting.items():
        if wanted <= min(FEW, left):
            taken[tenant_id] = wanted
            left -= wanted
    return taken


def divide(waiting: Mapping[UUID, int], limit: int) -> dict[UUID, int]:
    """Divides `limit` so that tenants wanting less than an equal share get everything and the rest share equally."""
    shares: dict[UUID, int] = {}
    left = limit
    for place, (tenant_id, wanted) in enumerate(sorted(waiting.items(), key=lambda each: each[1])):
        if left == 0:
            break
        shares[tenant_id] = min(wanted, max(left // (len(waiting) - place), 1))
        left -= shares[tenant_id]
    return shares


def share_parameters(shares: Mapping[UUID, int]) -> dict[str, object]:
    """Builds the `:tenant_ids` and `:shares` parameters of a claim."""
    return {"tenant_ids": uuid_array(shares), "shares": array(shares.values())}


def has_neighbours(conn: Connection) -> bool:
    """Whether there is more than one tenant."""
    return bool(conn.execute(NEIGHBOURS).scalar_one())
