"""Pixels on disk and on their way to the tower.

Decoding is done once per image. What is evaluated is kept exactly as open_clip's validation
transform leaves it before it becomes floating point; what is trained on is kept whole, since a
random crop of a shrunken image is drawn from another distribution than one of the original.
Both are memory-mapped uint8, so the operating system decides what stays in memory.

Shapes: N images, S the model's input side, (H, W) an image's own size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, ToTensor
from torchvision.transforms.v2 import functional as transforms

from core.learning.class_balance import balanced_samples
from core.learning.processes import Processes
from core.learning.randomness import batch_samples, generator

ASPECT_RATIOS = (3 / 4, 4 / 3)  # of a random crop, width over height
CROP_ATTEMPTS = 10  # draws before the central crop is taken, as in the Inception recipe


@dataclass(frozen=True)
class EvaluationPixels:
    """A split as the validation transform leaves it: uint8 (N, S, S, 3)."""

    images: np.ndarray
    labels: np.ndarray  # (N,) int64
    keys: list[str]  # names of the images, in the same order

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, config: PreprocessCfg, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images (B, 3, S, S) float32 and labels (B,), in order."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            images = torch.from_numpy(np.array(self.images[part]))
            yield normalise(images, config), torch.from_numpy(self.labels[part])


@dataclass(frozen=True)
class TrainingPixels:
    """Whole decoded images, end to end in one buffer."""

    buffer: np.ndarray  # (total bytes,) uint8
    offsets: np.ndarray  # (N,) int64
    heights: np.ndarray  # (N,) int64
    widths: np.ndarray  # (N,) int64
    labels: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Tensor:
        """One image, uint8 (3, H, W)."""
        height, width = int(self.heights[index]), int(self.widths[index])
        start = int(self.offsets[index])
        flat = self.buffer[start : start + height * width * 3]
        return torch.from_numpy(np.array(flat).reshape(height, width, 3)).permute(2, 0, 1)


class EvaluationTransform:
    """The validation transform up to where it would become floating point.

    Calls from several threads do not disturb one another.
    """

    def __init__(self, config: PreprocessCfg) -> None:
        self._stages = image_stages(config)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """uint8 (S, S, 3)."""
        shown = reduce(lambda done, stage: stage(done), self._stages, image)
        return np.asarray(shown, dtype=np.uint8)


def build_evaluation_pixels(
    path: Path, images: Iterable[Image.Image], config: PreprocessCfg
) -> int:
    """Write the transformed images to `path`; how many there were. Atomic."""
    transform = EvaluationTransform(config)
    return write_evaluation_pixels([path], ((transform(image),) for image in images))


def write_evaluation_pixels(paths: Sequence[Path], rows: Iterable[Sequence[np.ndarray]]) -> int:
    """Write splits of the same images side by side; how many images there were. Atomic a file.

    A row holds one image as each split shows it, transformed, in the order of `paths`.
    """
    temporaries = [_temporary(path) for path in paths]
    count = 0
    with ExitStack() as stack:
        files = [stack.enter_context(temporary.open("wb")) for temporary in temporaries]
        for row in rows:
            for file, shown in zip(files, row, strict=True):
                file.write(shown.tobytes())
            count += 1
    for temporary, path in zip(temporaries, paths, strict=True):
        os.replace(temporary, path)
    return count


def open_evaluation_pixels(
    path: Path, config: PreprocessCfg, labels: Sequence[int], keys: Sequence[str]
) -> EvaluationPixels:
    """Map what `build_evaluation_pixels` wrote. Raises ValueError when the sizes disagree."""
    side = _side(config)
    expected = len(labels) * side * side * 3
    if path.stat().st_size != expected:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {expected}")
    images = np.memmap(path, dtype=np.uint8, mode="r", shape=(len(labels), side, side, 3))
    return EvaluationPixels(images, np.asarray(labels, dtype=np.int64), list(keys))


def build_training_pixels(path: Path, images: Iterable[Image.Image]) -> int:
    """Write whole RGB images to `path` and their sizes beside it; how many there were. Atomic."""
    sizes: list[tuple[int, int]] = []
    temporary = _temporary(path)
    with temporary.open("wb") as out:
        for image in images:
            out.write(np.asarray(image, dtype=np.uint8).tobytes())
            sizes.append((image.height, image.width))
    _sizes_path(path).write_text(json.dumps(sizes), encoding="utf-8")
    os.replace(temporary, path)
    return len(sizes)


def open_training_pixels(path: Path, labels: Sequence[int]) -> TrainingPixels:
    """Map what `build_training_pixels` wrote. Raises ValueError when the sizes disagree."""
    sizes = np.asarray(json.loads(_sizes_path(path).read_text(encoding="utf-8")), dtype=np.int64)
    if len(sizes) != len(labels):
        raise ValueError(f"{path.name} holds {len(sizes)} images, not {len(labels)}")
    lengths = sizes[:, 0] * sizes[:, 1] * 3
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    buffer = np.memmap(path, dtype=np.uint8, mode="r", shape=(int(lengths.sum()),))
    return TrainingPixels(
        buffer, offsets, sizes[:, 0], sizes[:, 1], np.asarray(labels, dtype=np.int64)
    )


class AugmentedBatches:
    """The batches of a training run: random resized crop, bicubic, and a horizontal flip.

    Every draw is a pure function of (seed, step, position in the batch); one thread prepares
    the next step while the tower works on this one. Of several processes each makes its share.
    """

    def __init__(
        self,
        pixels: TrainingPixels,
        config: PreprocessCfg,
        *,
        seed: int,
        batch_size: int,
        crop_scale_min: float,
        flip_probability: float,
        balanced: bool = False,
    ) -> None:
        self._pixels = pixels
        self._config = config
        self._seed = seed
        self._batch_size = batch_size
        self._crop_scale_min = crop_scale_min
        self._flip_probability = flip_probability
        self._balanced = balanced
        self._side = _side(config)
        self._processes = Processes.current()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="augmentation")
        self._ahead: dict[int, Future[tuple[Tensor, Tensor]]] = {}

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        now = self._ahead.pop(step, None) or self._thread.submit(self.make, step)
        self._ahead = {step + 1: self._thread.submit(self.make, step + 1)}
        return now.result()

    def make(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step, made now: this process's share of the images (B, 3, S, S) float32,
        and all labels (B,)."""
        samples = self._samples(step)
        mine = range(len(samples))[self._processes.share(len(samples))]
        draws = generator(self._seed, "augmentation", step)
        tops, lefts, heights, widths = random_crops(
            draws, self._pixels.heights[samples], self._pixels.widths[samples], self._crop_scale_min
        )
        flips = draws.random(len(samples)) < self._flip_probability
        crops = torch.empty(len(mine), 3, self._side, self._side, dtype=torch.uint8)
        for place, i in enumerate(mine):
            crop = transforms.resized_crop(
                self._pixels.image(int(samples[i])),
                int(tops[i]),
                int(lefts[i]),
                int(heights[i]),
                int(widths[i]),
                [self._side, self._side],
                interpolation=InterpolationMode.BICUBIC,
                antialias=True,
            )
            crops[place] = crop.flip(-1) if flips[i] else crop
        images = normalise(crops.permute(0, 2, 3, 1), self._config)
        return images, torch.from_numpy(self._pixels.labels[samples])

    def _samples(self, step: int) -> np.ndarray:
        if self._balanced:
            return balanced_samples(self._seed, step, self._batch_size, self._pixels.labels)
        return batch_samples(self._seed, step, self._batch_size, len(self._pixels))

    def close(self) -> None:
        """End the thread. A batch that is being made is waited for."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def random_crops(
    draws: np.random.Generator, heights: np.ndarray, widths: np.ndarray, scale_min: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inception's random crop for B images at once: (top, left, height, width), int64 (B,) each.

    Area uniform in [scale_min, 1] of the image, aspect ratio log-uniform in [3/4, 4/3], the
    first of ten draws that fits; when none fits, the largest central crop of an allowed ratio.
    Source: Szegedy et al. 2015, as in torchvision's RandomResizedCrop.
    """
    n = len(heights)
    areas = draws.uniform(scale_min, 1.0, size=(n, CROP_ATTEMPTS)) * (heights * widths)[:, None]
    low, high = np.log(ASPECT_RATIOS)
    ratios = np.exp(draws.uniform(low, high, size=(n, CROP_ATTEMPTS)))
    try_w = np.rint(np.sqrt(areas * ratios)).astype(np.int64)
    try_h = np.rint(np.sqrt(areas / ratios)).astype(np.int64)
    fits = (try_w > 0) & (try_w <= widths[:, None]) & (try_h > 0) & (try_h <= heights[:, None])
    chosen = fits.argmax(axis=1)
    rows = np.arange(n)
    fallback_w = np.minimum(widths, np.rint(heights * ASPECT_RATIOS[1]).astype(np.int64))
    fallback_h = np.minimum(heights, np.rint(widths / ASPECT_RATIOS[0]).astype(np.int64))
    found = fits.any(axis=1)
    crop_w = np.where(found, try_w[rows, chosen], fallback_w)
    crop_h = np.where(found, try_h[rows, chosen], fallback_h)
    where = draws.random((2, n))
    tops = np.where(found, np.floor(where[0] * (heights - crop_h + 1)), (heights - crop_h) // 2)
    lefts = np.where(found, np.floor(where[1] * (widths - crop_w + 1)), (widths - crop_w) // 2)
    return tops.astype(np.int64), lefts.astype(np.int64), crop_h, crop_w


def normalise(images_BSSC: Tensor, config: PreprocessCfg) -> Tensor:
    """uint8 (B, S, S, 3) to the tower's float32 (B, 3, S, S), as ToTensor and Normalize do."""
    return normaliser(config, images_BSSC.device)(images_BSSC)


def normaliser(config: PreprocessCfg, device: torch.device) -> Callable[[Tensor], Tensor]:
    """`normalise` for images on that device, its constants there already."""
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        for values in (config.mean, config.std)
    )

    def of(images_BSSC: Tensor) -> Tensor:
        images = images_BSSC.permute(0, 3, 1, 2).contiguous().float().div_(255)
        return images.sub_(mean).div_(std)

    return of


def image_stages(config: PreprocessCfg) -> list:  # type: ignore[type-arg]
    """The stages of the validation transform that still give an image, not a tensor."""
    stages = image_transform_v2(config, is_train=False).transforms
    at = next(i for i, stage in enumerate(stages) if isinstance(stage, ToTensor))
    return list(stages[:at])


def _side(config: PreprocessCfg) -> int:
    size = (config.size, config.size) if isinstance(config.size, int) else tuple(config.size)
    if size[0] != size[1]:
        raise ValueError(f"input images of {size[0]} x {size[1]} are not square, as is needed here")
    return int(size[0])


def _sizes_path(path: Path) -> Path:
    return path.with_suffix(".sizes.json")


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.{os.getpid()}.part")
