"""One Alembic history for SQLite and PostgreSQL. Run by `core.records.engine.migrate`."""
