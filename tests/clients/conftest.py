"""The whole service on free ports, for clients that know nothing of it but its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.service import Service
from tests.jobs import service_settings
from tests.services import Overrides, of_database, postgresql_server, postgresql_template

__all__ = ["of_database", "postgresql_server", "postgresql_template"]


@pytest.fixture(scope="module")
def service(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """What `lipsum up` starts, writing checkpoints all the time, over a tiny random CLIP."""
    directory = tmp_path_factory.mktemp("service")
    settings = service_settings(directory, checkpoint_seconds=0.2, **of_database())
    with Service(settings) as running:
        yield running
