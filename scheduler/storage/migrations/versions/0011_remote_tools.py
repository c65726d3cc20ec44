"""Adds MCP servers and remote agents."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE remote_tasks (
            invocation_id uuid CONSTRAINT pk_remote_tasks PRIMARY KEY,
            url text NOT NULL,
            task_id text NOT NULL,
            created_at timestamptz DEFAULT clock_timestamp() NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE a2a_tasks (
            firing_id uuid CONSTRAINT pk_a2a_tasks PRIMARY KEY,
            tenant_id uuid NOT NULL,
            agent_id uuid NOT NULL,
            key_id uuid NOT NULL,
            message_id text NOT NULL,
            context_id text NOT NULL,
            created_at timestamptz DEFAULT clock_timestamp() NOT NULL
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_a2a_tasks_message ON a2a_tasks (agent_id, key_id, message_id)")
    op.execute("CREATE INDEX ix_a2a_tasks_agent ON a2a_tasks (agent_id, firing_id)")
    op.execute("ALTER TABLE agents ADD COLUMN mcp_servers jsonb DEFAULT '[]'::jsonb NOT NULL")
    op.execute("ALTER TABLE agents ADD COLUMN mcp_secrets bytea")


def downgrade() -> None:
    op.execute("ALTER TABLE agents DROP COLUMN mcp_secrets")
    op.execute("ALTER TABLE agents DROP COLUMN mcp_servers")
    op.execute("DROP TABLE a2a_tasks")
    op.execute("DROP TABLE remote_tasks")
