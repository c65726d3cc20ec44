"""Adds the pause of a tenant, and of the whole service."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE tenants ADD COLUMN is_paused boolean NOT NULL DEFAULT false, ADD COLUMN paused_note text,
            ADD COLUMN paused_by text, ADD COLUMN paused_at timestamptz
    """)
    op.execute("""
        CREATE TABLE service_pause (
            id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
            is_paused boolean NOT NULL DEFAULT false, paused_note text, paused_by text, paused_at timestamptz
        )
    """)
    op.execute("INSERT INTO service_pause DEFAULT VALUES")


def downgrade() -> None:
    op.execute("DROP TABLE service_pause")
    op.execute("""
        ALTER TABLE tenants DROP COLUMN is_paused, DROP COLUMN paused_note, DROP COLUMN paused_by,
            DROP COLUMN paused_at
    """)
