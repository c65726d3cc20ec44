"""Adds users, sessions, messages and system triggers.

A system trigger may share its name with a trigger that a user created.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("pair_wakes", "messages", "sessions", "user_accounts", "users")

UP = """
CREATE TABLE users (
    id uuid CONSTRAINT pk_users PRIMARY KEY,
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    display_name text DEFAULT '' NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT fk_users_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_users_tenant ON users (tenant_id, id);

CREATE UNIQUE INDEX uq_users_tenant_name ON users (tenant_id, name);

CREATE TABLE user_accounts (
    tenant_id uuid NOT NULL,
    channel text NOT NULL,
    external_id text NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT pk_user_accounts PRIMARY KEY (tenant_id, channel, external_id),
    CONSTRAINT fk_user_accounts_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_user_accounts_user_id ON user_accounts (user_id);

CREATE TABLE sessions (
    id uuid CONSTRAINT pk_sessions PRIMARY KEY,
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    user_id uuid,
    peer_agent_id uuid,
    channel text NOT NULL,
    thread text DEFAULT '' NOT NULL,
    title text DEFAULT '' NOT NULL,
    is_reflection boolean DEFAULT false NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL
);

CREATE INDEX ix_sessions_tenant ON sessions (tenant_id, id);

CREATE UNIQUE INDEX uq_sessions_peer ON sessions (agent_id, peer_agent_id, channel, thread)
    WHERE peer_agent_id IS NOT NULL AND NOT is_reflection;

CREATE UNIQUE INDEX uq_sessions_user ON sessions (agent_id, user_id, channel, thread)
    WHERE user_id IS NOT NULL AND NOT is_reflection;

CREATE TABLE messages (
    id uuid CONSTRAINT pk_messages PRIMARY KEY,
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL,
    from_type text NOT NULL,
    from_id uuid NOT NULL,
    to_agent_id uuid,
    channel text NOT NULL,
    text text NOT NULL,
    event_id text,
    root_id uuid,
    depth integer DEFAULT '0' NOT NULL,
    refused_for uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL
);

CREATE INDEX ix_messages_sender ON messages (from_id, created_at);

CREATE INDEX ix_messages_receiver ON messages (to_agent_id, from_id, created_at);

CREATE INDEX ix_messages_session ON messages (session_id, id);

CREATE UNIQUE INDEX uq_messages_event ON messages (tenant_id, channel, event_id) WHERE event_id IS NOT NULL;

CREATE TABLE pair_wakes (
    firing_id uuid CONSTRAINT pk_pair_wakes PRIMARY KEY,
    from_agent_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    woken_at timestamptz DEFAULT clock_timestamp() NOT NULL
);

CREATE INDEX ix_pair_wakes_pair ON pair_wakes (from_agent_id, agent_id, woken_at);

ALTER TABLE triggers ADD COLUMN is_system boolean DEFAULT false NOT NULL;

DROP INDEX uq_triggers_agent_name;

CREATE UNIQUE INDEX uq_triggers_agent_name ON triggers (agent_id, name) WHERE deleted_at IS NULL AND NOT is_system;

CREATE UNIQUE INDEX uq_triggers_agent_system ON triggers (agent_id, name) WHERE deleted_at IS NULL AND is_system;

CREATE INDEX ix_triggers_any_session ON triggers (tenant_id)
    WHERE type = 'on_message' AND config @> '{"any_session": true}' AND deleted_at IS NULL;
"""

# Firings tell what a system trigger did; the previous version does not know its row.
DOWN = """
DROP INDEX ix_triggers_any_session;

DELETE FROM triggers WHERE is_system;

DROP INDEX uq_triggers_agent_system;

DROP INDEX uq_triggers_agent_name;

CREATE UNIQUE INDEX uq_triggers_agent_name ON triggers (agent_id, name) WHERE deleted_at IS NULL;

ALTER TABLE triggers DROP COLUMN is_system;
"""


def upgrade() -> None:
    _execute(UP)


def downgrade() -> None:
    _execute(DOWN)
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")


def _execute(statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            op.execute(statement)
