"""Installs the schema of Procrastinate 3.10.

Later versions of Procrastinate ship schema changes as SQL files; each needs a revision here that runs them.
"""

from __future__ import annotations

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))


def downgrade() -> None:
    """Drops everything of Procrastinate's; all its objects are named `procrastinate_…`."""
    op.execute(
        r"""
        DO $$
        DECLARE
            here regnamespace := current_schema()::regnamespace;
            item text;
        BEGIN
            FOR item IN SELECT format('TABLE IF EXISTS %I', relname) FROM pg_class
                    WHERE relname LIKE 'procrastinate\_%' AND relkind = 'r' AND relnamespace = here
                UNION ALL SELECT 'FUNCTION IF EXISTS ' || oid::regprocedure FROM pg_proc
                    WHERE proname LIKE 'procrastinate\_%' AND pronamespace = here
                UNION ALL SELECT format('TYPE IF EXISTS %I', typname) FROM pg_type
                    WHERE typname LIKE 'procrastinate\_%' AND typtype IN ('e', 'c') AND typnamespace = here
            LOOP EXECUTE 'DROP ' || item || ' CASCADE'; END LOOP;
        END $$;
        """
    )
