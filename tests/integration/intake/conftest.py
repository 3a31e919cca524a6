"""One API process for the whole folder: its tests are about what comes in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.api_process import ApiProcess, api_process


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def client(api: ApiProcess) -> OpenAI:
    return api.openai()
