"""The script that Alembic runs: migrates over the connection that migrate.py opened, each step in a transaction."""

from __future__ import annotations

from alembic import context

import scheduler.storage.definitions  # importing the tables fills the metadata
import scheduler.storage.firing_documents
import scheduler.storage.tables.alerts
import scheduler.storage.tables.log
import scheduler.storage.tables.messages
import scheduler.storage.tables.notifications
import scheduler.storage.tables.progress
import scheduler.storage.tables.tenants
import scheduler.storage.traces  # noqa: F401
from scheduler.storage.tables.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
