"""When a graph is made of a tower, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from api.serving import graphs
from api.serving.exports import Conversions
from api.serving.graphs import ASKED_OFTEN, Graphs
from api.serving.loaded_model import LoadedModel
from core.errors import InvalidRequest
from core.learning.calibration import Calibration
from core.prediction import Exported, StoredWeights
from core.settings import Settings
from tests.builders import tiny_clip

STORED = StoredWeights(model_id="ft:tiny::1", object_key="models/1.tar", sha256="1" * 64)


def doubled(images: Tensor) -> Tensor:
    return images * 2


def ask(
    model: LoadedModel, times: int, fault: Exception | None = None, **changes: Any
) -> list[StoredWeights]:
    """What was exported for a model that was asked so often."""
    exported = []

    async def export(stored: StoredWeights) -> Exported:
        exported.append(stored)
        if fault is not None:
            raise fault
        return Exported(name="there", sha256="2" * 64, size=1)

    async def run() -> None:
        watching = Graphs(Settings(**changes), export)
        for _ in range(times):
            watching.note(STORED, model)
        await watching.settled()

    asyncio.run(run())
    return exported


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    monkeypatch.setattr(graphs, "export_path", lambda _settings, name: Path(name))
    monkeypatch.setattr(graphs, "load_graph", lambda _path, _preprocessing: doubled)
    return LoadedModel(tiny_clip(), None, None, Calibration(1.0, None))


def test_a_model_that_is_asked_often_gets_one(model: LoadedModel) -> None:
    assert ask(model, ASKED_OFTEN - 1) == []
    assert ask(model, ASKED_OFTEN) == [STORED]
    assert model.graph is doubled
    assert ask(model, 3 * ASKED_OFTEN) == []


def test_what_cannot_be_one_is_tried_once(model: LoadedModel) -> None:
    fault = InvalidRequest("no such operator", code="format_cannot_hold_it")
    assert ask(model, 5 * ASKED_OFTEN, fault) == [STORED]
    assert model.graph is None


def test_only_small_towers_and_only_where_wanted(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(model, ASKED_OFTEN, serving_graphs=False) == []
    monkeypatch.setattr("api.serving.precision.SMALL_TOWER", 0)
    assert ask(model, ASKED_OFTEN) == []


def test_a_conversion_ends_with_the_process_that_started_it() -> None:
    conversions = Conversions()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(conversions.run, ["sleep", "600"])
        while not conversions.running:
            assert not running.done()
        conversions.stop()
        assert running.result()[0] == -signal.SIGKILL
    assert conversions.run(["true"])[0] == -signal.SIGKILL


def test_what_a_conversion_says_is_heard() -> None:
    assert Conversions().run(["sh", "-c", "echo so it is >&2; exit 3"]) == (3, "so it is\n")
