"""What a method sees of one step (`core.learning.methods.base.Step`).

Two kinds. `DirectStep` encodes its images with gradient when asked: a whole batch, or one
micro-batch of a loss that is a mean over images. `CachedStep` serves losses that couple the
batch when it does not pass through the towers at once: features are first computed in parts
without gradient, the loss is taken over all of them, and each part is then encoded again with
gradient and given the gradient its features received. That equals the large batch exactly.
Source: Gao et al., "Scaling deep contrastive learning batch size under memory limited setup"
(GradCache), RepL4NLP 2021, arXiv 2101.06983.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from core.learning.models import Clip
from core.learning.processes import Processes
from core.learning.random_text import RandomTexts
from core.learning.randomness import generator
from core.learning.student import Student


@dataclass(frozen=True)
class Surroundings:
    """What every step of a run shares."""

    student: Student
    theta0: Clip | None  # the frozen zero-shot model, where the method asks for it
    texts: RandomTexts | None
    tokens: TokenCache
    total_steps: int
    scale: float  # exp(logit_scale) of theta0
    label_smoothing: float
    class_weights: Tensor | None  # (K,) of the CE, mean 1 over the training images
    autocast_dtype: torch.dtype | None


class TokenCache:
    """Token ids of texts by their words: captions come back every epoch."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._rows: dict[str, Tensor] = {}

    def rows(self, texts: Sequence[str]) -> Tensor:
        """Token ids (M, N), cut to the longest text where that is exact."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            for text, row in zip(new, self._clip.tokenizer(new), strict=True):
                self._rows[text] = row
        return self._clip.text.trim(torch.stack([self._rows[text] for text in texts]))


class DirectStep:
    """Images `offset` to `offset + len(images)` of the batch of a step."""

    def __init__(
        self,
        around: Surroundings,
        number: int,
        images: Tensor,
        labels: Tensor,
        *,
        offset: int = 0,
        batch_size: int | None = None,
        random_texts: dict[tuple[int, int], Tensor] | None = None,
    ) -> None:
        self._around = around
        self._images = images.to(around.student.clip.device, non_blocking=True)
        self._offset = offset
        self._batch_size = len(labels) if batch_size is None else batch_size
        self._features: Tensor | None = None
        self._random = {} if random_texts is None else random_texts  # shared by a step's parts
        self.student = around.student
        self.number = number
        self.total = around.total_steps
        self.labels = labels.to(around.student.clip.device, non_blocking=True)
        self.scale = around.scale

    def image_features(self) -> Tensor:
        if self._features is None:
            self._features = self._encode_images(self.student.clip, self._images)
        return self._features

    def frozen_image_features(self, model: Clip) -> Tensor:
        with torch.no_grad(), _same_attention_with_and_without_gradient():
            return self._encode_images(model, self._images)

    def zero_shot_features(self) -> Tensor:
        return self.frozen_image_features(self._theta0())

    def logits(self) -> Tensor:
        return self.scale * self.image_features() @ self.student.head

    def cross_entropy(self) -> Tensor:
        logits_BK, around = self.logits(), self._around
        losses_B = functional.cross_entropy(
            logits_BK, self.labels, reduction="none", label_smoothing=around.label_smoothing
        )
        if around.class_weights is not None:
            losses_B = losses_B * around.class_weights[self.labels].to(losses_B.dtype)
        return losses_B.mean()

    def captions(self, templates: Sequence[str]) -> list[str]:
        draws = generator(self.student.seed, "captions", self.number)
        picked = draws.integers(0, len(templates), size=self._batch_size)
        mine = picked[self._offset : self._offset + len(self.labels)]
        classes = self.student.start.classes
        return [
            templates[template].format(classes[label])
            for template, label in zip(mine.tolist(), self.labels.tolist(), strict=True)
        ]

    def text_features(self, texts: Sequence[str]) -> Tensor:
        distinct = list(dict.fromkeys(texts))
        features = self._encode_texts(self.student.clip, self._token_rows(distinct))
        return features[self._places(texts, distinct)]

    def frozen_text_features(self, model: Clip, texts: Sequence[str]) -> Tensor:
        distinct = list(dict.fromkeys(texts))
        with torch.no_grad(), _same_attention_with_and_without_gradient():
            features = self._encode_texts(model, self._token_rows(distinct))
        return features[self._places(texts, distinct)]

    def zero_shot_text_features(self, texts: Sequence[str]) -> Tensor:
        return self.frozen_text_features(self._theta0(), texts)

    def random_text_features(self, n_texts: int, length: int) -> Tensor:
        key = (n_texts, length)
        if key not in self._random:
            self._random[key] = self._encode_random_texts(n_texts, length)
        return self._random[key]

    def _theta0(self) -> Clip:
        if self._around.theta0 is None:
            raise RuntimeError("the method uses theta0 and did not declare needs_theta0")
        return self._around.theta0

    def _encode_random_texts(self, n_texts: int, length: int) -> Tensor:
        if self._around.texts is None:
            raise RuntimeError("the method needs random texts and did not declare it")
        ids = self._around.texts.token_ids(self.number, n_texts, length)
        model = self._around.theta0 or self.student.clip
        with torch.no_grad():
            return self._encode_texts(model, ids.to(self.student.clip.device))

    def _token_rows(self, distinct: Sequence[str]) -> Tensor:
        return self._around.tokens.rows(distinct).to(self.student.clip.device)

    def _places(self, texts: Sequence[str], distinct: Sequence[str]) -> Tensor:
        place = {text: at for at, text in enumerate(distinct)}
        return torch.tensor([place[text] for text in texts], device=self.student.clip.device)

    def _encode_images(self, model: Clip, images: Tensor) -> Tensor:
        with self._autocast():
            features = model.visual(images)
        return functional.normalize(_at_least_float32(features), dim=-1)

    def _encode_texts(self, model: Clip, ids_MN: Tensor) -> Tensor:
        with self._autocast():
            features = model.text.features(ids_MN)
        return functional.normalize(_at_least_float32(features), dim=-1)

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        dtype = self._around.autocast_dtype
        if dtype is None:
            yield
            return
        with torch.autocast(self.student.clip.device.type, dtype=dtype):
            yield


class CachedStep(DirectStep):
    """The whole batch of a step, encoded `part_size` rows at a time by one or more processes.

    `images` are this process's share, `labels` the whole batch's.
    """

    def __init__(
        self,
        around: Surroundings,
        number: int,
        images: Tensor,
        labels: Tensor,
        *,
        part_size: int,
        processes: Processes,
    ) -> None:
        super().__init__(around, number, images, labels)
        self._part_size = part_size
        self._processes = processes
        self._text_leaves: list[tuple[Tensor, Tensor]] = []  # this process's token rows, leaf

    def image_features(self) -> Tensor:
        if self._features is None:
            with torch.no_grad(), _same_attention_with_and_without_gradient():
                features = self._in_parts(self._images, self.student.clip, of_texts=False)
            self._features = self._processes.gather(features, len(self.labels)).requires_grad_()
        return self._features

    def frozen_image_features(self, model: Clip) -> Tensor:
        with torch.no_grad(), _same_attention_with_and_without_gradient():
            features = self._in_parts(self._images, model, of_texts=False)
        return self._processes.gather(features, len(self.labels))

    def text_features(self, texts: Sequence[str]) -> Tensor:
        distinct = list(dict.fromkeys(texts))
        rows = self._token_rows(distinct)[self._processes.share(len(distinct))]
        with torch.no_grad(), _same_attention_with_and_without_gradient():
            features = self._in_parts(rows, self.student.clip, of_texts=True)
        leaf = self._processes.gather(features, len(distinct)).requires_grad_()
        self._text_leaves.append((rows, leaf))
        return leaf[self._places(texts, distinct)]

    def backward(self, loss: Tensor) -> None:
        """Gradients of the loss over the whole batch, in every process its share of them."""
        count = self._processes.count
        # What the loss reaches without passing through features is computed in every process.
        torch.autograd.backward(loss / count if count > 1 else loss)
        if self._features is not None and self._features.grad is not None:
            self._replay(self._images, self._features, of_texts=False)
        for rows, leaf in self._text_leaves:
            self._replay(rows, leaf, of_texts=True)

    def _replay(self, rows: Tensor, leaf: Tensor, *, of_texts: bool) -> None:
        """Encode this process's rows again, with gradient, and hand on what the leaf received."""
        if leaf.grad is None:
            return
        count = self._processes.count
        received = leaf.grad[self._processes.share(len(leaf))]
        if count > 1:
            received = received * count
        for start in range(0, len(rows), self._part_size):
            part = slice(start, start + self._part_size)
            encode = self._encode_texts if of_texts else self._encode_images
            features = encode(self.student.clip, rows[part])
            if features.requires_grad:
                torch.autograd.backward(features, received[part])

    def _in_parts(self, rows: Tensor, model: Clip, *, of_texts: bool) -> Tensor:
        encode = self._encode_texts if of_texts else self._encode_images
        starts = range(0, len(rows), self._part_size)
        parts = [encode(model, rows[start : start + self._part_size]) for start in starts]
        if parts:
            return torch.cat(parts)
        return next(model.model.parameters()).new_zeros(0, model.embed_dim)


def _at_least_float32(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()


@contextmanager
def _same_attention_with_and_without_gradient() -> Iterator[None]:
    """Keep attention off its inference-only kernel, which rounds differently.

    The student runs with gradients and never takes that kernel; theta0 must not either, or R at
    theta0 would be rounding noise instead of exactly 0.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
