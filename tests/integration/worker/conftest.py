from tests.services import (
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
    redis_url,
)

__all__ = ["migrated_postgresql", "migrated_sqlite", "postgresql_server", "redis_url"]
