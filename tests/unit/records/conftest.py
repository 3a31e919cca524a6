from tests.services import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
    postgresql_template,
)

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
    "postgresql_template",
]
