"""Adds channels."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE channels (
            id uuid CONSTRAINT pk_channels PRIMARY KEY,
            tenant_id uuid NOT NULL,
            agent_id uuid NOT NULL,
            kind text NOT NULL,
            name text NOT NULL,
            secrets bytea NOT NULL,
            bot_user_id text,
            is_enabled boolean DEFAULT true NOT NULL,
            note text,
            noted_at timestamptz,
            created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
            updated_at timestamptz DEFAULT clock_timestamp() NOT NULL,
            CONSTRAINT fk_channels_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
            CONSTRAINT fk_channels_agent_id_agents FOREIGN KEY(agent_id) REFERENCES agents (id) ON DELETE CASCADE
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_channels_tenant_name ON channels (tenant_id, name)")
    op.execute("CREATE INDEX ix_channels_tenant ON channels (tenant_id, id)")
    op.execute("CREATE INDEX ix_channels_agent_id ON channels (agent_id)")


def downgrade() -> None:
    op.execute("DROP TABLE channels")
