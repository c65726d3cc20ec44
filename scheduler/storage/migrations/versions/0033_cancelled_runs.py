"""Adds where a run that a service only started is cancelled."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE remote_tasks ADD COLUMN cancel_url text")


def downgrade() -> None:
    op.execute("ALTER TABLE remote_tasks DROP COLUMN cancel_url")
