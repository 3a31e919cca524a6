"""One API process for the whole folder: its tests are about what comes in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.live_api import LiveApi, live_api


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    with live_api(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def client(api: LiveApi) -> OpenAI:
    return api.openai()
