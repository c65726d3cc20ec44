"""Adds idempotency keys with the stored answers."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    caller text NOT NULL,
    target text NOT NULL,
    key text NOT NULL,
    content_hash bytea NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, caller, target, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
""")


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_keys")
