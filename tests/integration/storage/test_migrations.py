from __future__ import annotations

from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from scheduler.storage.engine import unpooled_engine
from scheduler.storage.migrate import current_revision, downgrade, head_revision, upgrade
from scheduler.storage.tables.base import Base


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not (name or "").startswith(("procrastinate", "alembic"))


def test_up_down_and_up_again_leaves_the_schema_of_the_tables(sqlalchemy_url: str) -> None:
    downgrade(sqlalchemy_url)
    engine = unpooled_engine(sqlalchemy_url)
    with engine.connect() as conn:
        assert inspect(conn).get_table_names() == ["alembic_version"]
        left = conn.execute(text("SELECT proname FROM pg_proc WHERE proname LIKE 'procrastinate%'")).all()
        types = conn.execute(text("SELECT typname FROM pg_type WHERE typname LIKE 'procrastinate%'")).all()
        assert (left, types) == ([], [])
    upgrade(sqlalchemy_url)
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"include_name": _is_ours})
        drift = produce_migrations(context, Base.metadata).upgrade_ops
        assert drift is not None
        assert drift.is_empty(), [operation.to_diff_tuple() for operation in drift.ops]
        assert current_revision(conn) == head_revision()


def test_migrating_twice_changes_nothing(sqlalchemy_url: str) -> None:
    upgrade(sqlalchemy_url)
    with unpooled_engine(sqlalchemy_url).connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM tenants WHERE name = 'default'")) == 1
