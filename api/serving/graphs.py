"""Graphs of small image towers for onnxruntime: half the time of torch's modules, whose every
operation costs as much to call as to compute.

Making one takes a process of its own some ten seconds, so it is done behind the answers to a model
that is asked often, which torch gives meanwhile, and kept on disk as the export that it is. Only
on a CPU; and a large tower computes far longer than its operations take to be called, so it gains
nothing.
"""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import structlog
import torch
from onnx import TensorProto, helper, numpy_helper
from open_clip.transform import PreprocessCfg
from torch import Tensor

from api.serving.exports import export_path
from api.serving.loaded_model import Loaded, LoadedModel
from core.errors import ServiceError
from core.learning.formats.onnx_graph import GRAPH_FILE
from core.prediction import Exported, StoredWeights
from core.settings import Settings

ASKED_OFTEN = 64  # requests since the model was loaded

log = structlog.get_logger(__name__)


class Graphs:
    """Watches what is asked, within one event loop."""

    def __init__(
        self, settings: Settings, export: Callable[[StoredWeights], Awaitable[Exported]]
    ) -> None:
        """`export` makes the model's ONNX export, or finds it."""
        self._settings = settings
        self._export = export
        self._making: set[asyncio.Task[None]] = set()

    def note(self, stored: StoredWeights, model: Loaded) -> None:
        """The model is being asked. At the ASKED_OFTEN-th time a graph begins to be made."""
        if not self._settings.serving_graphs or not isinstance(model, LoadedModel):
            return
        if model.is_small and model.graph is None:
            model.asked += 1
            if model.asked == ASKED_OFTEN:
                task = asyncio.create_task(self._make(stored, model))
                self._making.add(task)
                task.add_done_callback(self._making.discard)

    @property
    def coming(self) -> int:
        """How many are being made."""
        return len(self._making)

    async def settled(self) -> None:
        """Returns when no graph is being made."""
        await asyncio.gather(*self._making)

    async def _make(self, stored: StoredWeights, model: LoadedModel) -> None:
        try:
            made = await self._export(stored)
            path = export_path(self._settings, made.name)
            model.graph = await asyncio.to_thread(load_graph, path, model.preprocessing)
        except ServiceError as fault:  # torch goes on answering
            log.info("no_graph", model=stored.model_id, code=fault.code, why=fault.message)
            return
        log.info("graph_serves", model=stored.model_id)


def load_graph(export: Path, preprocessing: PreprocessCfg) -> Callable[[Tensor], Tensor]:
    """L2-normalised features (N, D) of images (N, S, S, 3) in uint8, from an export's tar."""
    with tarfile.open(export, "r:") as tar:
        file = tar.extractfile(GRAPH_FILE)
        assert file is not None
        exported = onnx.load_model_from_string(file.read())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        _from_pixels(exported, preprocessing).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )

    def features(images_BSSC: Tensor) -> Tensor:
        (found,) = session.run(["features"], {_PIXELS: images_BSSC.numpy()})
        return torch.from_numpy(np.asarray(found))

    return features


_PIXELS = "pixels"


def _from_pixels(exported: onnx.ModelProto, preprocessing: PreprocessCfg) -> onnx.ModelProto:
    """The same graph with what `core.learning.pixels.normalise` does before it: to have torch do
    that to a small image takes a third of the time of the graph."""
    graph = exported.graph
    (images,) = graph.input
    batch, _, height, width = images.type.tensor_type.shape.dim
    shape = [batch.dim_param, height.dim_value, width.dim_value, 3]
    constants = {"most": 255.0, "mean": preprocessing.mean, "std": preprocessing.std}
    arrays = {
        f"{_PIXELS}.{name}": np.float32(value).reshape(1, -1, 1, 1)
        for name, value in constants.items()
    }
    most, mean, std = arrays
    steps = [
        helper.make_node("Cast", [_PIXELS], [f"{_PIXELS}.float"], to=TensorProto.FLOAT),
        helper.make_node(
            "Transpose", [f"{_PIXELS}.float"], [f"{_PIXELS}.planes"], perm=[0, 3, 1, 2]
        ),
        helper.make_node("Div", [f"{_PIXELS}.planes", most], [f"{_PIXELS}.unit"]),
        helper.make_node("Sub", [f"{_PIXELS}.unit", mean], [f"{_PIXELS}.centred"]),
        helper.make_node("Div", [f"{_PIXELS}.centred", std], [images.name]),
    ]
    taken = helper.make_tensor_value_info(_PIXELS, TensorProto.UINT8, shape)
    return helper.make_model(
        helper.make_graph(
            [*steps, *graph.node],
            graph.name,
            [taken],
            graph.output,
            [*graph.initializer, *(numpy_helper.from_array(a, n) for n, a in arrays.items())],
        ),
        opset_imports=exported.opset_import,
        ir_version=exported.ir_version,
        functions=exported.functions,
    )
