"""Adds whether the latest check for alerts came after a pause of all processes."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE watch ADD COLUMN is_returning boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    op.execute("ALTER TABLE watch DROP COLUMN is_returning")
