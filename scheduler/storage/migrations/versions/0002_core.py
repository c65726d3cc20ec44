"""Creates the core tables: owners, agents, triggers and jobs, firings, invocations, deliveries, audit.

`triggers` and `jobs` are updated with every firing, so their pages leave room for HOT updates and both are
vacuumed long before a fifth of their rows are dead.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    "scheduler_processes",
    "audit_events",
    "webhook_deliveries",
    "invocations",
    "firings",
    "jobs",
    "triggers",
    "agents",
    "api_keys",
    "tenants",
)

DDL = """
CREATE TABLE tenants (
    id uuid CONSTRAINT pk_tenants PRIMARY KEY,
    name text NOT NULL,
    timezone text DEFAULT 'UTC' NOT NULL,
    default_max_triggers integer DEFAULT '20' NOT NULL,
    min_poll_interval_min integer DEFAULT '5' NOT NULL,
    max_webhook_rate integer DEFAULT '5' NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT uq_tenants_name UNIQUE (name)
);

CREATE TABLE api_keys (
    id uuid CONSTRAINT pk_api_keys PRIMARY KEY,
    tenant_id uuid,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT fk_api_keys_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash)
);

CREATE INDEX ix_api_keys_tenant_id ON api_keys (tenant_id);

CREATE TABLE agents (
    id uuid CONSTRAINT pk_agents PRIMARY KEY,
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    role_description text DEFAULT '' NOT NULL,
    language text DEFAULT 'en' NOT NULL,
    timezone text,
    runtime_kind text NOT NULL,
    runtime jsonb NOT NULL,
    runtime_secret bytea,
    timeout_seconds integer DEFAULT '600' NOT NULL,
    dedup_delay_seconds float8 DEFAULT '30' NOT NULL,
    max_batch integer DEFAULT '100' NOT NULL,
    max_triggers integer DEFAULT '20' NOT NULL,
    min_poll_interval_min integer DEFAULT '5' NOT NULL,
    webhook_rate_limit integer DEFAULT '5' NOT NULL,
    is_paused boolean DEFAULT false NOT NULL,
    paused_note text,
    expires_at timestamptz,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT fk_agents_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE UNIQUE INDEX uq_agents_tenant_name ON agents (tenant_id, name) WHERE deleted_at IS NULL;

CREATE TABLE triggers (
    id uuid CONSTRAINT pk_triggers PRIMARY KEY,
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    config jsonb NOT NULL,
    reason text DEFAULT '' NOT NULL,
    focus_ref text,
    zone text NOT NULL,
    anchor_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    urgent boolean DEFAULT false NOT NULL,
    max_fires integer,
    cooldown_seconds float8 DEFAULT '60' NOT NULL,
    expires_at timestamptz,
    misfire_policy text DEFAULT 'latest' NOT NULL,
    grace_seconds float8 DEFAULT '60' NOT NULL,
    is_enabled boolean DEFAULT true NOT NULL,
    paused_note text,
    fire_count integer DEFAULT '0' NOT NULL,
    last_fired_at timestamptz,
    last_wake_at timestamptz,
    token_hash bytea,
    secret bytea,
    created_by text DEFAULT '' NOT NULL,
    created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT fk_triggers_agent_id_agents FOREIGN KEY(agent_id) REFERENCES agents (id),
    CONSTRAINT uq_triggers_token_hash UNIQUE (token_hash)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX ix_triggers_tenant ON triggers (tenant_id, id) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_triggers_agent_name ON triggers (agent_id, name) WHERE deleted_at IS NULL;

CREATE TABLE jobs (
    trigger_id uuid NOT NULL,
    kind text DEFAULT 'fire' NOT NULL,
    next_run_time timestamptz,
    CONSTRAINT pk_jobs PRIMARY KEY (trigger_id, kind),
    CONSTRAINT fk_jobs_trigger_id_triggers FOREIGN KEY(trigger_id) REFERENCES triggers (id) ON DELETE CASCADE
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX ix_jobs_next_run_time ON jobs (next_run_time) WHERE next_run_time IS NOT NULL;

CREATE TABLE firings (
    id uuid CONSTRAINT pk_firings PRIMARY KEY,
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    trigger_id uuid NOT NULL,
    trigger_name text NOT NULL,
    trigger_type text NOT NULL,
    reason text NOT NULL,
    focus_ref text,
    occurrence_key text NOT NULL,
    fired_at timestamptz NOT NULL,
    first_scheduled_for timestamptz,
    scheduled_for timestamptz,
    slot_count integer DEFAULT '1' NOT NULL,
    slots_exact boolean DEFAULT true NOT NULL,
    content_type text,
    payload bytea,
    data jsonb,
    trust text DEFAULT 'system' NOT NULL,
    state text DEFAULT 'pending' NOT NULL,
    invocation_id uuid NOT NULL,
    root_id uuid NOT NULL,
    depth integer DEFAULT '0' NOT NULL
);

CREATE INDEX ix_firings_invocation ON firings (invocation_id, id);

CREATE INDEX ix_firings_tenant ON firings (tenant_id, id);

CREATE INDEX ix_firings_trigger ON firings (trigger_id, id);

CREATE UNIQUE INDEX uq_firings_occurrence ON firings (trigger_id, occurrence_key);

CREATE TABLE invocations (
    id uuid CONSTRAINT pk_invocations PRIMARY KEY,
    tenant_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    state text DEFAULT 'collecting' NOT NULL,
    opened_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    due_at timestamptz,
    held_reason text,
    firing_count integer DEFAULT '0' NOT NULL,
    firing_ids uuid[],
    ready_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    deadline_at timestamptz,
    attempt integer DEFAULT '0' NOT NULL,
    tries jsonb DEFAULT '[]'::jsonb NOT NULL,
    reason text,
    cancel_requested boolean DEFAULT false NOT NULL,
    worker text,
    context text,
    reply text,
    reply_truncated boolean DEFAULT false NOT NULL,
    complete_token_hash bytea,
    replayed_into uuid
);

CREATE INDEX ix_invocations_agent ON invocations (agent_id, id);

CREATE INDEX ix_invocations_due ON invocations (due_at) WHERE state IN ('collecting', 'retrying');

CREATE INDEX ix_invocations_tenant ON invocations (tenant_id, id);

CREATE UNIQUE INDEX uq_invocations_active ON invocations (agent_id)
    WHERE state IN ('ready', 'running', 'awaiting', 'retrying');

CREATE UNIQUE INDEX uq_invocations_collecting ON invocations (agent_id) WHERE state = 'collecting';

CREATE TABLE webhook_deliveries (
    id uuid CONSTRAINT pk_webhook_deliveries PRIMARY KEY,
    tenant_id uuid NOT NULL,
    trigger_id uuid NOT NULL,
    received_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    verdict text NOT NULL,
    reason text,
    delivery_key text,
    content_type text,
    size integer NOT NULL,
    body bytea,
    firing_id uuid
);

CREATE INDEX ix_webhook_deliveries_trigger ON webhook_deliveries (trigger_id, received_at);

CREATE TABLE audit_events (
    id uuid CONSTRAINT pk_audit_events PRIMARY KEY,
    tenant_id uuid,
    at timestamptz DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject_type text NOT NULL,
    subject_id uuid,
    agent_id uuid,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE INDEX ix_audit_events_subject ON audit_events (subject_id, id);

CREATE INDEX ix_audit_events_tenant ON audit_events (tenant_id, id);

CREATE TABLE scheduler_processes (
    id uuid CONSTRAINT pk_scheduler_processes PRIMARY KEY,
    name text NOT NULL,
    started_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    last_pass_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    passes integer DEFAULT '0' NOT NULL,
    recorded integer DEFAULT '0' NOT NULL
);

INSERT INTO tenants (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default');
"""


def upgrade() -> None:
    for statement in DDL.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
