"""Class names and templates to a zero-shot head.

    W[:, c] = normalise( mean_t normalise( g(template_t(c)) ) )

No logit scale is folded in. The default templates are the 80 that OpenAI published for
ImageNet, which Lipsum-FT uses for every data set.
Source: Radford et al. 2021, section 3.1.4; open_clip's classifier builder does the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import open_clip
import torch
from torch import Tensor
from torch.nn import functional

from core.learning.memory import AtOnce, in_smaller_parts
from core.learning.models import Clip

DEFAULT_TEMPLATES: tuple[str, ...] = tuple(
    template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES
)

_TEXTS_PER_BATCH = 640  # texts encoded at once, if they fit, whatever the number of templates


def build_head(clip: Clip, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The zero-shot head W, (D, K) float32 with unit columns, on the model's device."""

    def build(n_classes: int) -> Tensor:
        weight: Tensor = open_clip.build_zero_shot_classifier(
            clip.model,
            clip.tokenizer,
            list(classes),
            list(templates),
            num_classes_per_batch=n_classes,
            device=clip.device,
        )
        return weight.float()

    return in_smaller_parts(build, max(1, _TEXTS_PER_BATCH // len(templates)))


def build_context_head(clip: Clip, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The templates' directions, (D, M) float32 with unit columns, on the model's device.

    c_m = normalise( mean_k normalise( g(template_m(class_k)) ) ): the classes averaged out.
    Source: Mao et al., arXiv 2211.16175, as reimplemented for Lipsum-FT's comparison.
    """

    def encode(ids_MN: Tensor) -> Tensor:
        return clip.text_features(ids_MN.to(clip.device))

    at_once, columns = AtOnce(_TEXTS_PER_BATCH), []
    with torch.no_grad():
        for template in templates:
            ids_MN = clip.tokenizer([template.format(name) for name in classes])
            columns.append(at_once.encode(encode, ids_MN).mean(dim=0))
    return functional.normalize(torch.stack(columns, dim=1), dim=0)
