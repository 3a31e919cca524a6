"""One running service for the whole folder, over each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.integration.running import Running, running_service
from tests.services import Overrides


@pytest.fixture(scope="session")
def running(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_service(tmp_path_factory.mktemp("running"), **of_database()) as running:
        yield running


@pytest.fixture(autouse=True, scope="session")
def _few_threads() -> None:
    """The test's own forward passes leave the cores to the processes under test."""
    torch.set_num_threads(1)
