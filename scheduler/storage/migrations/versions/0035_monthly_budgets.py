"""Adds what a tenant's month may cost."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN cost_budget_per_month double precision")


def downgrade() -> None:
    op.execute("ALTER TABLE tenants DROP COLUMN cost_budget_per_month")
