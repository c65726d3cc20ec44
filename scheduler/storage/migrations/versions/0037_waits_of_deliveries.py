"""Adds how long a delivery waited until it was judged."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE webhook_deliveries ADD COLUMN waited interval")


def downgrade() -> None:
    op.execute("ALTER TABLE webhook_deliveries DROP COLUMN waited")
