"""Adds retention settings per tenant, and what outlives pruned rows."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

KINDS = ("firings", "invocations", "deliveries", "messages", "notifications", "audit")
BY_TIME = {
    "firings": "fired_at",
    "invocations": "finished_at",
    "webhook_deliveries": "received_at",
    "messages": "created_at",
    "audit_events": "at",
}


def upgrade() -> None:
    for kind in KINDS:
        op.execute(f"ALTER TABLE tenants ADD COLUMN keep_{kind}_days integer")
    for table, column in BY_TIME.items():
        op.execute(f"CREATE INDEX ix_{table}_age ON {table} USING brin ({column})")
    op.execute("""
CREATE TABLE spent_ids (
    owner_id uuid NOT NULL,
    key text NOT NULL,
    id uuid NOT NULL,
    content_hash bytea NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_spent_ids PRIMARY KEY (owner_id, key)
);
CREATE INDEX ix_spent_ids_seen_at ON spent_ids (seen_at);
CREATE TABLE pruned_rows (
    kind text NOT NULL,
    removed bigint DEFAULT 0 NOT NULL,
    CONSTRAINT pk_pruned_rows PRIMARY KEY (kind)
);
""")


def downgrade() -> None:
    op.execute("DROP TABLE pruned_rows, spent_ids")
    for table in BY_TIME:
        op.execute(f"DROP INDEX ix_{table}_age")
    for kind in KINDS:
        op.execute(f"ALTER TABLE tenants DROP COLUMN keep_{kind}_days")
