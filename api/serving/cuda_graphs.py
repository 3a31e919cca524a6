"""CUDA graphs of image towers: one call in place of some two hundred for a forward pass.

Called one by one, the operations of a ViT-B/32 keep a thread, and the interpreter's lock with it,
for 4 ms, of which an H100 computes for less than one. A graph's input has a fixed place and a fixed
size, so a model has a graph for each of some sizes of batch, and a batch goes through the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
import torch
from torch import Tensor

from api.serving.batcher import MAX_BATCH
from api.serving.loaded_model import Loaded, LoadedModel
from api.serving.precision import features_on_device
from core.learning.pixels import normaliser

# Images: what fills a batch up is computed for nothing.
SIZES = (1, 2, *range(4, MAX_BATCH + 1, 4))

_Capture = Callable[[Callable[[], Tensor]], tuple[torch.cuda.CUDAGraph, Tensor]]

log = structlog.get_logger(__name__)


class CudaGraphs:
    """Captures graphs that share their memory: they may be captured by one thread while another
    one asks them, but only one may ask."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        # One, for libraries keep memory for each stream that ever called them.
        self._warm_up = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def equip(self, model: Loaded) -> None:
        """From now on the model answers by graphs, if its tower can be captured."""
        for each in (model,) if isinstance(model, LoadedModel) else model.members:
            try:
                each.graph = _Captured(each, self._capture)
            except RuntimeError as fault:  # an operation that waits for its result, say
                log.info("no_cuda_graph", why=str(fault))

    def _capture(self, work: Callable[[], Tensor]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph of the work, and where its result will be."""
        self._warm_up.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._warm_up):
            work()  # what libraries set up when they are first called must not be captured
        torch.cuda.current_stream().wait_stream(self._warm_up)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = work()
        return graph, result


class _Captured:
    """A tower's graphs, and everything they read: what is freed would be written over."""

    @torch.inference_mode()
    def __init__(self, model: LoadedModel, capture: _Capture) -> None:
        self._clip, side, device = model.clip, model.clip.image_size, model.clip.device
        self._normalise = normaliser(model.preprocessing, device)
        self._pixels_BSSC = torch.zeros(SIZES[-1], side, side, 3, dtype=torch.uint8, device=device)
        # The largest first: the others fit into its memory.
        self._graphs = {size: capture(partial(self._tower, size)) for size in reversed(SIZES)}

    @torch.inference_mode()
    def __call__(self, images_BSSC: Tensor) -> Tensor:
        """L2-normalised features (B, D), float32 on the CPU, of images in uint8."""
        starts = range(0, len(images_BSSC), MAX_BATCH)
        return torch.cat([self._of_batch(images_BSSC[n : n + MAX_BATCH]) for n in starts])

    def _of_batch(self, images_BSSC: Tensor) -> Tensor:
        n_images = len(images_BSSC)
        self._pixels_BSSC[:n_images] = images_BSSC
        graph, features_BD = self._graphs[next(size for size in SIZES if size >= n_images)]
        graph.replay()
        return features_BD[:n_images].cpu()

    def _tower(self, size: int) -> Tensor:
        return features_on_device(self._clip, self._normalise(self._pixels_BSSC[:size]))
