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

from core.learning.models import Clip

DEFAULT_TEMPLATES: tuple[str, ...] = tuple(
    template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES
)

_TEXTS_PER_BATCH = 640  # texts encoded at once: bounds memory at any number of templates


def build_head(clip: Clip, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The zero-shot head W, (D, K) float32 with unit columns, on the model's device."""
    weight: Tensor = open_clip.build_zero_shot_classifier(
        clip.model,
        clip.tokenizer,
        list(classes),
        list(templates),
        num_classes_per_batch=max(1, _TEXTS_PER_BATCH // len(templates)),
        device=clip.device,
    )
    return weight.float()


def build_context_head(clip: Clip, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The templates' directions, (D, M) float32 with unit columns, on the model's device.

    c_m = normalise( mean_k normalise( g(template_m(class_k)) ) ): the classes averaged out.
    Source: Mao et al., arXiv 2211.16175, as reimplemented for Lipsum-FT's comparison.
    """
    columns = []
    with torch.no_grad():
        for template in templates:
            texts = [template.format(name) for name in classes]
            parts = [
                clip.text_features(
                    clip.tokenizer(texts[start : start + _TEXTS_PER_BATCH]).to(clip.device)
                )
                for start in range(0, len(texts), _TEXTS_PER_BATCH)
            ]
            columns.append(torch.cat(parts).mean(dim=0))
    return functional.normalize(torch.stack(columns, dim=1), dim=0)
