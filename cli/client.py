"""The `openai` SDK, pointed at this service."""

from __future__ import annotations

import os

from openai import OpenAI

from core.errors import InvalidRequest
from core.settings import load_settings

ADDRESS_VARIABLE = "LIPSUM_BASE_URL"
KEY_VARIABLE = "LIPSUM_API_KEY"


def make_client(address: str | None = None, api_key: str | None = None) -> OpenAI:
    """A client of `address`, by default the one that runs on this machine.

    `LIPSUM_BASE_URL` and `LIPSUM_API_KEY` name another service. Raises `InvalidRequest` when
    there is no key to be found.
    """
    address = address or os.environ.get(ADDRESS_VARIABLE)
    api_key = api_key or os.environ.get(KEY_VARIABLE)
    if address is None or api_key is None:
        settings = load_settings()
        address = address or f"{settings.local_address}/v1"
        if api_key is None and settings.api_key_path.is_file():
            api_key = settings.api_key_path.read_text(encoding="utf-8").strip()
    if api_key is None:
        raise InvalidRequest(
            f"there is no API key: set {KEY_VARIABLE}, or start the service here with `lipsum up`",
            code="no_api_key",
        )
    return OpenAI(base_url=address, api_key=api_key)
