"""What a trainer is told of the service."""

from __future__ import annotations

from pathlib import Path

from core.settings import Settings
from worker.environment import child_environment, trainer_environment

SECRETS = {
    "database_url": "postgresql+psycopg://user:password@host/database",
    "broker_url": "redis://:password@host:6379/0",
    "key_secret": "what API keys are hashed with, 32 characters",
}


def test_a_trainer_knows_no_database_no_broker_and_no_key_secret(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, **SECRETS)  # type: ignore[arg-type]
    named = {f"LIPSUM_{name.upper()}" for name in SECRETS}
    assert named <= child_environment(settings).keys()
    told = trainer_environment(settings)
    assert not named & told.keys()
    assert not set(SECRETS.values()) & set(told.values())
