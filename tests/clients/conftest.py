"""The whole service on free ports, for clients that know nothing of it but its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.service import Service
from tests.jobs import service_settings


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """What `lipsum up` starts, writing checkpoints all the time, over a tiny random CLIP."""
    settings = service_settings(tmp_path_factory.mktemp("service"), checkpoint_seconds=0.2)
    with Service(settings) as running:
        yield running
