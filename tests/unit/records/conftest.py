from tests.services import (
    database,
    database_url,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
)

__all__ = [
    "database",
    "database_url",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
]
