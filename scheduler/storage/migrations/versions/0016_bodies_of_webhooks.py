"""Adds a tenant's size limit for webhook bodies, and the details kept of filtered deliveries."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
ALTER TABLE tenants ADD COLUMN max_webhook_body_bytes integer DEFAULT '1048576' NOT NULL;
ALTER TABLE webhook_deliveries ADD COLUMN data jsonb;
""")


def downgrade() -> None:
    op.execute("""
ALTER TABLE webhook_deliveries DROP COLUMN data;
ALTER TABLE tenants DROP COLUMN max_webhook_body_bytes;
""")
