"""Adds budgets and acknowledgements."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE tenants ADD COLUMN max_tokens_per_day bigint, ADD COLUMN max_invocations_per_hour integer",
    "ALTER TABLE agents ADD COLUMN max_tokens_per_day bigint, ADD COLUMN max_invocations_per_hour integer",
    "ALTER TABLE invocations ADD COLUMN held_until timestamptz, ADD COLUMN held_note text",
    "CREATE INDEX ix_invocations_ready ON invocations (agent_id, ready_at) WHERE ready_at IS NOT NULL",
    "CREATE INDEX ix_invocations_held_until ON invocations (held_until) WHERE held_until IS NOT NULL",
    """
    ALTER TABLE firings
        ADD COLUMN ack text, ADD COLUMN acked_at timestamptz, ADD COLUMN deferred_until timestamptz
    """,
    "CREATE INDEX ix_firings_ack ON firings (trigger_id, ack) WHERE ack IS NOT NULL",
    "CREATE INDEX ix_firings_deferred_until ON firings (deferred_until) WHERE ack = 'deferred'",
    """
    CREATE TABLE budget_notices (
        owner_id uuid NOT NULL,
        budget text NOT NULL,
        level text NOT NULL,
        until timestamptz NOT NULL,
        CONSTRAINT pk_budget_notices PRIMARY KEY (owner_id, budget, level)
    )
    """,
)
DOWN = (
    "DROP TABLE budget_notices",
    "DROP INDEX ix_firings_ack",
    "DROP INDEX ix_firings_deferred_until",
    "ALTER TABLE firings DROP COLUMN ack, DROP COLUMN acked_at, DROP COLUMN deferred_until",
    "DROP INDEX ix_invocations_ready",
    "DROP INDEX ix_invocations_held_until",
    "ALTER TABLE invocations DROP COLUMN held_until, DROP COLUMN held_note",
    "ALTER TABLE agents DROP COLUMN max_tokens_per_day, DROP COLUMN max_invocations_per_hour",
    "ALTER TABLE tenants DROP COLUMN max_tokens_per_day, DROP COLUMN max_invocations_per_hour",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
