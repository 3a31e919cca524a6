"""Models that several files of tests combine, trained once; and either database."""

from __future__ import annotations

import pytest

from tests.integration.finished_jobs import FinishedJob, train
from tests.services import of_database, postgresql_server, postgresql_template

__all__ = ["of_database", "postgresql_server", "postgresql_template"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedJob:
    """Plain fine-tuning with the seeds 3 and 4."""
    return train(tmp_path_factory.mktemp("finished"))
