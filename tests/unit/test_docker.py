"""The docker files name settings, commands and files that exist. No engine is needed."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.main import app
from core.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILES = ["docker/Dockerfile.api", "docker/Dockerfile.worker"]
SETTINGS = {f"LIPSUM_{name.upper()}" for name in Settings.model_fields}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    return found


def instructions(path: str) -> list[tuple[str, str]]:
    text = (ROOT / path).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


@pytest.mark.parametrize("path", DOCKERFILES)
def test_what_a_dockerfile_copies_is_there(path: str) -> None:
    copied = [arguments for name, arguments in instructions(path) if name == "COPY"]
    assert copied
    for arguments in copied:
        *sources, _target = shlex.split(arguments)
        assert all((ROOT / source).exists() for source in sources), arguments
    assert any("--require-hashes" in text for name, text in instructions(path) if name == "RUN")


@pytest.mark.parametrize("path", DOCKERFILES)
def test_every_package_is_copied(path: str) -> None:
    text = (ROOT / path).read_text()
    for package in ("api", "cli", "core", "migrations", "worker"):
        assert f"COPY {package} ./{package}" in text


def test_every_setting_that_is_named_exists() -> None:
    texts = [(ROOT / path).read_text() for path in [*DOCKERFILES, "docker/compose.yaml"]]
    named = {name for text in texts for name in re.findall(r"LIPSUM_[A-Z0-9_]+", text)}
    assert len(named) >= 10
    assert named <= SETTINGS, named - SETTINGS


def test_every_command_exists() -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    commands = [
        s["command"] for s in compose()["services"].values() if "build" in s and "command" in s
    ]
    for path in DOCKERFILES:
        commands += [yaml.safe_load(text) for name, text in instructions(path) if name == "CMD"]
    assert len(commands) == 4
    for program, command in commands:
        assert program == "lipsum"
        assert command in known


def test_the_services_that_must_be_there_are_there() -> None:
    services = compose()["services"]
    assert {"postgres", "redis", "s3", "api", "inference", "worker", "gpu-worker"} <= set(services)
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]
    for name in ("api", "inference", "worker", "gpu-worker"):
        assert set(services[name]["environment"]) <= SETTINGS
        assert services[name]["environment"]["LIPSUM_DATABASE_URL"].startswith(
            "postgresql+psycopg:"
        )


def test_the_gpu_profile_reserves_a_gpu() -> None:
    worker = compose()["services"]["gpu-worker"]
    assert worker["profiles"] == ["gpu"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    assert worker["environment"]["LIPSUM_DEVICE"] == "cuda"


def test_locks_agree_and_name_no_index() -> None:
    locks = {
        path: (ROOT / path).read_text()
        for path in (
            "requirements.lock",
            "docker/requirements-api.lock",
            "docker/requirements-worker.lock",
        )
    }
    pins = {
        path: set(re.findall(r"^[a-z0-9._-]+==\S+", text, re.M)) for path, text in locks.items()
    }
    assert pins["docker/requirements-api.lock"] < pins["docker/requirements-worker.lock"]
    assert pins["docker/requirements-worker.lock"] < pins["requirements.lock"]
    assert not any(pin.startswith("torch") for pin in pins["docker/requirements-api.lock"])
    for text in locks.values():
        assert "://" not in text
        assert "--index" not in text
