"""ONNX: one graph from normalised pixels to probabilities, the head in it, for onnxruntime.

`pixel_values` (N, 3, S, S) float32, prepared as `open_clip_config.json` beside it says, N of any
size; out come `features` (N, D), L2-normalised, and, of a model with a head, `probabilities`
(N, K) over `classes.json`.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.learning.formats.base import CannotExport, copy_head, random_images, require_equal
from core.learning.models import CONFIG_FILE, Clip, Head, load_directory, load_head

GRAPH_FILE = "model.onnx"
OPSET = 20
INLINE_BYTES = 1 << 30  # of weights inside the graph's file; a protobuf holds at most 2 GiB


class _Graph(nn.Module):
    """What is traced."""

    weight_DK: Tensor

    def __init__(self, clip: Clip, head: Head | None) -> None:
        super().__init__()
        self.visual = clip.visual
        self.has_head = head is not None
        if head is not None:
            self.register_buffer("weight_DK", head.scale * head.weight.float())

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        features = functional.normalize(self.visual(pixel_values), dim=-1)
        if not self.has_head:
            return (features,)
        return features, (features @ self.weight_DK).softmax(dim=-1)


def export_onnx(source: Path, target: Path) -> None:
    """Write the model directory `source` as `model.onnx` and what goes with it.

    Raises CannotExport for a tower that has no such graph, and
    `core.learning.models.ModelFault`.
    """
    clip, head = load_directory(source), load_head(source)
    graph = _Graph(clip, head).eval()
    images = random_images(clip)
    names = ["features"] if head is None else ["features", "probabilities"]
    target.mkdir(parents=True, exist_ok=True)
    path = target / GRAPH_FILE
    size = sum(tensor.nbytes for tensor in graph.state_dict().values())
    try:
        # It reports its progress on standard output, whatever it is told.
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(
                graph,
                (images,),
                path,
                input_names=["pixel_values"],
                output_names=names,
                dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
                opset_version=OPSET,
                external_data=size > INLINE_BYTES,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as fault:
        raise CannotExport(f"its image tower has no ONNX graph: {fault}") from fault
    _compare(path, graph, images)
    shutil.copyfile(source / CONFIG_FILE, target / CONFIG_FILE)
    copy_head(source, target)


@torch.inference_mode()
def _compare(path: Path, graph: _Graph, images: Tensor) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (images, images[:1]):
        found = session.run(None, {"pixel_values": batch.numpy()})
        for name, ours, theirs in zip(
            ("features", "probabilities"), graph(batch), found, strict=False
        ):
            require_equal(torch.from_numpy(theirs), ours, f"{name} in onnxruntime")
