"""An API process that jobs can be asked of: a base is registered, an archive uploaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.api_process import ApiProcess, api_process
from tests.api_service import add_base, dataset

JOBS = "/v1/fine_tuning/jobs"


@dataclass(frozen=True)
class Service:
    """The process, and a request that it takes."""

    api: ApiProcess
    body: bytes  # JSON


@contextmanager
def service(directory: Path, **settings: Any) -> Iterator[Service]:
    """The service for the block's duration."""
    with api_process(directory, **settings) as api:
        add_base(api.database, api.store)
        yield Service(api, job_request(api.openai()))


def job_request(client: OpenAI) -> bytes:
    """A new archive's job, with what users usually say."""
    file = client.files.create(file=("images.zip", dataset()), purpose="fine-tune")
    request = {
        "model": "base:tiny",
        "training_file": file.id,
        "method": {
            "type": "lipsum_ft",
            "lipsum_ft": {"hyperparameters": {"n_epochs": 10, "learning_rate": 1e-5}},
        },
        "seed": 0,
        "suffix": "birds",
        "metadata": {"team": "birds", "run": "12"},
    }
    return json.dumps(request).encode()
