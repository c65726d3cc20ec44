"""Adds indexes by which the oldest rows of each tenant are found.

The BRIN indexes of 0024 stop helping once removed rows' pages have been used again: their ranges never narrow, and
each batch of a removal read most of the table. Firings and invocations keep theirs, which find the newest rows.
"""

from __future__ import annotations

from alembic import op

from scheduler.storage.index_builds import build_index, drop_index

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

BY_TIME = {
    "firings": "fired_at",
    "invocations": "finished_at",
    "webhook_deliveries": "received_at",
    "messages": "created_at",
    "notifications": "created_at",
    "audit_events": "at",
}
REPLACED = ("webhook_deliveries", "messages", "audit_events")


def upgrade() -> None:
    for table, column in BY_TIME.items():
        build_index(f"ix_{table}_tenant_age", f"{table} (tenant_id, {column})")
    for table in REPLACED:
        drop_index(f"ix_{table}_age")


def downgrade() -> None:
    for table in REPLACED:
        op.execute(f"CREATE INDEX ix_{table}_age ON {table} USING brin ({BY_TIME[table]})")
    for table in BY_TIME:
        op.execute(f"DROP INDEX ix_{table}_tenant_age")
