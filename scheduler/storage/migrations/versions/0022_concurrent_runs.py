"""Adds a tenant's limit of concurrent runs."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN max_concurrent_runs integer")


def downgrade() -> None:
    op.execute("ALTER TABLE tenants DROP COLUMN max_concurrent_runs")
