"""What a job keeps of theta0 once its weights are overwritten: features, and random texts.

Features are cached by content, so that jobs of one base share them, and mapped from their file
for as long as the job runs: nothing is encoded twice, and nothing can be encoded by mistake with
the weights that the model holds later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from core.learning.metrics import Metric
from core.learning.models import Clip
from core.learning.pixels import EvaluationPixels
from core.learning.random_text import probe_features
from core.learning.robustness import energy_gap, feature_distortion
from core.learning.text_tower import NoRandomTexts
from worker.pipeline.data import Split
from worker.pipeline.features import cached_features
from worker.pipeline.workspace import Workspace


@dataclass
class ZeroShot:
    """Theta0 of a job. Make one with `ZeroShot.of`, while the model holds its weights."""

    workspace: Workspace
    clip: Clip
    pixels: Mapping[str, EvaluationPixels]
    scale: float
    texts_MD: Tensor | None  # None for a base that random texts cannot be made for
    _features: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls, workspace: Workspace, clip: Clip, pixels: Mapping[str, EvaluationPixels]
    ) -> ZeroShot:
        try:
            texts_MD = probe_features(clip.text, clip.device)
        except NoRandomTexts as fault:
            texts_MD = None
            workspace.reporter.event(f"energy_gap is left out: {fault}")
        return cls(workspace, clip, pixels, clip.scale, texts_MD)

    def features(self, split: Split) -> Tensor:
        """Features (N, D) of a split: kept, from the cache, or encoded now with the weights that
        the model holds, which must still be theta0's."""
        if split.name not in self._features:
            sha256 = self.workspace.spec.theta0.sha256
            self._features[split.name] = cached_features(
                self.workspace, self.clip, sha256, split, self.pixels[split.name]
            )
        return self._features[split.name]

    def drift(self, split: Split, features_ND: Tensor) -> list[Metric]:
        """How far features of another model lie from theta0's; nothing where those are unknown."""
        features0_ND = self._features.get(split.name)
        if features0_ND is None:
            return []
        distortion = feature_distortion(features_ND, features0_ND)
        if self.texts_MD is None:
            return [distortion]
        return [energy_gap(features_ND, features0_ND, self.texts_MD, self.scale), distortion]
