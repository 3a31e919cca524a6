"""Runs migrations on the connection that `core.records.engine.migrate` opened and locked."""

from __future__ import annotations

from alembic import context

from core.records.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    compare_type=True,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite's too: one migration is applied whole or not at all
)
with context.begin_transaction():
    context.run_migrations()
