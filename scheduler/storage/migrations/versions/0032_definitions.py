"""Adds the marks of what `reveille apply` owns."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE definitions (
            object_id uuid PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            kind text NOT NULL, set_name text NOT NULL, is_made boolean NOT NULL, applied jsonb NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), applied_by text NOT NULL
        )
    """)
    op.execute("CREATE INDEX ix_definitions_tenant ON definitions (tenant_id)")


def downgrade() -> None:
    op.execute("DROP TABLE definitions")
