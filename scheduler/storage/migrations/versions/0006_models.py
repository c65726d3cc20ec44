"""Adds models, model responses, tool calls in sessions, and usage."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE models (
        id uuid CONSTRAINT pk_models PRIMARY KEY,
        tenant_id uuid NOT NULL,
        name text NOT NULL,
        provider text NOT NULL,
        model text NOT NULL,
        base_url text,
        key bytea,
        key_env text,
        is_enabled boolean DEFAULT true NOT NULL,
        max_output_tokens integer,
        input_price numeric DEFAULT 0 NOT NULL,
        output_price numeric DEFAULT 0 NOT NULL,
        created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
        updated_at timestamptz DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT fk_models_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX uq_models_tenant_name ON models (tenant_id, name)",
    "CREATE INDEX ix_models_tenant ON models (tenant_id, id)",
    """
    CREATE TABLE model_responses (
        invocation_id uuid NOT NULL,
        position integer NOT NULL,
        response text NOT NULL,
        created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT pk_model_responses PRIMARY KEY (invocation_id, position)
    )
    """,
    """
    CREATE TABLE agent_usage (
        agent_id uuid NOT NULL,
        day date NOT NULL,
        tenant_id uuid NOT NULL,
        tokens_in bigint DEFAULT 0 NOT NULL,
        tokens_out bigint DEFAULT 0 NOT NULL,
        cost numeric DEFAULT 0 NOT NULL,
        invocations integer DEFAULT 0 NOT NULL,
        CONSTRAINT pk_agent_usage PRIMARY KEY (agent_id, day)
    )
    """,
    "CREATE INDEX ix_agent_usage_tenant ON agent_usage (tenant_id, day)",
    """
    ALTER TABLE invocations
        ADD COLUMN tokens_in bigint DEFAULT 0 NOT NULL,
        ADD COLUMN tokens_out bigint DEFAULT 0 NOT NULL,
        ADD COLUMN cost numeric DEFAULT 0 NOT NULL
    """,
    "ALTER TABLE sessions ADD COLUMN invocation_id uuid",
    "CREATE UNIQUE INDEX uq_sessions_invocation ON sessions (invocation_id) WHERE invocation_id IS NOT NULL",
    """
    ALTER TABLE messages
        ADD COLUMN tool_key text,
        ADD COLUMN tool_name text,
        ADD COLUMN tool_arguments text,
        ADD COLUMN tool_state text,
        ADD COLUMN ended_at timestamptz
    """,
    "CREATE UNIQUE INDEX uq_messages_tool_call ON messages (session_id, tool_key) WHERE tool_key IS NOT NULL",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DELETE FROM messages WHERE tool_key IS NOT NULL")
    op.execute("""
        ALTER TABLE messages
            DROP COLUMN tool_key, DROP COLUMN tool_name, DROP COLUMN tool_arguments,
            DROP COLUMN tool_state, DROP COLUMN ended_at
    """)
    op.execute("ALTER TABLE sessions DROP COLUMN invocation_id")
    op.execute("ALTER TABLE invocations DROP COLUMN tokens_in, DROP COLUMN tokens_out, DROP COLUMN cost")
    op.execute("DROP TABLE agent_usage, model_responses, models")
