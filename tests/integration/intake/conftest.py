"""One API process for the whole folder, over each database: its tests are about what comes in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.api_process import ApiProcess, api_process
from tests.services import Overrides


@pytest.fixture(scope="session")
def api(of_database: Overrides, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(tmp_path_factory.mktemp("live"), **of_database()) as running:
        yield running


@pytest.fixture
def client(api: ApiProcess) -> OpenAI:
    return api.openai()
