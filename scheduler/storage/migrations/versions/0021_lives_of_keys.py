"""Adds expiry and last use of API keys. No part of a human-chosen key is kept in the clear."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE api_keys ADD COLUMN expires_at timestamptz, ADD COLUMN last_used_at timestamptz")
    op.execute("UPDATE api_keys SET prefix = '' WHERE NOT starts_with(prefix, 'rvl_')")


def downgrade() -> None:
    op.execute("ALTER TABLE api_keys DROP COLUMN expires_at, DROP COLUMN last_used_at")
