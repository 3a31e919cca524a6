"""A model's answer as a differentiable function of all its weights.

For what learns around finished models without changing them: TPGM's radii, Fisher information.
Weights are a mapping as `core.learning.states` has it. Shapes: B images, K classes, T templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from core.learning.models import Clip, Head
from core.learning.steps import TokenCache
from core.learning.student import HEAD


class FunctionalClassifier:
    """Logits of images under weights that the caller brings; the model's own stay as they are."""

    def __init__(self, clip: Clip, head: Head) -> None:
        """`head` gives classes, scale and, where none is among the weights, the weight (D, K)."""
        self._towers = _Towers(clip)
        self._tokens = TokenCache(clip)
        self._device = clip.device
        self._head = head

    def logits(
        self,
        weights: Mapping[str, Tensor],
        images_BCHW: Tensor,
        templates: Sequence[str] | None = None,
    ) -> Tensor:
        """(B, K), with gradient wherever `weights` have one.

        With `templates` the head is built from the weights' own text tower, and multiplied by
        their logit scale; without, it is "head" of the weights or, failing that, fixed.
        """
        live = {f"model.{name}": tensor for name, tensor in weights.items() if name != HEAD}
        if templates is None:
            features_BD, _ = functional_call(self._towers, live, (images_BCHW, None))
            head_DK = weights.get(HEAD, self._head.weight).to(features_BD)
            fixed_BK: Tensor = self._head.scale * features_BD @ head_DK
            return fixed_BK
        texts = [t.format(name) for name in self._head.classes for t in templates]
        ids = self._tokens.rows(texts).to(self._device)
        features_BD, texts_MD = functional_call(self._towers, live, (images_BCHW, ids))
        means_KD = texts_MD.unflatten(0, (-1, len(templates))).mean(dim=1)
        scale = weights["logit_scale"].exp() / self._head.temperature
        built_BK: Tensor = scale * features_BD @ functional.normalize(means_KD, dim=-1).T
        return built_BK


class _Towers(nn.Module):
    """Both towers behind one `forward`, which is what `functional_call` calls."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.model = clip.model
        self._clip = clip

    def forward(
        self, images_BCHW: Tensor, token_ids_MN: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        features_BD = functional.normalize(self._clip.visual(images_BCHW), dim=-1)
        if token_ids_MN is None:
            return features_BD, None
        return features_BD, self._clip.text.features(token_ids_MN)
