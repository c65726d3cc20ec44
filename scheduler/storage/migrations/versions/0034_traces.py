"""Adds where firings' traces come from, and how far they were exported."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE firing_traces (
            firing_id uuid NOT NULL, traceparent text NOT NULL, CONSTRAINT pk_firing_traces PRIMARY KEY (firing_id)
        )
    """)
    op.execute("""
        CREATE TABLE trace_exports (
            id integer NOT NULL, until timestamptz NOT NULL, CONSTRAINT pk_trace_exports PRIMARY KEY (id)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE firing_traces, trace_exports")
